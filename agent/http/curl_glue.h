/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_CURL_GLUE_H
#define HTTP_CURL_GLUE_H

#include <curl/curl.h>
#include <stdint.h>

#include "base/loop.h"

#ifndef ONEBEAT_VERSION
#define ONEBEAT_VERSION "unversioned"
#endif
#define CURL_GLUE_AGENT "onebeat/" ONEBEAT_VERSION

/* A transfer came to its end; it is still in the multi handle. */
typedef void (*curl_glue_fn)(void *ctx, CURL *easy, CURLcode code);

struct curl_glue_socket;

/* One curl multi handle on a loop. */
struct curl_glue {
	CURLM *multi;
	struct loop *loop;
	struct curl_glue_socket *sockets;
	uint64_t due_ms;
	curl_glue_fn done;
	void *ctx;
};

#define CURL_GLUE_NULL               \
	{                            \
		.due_ms = UINT64_MAX \
	}

/* The glue must not move. 0 or -ENOMEM. */
int curl_glue_init(struct curl_glue *glue, struct loop *loop, curl_glue_fn done, void *ctx);
/* After every easy handle was taken out. */
void curl_glue_deinit(struct curl_glue *glue);

/* An easy handle with what both lanes want of one, for curl_easy_cleanup(). NULL: out of memory. */
CURL *curl_glue_easy(struct curl_glue *glue, const char *url, char error[CURL_ERROR_SIZE]);

/* Nothing happens in here yet: the glue is due at once. 0 or a negative errno. */
int curl_glue_start(struct curl_glue *glue, CURL *easy);
void curl_glue_stop(struct curl_glue *glue, CURL *easy);
/* The caller watches this connection itself from now on; libcurl will still close it. */
void curl_glue_hand_over(struct curl_glue *glue, int fd);

void curl_glue_tick(struct curl_glue *glue, uint64_t now_ms);
static inline uint64_t curl_glue_due_ms(const struct curl_glue *glue)
{
	return glue->due_ms;
}

#endif
