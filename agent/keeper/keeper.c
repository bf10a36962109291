/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper
 *
 * The process that must not die, so it does next to nothing. It has the lock, the listening sockets
 * and a duplicate of every memfd and lease; it starts the agent and starts it again. It parses
 * nothing that a client has written, reads no lease, maps no segment and talks to no network:
 * whatever kills an agent has nothing to act on here. Clients that connect while there is no agent
 * wait in the backlog of the socket.
 *
 * One thread: poll on a signalfd and on the channel to the agent; neither is ever waited for by
 * itself.
 *
 * Ends: SIGTERM and SIGINT stop the agent, which leaves the registrations in place; to leave for
 * good is the agent's own word (child.left). An agent that does not end in time is killed, and so
 * is one that has closed its channel and lives on, because nothing that it does could be kept. If
 * the keeper itself is killed, the agent sees the end of the channel and exits.
 */
#include "keeper/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include <onebeat/crashpoint.h>
#include "base/log.h"
#include "keeper/child.h"
#include "keeper/notify.h"
#include "keeper/runtime_dir.h"

struct keeper {
	const struct keeper_options *options;
	struct runtime_dir dir;
	struct child child;
	int signal_fd;
	uint64_t kill_due_ms; /* CLOCK_NEVER: the child may live */
	bool announced;
	bool stopping; /* with the child's end comes ours */
	bool done;
};

/* The child is to end by itself within the time that it is given. */
static void expect_end(struct keeper *k)
{
	uint32_t wait_ms = k->options->stop_wait_ms;

	if (k->kill_due_ms == CLOCK_NEVER)
		k->kill_due_ms = clock_now_ms() + (wait_ms ? wait_ms : KEEPER_STOP_WAIT_MS);
}

static void kill_child(struct keeper *k)
{
	log_warning("agent.killed", "pid=%d reason=\"it did not end by itself\"",
		    (int)k->child.pid);
	kill(k->child.pid, SIGKILL); /* not yet waited for: the pid is still its own */
	k->kill_due_ms = CLOCK_NEVER;
}

static void announce(struct keeper *k)
{
	char state[64];
	int r;

	k->announced = true;
	dprintf(STDOUT_FILENO, "onebeatd: ready (pid %d, %s)\n", (int)getpid(), k->dir.path);
	snprintf(state, sizeof(state), "READY=1\nMAINPID=%d\n", (int)getpid());
	r = notify_manager(state);
	if (r < 0)
		log_warning("keeper.notify",
			    "error=%s next=\"the service manager may wait in vain\"",
			    LOG_Q(strerror(-r)));
}

/* Acts on what the child has said, or not said any more. */
static void on_child(struct keeper *k)
{
	struct child *c = &k->child;

	child_talk(c);
	if (c->ready_ms != 0 && !k->announced)
		announce(k);
	if (c->left && !k->stopping) {
		log_info("agent.left", "pid=%d status=%d", (int)c->pid, c->left_status);
		k->stopping = true;
	}
	if (c->left || c->link < 0)
		expect_end(k);
}

/*
 * As process 1 of a container, or exec'ed by a shell, we have other children than our own: all are
 * reaped.
 */
static void on_sigchld(struct keeper *k)
{
	pid_t pid;
	int how;

	while ((pid = waitpid(-1, &how, WNOHANG)) > 0) {
		if (pid != k->child.pid)
			continue;
		child_died(&k->child, how, k->stopping);
		k->kill_due_ms = CLOCK_NEVER;
		k->done = k->stopping || k->child.left;
	}
}

static void on_stop(struct keeper *k, uint32_t signo)
{
	if (k->stopping)
		return;
	log_info("keeper.stop", "signal=%u agent=%d", signo, (int)k->child.pid);
	(void)notify_manager("STOPPING=1\n");
	k->stopping = true;
	if (k->child.pid == 0) {
		k->done = true;
		return;
	}
	child_stop(&k->child);
	expect_end(k);
}

static void on_signals(struct keeper *k)
{
	struct signalfd_siginfo info;

	while (read(k->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			on_sigchld(k);
		else
			on_stop(k, info.ssi_signo);
	}
}

static int turn(struct keeper *k)
{
	struct child *c = &k->child;
	struct pollfd fds[2] = { { .fd = k->signal_fd, .events = POLLIN },
				 { .fd = c->link, .events = child_events(c) } };
	uint64_t due_ms = c->start_due_ms < k->kill_due_ms ? c->start_due_ms : k->kill_due_ms;
	uint64_t now_ms;

	if (poll(fds, 2, clock_wait_ms(clock_now_ms(), due_ms)) < 0)
		return errno == EINTR ? 0 : -errno;
	if (fds[1].revents)
		on_child(k);
	if (fds[0].revents)
		on_signals(k);
	now_ms = clock_now_ms();
	if (c->pid && now_ms >= k->kill_due_ms)
		kill_child(k);
	if (!k->stopping && !c->left && now_ms >= c->start_due_ms)
		child_start(c);
	return 0;
}

/* Each client costs a descriptor here and one in the agent, which inherits the limit. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warning("keeper.limit", "error=%s next=\"fewer clients than could be\"",
			    LOG_Q(strerror(errno)));
	else
		log_info("keeper.limit", "descriptors=%llu", (unsigned long long)limit.rlim_cur);
}

static int take_signals(struct keeper *k)
{
	const struct sigaction plain = { .sa_handler = SIG_DFL };
	sigset_t ours;

	sigemptyset(&ours);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGCHLD);
	/* Ignored, as who started us may have left it, it would have children reap themselves. */
	if (sigaction(SIGCHLD, &plain, NULL) < 0)
		return -errno;
	if (sigprocmask(SIG_BLOCK, &ours, &k->child.mask) < 0)
		return -errno;
	k->signal_fd = signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
	return k->signal_fd < 0 ? -errno : 0;
}

/* False when it has said why we cannot run. */
static bool take_folder(struct keeper *k)
{
	char why[RUNTIME_DIR_WHY_MAX] = "";
	pid_t holder;
	int r = runtime_dir_take(&k->dir, k->options->runtime_dir, &holder, why);

	if (r == RUNTIME_DIR_LOCKED) {
		log_error("keeper.locked", "dir=%s pid=%d error=\"another onebeatd runs there\"",
			  LOG_Q(k->options->runtime_dir), (int)holder);
		return false;
	}
	if (r == 0) {
		ONEBEAT_CRASH_POINT("keeper.folder.locked");
		r = runtime_dir_bind(&k->dir, why);
		ONEBEAT_CRASH_POINT("keeper.folder.bound");
	}
	if (r < 0)
		log_error("keeper.folder", "error=%s", LOG_Q(why));
	return r == 0;
}

static int run(struct keeper *k)
{
	int r = take_signals(k);

	k->child.program = k->options->program;
	k->child.argv = k->options->argv;
	k->child.clients_fd = k->dir.clients_fd;
	k->child.control_fd = k->dir.control_fd;
	while (r == 0 && !k->done)
		r = turn(k);
	if (r == 0)
		return k->child.left ? k->child.left_status : 0;
	log_error("keeper.failed", "error=%s next=\"agent and keeper end; registrations stay\"",
		  LOG_Q(strerror(-r)));
	return 1;
}

int keeper_run(const struct keeper_options *options)
{
	struct keeper k = { .options = options,
			    .dir = RUNTIME_DIR_NULL,
			    .child = CHILD_NULL,
			    .signal_fd = -1,
			    .kill_due_ms = CLOCK_NEVER };
	int status = 1;

	log_set_role("keeper");
	if (take_folder(&k)) {
		raise_limit();
		status = run(&k);
		log_info("keeper.end", "status=%d", status);
	}
	child_deinit(&k.child);
	runtime_dir_deinit(&k.dir);
	close_fdp(&k.signal_fd);
	return status;
}
