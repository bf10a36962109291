/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_CLIENT_RIG_H
#define LIB_CLIENT_RIG_H

#include <onebeat/onebeat.h>

#include "lib/standin_agent.h"

#define CLIENT_RIG_SLOTS 256u

/* A runtime folder, perhaps an agent there, perhaps a handle. A function that fails fails the test. */
struct client_rig {
	char dir[64];
	uint32_t n_slots; /* of the next agent */
	struct standin_agent *agent;
	struct onebeat *ob;
};

/* A fresh folder, named by ONEBEAT_RUNTIME_DIR too. */
void client_rig_init(struct client_rig *rig);
/* The agent appears, or another one in the place of the one that is there. */
void client_rig_start(struct client_rig *rig);
/* It dies, and leaves its socket's path behind. What the library told it must have been sound. */
void client_rig_kill(struct client_rig *rig);
/* init, start, open. */
void client_rig_up(struct client_rig *rig);
/* Opens the handle; the options but for the folder are the caller's, or NULL for the usual ones. */
void client_rig_open(struct client_rig *rig, const struct onebeat_options *options);
/* Closes, kills, removes what there is. */
void client_rig_deinit(struct client_rig *rig);

/* A small valid spec. */
struct onebeat_spec client_rig_spec(uint16_t port);
struct onebeat_instance *client_rig_register(struct client_rig *rig, uint16_t port);
struct onebeat_report client_rig_report(const struct onebeat_instance *inst);
/* Waits until the agent sees the port's instance as op says; and what it is like then. */
struct standin_agent_view client_rig_await(struct client_rig *rig, uint16_t port,
					   enum onebeat_op op);

/* A spec that is as large as the rules allow, byte for byte. Static texts; seed tells one from another. */
struct onebeat_spec client_rig_largest_spec(uint16_t port, unsigned int seed);

#endif
