/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_HTTP_STEPS_H
#define TESTS_LIB_HTTP_STEPS_H

/* Words to write scripts for servers with, and scripts that several tests play. */

#include "lib/byteserver.h"
#include "lib/httprig.h"

#define LIMIT_MS 20000u /* of a test that has gone wrong */
#define BEAT_BODY "{\"clientBeatInterval\":5000,\"code\":10200,\"lightBeatEnabled\":true}"

#define EXPECT                           \
	{                                \
		.act = BYTESERVER_EXPECT \
	}
#define SEND(bytes)                                     \
	{                                               \
		.act = BYTESERVER_SEND, .text = (bytes) \
	}
#define SEND_SPLIT(bytes, size)                                          \
	{                                                                \
		.act = BYTESERVER_SEND, .text = (bytes), .split = (size) \
	}
#define WAIT(time_ms)                                   \
	{                                               \
		.act = BYTESERVER_WAIT, .ms = (time_ms) \
	}
#define CLOSE                           \
	{                               \
		.act = BYTESERVER_CLOSE \
	}
#define RESET                           \
	{                               \
		.act = BYTESERVER_RESET \
	}
#define AGAIN                           \
	{                               \
		.act = BYTESERVER_AGAIN \
	}
#define TIMES(times)                                  \
	{                                             \
		.act = BYTESERVER_AGAIN, .n = (times) \
	}
#define END                           \
	{                             \
		.act = BYTESERVER_END \
	}

#define LAST_TEXT "HTTP/1.1 200 \r\nConnection: close\r\nContent-Length: 4\r\n\r\nlast"
#define REFUSED_TEXT "HTTP/1.1 500 \r\nContent-Length: 6\r\nConnection: close\r\n\r\ncaused"

static const struct byteserver_step silent[] = { EXPECT, END };
static const struct byteserver_step refusing[] = { EXPECT, SEND(REFUSED_TEXT), CLOSE, END };
static const struct byteserver_step resetting[] = { EXPECT, RESET, END };
static const struct byteserver_step closing[] = { EXPECT, CLOSE, END };
static const struct byteserver_step half_head[] = { EXPECT, SEND("HTTP/1.1 200 \r\nContent-Le"),
						    CLOSE, END };
static const struct byteserver_step half_body[] = {
	EXPECT, SEND("HTTP/1.1 200 \r\nContent-Length: 9\r\n\r\nhalf"), CLOSE, END
};
static const struct byteserver_step half_reset[] = {
	EXPECT, SEND("HTTP/1.1 200 \r\nContent-Length: 9\r\n\r\nhalf"), WAIT(20), RESET, END
};
static const struct byteserver_step garbage[] = { EXPECT, SEND("220 mail.example ESMTP\r\n"), END };

#endif
