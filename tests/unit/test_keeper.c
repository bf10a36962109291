/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper, as a process of its own, with a stand-in agent that each test plays. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "keeper/restart.h"
#include "lib/keeperhouse.h"

TestSuite(keeper, .init = house_make, .fini = house_clear, .timeout = 60);

/* A descriptor whose open file can be told from any other: the offset belongs to the open file. */
static int marked_file(off_t mark)
{
	FILE *f = tmpfile();
	int fd;

	cr_assert(f);
	fd = dup(fileno(f));
	fclose(f);
	cr_assert_eq(lseek(fd, mark, SEEK_SET), mark);
	return fd;
}

static off_t mark_of(int fd)
{
	return lseek(fd, 0, SEEK_CUR);
}

/* Ready is said on stdout once, when the sockets are there and the first agent works. */
Test(keeper, says_ready_once)
{
	struct standin a;
	char wanted[160];

	house_start_keeper();
	house_next_agent(&a);
	cr_assert_eq(a.head.kind, 0, "quarantine");
	cr_assert_eq(a.head.status, 0, "restarts");
	cr_assert_eq((pid_t)a.head.id, house.keeper);
	cr_assert_eq(a.n_entries, 3);
	cr_assert(house_has("client.sock") && house_has("control.sock"));
	standin_say(&a, CHANNEL_READY, CHANNEL_NONE, 0, -1);
	snprintf(wanted, sizeof(wanted), "onebeatd: ready (pid %d, %s)\n", (int)house.keeper,
		 house.run);
	house_await_out(wanted);

	house_kill_agent(&a);
	house_next_agent(&a);
	standin_say(&a, CHANNEL_READY, CHANNEL_NONE, 0, -1);
	house_hold(&a, CHANNEL_LEASE, 1, house.director); /* answered after READY was read */
	standin_say(&a, CHANNEL_LEFT, CHANNEL_NONE, 0, -1);
	standin_order(&a, STANDIN_EXIT, 0);
	cr_assert_eq(house_await_keeper(), 0);
	cr_assert_eq(read(house.out_fd, wanted, sizeof(wanted)), 0, "a second line");
}

/* A service manager hears of it too. */
Test(keeper, notifies_the_service_manager)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd p = { .fd = sock, .events = POLLIN };
	char got[128] = "", wanted[64];
	struct standin a;

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/notify", house.dir);
	cr_assert_eq(bind(sock, (const struct sockaddr *)&at, sizeof(at)), 0);
	setenv("NOTIFY_SOCKET", at.sun_path, 1);
	house_start_keeper();
	house_next_agent(&a);
	cr_assert_eq(recv(sock, got, sizeof(got) - 1, MSG_DONTWAIT), -1, "said before ready: %s",
		     got);
	standin_say(&a, CHANNEL_READY, CHANNEL_NONE, 0, -1);
	cr_assert_eq(poll(&p, 1, HOUSE_WAIT_MS), 1);
	cr_assert(recv(sock, got, sizeof(got) - 1, 0) > 0);
	snprintf(wanted, sizeof(wanted), "READY=1\nMAINPID=%d\n", (int)house.keeper);
	cr_assert_str_eq(got, wanted);
}

/* What was handed over comes back to the next agent as the same open file; clients see no gap. */
Test(keeper, gives_held_descriptors_to_the_next_agent)
{
	int data = marked_file(101), status = marked_file(202);
	int lease[2];
	struct standin a;
	char byte = 'x';

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, lease), 0);
	house_start_keeper();
	house_next_agent(&a);
	house_hold(&a, CHANNEL_DATA, 1000, data);
	house_hold(&a, CHANNEL_STATUS, 1000, status);
	house_hold(&a, CHANNEL_LEASE, UINT64_C(0x123456789a), lease[1]);
	close(lease[1]);
	house_kill_agent(&a);

	house_next_agent(&a);
	cr_assert_eq(a.n_entries, 6);
	cr_assert_eq(a.head.status, 1, "restarts");
	cr_assert_eq(mark_of(standin_fd(&a, CHANNEL_DATA, 1000)), 101);
	cr_assert_eq(mark_of(standin_fd(&a, CHANNEL_STATUS, 1000)), 202);
	lseek(data, 303, SEEK_SET);
	cr_assert_eq(mark_of(standin_fd(&a, CHANNEL_DATA, 1000)), 303, "another open file");
	cr_assert_eq(send(lease[0], &byte, 1, MSG_NOSIGNAL), 1);
	cr_assert_eq(recv(standin_fd(&a, CHANNEL_LEASE, UINT64_C(0x123456789a)), &byte, 1,
			  MSG_DONTWAIT),
		     1);
}

/*
 * A descriptor that is held under the same name again takes the place of the first, which is
 * closed.
 */
Test(keeper, replaces_what_is_held_twice)
{
	int first[2], second = marked_file(7);
	struct pollfd p;
	struct standin a;

	cr_assert_eq(pipe2(first, O_CLOEXEC), 0);
	house_start_keeper();
	house_next_agent(&a);
	house_hold(&a, CHANNEL_DATA, 5, first[1]);
	close(first[1]);
	house_hold(&a, CHANNEL_DATA, 5, second);
	p = (struct pollfd){ .fd = first[0], .events = POLLIN };
	cr_assert_eq(poll(&p, 1, HOUSE_WAIT_MS), 1);
	cr_assert(p.revents & POLLHUP, "somebody still has the first one");
	house_kill_agent(&a);
	house_next_agent(&a);
	cr_assert_eq(a.n_entries, 4);
	cr_assert_eq(mark_of(standin_fd(&a, CHANNEL_DATA, 5)), 7);
}

/* The keeper's duplicate is the last one of a dropped lease: its other end sees the end at once. */
Test(keeper, closes_what_is_dropped)
{
	int lease[2];
	struct standin a;
	struct pollfd p;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, lease), 0);
	house_start_keeper();
	house_next_agent(&a);
	house_hold(&a, CHANNEL_LEASE, 9, lease[1]);
	close(lease[1]);
	p = (struct pollfd){ .fd = lease[0], .events = POLLIN };
	cr_assert_eq(poll(&p, 1, 0), 0, "nobody holds it");
	standin_say(&a, CHANNEL_DROP, CHANNEL_LEASE, 9, -1);
	cr_assert_eq(poll(&p, 1, HOUSE_WAIT_MS), 1);
	cr_assert(p.revents & POLLHUP);
	house_kill_agent(&a);
	house_next_agent(&a);
	cr_assert_eq(a.n_entries, 3);
}

/* Only what is the agent's to hold; a message without its descriptor is answered, not fatal. */
Test(keeper, refuses_to_hold_nonsense)
{
	struct standin a;
	struct channel_msg m;

	house_start_keeper();
	house_next_agent(&a);
	standin_say(&a, CHANNEL_HOLD, CHANNEL_LEASE, 1, -1);
	m = standin_hear(&a, HOUSE_WAIT_MS);
	cr_assert(m.type == CHANNEL_HELD && m.status == EBADF && m.id == 1);
	standin_say(&a, CHANNEL_HOLD, CHANNEL_CLIENTS, 2, house.director);
	m = standin_hear(&a, HOUSE_WAIT_MS);
	cr_assert(m.type == CHANNEL_HELD && m.status == EINVAL && m.id == 2);
	standin_say(&a, (enum channel_type)99, CHANNEL_NONE, 0, house.director);
	house_hold(&a, CHANNEL_LEASE, 3, house.director);
}

/* The end of its channel does not make unsaid what was sent before it, however much that is. */
Test(keeper, hears_what_a_dead_agent_had_still_sent)
{
	enum {
		N = 200
	};
	int file = marked_file(1);
	struct standin a;

	house_start_keeper();
	house_next_agent(&a);
	kill(house.keeper, SIGSTOP); /* it has to find messages and death together */
	for (uint64_t id = 0; id < N; id++)
		standin_say(&a, CHANNEL_HOLD, CHANNEL_LEASE, id, file);
	standin_order(&a, STANDIN_EXIT, 0);
	standin_await_end(&a, HOUSE_WAIT_MS);
	standin_close(&a);
	kill(house.keeper, SIGCONT);
	house_next_agent(&a);
	cr_assert_eq(a.n_entries, 3 + N);
}

/*
 * An agent that hands over more than the socket's buffers take, before it reads an answer: neither
 * waits for the other for ever, the keeper still hears its signals, and no answer is lost.
 */
Test(keeper, survives_a_burst_of_unread_answers)
{
	enum {
		N = 1000
	};
	int file = marked_file(1);
	struct standin a;
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max < N + 100)
		cr_skip_test("the hard limit of descriptors is %llu",
			     (unsigned long long)limit.rlim_max);
	house_start_keeper();
	house_next_agent(&a);
	standin_order(&a, STANDIN_DEAF, 1);
	for (uint64_t id = 0; id < N; id++) {
		struct pollfd p = { .fd = a.sock, .events = POLLOUT };

		cr_assert_eq(poll(&p, 1, HOUSE_WAIT_MS), 1, "stuck at %d", (int)id);
		standin_say(&a, CHANNEL_HOLD, CHANNEL_LEASE, id, file);
	}
	kill(house.keeper, SIGTERM);
	house_await_log("event=keeper.stop");
	standin_order(&a, STANDIN_DEAF, 0);
	for (uint64_t id = 0; id < N; id++) {
		struct channel_msg m = standin_hear(&a, HOUSE_WAIT_MS);

		if (m.type == CHANNEL_STOP)
			m = standin_hear(&a, HOUSE_WAIT_MS);
		cr_assert(m.type == CHANNEL_HELD && m.id == id && m.status == 0);
	}
}

/* Ready, and dead before the keeper has looked: as early as a death can be. */
Test(keeper, counts_a_death_right_after_ready)
{
	struct standin a;

	house_start_keeper();
	for (unsigned int n = 0; n < RESTART_EARLY_MAX; n++) {
		house_next_agent(&a);
		cr_assert_eq(a.head.kind, 0, "quarantine");
		kill(house.keeper, SIGSTOP);
		for (uint64_t id = 0; id < 150; id++)
			standin_say(&a, CHANNEL_DROP, CHANNEL_LEASE, id, -1);
		standin_say(&a, CHANNEL_READY, CHANNEL_NONE, 0, -1);
		standin_order(&a, STANDIN_EXIT, 0);
		standin_await_end(&a, HOUSE_WAIT_MS);
		standin_close(&a);
		kill(house.keeper, SIGCONT);
	}
	house_next_agent(&a);
	cr_assert_eq(a.head.kind, 1, "no quarantine");
}

/*
 * Restarted at once, then later and later; never-ready agents that die three times bring
 * quarantine.
 */
Test(keeper, restarts_with_backoff_and_quarantine)
{
	uint64_t died_ms[5];
	struct standin a;

	house_start_keeper();
	for (unsigned int n = 0; n < 5; n++) {
		house_next_agent(&a);
		cr_assert_eq(a.head.status, n, "restarts");
		cr_assert_eq(a.head.kind, n >= RESTART_EARLY_MAX, "quarantine of agent %u", n);
		if (n >= 2) /* after the second death: 100 ms, then 200 ms, ... */
			cr_assert(clock_now_ms() - died_ms[n - 1] >=
				  (RESTART_DELAY_MIN_MS << (n - 2)) - 1);
		died_ms[n] = clock_now_ms();
		house_kill_agent(&a);
	}
	house_await_log("event=agent.died");
	house_await_log("without the slot");
}

/* SIGTERM reaches the agent as STOP; the sockets go, what is the agent's stays. */
Test(keeper, stops_in_order)
{
	struct standin a;
	int fd;

	house_start_keeper();
	house_next_agent(&a);
	fd = open(house_path("journal"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	cr_assert(fd >= 0);
	close(fd);
	kill(house.keeper, SIGTERM);
	cr_assert_eq(standin_hear(&a, HOUSE_WAIT_MS).type, CHANNEL_STOP);
	cr_assert(house_has("client.sock"), "taken away while the agent still works");
	standin_order(&a, STANDIN_EXIT, 0);
	cr_assert_eq(house_await_keeper(), 0);
	cr_assert(!house_has("client.sock") && !house_has("control.sock"));
	cr_assert(house_has("journal"));
}

Test(keeper, stops_on_sigint_without_an_agent)
{
	house.program = "/nonexistent/onebeatd";
	house_start_keeper();
	house_await_log("event=agent.unstartable");
	kill(house.keeper, SIGINT);
	cr_assert_eq(house_await_keeper(), 0);
	cr_assert(!house_has("client.sock"));
}

/* An agent that does not stop is killed after its time, and that is still an orderly end. */
Test(keeper, kills_an_agent_that_does_not_stop)
{
	struct standin a;

	house.stop_wait_ms = 200;
	house_start_keeper();
	house_next_agent(&a);
	kill(house.keeper, SIGTERM);
	cr_assert_eq(standin_hear(&a, HOUSE_WAIT_MS).type, CHANNEL_STOP);
	standin_await_end(&a, HOUSE_WAIT_MS);
	cr_assert_eq(house_await_keeper(), 0);
	house_await_log("event=agent.killed");
}

/* LEFT is the agent's own end: its status is ours, and it may not live on. */
Test(keeper, ends_with_the_status_of_an_agent_that_left)
{
	struct standin a;

	house.stop_wait_ms = 200;
	house_start_keeper();
	house_next_agent(&a);
	standin_say(&a, CHANNEL_LEFT, CHANNEL_NONE, 3, -1);
	standin_await_end(&a, HOUSE_WAIT_MS);
	cr_assert_eq(house_await_keeper(), 3);
	cr_assert(!house_has("client.sock"));
}

/* An agent that closes its channel and lives on would be a second one beside the next. */
Test(keeper, replaces_an_agent_that_closed_its_channel)
{
	struct standin a, b;

	house.stop_wait_ms = 200;
	house_start_keeper();
	house_next_agent(&a);
	standin_order(&a, STANDIN_UNLINK, 0);
	house_next_agent(&b);
	standin_await_end(&a, 0);
}

/* A keeper that is killed: the agent sees the end, and a new keeper may start beside it. */
Test(keeper, leaves_lock_and_stale_sockets_to_its_successor)
{
	struct stat before, after;
	struct standin a, b;

	house_start_keeper();
	house_next_agent(&a);
	cr_assert_eq(stat(house_path("client.sock"), &before), 0);
	kill(house.keeper, SIGKILL);
	cr_assert_eq(house_await_keeper(), -SIGKILL);
	cr_assert_eq(standin_hear(&a, HOUSE_WAIT_MS).type, STANDIN_UNLINKED);
	cr_assert(house_has("client.sock"), "the stale socket that this is about");

	house_start_keeper(); /* the old agent still lives */
	house_next_agent(&b);
	cr_assert_eq(stat(house_path("client.sock"), &after), 0);
	cr_assert(S_ISSOCK(after.st_mode));
	cr_assert(after.st_ino != before.st_ino || after.st_ctim.tv_nsec != before.st_ctim.tv_nsec);
	cr_assert_eq((pid_t)b.head.id, house.keeper);
}

/* The second one on a folder says who has it, and changes nothing. */
Test(keeper, refuses_a_folder_that_is_taken)
{
	pid_t first;
	struct stat before, after;
	struct standin a;
	char wanted[64];

	house_start_keeper();
	first = house.keeper;
	house_next_agent(&a);
	cr_assert_eq(stat(house_path("client.sock"), &before), 0);
	house_start_keeper();
	snprintf(wanted, sizeof(wanted), "pid=%d ", (int)first);
	house_await_log("event=keeper.locked");
	house_await_log(wanted);
	cr_assert_eq(house_await_keeper(), 1);
	house.keeper = first;
	cr_assert_eq(stat(house_path("client.sock"), &after), 0);
	cr_assert_eq(before.st_ino, after.st_ino);
	house_hold(&a, CHANNEL_LEASE, 1, house.director); /* the first one works on */
}

/* The agent inherits what the manifest names and nothing else of ours: not the lock, above all. */
Test(keeper, passes_on_nothing_but_the_manifest)
{
	struct standin a;
	int n = 0;

	house_start_keeper();
	house_next_agent(&a);
	for (int fd = 3; fd < 256; fd++) {
		char path[64], target[256];
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)a.pid, fd);
		len = readlink(path, target, sizeof(target) - 1);
		if (len < 0)
			continue;
		target[len] = '\0';
		cr_assert(!strstr(target, "/lock"), "%s", target);
		n++;
	}
	cr_assert_eq(n, 3 + 1, "link, two listeners and the stand-in's own socket, and not %d", n);
}

/*
 * A program that cannot be executed is said to be so, with the reason, and tried again until it
 * can.
 */
Test(keeper, goes_on_trying_when_the_program_is_missing)
{
	const char *standin = house.program;
	char path[96];
	struct standin a;

	snprintf(path, sizeof(path), "%s/onebeatd", house.dir);
	house.program = path;
	house_start_keeper();
	house_await_log("error=\"No such file or directory\"");
	house_await_log("again in 200 ms");
	cr_assert_eq(symlink(standin, path), 0);
	house_next_agent(&a);
	cr_assert_eq(a.head.kind, 0, "no adoption has failed");
	cr_assert_eq(a.head.status, 0, "no agent has died");
}

/*
 * Whatever the caller had blocked or ignored: children are noticed, and the agent gets its mask
 * back.
 */
Test(keeper, does_not_depend_on_inherited_signals)
{
	sigset_t set;
	struct standin a;
	char path[64], line[256];
	FILE *f;
	unsigned long long blocked = ~0ull;

	sigaction(SIGCHLD, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_SETMASK, &set, NULL);
	house_start_keeper();
	sigaction(SIGCHLD, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	house_next_agent(&a);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)a.pid);
	f = fopen(path, "re");
	cr_assert(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "SigBlk: %llx", &blocked);
	fclose(f);
	cr_assert_eq(blocked, 1ull << (SIGUSR1 - 1));
	house_kill_agent(&a);
	house_next_agent(&a);
}

/* Every client costs descriptors: the limit is as high as may be, for the agent too. */
Test(keeper, raises_the_limit_of_descriptors)
{
	struct rlimit limit, agents;
	struct standin a;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 256, limit.rlim_max }), 0);
	house_start_keeper();
	house_next_agent(&a);
	cr_assert_eq(prlimit(a.pid, RLIMIT_NOFILE, NULL, &agents), 0);
	cr_assert_eq(agents.rlim_cur, limit.rlim_max);
}
