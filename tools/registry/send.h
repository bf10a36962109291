/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_SEND_H
#define REGISTRY_SEND_H

#include <microhttpd.h>
#include <stdbool.h>

struct api_reply;

struct send_how {
	bool close; /* the connection is closed behind it */
	bool half;  /* half of the body, and the connection is closed */
	bool split; /* a byte at a time */
	unsigned int idle_s;
};

/* Queues the reply and takes its body. Returns what an access handler returns. */
enum MHD_Result send_reply(struct MHD_Connection *con, struct api_reply *reply,
			   const struct send_how *how);

/* Resets the connection under the library, which then finds it gone. */
void send_reset(struct MHD_Connection *con);

#endif
