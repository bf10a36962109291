/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_AUTO_H
#define ONEBEAT_AUTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <onebeat/onebeat.h>
#include <onebeat/segment.h>

/* Room for every text of the longest options: names, address, folder, and metadata of 1024 units. */
#define AUTO_TEXTS_SIZE 8192u
#define AUTO_PORT_DIGITS 6u

/* What is to be registered, in memory of its own. */
struct auto_plan {
	struct onebeat_options open;
	struct onebeat_spec spec;       /* port: 0 until one listens */
	struct onebeat_spec management; /* port 0: none */
	bool enabled;
	struct onebeat_metadata
		metadata[ONEBEAT_METADATA_PAIRS_MAX + 1]; /* one for management.port */
	char management_port[AUTO_PORT_DIGITS];
	char ip[ONEBEAT_IP_MAX + 1]; /* the socket's */
	char texts[AUTO_TEXTS_SIZE];
	size_t n_texts;
};

/* plan is zeros. 0 or an error of the table. */
int onebeat__auto_plan_init(struct auto_plan *plan, const struct onebeat_auto_options *options);
/* Takes port and address of a socket where they are still open. 0 or ONEBEAT_E_LISTEN. */
int onebeat__auto_plan_bind(struct auto_plan *plan, int listen_fd);
/* The management port is another one than the service's. */
bool onebeat__auto_plan_is_managed(const struct auto_plan *plan);

#endif
