/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_STANDIN_MESSAGE_H
#define LIB_STANDIN_MESSAGE_H

#include <stdbool.h>

#include <onebeat/lease.h>

/* The stand-in's messages; a socket that has no room loses them, as lease.h allows. */
union standin_message {
	struct onebeat_msg msg;
	struct onebeat_hello hello;
	struct onebeat_ask ask;
	uint32_t words[(ONEBEAT_LEASE_MSG_MAX + 3) / 4 + 1]; /* room for one byte too many */
};

/* A client may say it: all that lease.h demands of n bytes. */
bool standin_message_is_sound(const union standin_message *m, size_t n);
/* Fills in head and version. */
void standin_message_welcome(int lease, const struct onebeat_welcome *m, int data_fd,
			     int status_fd);
void standin_message_grant(int lease, const struct onebeat_grant *grant);
void standin_message_refused(int lease, enum onebeat_reason reason, uint32_t cookie);

#endif
