/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_BEAT_CONN_H
#define HTTP_BEAT_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "http/curl_glue.h"
#include "http/framing.h"
#include "http/https.h"

enum beat_conn_state {
	BEAT_CONN_CLOSED,
	BEAT_CONN_CONNECTING,
	BEAT_CONN_OPEN
};

enum beat_conn_end {
	BEAT_CONN_REFUSED, /* it was never open */
	BEAT_CONN_QUIET,   /* ended by the other side, and no byte of an awaited reply had come */
	BEAT_CONN_BROKEN   /* half a reply, or bytes that are none */
};

/*
 * What a connection tells its owner. opened, replied and ended come from its loop callbacks and
 * from beat_conn_tick(), never from any other call; each turn of them is closed by one turned. The
 * connection may be closed, opened and written to from all four.
 */
struct beat_conn_ops {
	void (*opened)(void *ctx);
	void (*replied)(void *ctx, const struct framing_reply *reply);
	void (*ended)(void *ctx, enum beat_conn_end end,
		      const char *why); /* it is closed already */
	void (*turned)(void *ctx);
};

struct beat_conn {
	const struct beat_conn_ops *ops;
	void *ctx;
	struct loop *loop;
	struct curl_glue glue;
	CURL *easy;
	struct curl_slist *route; /* the easy handle's */
	enum beat_conn_state state;
	int fd;
	uint64_t watch;
	bool tls;
	bool awaits_room;   /* EPOLLOUT is watched */
	bool wrote;         /* bytes of a request that is unanswered have gone out */
	uint32_t n_awaited; /* replies */
	uint32_t n_replies; /* since it was opened */
	struct framing *framing;
	char *out;
	size_t n_out;
	size_t n_sent;
	size_t size_out;
	char error[CURL_ERROR_SIZE];
	char why[CURL_ERROR_SIZE + 32];
};

#define BEAT_CONN_NULL                                                   \
	{                                                                \
		.fd = -1, .watch = LOOP_NO_WATCH, .glue = CURL_GLUE_NULL \
	}

/* The connection must not move. 0 or -ENOMEM. */
int beat_conn_init(struct beat_conn *conn, struct loop *loop, const struct https_link *link,
		   const char *url, const struct beat_conn_ops *ops, void *ctx);
void beat_conn_deinit(struct beat_conn *conn);

/* Begins to connect. 0 or a negative errno. */
int beat_conn_open(struct beat_conn *conn, uint32_t connect_ms);
/* Forgets what was put and is awaited. Idempotent. */
void beat_conn_close(struct beat_conn *conn);

struct beat_conn_part {
	const char *bytes;
	size_t n;
};
/* Appends a request, in parts, to what the next push writes. 0 or -ENOMEM. */
int beat_conn_put(struct beat_conn *conn, const struct beat_conn_part *parts, uint32_t n_parts);
/* Writes as much as goes; the rest follows by itself. 0, or -EPIPE: it is gone, close it. */
int beat_conn_push(struct beat_conn *conn);

/* libcurl's timer, while it connects. */
void beat_conn_tick(struct beat_conn *conn, uint64_t now_ms);
uint64_t beat_conn_due_ms(const struct beat_conn *conn);

#endif
