/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_LOGIN_FLIGHT_H
#define HTTP_LOGIN_FLIGHT_H

#include <stdint.h>

#include "base/loop.h"
#include "http/nodes.h"
#include "http/session.h"
#include "nacos/api.h"

struct login_flight;

/* What became of a login; borrowed, valid during the callback. */
struct login_result {
	enum session_end end;
	const char *token; /* with SESSION_GRANTED alone */
	size_t n_token;
	uint32_t ttl_s;
	const char *node; /* that spoke or failed last */
	int code;         /* 0: nobody answered */
	const char *why;  /* one printable line; "" when granted */
};

typedef void (*login_done_fn)(void *ctx, const struct login_result *result);

/* loop and nodes outlive it. 0 or -ENOMEM. */
int login_flight_new(struct login_flight **out, struct loop *loop, struct http_nodes *nodes,
		     login_done_fn done, void *ctx);
/* Takes NULL, returns NULL; done is not called. */
struct login_flight *login_flight_free(struct login_flight *flight);

struct login_request {
	const struct nacos_api *api;
	const char *username;
	const struct secret *password;
	uint32_t connect_ms; /* a node */
	uint32_t total_ms;   /* a node */
};

/*
 * Asks the nodes in turn, each once, until one grants a token; then done is called, in here already when none
 * can be asked. What is given is copied, and wiped with the end. One at a time. 0; -ENOMEM, or -ENOBUFS for
 * texts that are too long: done is not called.
 */
int login_flight_begin(struct login_flight *flight, const struct login_request *request);
/* Forgets the login under way; done is not called. */
void login_flight_drop(struct login_flight *flight);

void login_flight_tick(struct login_flight *flight, uint64_t now_ms);
uint64_t login_flight_due_ms(const struct login_flight *flight);

#endif
