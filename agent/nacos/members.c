/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The members of a cluster, as one of them tells it
 *
 * {"servers":[...]} of 1.4's operator page, a result whose "data" is the list of all the others. A
 * member is an object with address and state, or an address alone. The list comes in no order; the
 * servers sort it as text before they hash, and so does this.
 *
 * A list is taken whole or not at all: one member left out changes the owner of most instances. Being
 * wrong costs a forward each, which is what not asking costs as well.
 *
 * The version of the servers, which decides what they hash, stands in each member's extendInfo.
 */
#include "nacos/members.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nacos/body.h"
#include "nacos/encode.h"
#include "nacos/json.h"
#include "nacos/line.h"

size_t members_path(const char *context, unsigned int which, char *buf, size_t size)
{
	static const char *const paths[MEMBERS_PATHS] = {
		"/v1/core/cluster/nodes",
		"/v1/ns/operator/servers",
		"/v2/core/cluster/node/list",
		"/v3/admin/core/cluster/node/list",
	};
	struct encode e;

	if (which >= MEMBERS_PATHS)
		return 0;
	encode_init(&e, ENCODE_QUERY, buf, size);
	encode_plain(&e, context);
	encode_plain(&e, paths[which]);
	return encode_end(&e);
}

static bool value_is(const struct json_value *value, const char *text)
{
	return value->type == JSON_STRING && value->n == strlen(text) &&
	       memcmp(value->at, text, value->n) == 0;
}

static enum member_state state_of(const struct json_value *value)
{
	if (value && value_is(value, "UP"))
		return MEMBER_UP;
	if (value && value_is(value, "SUSPICIOUS"))
		return MEMBER_SUSPICIOUS;
	return MEMBER_DOWN;
}

static bool take_address(const struct json_value *value, char out[ADDRESS_SIZE])
{
	char text[ADDRESS_SIZE];

	return value && value->type == JSON_STRING &&
	       address_read(text, json_value_text(value, text, sizeof(text)), out);
}

static void take_version(const struct json_object *member, struct members *out)
{
	const struct json_value *info = json_object_find(member, "extendInfo");
	const struct json_value *version;
	struct json_object extend;

	if (!info || info->type != JSON_NESTED || !json_object_read_any(&extend, info->at, info->n))
		return;
	version = json_object_find(&extend, "version");
	if (version && version->type == JSON_STRING && version->n > 1 && version->at[0] >= '1' &&
	    version->at[0] <= '9' && version->at[1] == '.')
		out->version = (unsigned int)(version->at[0] - '0');
}

static bool take_member(const struct json_value *item, struct member *member, struct members *out)
{
	struct json_object object;

	member->state = MEMBER_UP;
	if (item->type == JSON_STRING)
		return take_address(item, member->address);
	if (item->type != JSON_NESTED || !json_object_read_any(&object, item->at, item->n))
		return false;
	member->state = state_of(json_object_find(&object, "state"));
	take_version(&object, out);
	return take_address(json_object_find(&object, "address"), member->address);
}

static void refuse(struct members *out, const char *why)
{
	out->verdict = MEMBERS_FAILED;
	out->n = out->n_owners = 0;
	snprintf(out->text, sizeof(out->text), "%s", why);
}

static bool holds(const struct members *list, const char *address)
{
	for (uint32_t i = 0; i < list->n; i++) {
		if (strcmp(list->members[i].address, address) == 0)
			return true;
	}
	return false;
}

static int compare(const void *a, const void *b)
{
	const struct member *one = a;
	const struct member *other = b;
	bool one_owns = one->state != MEMBER_DOWN;
	bool other_owns = other->state != MEMBER_DOWN;

	if (one_owns != other_owns)
		return one_owns ? -1 : 1;
	return strcmp(one->address, other->address);
}

static void take_list(const struct json_value *list, struct members *out)
{
	struct json_value items[MEMBERS_MAX];
	size_t n_items;

	if (!json_array_read(list, items, MEMBERS_MAX, &n_items)) {
		refuse(out, "no list of at most 64 members");
		return;
	}
	for (size_t i = 0; i < n_items; i++) {
		struct member *member = &out->members[out->n];

		if (!take_member(&items[i], member, out)) {
			refuse(out, "a member without an address");
			return;
		}
		if (holds(out, member->address))
			continue;
		out->n++;
		out->n_owners += member->state != MEMBER_DOWN;
	}
	qsort(out->members, out->n, sizeof(out->members[0]), compare);
	if (out->n == 0)
		refuse(out, "an empty list of members");
}

static enum members_verdict judge_status(int status)
{
	switch (status) {
	case 200:
		return MEMBERS_OK;
	case 401:
	case 403:
		return MEMBERS_DENIED;
	case 404:
	case 410:
	case 501:
		return MEMBERS_NO_API;
	default:
		return MEMBERS_FAILED;
	}
}

/* The list in a 200; NULL, with the reason said, when there is none. */
static const struct json_value *find_list(const struct body *body, const struct json_object *object,
					  struct members *out)
{
	const struct json_value *list = json_object_find(object, "servers");
	const struct json_value *code = json_object_find(object, "code");
	long long number;

	if (list)
		return list;
	list = json_object_find(object, "data");
	if (code && json_value_integer(code, &number) && (number == 0 || number == 200) && list)
		return list;
	refuse(out, "");
	if (body_object_line(object, out->text, sizeof(out->text)) == 0)
		body_nonsense_line(body, out->text, sizeof(out->text));
	return NULL;
}

void members_read(int status, const char *body, size_t n_body, struct members *out)
{
	const struct json_value *list;
	struct json_object object;
	struct body b;

	memset(out, 0, sizeof(*out));
	out->verdict = judge_status(status);
	body_read(&b, body, n_body);
	if (out->verdict != MEMBERS_OK) {
		body_status_line(&b, status, out->text, sizeof(out->text));
		return;
	}
	if (!json_object_read_any(&object, b.bytes, b.n)) {
		refuse(out, "");
		body_nonsense_line(&b, out->text, sizeof(out->text));
		return;
	}
	list = find_list(&b, &object, out);
	if (list)
		take_list(list, out);
}
