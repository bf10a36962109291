/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_BYTESERVER_H
#define TESTS_LIB_BYTESERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A server that plays scripts, byte for byte, in a thread of its own, on a loopback port. */
struct byteserver;

enum byteserver_act {
	BYTESERVER_END,    /* the array's end: the connection stays open and silent */
	BYTESERVER_EXPECT, /* waits for a whole request head, and records it */
	BYTESERVER_SEND,   /* sends text; n: its length (0: up to its NUL); split: in such pieces */
	BYTESERVER_WAIT,   /* for ms */
	BYTESERVER_CLOSE,
	BYTESERVER_RESET,
	BYTESERVER_AGAIN, /* from the first step; n times in all (0: for ever), then on */
};

struct byteserver_step {
	enum byteserver_act act;
	uint32_t ms; /* between pieces (at least 1), or to wait */
	const char *text;
	size_t n;
	size_t split;
};

struct byteserver_request {
	char method[8];
	char target[256];
	char head[1024];     /* the whole of it, cut */
	uint32_t connection; /* from 0, in the order of accepting */
	uint32_t number;     /* on that connection, from 0 */
};

/* Binds a port and does not listen yet: connections are refused. NULL on failure. */
struct byteserver *byteserver_new(void);
/* Stops it. Takes NULL, returns NULL. */
struct byteserver *byteserver_free(struct byteserver *server);
/* "http://127.0.0.1:port" */
const char *byteserver_url(const struct byteserver *server);

/*
 * Connection i plays script i, those beyond the last play the last one; each script is an array
 * that ends with BYTESERVER_END. The scripts stay the caller's. False on failure.
 */
bool byteserver_start(struct byteserver *server, const struct byteserver_step *const *scripts,
		      uint32_t n_scripts);
/* Closes every connection; further ones are refused until the next start. False on failure. */
bool byteserver_stop(struct byteserver *server);

uint32_t byteserver_n_requests(struct byteserver *server);
/* Ever accepted. */
uint32_t byteserver_n_connections(struct byteserver *server);
/* Open at the same time, at most. */
uint32_t byteserver_max_open(struct byteserver *server);
/* Request i in the order of arrival, from any connection. False when there is none. */
bool byteserver_request(struct byteserver *server, uint32_t i, struct byteserver_request *out);

#endif
