/* SPDX-License-Identifier: Apache-2.0 */
/* An agent that does what a test tells it: see lib/standin.h. */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/manifest.h"
#include "lib/standin.h"

#define MANIFEST_OPTION "--agent-manifest="

static bool deaf;

static const char *value_of(char **argv, const char *option)
{
	for (char **p = argv + 1; *p; p++) {
		if (strncmp(*p, option, strlen(option)) == 0)
			return *p + strlen(option);
	}
	fprintf(stderr, "standin: no %s\n", option);
	exit(2);
}

static int connect_to(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	if (sock < 0 || connect(sock, (const struct sockaddr *)&to, sizeof(to)) < 0) {
		perror("standin: connect");
		exit(2);
	}
	return sock;
}

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "standin: %s: %s\n", what, strerror(-r));
	exit(2);
}

/* Returns the agent's end of the channel. */
static int report(int director, int manifest_fd)
{
	struct manifest_head head;
	struct manifest_entry *entries;
	struct channel_msg msg = { .version = CHANNEL_VERSION, .type = STANDIN_ENTRY };
	int link = -1;

	check(manifest_read(manifest_fd, &head, &entries), "manifest");
	for (uint32_t i = 0; i < head.n_entries; i++) {
		msg.kind = (uint16_t)entries[i].kind;
		msg.id = entries[i].id;
		check(channel_send(director, &msg, entries[i].fd), "report");
		if (entries[i].kind == CHANNEL_LINK)
			link = entries[i].fd;
	}
	free(entries);
	msg.type = STANDIN_HEAD;
	msg.kind = (uint16_t)head.quarantine;
	msg.status = (uint16_t)head.n_restarts;
	msg.id = (uint64_t)head.keeper_pid;
	check(channel_send(director, &msg, -1), "report");
	return link;
}

/* One message from director to keeper, or for us. */
static void obey(int director, int *link)
{
	struct channel_msg msg;
	int fd;
	int r = channel_receive(director, &msg, &fd, 0);

	check(r, "order");
	if (r == 0)
		exit(0); /* the test is over */
	if (msg.type == STANDIN_EXIT)
		exit(msg.status);
	if (msg.type == STANDIN_DEAF) {
		deaf = msg.status != 0;
		return;
	}
	if (msg.type == STANDIN_UNLINK) {
		close(*link);
		*link = -1;
		return;
	}
	check(channel_send(*link, &msg, fd), "to the keeper");
	if (fd >= 0)
		close(fd);
}

static void pass_on(int director, int *link)
{
	struct channel_msg msg = { .version = CHANNEL_VERSION, .type = STANDIN_UNLINKED };
	int fd;

	if (channel_receive(*link, &msg, &fd, 0) != 1) {
		msg = (struct channel_msg){ .version = CHANNEL_VERSION, .type = STANDIN_UNLINKED };
		close(*link);
		*link = -1;
	}
	check(channel_send(director, &msg, -1), "to the test");
}

int main(int argc, char **argv)
{
	int director = connect_to(value_of(argv, STANDIN_OPTION));
	int link = report(director, (int)strtol(value_of(argv, MANIFEST_OPTION), NULL, 10));

	(void)argc;
	for (;;) {
		struct pollfd fds[2] = { { .fd = director, .events = POLLIN },
					 { .fd = deaf ? -1 : link, .events = POLLIN } };

		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents)
			pass_on(director, &link);
		if (fds[0].revents)
			obey(director, &link);
	}
}
