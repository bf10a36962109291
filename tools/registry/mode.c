/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs between server generations
 *
 * One column for each generation whose behaviour is played: 1.4 as 1.4.8, 2 as 2.5.1, 3 as 3.0.3
 * with its v1 API on, 3-no-v1 as the same with the switch for it off, and 3.2, which has no v1 any
 * more. The rest of the program asks for a trait and never for a version; which calls exist where
 * is a bit in the route table.
 */
#include "mode.h"

#include <string.h>

/* What all of version 3 have in common. */
#define LIKE_3                                                                                \
	.head_max = 8 * 1024, .client_ttl_ms = 180000, .all_ips = "allIps", .one_kind = true, \
	.param_check = true, .bad_setting_is_zero = true, .may_exempt = true,                 \
	.beats_by_json_name = true, .nan_weight_is_one = true, .names_endpoint = true,        \
	.token_header = true, .names_signature = true,                                        \
	.no_user = "User not found! Please check user exist or password is right!"
static const struct mode modes[] = {
	{
		.name = "1.4",
		.version = "1.4.8",
		.bit = MODE_14,
		.head_max = 512 * 1024,
		.key_has_cluster = true,
		.owner_by_service = true,
		.loses_post_body = true,
		.wraps_texts = true,
		.post_keeps_health = true,
		.hides_ill_health = true,
		.short_unknown = true,
		.no_user = "unknown user!",
	},
	{
		.name = "2",
		.version = "2.5.1",
		.bit = MODE_2,
		.head_max = 512 * 1024,
		.client_ttl_ms = 180000,
		.all_ips = "allIPs",
		.one_kind = true,
		.param_check = true,
		.bad_setting_is_zero = true,
		.may_exempt = true,
		.beats_by_json_name = true,
		.lists_may_break = true,
		.token_header = true,
		.names_signature = true,
		.no_user = "user not found!",
	},
	{ .name = "3", .version = "3.0.3", .bit = MODE_3, LIKE_3 },
	{ .name = "3-no-v1", .version = "3.0.3", .bit = MODE_3_NO_V1, LIKE_3 },
	{ .name = "3.2", .version = "3.2.0", .bit = MODE_32, LIKE_3 },
};

const char mode_names[] = "1.4, 2, 3, 3-no-v1, 3.2";

const struct mode *mode_find(const char *name)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(modes[i].name, name) == 0)
			return &modes[i];
	return NULL;
}
