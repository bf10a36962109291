/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of the beat lane
 *
 * libcurl makes it (CURLOPT_CONNECT_ONLY: names, both address families, TLS) and moves its bytes;
 * the requests, the replies and the waiting are ours. That costs a twentieth of a libcurl transfer.
 *
 * Each connection has a multi handle to itself. libcurl regards a connection that no transfer is
 * using as idle, and when it opens another one in the same multi it closes those that are older
 * than CURLOPT_MAXAGE_CONN or have something to read: both describe a beat connection at work.
 * Alone in its multi it cannot be judged. The easy handle stays in the multi while it is connected,
 * because taking it out is what closes the connection.
 *
 * Requests are appended to one buffer and go out together. Replies are counted: whatever arrives
 * when none is awaited ends the connection, so that a late reply can never be taken for another
 * request's.
 */
#include "http/beat_conn.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <onebeat/crashpoint.h>
#include "base/clock.h"

#define RECEIVE_SIZE 16384u
#define OUT_FIRST 2048u

static void on_connected(void *ctx, CURL *easy, CURLcode code);
static void on_ready(void *ctx, uint32_t events);

int beat_conn_init(struct beat_conn *conn, struct loop *loop, const struct https_link *link,
		   const char *url, const struct beat_conn_ops *ops, void *ctx)
{
	int r;

	*conn = (struct beat_conn)BEAT_CONN_NULL;
	conn->ops = ops;
	conn->ctx = ctx;
	conn->loop = loop;
	conn->tls = strncmp(url, "https:", 6) == 0;
	r = framing_new(&conn->framing);
	if (r == 0)
		r = curl_glue_init(&conn->glue, loop, on_connected, conn);
	if (r == 0) {
		conn->easy = https_easy(&conn->glue, link, url, conn->error, &conn->route);
		r = conn->easy ? 0 : -ENOMEM;
	}
	if (r < 0) {
		beat_conn_deinit(conn);
		return r;
	}
	curl_easy_setopt(conn->easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(conn->easy, CURLOPT_PRIVATE, conn);
	return 0;
}

void beat_conn_deinit(struct beat_conn *conn)
{
	beat_conn_close(conn);
	if (conn->easy)
		curl_easy_cleanup(conn->easy);
	curl_slist_free_all(conn->route);
	curl_glue_deinit(&conn->glue);
	framing_free(conn->framing);
	free(conn->out);
	*conn = (struct beat_conn)BEAT_CONN_NULL;
}

int beat_conn_open(struct beat_conn *conn, uint32_t connect_ms)
{
	int r;

	assert(conn->state == BEAT_CONN_CLOSED);
	curl_easy_setopt(conn->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
	r = curl_glue_start(&conn->glue, conn->easy);
	if (r < 0)
		return r;
	framing_reset(conn->framing);
	conn->n_replies = 0;
	conn->error[0] = '\0';
	conn->state = BEAT_CONN_CONNECTING;
	return 0;
}

void beat_conn_close(struct beat_conn *conn)
{
	if (conn->state != BEAT_CONN_CLOSED) {
		loop_remove(conn->loop, &conn->watch, conn->fd);
		curl_glue_stop(&conn->glue, conn->easy);
	}
	conn->state = BEAT_CONN_CLOSED;
	conn->fd = -1;
	conn->awaits_room = false;
	conn->n_awaited = 0;
	if (conn->out)
		explicit_bzero(conn->out, conn->size_out); /* a token may be in it */
	conn->n_out = 0;
	conn->n_sent = 0;
}

static void end(struct beat_conn *conn, enum beat_conn_end how, const char *why)
{
	beat_conn_close(conn);
	conn->ops->ended(conn->ctx, how, why);
}

/* The socket, watched by us from here on. 0 or a negative errno. */
static int take_socket(struct beat_conn *conn)
{
	curl_socket_t fd = CURL_SOCKET_BAD;

	if (curl_easy_getinfo(conn->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
	    fd == CURL_SOCKET_BAD)
		return -ENOTCONN;
	curl_glue_hand_over(&conn->glue, fd);
	conn->fd = fd;
	return loop_add(conn->loop, fd, EPOLLIN, on_ready, conn, &conn->watch);
}

/* The multi's news: connected, or not. */
static void on_connected(void *ctx, CURL *easy, CURLcode code)
{
	struct beat_conn *conn = ctx;
	int r;

	assert(easy == conn->easy && conn->state == BEAT_CONN_CONNECTING);
	r = code == CURLE_OK ? take_socket(conn) : 0;
	if (code == CURLE_OK && r == 0) {
		conn->state = BEAT_CONN_OPEN;
		conn->wrote = false;
		conn->ops->opened(conn->ctx);
	} else {
		if (r < 0)
			snprintf(conn->why, sizeof(conn->why), "cannot watch the connection: %s",
				 strerror(-r));
		else
			snprintf(conn->why, sizeof(conn->why), "cannot connect: %s",
				 conn->error[0] ? conn->error : curl_easy_strerror(code));
		end(conn, BEAT_CONN_REFUSED, conn->why);
	}
	conn->ops->turned(conn->ctx);
}

static int out_reserve(struct beat_conn *conn, size_t n)
{
	size_t size = conn->size_out ? conn->size_out : OUT_FIRST;
	char *out;

	while (size < conn->n_out + n)
		size *= 2;
	if (size == conn->size_out)
		return 0;
	out = realloc(conn->out, size);
	if (!out)
		return -ENOMEM;
	conn->out = out;
	conn->size_out = size;
	return 0;
}

int beat_conn_put(struct beat_conn *conn, const struct beat_conn_part *parts, uint32_t n_parts)
{
	size_t n = 0;
	int r;

	assert(conn->state == BEAT_CONN_OPEN);
	for (uint32_t i = 0; i < n_parts; i++)
		n += parts[i].n;
	r = out_reserve(conn, n);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < n_parts; i++) {
		memcpy(conn->out + conn->n_out, parts[i].bytes, parts[i].n);
		conn->n_out += parts[i].n;
	}
	if (conn->n_awaited++ == 0)
		conn->wrote = false;
	return 0;
}

static int await_room(struct beat_conn *conn, bool room)
{
	if (conn->awaits_room == room)
		return 0;
	conn->awaits_room = room;
	return loop_modify(conn->loop, conn->watch, conn->fd, EPOLLIN | (room ? EPOLLOUT : 0));
}

int beat_conn_push(struct beat_conn *conn)
{
	assert(conn->state == BEAT_CONN_OPEN);
	while (conn->n_sent < conn->n_out) {
		size_t n = 0;
		CURLcode code = curl_easy_send(conn->easy, conn->out + conn->n_sent,
					       conn->n_out - conn->n_sent, &n);

		if (code == CURLE_AGAIN)
			return await_room(conn, true) < 0 ? -EPIPE : 0;
		if (code != CURLE_OK)
			return -EPIPE;
		conn->n_sent += n;
		conn->wrote = conn->wrote || n > 0;
		ONEBEAT_CRASH_POINT("agent.beat.sent");
	}
	conn->n_out = 0;
	conn->n_sent = 0;
	return await_room(conn, false) < 0 ? -EPIPE : 0;
}

/* Hands out the replies in n bytes. */
static void take(struct beat_conn *conn, const char *bytes, size_t n)
{
	while (n > 0 && conn->state == BEAT_CONN_OPEN) {
		struct framing_reply reply;
		size_t consumed;
		int r;

		if (conn->n_awaited == 0) {
			end(conn, BEAT_CONN_QUIET, "bytes that no request asked for");
			return;
		}
		r = framing_feed(conn->framing, bytes, n, &consumed, &reply);
		bytes += consumed;
		n -= consumed;
		if (r == FRAMING_REPLY) {
			conn->n_awaited--;
			conn->n_replies++;
			conn->ops->replied(conn->ctx, &reply);
		} else if (r < 0) {
			snprintf(conn->why, sizeof(conn->why), "malformed reply: %s",
				 framing_error(conn->framing));
			end(conn, BEAT_CONN_BROKEN, conn->why);
		}
	}
}

/* The other side is done: that may be the end of a reply without a length. */
static void take_end(struct beat_conn *conn)
{
	struct framing_reply reply;
	int r = framing_end(conn->framing, &reply);

	if (r < 0) {
		end(conn, BEAT_CONN_BROKEN, framing_error(conn->framing));
		return;
	}
	if (r == FRAMING_REPLY) {
		conn->n_awaited--;
		conn->n_replies++;
		reply.close = true;
		conn->ops->replied(conn->ctx, &reply);
	}
	if (conn->state == BEAT_CONN_OPEN)
		end(conn, BEAT_CONN_QUIET, "connection closed without a reply");
}

static void take_reset(struct beat_conn *conn)
{
	if (framing_midway(conn->framing))
		end(conn, BEAT_CONN_BROKEN, "connection reset in the middle of a reply");
	else
		end(conn, BEAT_CONN_QUIET, "connection reset without a reply");
}

static void receive(struct beat_conn *conn)
{
	char bytes[RECEIVE_SIZE];

	for (;;) {
		size_t n = 0;
		CURLcode code = curl_easy_recv(conn->easy, bytes, sizeof(bytes), &n);

		if (code == CURLE_AGAIN)
			return;
		if (code != CURLE_OK)
			take_reset(conn);
		else if (n == 0)
			take_end(conn);
		else
			take(conn, bytes, n);
		if (conn->state != BEAT_CONN_OPEN)
			return;
		/* A short read has emptied the socket; TLS may still hold deciphered bytes. */
		if (n < sizeof(bytes) && !conn->tls)
			return;
	}
}

static void on_ready(void *ctx, uint32_t events)
{
	struct beat_conn *conn = ctx;

	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		receive(conn);
	if (conn->state == BEAT_CONN_OPEN && (events & EPOLLOUT) && beat_conn_push(conn) < 0)
		take_reset(conn);
	conn->ops->turned(conn->ctx);
}

void beat_conn_tick(struct beat_conn *conn, uint64_t now_ms)
{
	if (conn->state == BEAT_CONN_CONNECTING)
		curl_glue_tick(&conn->glue, now_ms);
}

uint64_t beat_conn_due_ms(const struct beat_conn *conn)
{
	return conn->state == BEAT_CONN_CONNECTING ? curl_glue_due_ms(&conn->glue) : CLOCK_NEVER;
}
