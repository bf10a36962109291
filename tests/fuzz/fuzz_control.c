/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tools of any kind, seen from the control socket: agent/control/server.c and answer.c, in their own thread.
 *
 * The input is what a tool sends, in pieces. A whole request is answered, a half one with the end alone. Each line
 * of an answer is what onebeatctl can read, and the last one says that it is the last. The server is the same
 * for all inputs: one that upset it would be noticed by those after it.
 */
#include <err.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/server.h"
#include "fuzz/fuzz.h"
#include "fuzz/house.h"
#include "tools/onebeatctl/json.h"
#include <onebeat/control.h>

#define WAIT_MS 20000
#define ANSWER_MAX (1u << 16)

static struct house house;
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static socklen_t address_size;

static void *run_server(void *server)
{
	rcu_register_thread();
	server_run(server);
	rcu_unregister_thread();
	return NULL;
}

/* A few events, the texts of one of which are as bad as they may be. */
static struct events *make_events(void)
{
	struct events *events;

	if (events_new(&events) < 0)
		errx(1, "events");
	events_add(events, "refused", NULL, "quote \" backslash \\ control \x01 \xc3\xa9 \xff");
	events_add(events, "up", NULL, "");
	return events;
}

/* Watcher and sender have ended: what is asked of their threads is answered at once, with nothing. */
static void build(void)
{
	static const char *const urls[] = { "http://127.0.0.1:1" };
	static const struct sender_registry_options registry = {
		.name = "default", .urls = urls, .n_urls = 1, .context = "/nacos"
	};
	struct sender_options sender_options = { .registries = &registry,
						 .n_registries = 1,
						 .to_sender = &house.to_sender,
						 .to_watcher = &house.to_watcher };
	struct server_options o = { .map = &house.map };
	struct server *server;
	pthread_t thread;

	house_build(&house);
	house_start(&house);
	house_turn(&house);
	if (sender_new(&o.sender, &sender_options) < 0)
		errx(1, "sender");
	calls_end(sender_calls(o.sender));
	o.watcher = house.watcher;
	o.events = make_events();
	o.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	address_size = sizeof(sa_family_t); /* the kernel finds an abstract name */
	if (bind(o.listen_fd, (struct sockaddr *)&address, address_size) < 0)
		err(1, "bind");
	address_size = sizeof(address);
	if (getsockname(o.listen_fd, (struct sockaddr *)&address, &address_size) < 0 ||
	    listen(o.listen_fd, 16) < 0 || server_new(&server, &o) < 0 ||
	    pthread_create(&thread, NULL, run_server, server) != 0)
		err(1, "server");
}

/* One line of an answer. Whether it was the last. */
static bool check_line(const char *line, size_t n)
{
	struct json doc;
	char text[256];
	bool last;

	FUZZ_CHECK(json_parse(&doc, line, n));
	last = json_member(&doc, 0, "end") >= 0;
	if (last) {
		FUZZ_CHECK(json_text(&doc, json_member(&doc, 0, "error"), text, sizeof(text)));
		FUZZ_CHECK(text[0]);
	}
	json_free(&doc);
	return last;
}

/* Reads to the end. The number of lines; *ended: the last one said so. */
static int read_answer(int fd, bool until_quiet, bool *ended)
{
	static char text[ANSWER_MAX + 1];
	size_t n = 0, from = 0;
	int n_lines = 0;
	ssize_t got = 1;

	*ended = false;
	while (got > 0 && n < ANSWER_MAX) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int r = poll(&p, 1, until_quiet && n_lines >= 2 ? 0 : WAIT_MS);

		if (r == 0 && until_quiet && n_lines >= 2)
			break;
		FUZZ_CHECK(r == 1); /* else the server has gone to sleep over it */
		got = recv(fd, text + n, ANSWER_MAX - n, 0);
		n += got > 0 ? (size_t)got : 0;
		text[n] = '\0';
		for (char *end; (end = memchr(text + from, '\n', n - from)); n_lines++) {
			FUZZ_CHECK(!*ended);
			*ended = check_line(text + from, (size_t)(end - (text + from)));
			from = (size_t)(end - text) + 1;
		}
	}
	FUZZ_CHECK(from == n);
	return n_lines;
}

static int connect_to(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	FUZZ_CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, address_size) == 0);
	return fd;
}

static void send_pieces(int fd, const uint8_t *data, size_t size, uint8_t pace)
{
	for (size_t at = 0; at < size;) {
		size_t n = size - at < 1u + pace ? size - at : 1u + pace;

		if (send(fd, data + at, n, MSG_NOSIGNAL) < 0)
			return; /* it has heard enough */
		at += n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct onebeat_control_request request = { 0 };
	uint8_t pace = size > 0 ? data[0] : 0;
	bool whole, right, follows, ended;
	int fd, n_lines;

	if (house.dir[0] == '\0')
		build();
	size -= size > 0;
	whole = size >= sizeof(request);
	if (whole)
		memcpy(&request, data + 1, sizeof(request));
	right = request.magic == ONEBEAT_CONTROL_MAGIC &&
		request.version == ONEBEAT_CONTROL_VERSION && request.flags == 0;
	follows = right && request.verb == ONEBEAT_CONTROL_EVENTS;
	if (right && request.verb == ONEBEAT_CONTROL_LEAVE)
		return 0; /* waits for a watcher that has ended */
	fd = connect_to();
	send_pieces(fd, data + 1, size, pace);
	/* A follower that says too much, or hangs up, is let go: with how many lines is a race. */
	if (follows && size > sizeof(request)) {
		close(fd);
		return 0;
	}
	if (!follows)
		shutdown(fd, SHUT_WR);
	n_lines = read_answer(fd, follows, &ended);
	if (size <= sizeof(request))
		FUZZ_CHECK(whole ? n_lines > 0 && ended == !follows : n_lines == 0);
	close(fd);
	return 0;
}
