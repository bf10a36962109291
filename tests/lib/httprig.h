/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_HTTPRIG_H
#define TESTS_LIB_HTTPRIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "http/beat_lane.h"
#include "http/nodes.h"
#include "http/request_lane.h"
#include "http/result.h"
#include "lib/byteserver.h"

#define HTTPRIG_SERVERS_MAX 4u

/* What done was told, with copies of its texts. */
struct httprig_result {
	void *tag;
	uint32_t serial;
	enum http_end end;
	int status;
	size_t n_body;
	char body[256]; /* cut */
	char node[64];
	char why[128];
	unsigned int n_tried;
	bool lost;
};

/* A loop, a few servers as one registry's nodes, and a lane between them. */
struct httprig {
	struct loop loop;
	struct byteserver *servers[HTTPRIG_SERVERS_MAX];
	uint32_t n_servers;
	struct http_nodes nodes;
	struct beat_lane *beats;        /* NULL: none */
	struct request_lane *requests;  /* NULL: none */
	struct httprig_result *results; /* in the order of done */
	uint32_t n_results;
	/* NULL, or called from done after the result was noted. */
	void (*then)(struct httprig *rig, const struct httprig_result *result);
};

/* Servers that refuse connections until they are started. They fail the test when they cannot. */
void httprig_init(struct httprig *rig, uint32_t n_servers);
void httprig_add_beats(struct httprig *rig, uint32_t n_connections);
void httprig_add_requests(struct httprig *rig, uint32_t n_connections);
/* Server i plays one script on every connection. */
void httprig_start(struct httprig *rig, uint32_t i, const struct byteserver_step *script);
void httprig_deinit(struct httprig *rig);

/* Turns the loop until n results are there; false when that takes longer than limit_ms. */
bool httprig_run(struct httprig *rig, uint32_t n_results, uint32_t limit_ms);
/* Turns the loop until holds says so. */
bool httprig_run_until(struct httprig *rig, bool (*holds)(struct httprig *rig), uint32_t limit_ms);

/* The steps of one exchange: a head, and a reply with a body of its own. */
#define HTTPRIG_OK                                              \
	{ .act = BYTESERVER_EXPECT },                           \
	{                                                       \
		.act = BYTESERVER_SEND, .text = HTTPRIG_OK_TEXT \
	}
#define HTTPRIG_OK_TEXT                                                          \
	"HTTP/1.1 200 \r\nContent-Type: application/json\r\n"                    \
	"Transfer-Encoding: chunked\r\n\r\n40\r\n"                               \
	"{\"clientBeatInterval\":5000,\"code\":10200,\"lightBeatEnabled\":true}" \
	"\r\n0\r\n\r\n"

/* Answers for ever. */
extern const struct byteserver_step httprig_ok[];

#endif
