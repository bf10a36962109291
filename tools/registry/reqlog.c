/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request log
 *
 * One JSON object a line, one line a request, for tests that assert on order, pooling and
 * pacing. A line is written by one system call before the reply leaves, so whoever has a reply
 * finds its line in the file, and whoever follows the file never sees half a line. Tokens and
 * passwords are masked; whether the header for a token was there is told.
 */
#include "reqlog.h"

#include "mask.h"
#include "sbuf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int reqlog_init(struct reqlog *log, const char *path)
{
	log->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	return log->fd < 0 ? -errno : 0;
}

void reqlog_deinit(struct reqlog *log)
{
	if (log->fd >= 0)
		close(log->fd);
	log->fd = -1;
}

static void put_text(struct sbuf *b, const char *name, const char *text)
{
	sbuf_fmt(b, ",\"%s\":", name);
	if (text)
		sbuf_json(b, text);
	else
		sbuf_add(b, "null");
}

static void put_target(struct sbuf *b, const char *target)
{
	struct sbuf masked = SBUF_NULL;

	mask_target(&masked, target);
	if (masked.failed)
		b->failed = true;
	else
		sbuf_json(b, masked.data ? masked.data : "");
	sbuf_deinit(&masked);
}

/* A log that cannot be written is given up with one message: the registry goes on. */
static void write_out(struct reqlog *log, const struct sbuf *b)
{
	ssize_t n = b->failed ? -1 : write(log->fd, b->data, b->len);

	if (n >= 0 && (size_t)n == b->len)
		return;
	fprintf(stderr, "onebeat-registry: request log given up: %s\n",
		b->failed ? strerror(ENOMEM)
		: n < 0   ? strerror(errno)
			  : "short write");
	reqlog_deinit(log);
}

void reqlog_write(struct reqlog *log, const struct reqlog_line *line)
{
	struct sbuf b = SBUF_NULL;

	if (log->fd < 0)
		return;
	sbuf_fmt(&b, "{\"t\":%" PRIu64 ",\"boottime_ms\":%" PRIu64 ",\"conn\":%" PRIu64 ",\"n\":%u",
		 line->t_ms, line->boottime_ms, line->connection, line->number);
	put_text(&b, "method", line->method);
	sbuf_add(&b, ",\"target\":");
	put_target(&b, line->target);
	sbuf_fmt(&b, ",\"status\":%d,\"code\":", line->status);
	if (line->beat_code)
		sbuf_fmt(&b, "%d", line->beat_code);
	else
		sbuf_add(&b, "null");
	put_text(&b, "ua", line->user_agent);
	put_text(&b, "fault", line->fault);
	sbuf_fmt(&b, ",\"node\":%d,\"forwarded_to\":", line->node);
	if (line->forwarded_to >= 0)
		sbuf_fmt(&b, "%d", line->forwarded_to);
	else
		sbuf_add(&b, "null");
	sbuf_fmt(&b, ",\"authorization\":%s}\n", line->authorization ? "true" : "false");
	write_out(log, &b);
	sbuf_deinit(&b);
}
