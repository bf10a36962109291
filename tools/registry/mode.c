/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs between server generations
 *
 * One column for each generation whose behaviour is played: 1.4 as 1.4.8, 2 as 2.5.1, 3 as 3.0.3
 * with its v1 API on. The rest of the program asks for a trait and never for a version, so that
 * a further mode (a 3 that refuses v1, a 3.2 that has none) is a column here and a bit in the
 * route table, and no new branch anywhere.
 */
#include "mode.h"

#include <string.h>

static const struct mode modes[] = {
	{
		.name = "1.4",
		.bit = MODE_14,
		.head_max = 512 * 1024,
		.key_has_cluster = true,
		.loses_post_body = true,
		.wraps_texts = true,
		.post_keeps_health = true,
		.hides_ill_health = true,
		.short_unknown = true,
	},
	{
		.name = "2",
		.bit = MODE_2,
		.head_max = 512 * 1024,
		.client_ttl_ms = 180000,
		.all_ips = "allIPs",
		.one_kind = true,
		.param_check = true,
		.bad_setting_is_zero = true,
		.may_exempt = true,
		.beats_by_json_name = true,
	},
	{
		.name = "3",
		.bit = MODE_3,
		.head_max = 8 * 1024,
		.client_ttl_ms = 180000,
		.all_ips = "allIps",
		.one_kind = true,
		.param_check = true,
		.bad_setting_is_zero = true,
		.may_exempt = true,
		.beats_by_json_name = true,
		.nan_weight_is_one = true,
		.names_endpoint = true,
	},
};

const char mode_names[] = "1.4, 2, 3";

const struct mode *mode_find(const char *name)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(modes[i].name, name) == 0)
			return &modes[i];
	return NULL;
}
