/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes to the registry
 *
 * Golden files hold whole requests (one line, compared byte for byte) and the same requests taken
 * apart (one name=value a line, compared field for field after this file's own decoding), for the
 * protocol's reference instance and for an odd one that sets everything and needs every encoding.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <onebeat/onebeat.h>

#include "base/descriptor.h"
#include "nacos/request.h"

#define GOLDEN_MAX 4096

static const struct nacos_api v1 = { NACOS_V1, "/nacos" };
static const struct nacos_api bare = { NACOS_V1, "" };
static const struct nacos_api v3 = { NACOS_V3, "/nacos" };
static const struct nacos_api bare_v3 = { NACOS_V3, "" };

static const struct descriptor_pair zone_a[] = { { "zone", "a" } };
static const struct descriptor_pair zone_blank[] = { { "zone", "a b" } };
static const struct descriptor_pair odd_pairs[] = {
	{ "note", "say \"hi\" \\ & go=1+1? 100%~*/#" },
	{ "citt\u00e0", "M\u00fcnchen \u5317\u4eac \U0001f680" },
	{ "empty", "" },
};

/* The reference instance; a test spoils what it is about. */
static struct descriptor reference(void)
{
	return (struct descriptor){
		.registry = "",
		.namespace_id = "public",
		.group = "DEFAULT_GROUP",
		.service = "orders",
		.cluster = "DEFAULT",
		.ip = "10.0.0.1",
		.port = 8080,
		.enabled = true,
		.ephemeral = true,
		.weight = 1,
		.beat_ms = 5000,
	};
}

static struct descriptor *built(struct descriptor d, const struct descriptor_pair *pairs,
				uint32_t n_pairs)
{
	struct descriptor *made = descriptor_new(&d, pairs, n_pairs);

	cr_assert(made);
	return made;
}

static struct descriptor *odd(void)
{
	struct descriptor d = reference();

	d.namespace_id = "team-7";
	d.group = "g.1:x";
	d.service = "pay_ments-2";
	d.cluster = "hz-2";
	d.ip = "2001:db8::7";
	d.port = 65535;
	d.enabled = false;
	d.ephemeral = false;
	d.weight = 0.25;
	d.beat_ms = 12000;
	return built(d, odd_pairs, 3);
}

/* A golden file without its last newline. */
static const char *golden(const char *name, char buf[GOLDEN_MAX])
{
	char path[512];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), ONEBEAT_TESTS_DIR "/unit/golden/%s", name);
	f = fopen(path, "r");
	cr_assert(f, "golden file %s", path);
	n = fread(buf, 1, GOLDEN_MAX - 1, f);
	fclose(f);
	cr_assert(n > 0 && buf[n - 1] == '\n', "golden file %s", path);
	buf[n - 1] = '\0';
	return buf;
}

static void expect_golden(const char *name, const char *text, size_t n)
{
	char want[GOLDEN_MAX];

	cr_expect_str_eq(text, golden(name, want), "%s", name);
	cr_expect_eq(n, strlen(want), "%s", name);
}

static int hex_digit(char c)
{
	return c <= '9' ? c - '0' : c - 'A' + 10;
}

/* Undoes percent-encoding, and '+' of forms, as a server does. */
static void decode(char *text, bool form)
{
	char *to = text;

	for (const char *p = text; *p; p++) {
		if (*p == '%') {
			*to++ = (char)(hex_digit(p[1]) << 4 | hex_digit(p[2]));
			p += 2;
		} else {
			*to++ = (form && *p == '+') ? ' ' : *p;
		}
	}
	*to = '\0';
}

/* "path?a=1&b=2" as lines "a=1", "b=2", each decoded. */
static void fields_of_query(const char *target, char *out, size_t size, bool form)
{
	const char *p = strchr(target, '?');
	char field[GOLDEN_MAX];
	size_t n = 0;

	out[0] = '\0';
	while (p && *p) {
		const char *end = strpbrk(++p, "& ");
		size_t length = end ? (size_t)(end - p) : strlen(p);

		snprintf(field, sizeof(field), "%.*s", (int)length, p);
		decode(field, form);
		n += (size_t)snprintf(out + n, size - n, "%s%s", n > 0 ? "\n" : "", field);
		p = end && *end == '&' ? end : NULL;
	}
}

/* The members of a JSON object as lines name=value, values as they stand. */
static void fields_of_object(const char *json, char *out)
{
	bool in_string = false;
	bool in_key = true;
	int depth = 0;
	char *to = out;

	for (const char *p = json + 1; *p && (depth > 0 || *p != '}'); p++) {
		if (*p == '\\')
			*to++ = *p++;
		else if (*p == '"')
			in_string = !in_string;
		else if (!in_string && (*p == '{' || *p == '}'))
			depth += *p == '{' ? 1 : -1;
		if (depth > 0 || in_string || *p == '"') {
			if (!in_key || *p != '"')
				*to++ = *p;
		} else if (*p == ':' || *p == ',') {
			in_key = *p == ',';
			*to++ = in_key ? '\n' : '=';
		} else {
			*to++ = *p;
		}
	}
	*to = '\0';
}

/* The minimal conversation's POST, byte for byte: order, form and encoding of every parameter. */
Test(nacos_request, register_target_is_the_reference_message)
{
	struct descriptor *d = built(reference(), zone_a, 1);
	char buf[NACOS_TARGET_MAX];
	size_t n = nacos_register_target(&v1, d, buf, sizeof(buf));

	expect_golden("register.target", buf, n);
	descriptor_unref(d);
}

Test(nacos_request, register_target_holds_each_field_once)
{
	struct descriptor *d = built(reference(), zone_a, 1);
	struct descriptor *o = odd();
	char buf[NACOS_TARGET_MAX];
	char fields[GOLDEN_MAX];
	char want[GOLDEN_MAX];

	nacos_register_target(&v1, d, buf, sizeof(buf));
	fields_of_query(buf, fields, sizeof(fields), false);
	cr_expect_str_eq(fields, golden("register.fields", want));
	nacos_register_target(&bare, o, buf, sizeof(buf));
	fields_of_query(buf, fields, sizeof(fields), false);
	cr_expect_str_eq(fields, golden("register-odd.fields", want));
	descriptor_unref(d);
	descriptor_unref(o);
}

/*
 * Nothing but unreserved characters and %XX in upper case may stand in a value: Tomcat answers 400
 * to [ ] " { }.
 */
Test(nacos_request, register_target_encodes_every_reserved_byte)
{
	struct descriptor *d = odd();
	char buf[NACOS_TARGET_MAX];
	size_t n = nacos_register_target(&bare, d, buf, sizeof(buf));

	expect_golden("register-odd.target", buf, n);
	descriptor_unref(d);
}

/*
 * Without ephemeral=false a persistent instance would be looked for in the other store, and stay.
 */
Test(nacos_request, deregister_target_names_the_store)
{
	struct descriptor *d = built(reference(), zone_a, 1);
	struct descriptor *o = odd();
	char buf[NACOS_TARGET_MAX];

	expect_golden("deregister.target", buf, nacos_deregister_target(&v1, d, buf, sizeof(buf)));
	expect_golden("deregister-odd.target", buf,
		      nacos_deregister_target(&bare, o, buf, sizeof(buf)));
	descriptor_unref(d);
	descriptor_unref(o);
}

Test(nacos_request, beat_line_is_a_whole_request_line)
{
	struct descriptor *d = built(reference(), zone_a, 1);
	struct descriptor *o = odd();
	char buf[NACOS_TARGET_MAX];
	size_t n = nacos_beat_line(&v1, d, buf, sizeof(buf));

	cr_assert_str_eq(buf + n - 2, "\r\n");
	buf[n - 2] = '\0';
	expect_golden("beat.line", buf, n - 2);
	n = nacos_beat_line(&bare, o, buf, sizeof(buf));
	buf[n - 2] = '\0';
	expect_golden("beat-odd.line", buf, n - 2);
	descriptor_unref(d);
	descriptor_unref(o);
}

/* v3 wants name and group apart: grouped, the name would be another service's. */
Test(nacos_request, v3_requests_are_the_recorded_ones)
{
	struct descriptor *d = built(reference(), zone_a, 1);
	struct descriptor *o = odd();
	char buf[NACOS_TARGET_MAX];

	expect_golden("register-v3.target", buf, nacos_register_target(&v3, d, buf, sizeof(buf)));
	expect_golden("register-v3-odd.target", buf,
		      nacos_register_target(&bare_v3, o, buf, sizeof(buf)));
	expect_golden("deregister-v3.target", buf,
		      nacos_deregister_target(&v3, d, buf, sizeof(buf)));
	expect_golden("deregister-v3-odd.target", buf,
		      nacos_deregister_target(&bare_v3, o, buf, sizeof(buf)));
	descriptor_unref(d);
	descriptor_unref(o);
}

/* v3 has no beat of its own: a registration with a flag, which never registers. */
Test(nacos_request, v3_beat_is_a_post_that_says_so)
{
	struct descriptor *d = built(reference(), zone_a, 1);
	char buf[NACOS_TARGET_MAX];
	size_t n = nacos_beat_line(&v3, d, buf, sizeof(buf));

	cr_assert_str_eq(buf + n - 2, "\r\n");
	buf[n - 2] = '\0';
	expect_golden("beat-v3.line", buf, n - 2);
	descriptor_unref(d);
}

/* The form says what the query says, in forms' own encoding. */
Test(nacos_request, register_form_holds_the_same_fields)
{
	struct descriptor *o = odd();
	char buf[NACOS_TARGET_MAX];
	char query[GOLDEN_MAX];
	char form[GOLDEN_MAX];

	for (int i = 0; i < 2; i++) {
		const struct nacos_api *api = i == 0 ? &v1 : &v3;

		nacos_register_target(api, o, buf, sizeof(buf));
		fields_of_query(buf, query, sizeof(query), false);
		buf[0] = '?';
		nacos_register_body(api, o, buf + 1, sizeof(buf) - 1);
		cr_expect(strchr(buf, '+'));
		fields_of_query(buf, form, sizeof(form), true);
		cr_expect_str_eq(form, query);
	}
	nacos_register_path(&v1, buf, sizeof(buf));
	cr_expect_str_eq(buf, "/nacos/v1/ns/instance");
	nacos_register_path(&bare_v3, buf, sizeof(buf));
	cr_expect_str_eq(buf, "/v3/client/ns/instance");
	descriptor_unref(o);
}

/* 1.4.4 to 1.4.8 lose a POST's body, and take long heads: v1 uses the form only where one was refused. */
Test(nacos_request, long_heads_go_as_forms)
{
	cr_expect_not(nacos_register_as_form(&v3, NACOS_HEAD_MAX, false));
	cr_expect(nacos_register_as_form(&v3, NACOS_HEAD_MAX + 1, false));
	cr_expect_not(nacos_register_as_form(&v1, NACOS_HEAD_MAX + 1, false));
	cr_expect(nacos_register_as_form(&v1, NACOS_HEAD_MAX + 1, true));
	cr_expect_not(nacos_register_as_form(&v1, NACOS_HEAD_MAX, true));
}

/* The 283 bytes of the protocol's test vector. */
Test(nacos_request, beat_body_is_the_reference_heartbeat)
{
	struct descriptor *d = built(reference(), zone_blank, 1);
	char buf[NACOS_TARGET_MAX];
	size_t n = nacos_beat_body(d, buf, sizeof(buf));

	cr_expect_eq(n, 283);
	expect_golden("beat.body", buf, n);
	descriptor_unref(d);
}

/* The heartbeat's JSON, field for field and with the types that the server reads. */
Test(nacos_request, beat_body_holds_the_heartbeat_fields)
{
	struct descriptor *d = built(reference(), zone_blank, 1);
	struct descriptor *o = odd();
	char buf[NACOS_TARGET_MAX];
	char fields[NACOS_TARGET_MAX];
	char want[GOLDEN_MAX];

	nacos_beat_body(d, buf, sizeof(buf));
	decode(buf, true);
	fields_of_object(buf + strlen("beat="), fields);
	cr_expect_str_eq(fields, golden("beat.fields", want));
	nacos_beat_body(o, buf, sizeof(buf));
	decode(buf, true);
	fields_of_object(buf + strlen("beat="), fields);
	cr_expect_str_eq(fields, golden("beat-odd.fields", want));
	descriptor_unref(d);
	descriptor_unref(o);
}

/* "metadata": null or a missing parameter lists null on 1.4. */
Test(nacos_request, empty_metadata_is_an_empty_object)
{
	struct descriptor *d = built(reference(), NULL, 0);
	char buf[NACOS_TARGET_MAX];

	nacos_register_target(&v1, d, buf, sizeof(buf));
	cr_expect(strstr(buf, "&metadata=%7B%7D"));
	nacos_beat_body(d, buf, sizeof(buf));
	cr_expect(strstr(buf, "%22metadata%22%3A%7B%7D%2C"));
	descriptor_unref(d);
}

/* An empty namespaceId would equal none; the name says what is meant. */
Test(nacos_request, empty_namespace_is_public)
{
	struct descriptor from = reference();
	struct descriptor *d;
	char buf[NACOS_TARGET_MAX];

	from.namespace_id = "";
	d = built(from, NULL, 0);
	nacos_beat_line(&v1, d, buf, sizeof(buf));
	cr_expect(strstr(buf, "?namespaceId=public&"));
	descriptor_unref(d);
}

Test(nacos_request, negative_zero_is_zero)
{
	struct descriptor from = reference();
	struct descriptor *d;
	char buf[NACOS_TARGET_MAX];

	from.weight = -0.0;
	d = built(from, NULL, 0);
	nacos_register_target(&v1, d, buf, sizeof(buf));
	cr_expect(strstr(buf, "&weight=0.0&"));
	descriptor_unref(d);
}

/*
 * A buffer that is one byte too small gives nothing, never half a request; one that fits exactly is
 * filled.
 */
Test(nacos_request, small_buffers_give_nothing)
{
	struct descriptor *d = odd();
	char whole[NACOS_TARGET_MAX];
	size_t n = nacos_register_target(&v1, d, whole, sizeof(whole));
	size_t n_beat = nacos_beat_line(&v1, d, whole, sizeof(whole));
	size_t n_body = nacos_beat_body(d, whole, sizeof(whole));
	size_t n_delete = nacos_deregister_target(&v1, d, whole, sizeof(whole));
	size_t n_form = nacos_register_body(&v1, d, whole, sizeof(whole));
	size_t n_path = nacos_register_path(&v1, whole, sizeof(whole));

	for (size_t size = 0; size <= n + 1; size++) {
		char *buf = malloc(
			size > 0 ? size
				 : 1); /* exact, so that a sanitizer sees one byte too many */

		cr_assert_eq(nacos_register_target(&v1, d, buf, size), size > n ? n : 0);
		cr_assert_eq(nacos_beat_line(&v1, d, buf, size), size > n_beat ? n_beat : 0);
		cr_assert_eq(nacos_beat_body(d, buf, size), size > n_body ? n_body : 0);
		cr_assert_eq(nacos_deregister_target(&v1, d, buf, size),
			     size > n_delete ? n_delete : 0);
		cr_assert_eq(nacos_register_body(&v1, d, buf, size), size > n_form ? n_form : 0);
		cr_assert_eq(nacos_register_path(&v1, buf, size), size > n_path ? n_path : 0);
		free(buf);
	}
	descriptor_unref(d);
}

/* 64 pairs, keys and values 1,024 UTF-16 units in all, of the given character. */
static struct descriptor *longest(const char *character, size_t units)
{
	static char texts[ONEBEAT_METADATA_PAIRS_MAX][2][128];
	static char group[ONEBEAT_GROUP_MAX + 1], service[ONEBEAT_SERVICE_MAX + 1];
	static char cluster[ONEBEAT_CLUSTER_MAX + 1], namespace_id[ONEBEAT_NAMESPACE_MAX + 1];
	struct descriptor_pair pairs[ONEBEAT_METADATA_PAIRS_MAX];
	struct descriptor d = reference();
	size_t each = ONEBEAT_METADATA_CHARS_MAX / ONEBEAT_METADATA_PAIRS_MAX / 2 / units;

	for (uint32_t i = 0; i < ONEBEAT_METADATA_PAIRS_MAX; i++) {
		for (size_t j = 0; j < each; j++) {
			memcpy(texts[i][0] + j * strlen(character), character,
			       strlen(character) + 1);
			memcpy(texts[i][1] + j * strlen(character), character,
			       strlen(character) + 1);
		}
		pairs[i] = (struct descriptor_pair){ texts[i][0], texts[i][1] };
	}
	memset(group, ':', sizeof(group) - 1);
	memset(service, ':', sizeof(service) - 1);
	memset(cluster, '-', sizeof(cluster) - 1);
	memset(namespace_id, '_', sizeof(namespace_id) - 1);
	d.group = group;
	d.service = service;
	d.cluster = cluster;
	d.namespace_id = namespace_id;
	d.ip = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255";
	d.port = 65535;
	d.weight = 9999.999999999998;
	d.beat_ms = 120000;
	return built(d, pairs, ONEBEAT_METADATA_PAIRS_MAX);
}

Test(nacos_request, longest_descriptors_fit)
{
	static const struct {
		const char *character;
		size_t units;
	} worst[] = { { "\u5317", 1 }, { "\"", 1 }, { "\U0001f680", 2 } };
	char context[129];
	struct nacos_api apis[] = { { NACOS_V1, context }, { NACOS_V3, context } };
	char buf[NACOS_TARGET_MAX];

	memset(context, 'c', sizeof(context) - 1);
	context[0] = '/';
	context[sizeof(context) - 1] = '\0';
	for (size_t i = 0; i < sizeof(worst) / sizeof(worst[0]); i++) {
		struct descriptor *d = longest(worst[i].character, worst[i].units);

		for (size_t k = 0; k < 2; k++) {
			cr_expect(nacos_register_target(&apis[k], d, buf, sizeof(buf)) > 0);
			cr_expect(nacos_register_body(&apis[k], d, buf, sizeof(buf)) > 0);
		}
		cr_expect(nacos_beat_body(d, buf, sizeof(buf)) > 0);
		descriptor_unref(d);
	}
}
