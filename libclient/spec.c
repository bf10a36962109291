/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a caller may register
 *
 * Everything that agent or registry would refuse is refused here first, where the caller can do something
 * about it, each rule with its own code. The order is that of the table in onebeat.h, whatever else is wrong.
 * No text is followed further than its limit.
 */
#include "spec.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "alphabet.h"
#include "registries.h"

#define BEAT_MAX_MS UINT32_C(120000)
#define PROGRESS_MIN_MS UINT32_C(1000)
#define PROGRESS_MAX_MS UINT32_C(86400000)
#define WEIGHT_MAX 10000.0
#define PORT_MAX 65535u

struct text_rule {
	size_t offset; /* in struct onebeat_spec */
	size_t max;
	const char *marks; /* allowed beside letters and digits */
	int too_long;
	int bad_char;
};

static const struct text_rule text_rules[] = {
	{ offsetof(struct onebeat_spec, service), ONEBEAT_SERVICE_MAX, "._:-",
	  ONEBEAT_E_SERVICE_LONG, ONEBEAT_E_SERVICE_CHARS },
	{ offsetof(struct onebeat_spec, group), ONEBEAT_GROUP_MAX, "._:-", ONEBEAT_E_GROUP_LONG,
	  ONEBEAT_E_GROUP_CHARS },
	{ offsetof(struct onebeat_spec, cluster), ONEBEAT_CLUSTER_MAX, "-", ONEBEAT_E_CLUSTER_LONG,
	  ONEBEAT_E_CLUSTER_CHARS },
	{ offsetof(struct onebeat_spec, namespace_id), ONEBEAT_NAMESPACE_MAX, "_-",
	  ONEBEAT_E_NAMESPACE_LONG, ONEBEAT_E_NAMESPACE_CHARS },
};

static int check_text(const struct onebeat_spec *spec, const struct text_rule *rule)
{
	const char *text;

	memcpy(&text, (const char *)spec + rule->offset, sizeof(text));
	if (!text)
		return 0;
	if (strnlen(text, rule->max + 1) > rule->max)
		return rule->too_long;
	for (; *text; text++) {
		if (!alphabet_has(*text, rule->marks))
			return rule->bad_char;
	}
	return 0;
}

static int check_texts(const struct onebeat_spec *spec)
{
	struct registries registries;

	if (!spec->service || !spec->service[0])
		return ONEBEAT_E_SERVICE_EMPTY;
	for (size_t i = 0; i < sizeof(text_rules) / sizeof(text_rules[0]); i++) {
		int r = check_text(spec, &text_rules[i]);

		if (r < 0)
			return r;
	}
	return onebeat__registries_read(&registries, spec->registry);
}

static bool is_ip(const char *text)
{
	struct in6_addr address;

	if (!text || !text[0])
		return true; /* the agent chooses */
	if (strnlen(text, ONEBEAT_IP_MAX + 1) > ONEBEAT_IP_MAX)
		return false;
	return inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, &address) == 1;
}

static bool in_range_or_0(uint32_t value, uint32_t min, uint32_t max)
{
	return value == 0 || (value >= min && value <= max);
}

static int check_numbers(const struct onebeat_spec *spec)
{
	if (spec->port < 1 || spec->port > PORT_MAX)
		return ONEBEAT_E_PORT;
	/* Written so that a NaN fails. */
	if (!(spec->weight >= 0.0 && spec->weight <= WEIGHT_MAX))
		return ONEBEAT_E_WEIGHT;
	if (spec->policy != ONEBEAT_ANY_HOLDER && spec->policy != ONEBEAT_OWNER)
		return ONEBEAT_E_POLICY;
	if (!in_range_or_0(spec->beat_ms, SPEC_BEAT_MS_MIN, BEAT_MAX_MS))
		return ONEBEAT_E_BEAT;
	if (!in_range_or_0(spec->progress_timeout_ms, PROGRESS_MIN_MS, PROGRESS_MAX_MS))
		return ONEBEAT_E_PROGRESS;
	return 0;
}

static bool is_flag(int value)
{
	return value == 0 || value == 1;
}

int onebeat__spec_check(const struct onebeat_spec *spec)
{
	int r;

	if (!spec)
		return ONEBEAT_E_NULL;
	if (spec->size != sizeof(*spec))
		return ONEBEAT_E_SIZE;
	if (spec->n_metadata > 0 && !spec->metadata)
		return ONEBEAT_E_NULL;
	if (spec->flags & ~(uint32_t)ONEBEAT_WHEN_LISTENING)
		return ONEBEAT_E_FLAGS;
	r = check_texts(spec);
	if (r == 0 && !is_ip(spec->ip))
		r = ONEBEAT_E_IP;
	if (r == 0)
		r = check_numbers(spec);
	if (r == 0)
		r = onebeat__metadata_check(spec->metadata, spec->n_metadata, spec->beat_ms);
	if (r == 0 && (!is_flag(spec->enabled) || !is_flag(spec->ephemeral)))
		r = ONEBEAT_E_ENABLED;
	return r;
}

int onebeat_check(const struct onebeat_spec *spec)
{
	return onebeat__spec_check(spec);
}
