/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/client_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/until.h"

void client_rig_init(struct client_rig *rig)
{
	*rig = (struct client_rig){ .dir = "/tmp/onebeat-client-XXXXXX",
				    .n_slots = CLIENT_RIG_SLOTS };
	cr_assert(mkdtemp(rig->dir));
	cr_assert_eq(setenv("ONEBEAT_RUNTIME_DIR", rig->dir, 1), 0);
}

void client_rig_start(struct client_rig *rig)
{
	client_rig_kill(rig);
	rig->agent = standin_agent_new(rig->dir, rig->n_slots);
	cr_assert(rig->agent);
}

/* Whatever a test was about, the library must have kept the protocol. */
static void check_protocol(struct standin_agent *agent)
{
	struct standin_agent_counts counts = standin_agent_counts(agent);

	cr_expect_eq(counts.n_malformed, 0, "messages against lease.h: %u", counts.n_malformed);
	cr_expect_eq(counts.n_invalid, 0, "versions against segment.h: %s", counts.why);
}

void client_rig_kill(struct client_rig *rig)
{
	if (rig->agent)
		check_protocol(rig->agent);
	rig->agent = standin_agent_free(rig->agent);
}

void client_rig_open(struct client_rig *rig, const struct onebeat_options *options)
{
	int r = onebeat_open(&rig->ob, options);

	cr_assert_eq(r, 0, "%s", onebeat_strerror(r));
	cr_assert(rig->ob);
}

void client_rig_up(struct client_rig *rig)
{
	client_rig_init(rig);
	client_rig_start(rig);
	client_rig_open(rig, NULL);
}

void client_rig_deinit(struct client_rig *rig)
{
	char path[128];

	onebeat_close(rig->ob);
	rig->ob = NULL;
	client_rig_kill(rig);
	snprintf(path, sizeof(path), "%s/%s", rig->dir, ONEBEAT_CLIENT_SOCKET);
	unlink(path);
	rmdir(rig->dir);
}

struct onebeat_spec client_rig_spec(uint16_t port)
{
	struct onebeat_spec spec = onebeat_spec_init();

	spec.service = "orders";
	spec.ip = "192.0.2.7";
	spec.port = port;
	return spec;
}

struct onebeat_instance *client_rig_register(struct client_rig *rig, uint16_t port)
{
	struct onebeat_spec spec = client_rig_spec(port);
	struct onebeat_instance *inst = NULL;
	int r = onebeat_register(rig->ob, &spec, &inst);

	cr_assert_eq(r, 0, "%s", onebeat_strerror(r));
	cr_assert(inst);
	return inst;
}

struct onebeat_report client_rig_report(const struct onebeat_instance *inst)
{
	struct onebeat_report report = { .size = sizeof(report) };
	int r = onebeat_status(inst, &report);

	cr_assert_eq(r, 0, "%s", onebeat_strerror(r));
	return report;
}

struct standin_agent_view client_rig_await(struct client_rig *rig, uint16_t port,
					   enum onebeat_op op)
{
	struct standin_agent_view view = { .slot = ONEBEAT_NO_SLOT };
	struct standin_agent_counts counts;
	bool seen = UNTIL(standin_agent_find(rig->agent, port, op, &view));

	counts = standin_agent_counts(rig->agent);
	cr_assert(seen, "port %u: op %d is not seen %s", port, (int)op, counts.why);
	return view;
}

static char *filled(char *room, size_t n, unsigned int seed)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";

	for (size_t i = 0; i < n; i++)
		room[i] = letters[(i * 7 + seed) % (sizeof(letters) - 1)];
	room[n] = '\0';
	return room;
}

/* 64 pairs of 16 units, all of three bytes: U+4E00 and those after it. */
static void fill_metadata(struct onebeat_metadata *pairs, unsigned int seed)
{
	enum {
		KEY = 4,
		VALUE = 12,
		CHAR = 3
	};
	static char texts[ONEBEAT_METADATA_PAIRS_MAX][(KEY + VALUE) * CHAR + 2];

	for (unsigned int i = 0; i < ONEBEAT_METADATA_PAIRS_MAX; i++) {
		char *at = texts[i];

		for (unsigned int j = 0; j < KEY + VALUE; j++) {
			unsigned int c = j < KEY ? i * KEY + j : i * VALUE + j + seed;

			if (j == KEY)
				*at++ = '\0';
			*at++ = (char)0xe4;
			*at++ = (char)(0xb8 + (c >> 6) % 8);
			*at++ = (char)(0x80 + c % 64);
		}
		*at = '\0';
		pairs[i].key = texts[i];
		pairs[i].value = texts[i] + KEY * CHAR + 1;
	}
}

struct onebeat_spec client_rig_largest_spec(uint16_t port, unsigned int seed)
{
	static char service[ONEBEAT_SERVICE_MAX + 1], group[ONEBEAT_GROUP_MAX + 1];
	static char cluster[ONEBEAT_CLUSTER_MAX + 1], namespace_id[ONEBEAT_NAMESPACE_MAX + 1];
	static char registry[ONEBEAT_REGISTRY_MAX + 1];
	static struct onebeat_metadata pairs[ONEBEAT_METADATA_PAIRS_MAX];
	struct onebeat_spec spec = client_rig_spec(port);

	spec.service = filled(service, ONEBEAT_SERVICE_MAX, 1);
	spec.group = filled(group, ONEBEAT_GROUP_MAX, 2);
	spec.cluster = filled(cluster, ONEBEAT_CLUSTER_MAX, 3);
	spec.namespace_id = filled(namespace_id, ONEBEAT_NAMESPACE_MAX, 4);
	spec.registry = filled(registry, ONEBEAT_REGISTRY_MAX, 5);
	spec.ip = "0000:0000:0000:0000:0000:ffff:255.255.255.255";
	fill_metadata(pairs, seed);
	spec.metadata = pairs;
	spec.n_metadata = ONEBEAT_METADATA_PAIRS_MAX;
	return spec;
}
