/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The talk with the agent: one request, lines of JSON back
 *
 * An answer counts as whole only when its last line came ({"end":true,...}): an agent that dies in between must
 * not look like one that has fewer instances. Events have no last line; they end when the agent does.
 */
#include "link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "json.h"

static bool socket_there(const char *dir)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int n = snprintf(path, sizeof(path), "%s/client.sock", dir);

	return n > 0 && (size_t)n < sizeof(path) && access(path, F_OK) == 0;
}

/* As the library looks for it. NULL when nothing tells. */
static const char *find_dir(char *buf, size_t size)
{
	const char *dir = getenv("ONEBEAT_RUNTIME_DIR");
	const char *xdg = getenv("XDG_RUNTIME_DIR");

	if (dir && *dir)
		return dir;
	if (socket_there("/run/onebeat") || !xdg || !*xdg)
		return "/run/onebeat";
	snprintf(buf, size, "%s/onebeat", xdg);
	return buf;
}

static int fail(const char *path, const char *what, int error)
{
	fprintf(stderr, "onebeatctl: %s: %s%s%s%s\n", path, what, error ? " (" : "",
		error ? strerror(error) : "", error ? ")" : "");
	return 1;
}

static int connect_to(const char *path, const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -fail(path, "cannot make a socket", errno);
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0)
		return fd;
	if (errno == EACCES)
		fail(path, "you may not talk to this agent: its user and group may", errno);
	else
		fail(path,
		     "no agent answers there: is onebeatd running, and is this its --runtime-dir?",
		     errno);
	close(fd);
	return -1;
}

enum line_kind {
	LINE_DATA,
	LINE_END,
	LINE_ERROR
};

/* Is it the last line, and does it tell of an error? */
static enum line_kind kind_of(const char *line, size_t n)
{
	struct json doc;
	char text[1024];
	enum line_kind kind = LINE_DATA;

	if (strncmp(line, "{\"end\":true", 11) != 0 || !json_parse(&doc, line, n))
		return LINE_DATA;
	kind = LINE_END;
	if (json_text(&doc, json_member(&doc, 0, "error"), text, sizeof(text)) &&
	    strcmp(text, "null") != 0) {
		fprintf(stderr, "onebeatctl: %s\n", text);
		kind = LINE_ERROR;
	}
	json_free(&doc);
	return kind;
}

static int read_answer(FILE *in, const char *path, bool endless, link_line_fn fn, void *ctx)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t n;
	int result = -1;

	while (result < 0 && (n = getline(&line, &size, in)) > 0) {
		enum line_kind kind = kind_of(line, (size_t)n);

		if (kind != LINE_DATA)
			result = kind == LINE_ERROR;
		else if (!fn(ctx, line, (size_t)n))
			result = 0;
	}
	free(line);
	if (result < 0)
		result = fail(path,
			      endless ? "the agent has ended"
				      : "the agent ended before its answer was whole",
			      0);
	return result;
}

int link_ask(const char *dir, enum onebeat_control_verb verb, link_line_fn fn, void *ctx)
{
	const struct onebeat_control_request request = { .magic = ONEBEAT_CONTROL_MAGIC,
							 .version = ONEBEAT_CONTROL_VERSION,
							 .verb = (uint16_t)verb };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char room[128];
	FILE *in;
	int fd, n, r;

	n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/control.sock",
		     dir ? dir : find_dir(room, sizeof(room)));
	if (n < 0 || (size_t)n >= sizeof(addr.sun_path))
		return fail(dir ? dir : room, "the runtime folder's name is too long for a socket",
			    0);
	fd = connect_to(addr.sun_path, &addr);
	if (fd < 0)
		return 1;
	in = fdopen(fd, "r");
	if (!in || send(fd, &request, sizeof(request), MSG_NOSIGNAL) != (ssize_t)sizeof(request)) {
		r = fail(addr.sun_path, "cannot ask", errno);
		if (!in)
			close(fd);
	} else {
		r = read_answer(in, addr.sun_path, verb == ONEBEAT_CONTROL_EVENTS, fn, ctx);
	}
	if (in)
		fclose(in);
	return r;
}
