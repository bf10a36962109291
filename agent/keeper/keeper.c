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
 * the keeper itself is killed, the agent sees the end of the channel and exits. Or a keeper of the
 * installed program takes our place and all that we have (upgrade.c).
 */
#include "keeper/keeper.h"

#include <errno.h>
#include <fcntl.h>
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
#include "keeper/activation.h"
#include "keeper/child.h"
#include "keeper/fdstore.h"
#include "keeper/notify.h"
#include "keeper/reload.h"
#include "keeper/runtime_dir.h"
#include "keeper/state.h"
#include "keeper/upgrade.h"
#include "keeper/watchdog.h"

#define GOODBYE_MS 2000u

struct keeper {
	const struct keeper_options *options;
	struct state_head state; /* what we have taken over, when we were executed by a keeper */
	struct upgrade upgrade;
	struct reload reload;
	struct runtime_dir dir;
	struct child child;
	struct activation activation;
	struct watchdog watchdog;
	int signal_fd;
	pid_t told_pid;       /* the agent that the service manager has been told of */
	uint64_t kill_due_ms; /* CLOCK_NEVER: the child may live */
	bool announced;
	bool restored; /* the manager's store still has what we hold */
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
	ONEBEAT_CRASH_POINT("keeper.agent.killed");
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
	ONEBEAT_CRASH_POINT("keeper.ready.announced");
	if (k->restored)
		fdstore_forget(&k->child.held);
	watchdog_start(&k->watchdog, clock_now_ms());
}

/* What systemctl status shows: which agent works, or that none does. */
static void tell_status(struct keeper *k)
{
	const struct child *c = &k->child;
	pid_t works = c->ready_ms != 0 ? c->pid : 0;
	char state[128];

	if (!k->announced || works == k->told_pid)
		return;
	k->told_pid = works;
	if (works)
		snprintf(state, sizeof(state), "STATUS=version %s, agent %d works", ONEBEAT_VERSION,
			 (int)works);
	else
		snprintf(state, sizeof(state), "STATUS=no agent works; another one is started");
	(void)notify_manager(state);
}

static void watch(struct keeper *k, uint64_t now_ms)
{
	struct child *c = &k->child;
	struct watchdog *w = &k->watchdog;
	unsigned int act;

	watchdog_answered(w, c->alive);
	if (now_ms < w->due_ms)
		return;
	act = watchdog_round(w, c->ready_ms != 0 && !c->yields ? c->pid : 0,
			     c->can & CHANNEL_CAN_YIELD, now_ms);
	if (act & WATCHDOG_ASK)
		child_ask(c, w->asked);
	if (act & WATCHDOG_KILL) {
		log_error("agent.hung", "pid=%d reason=\"no answer within %llu ms\" next=killed",
			  (int)c->pid, (unsigned long long)w->half_ms);
		ONEBEAT_CRASH_POINT("keeper.watchdog.hung");
		kill(c->pid, SIGKILL); /* not yet waited for: the pid is still its own */
	}
	if (act & WATCHDOG_TELL)
		log_error(
			"keeper.watchdog",
			"reason=\"no agent works\" next=\"the service manager is not told otherwise\"");
	if (act & WATCHDOG_PET)
		(void)notify_manager("WATCHDOG=1");
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
		ONEBEAT_CRASH_POINT("keeper.left.received");
		(void)notify_manager("STOPPING=1\n");
		k->stopping = true;
		upgrade_abandon(&k->upgrade, "onebeatd was told to stop or leave meanwhile");
		reload_abandon(&k->reload);
	}
	if (c->asks_fd >= 0 && k->reload.phase != RELOAD_NONE)
		reload_turn_away(&c->asks_fd, "a reload is under way");
	if (c->asks_fd >= 0 && !k->stopping)
		upgrade_ask(&k->upgrade, take_fd(&c->asks_fd));
	if (c->asks_reload && !k->stopping)
		reload_ask(&k->reload,
			   k->upgrade.phase != UPGRADE_NONE ? "an upgrade is under way" : NULL);
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
		if (upgrade_reap(&k->upgrade, pid, how) || pid != k->child.pid)
			continue;
		ONEBEAT_CRASH_POINT("keeper.agent.reaped");
		child_died(&k->child, how, k->stopping);
		ONEBEAT_CRASH_POINT("keeper.agent.buried");
		k->kill_due_ms = CLOCK_NEVER;
		k->done = k->stopping || k->child.left;
		if (!k->done) {
			upgrade_agent_died(&k->upgrade);
			reload_agent_died(&k->reload);
		}
	}
}

static void on_stop(struct keeper *k, uint32_t signo)
{
	if (k->stopping)
		return;
	log_info("keeper.stop", "signal=%u agent=%d", signo, (int)k->child.pid);
	(void)notify_manager("STOPPING=1\n");
	k->stopping = true;
	ONEBEAT_CRASH_POINT("keeper.stop.received");
	upgrade_abandon(&k->upgrade, "onebeatd was told to stop meanwhile");
	reload_abandon(&k->reload);
	if (k->child.pid == 0) {
		k->done = true;
		return;
	}
	child_stop(&k->child);
	ONEBEAT_CRASH_POINT("keeper.stop.sent");
	expect_end(k);
}

static void on_signals(struct keeper *k)
{
	struct signalfd_siginfo info;

	while (read(k->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			on_sigchld(k);
		else if (info.ssi_signo == SIGHUP)
			k->reload.wanted = !k->stopping;
		else
			on_stop(k, info.ssi_signo);
	}
}

static uint64_t earliest(const struct keeper *k)
{
	const uint64_t dues[] = { k->child.start_due_ms,
				  k->child.answers_due_ms,
				  k->kill_due_ms,
				  upgrade_due_ms(&k->upgrade),
				  reload_due_ms(&k->reload),
				  k->stopping ? CLOCK_NEVER : k->watchdog.due_ms };
	uint64_t due = CLOCK_NEVER;

	for (size_t i = 0; i < sizeof(dues) / sizeof(dues[0]); i++)
		due = dues[i] < due ? dues[i] : due;
	return due;
}

static int turn(struct keeper *k)
{
	struct child *c = &k->child;
	struct pollfd fds[2] = { { .fd = k->signal_fd, .events = POLLIN },
				 { .fd = c->link, .events = child_events(c) } };
	uint64_t now_ms;

	if (poll(fds, 2, clock_wait_ms(clock_now_ms(), earliest(k))) < 0)
		return errno == EINTR ? 0 : -errno;
	if (fds[1].revents)
		on_child(k);
	if (fds[0].revents)
		on_signals(k);
	now_ms = clock_now_ms();
	child_turn(c, now_ms);
	if (c->pid && now_ms >= k->kill_due_ms)
		kill_child(k);
	if (!k->stopping && !c->left && now_ms >= c->start_due_ms)
		child_start(c);
	upgrade_turn(&k->upgrade, now_ms);
	reload_turn(&k->reload, k->stopping || k->upgrade.phase != UPGRADE_NONE, now_ms);
	if (!k->stopping)
		watch(k, now_ms);
	tell_status(k);
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
	sigset_t ours, before;

	sigemptyset(&ours);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGCHLD);
	sigaddset(&ours, SIGHUP);
	/*
	 * Ignored, as who started us may have left it, SIGCHLD would have children reap themselves, and SIGHUP would
	 * not come.
	 */
	if (sigaction(SIGCHLD, &plain, NULL) < 0 || sigaction(SIGHUP, &plain, NULL) < 0)
		return -errno;
	if (sigprocmask(SIG_BLOCK, &ours, &before) < 0)
		return -errno;
	if (k->options->state_fd <= 0)
		k->child.mask =
			before; /* else it was blocked by the one before us, who left the mask */
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
		r = runtime_dir_bind(&k->dir, &k->activation, why);
		ONEBEAT_CRASH_POINT("keeper.folder.bound");
	}
	if (r == 0 && k->options->control_group)
		r = runtime_dir_give(&k->dir, k->options->control_group, why);
	if (r < 0)
		log_error("keeper.folder", "error=%s", LOG_Q(why));
	return r == 0;
}

/* False when it has said why we cannot run. */
static bool start(struct keeper *k)
{
	if (activation_take(&k->activation) < 0) {
		log_error("keeper.activation", "error=%s", LOG_Q(strerror(ENOMEM)));
		return false;
	}
	ONEBEAT_CRASH_POINT("keeper.activation.taken");
	if (!take_folder(k))
		return false;
	(void)fdstore_restore(&k->activation, &k->child.held);
	k->restored = k->activation.n_fds > 0; /* also when nothing of it was of use */
	return true;
}

/* A descriptor of our predecessor's becomes ours. False when it is not open. */
static bool take_over(struct keeper *k, const struct manifest_entry *e)
{
	if (fcntl(e->fd, F_SETFD, FD_CLOEXEC) < 0)
		return false;
	switch (e->kind) {
	case STATE_LOCK:
		k->dir.lock_fd = e->fd;
		return true;
	case STATE_FOLDER:
		k->dir.dir_fd = e->fd;
		return true;
	case STATE_LINK:
		k->child.link = e->fd;
		return true;
	case STATE_TOOL:
		k->upgrade.tool_fd = e->fd;
		return true;
	case CHANNEL_CLIENTS:
		k->dir.clients_fd = e->fd;
		return true;
	case CHANNEL_CONTROL:
		k->dir.control_fd = e->fd;
		return true;
	default:
		return holdings_put(&k->child.held, (enum channel_kind)e->kind, e->id, e->fd) == 0;
	}
}

static void take_state(struct keeper *k)
{
	const struct state_head *s = &k->state;
	struct child *c = &k->child;

	k->dir.path = s->runtime_dir;
	k->dir.keep_clients = s->kept_sockets & 1;
	k->dir.keep_control = s->kept_sockets >> 1 & 1;
	k->announced = true;
	c->pid = s->agent_pid;
	c->can = s->agent_can;
	c->started_ms = s->started_ms;
	c->ready_ms = s->ready_ms;
	c->n_restarts = s->n_restarts;
	c->restart.delay_ms = s->restart_delay_ms;
	c->restart.n_early = s->restart_n_early;
	c->start_due_ms = c->pid ? CLOCK_NEVER : clock_now_ms();
	sigemptyset(&c->mask);
	for (int i = 1; i <= 64; i++) {
		if (s->mask >> (i - 1) & 1)
			sigaddset(&c->mask, i);
	}
}

/* Goes on where a keeper stopped that executed us. False when it has said why that cannot be. */
static bool resume(struct keeper *k)
{
	CLEANUP(free_p) struct manifest_entry *entries = NULL;
	uint32_t n_lost = 0;
	int r = state_read(k->options->state_fd, &k->state, &entries);

	if (r < 0) {
		log_error("keeper.state", "error=%s", LOG_Q(strerror(-r)));
		return false;
	}
	ONEBEAT_CRASH_POINT("keeper.resume.read");
	for (uint32_t i = 0; i < k->state.n_entries; i++)
		n_lost += !take_over(k, &entries[i]);
	take_state(k);
	ONEBEAT_CRASH_POINT("keeper.resume.taken");
	log_info("keeper.resumed", "from=%s agent=%d held=%u lost=%u", LOG_Q(k->state.from_version),
		 (int)k->child.pid, k->child.held.n_held, n_lost);
	return true;
}

int keeper_check_state(int fd, const char *runtime_dir)
{
	CLEANUP(free_p) struct manifest_entry *entries = NULL;
	struct state_head head;
	int r = state_read(fd, &head, &entries);

	return r == 0 && strcmp(head.runtime_dir, runtime_dir) != 0 ? -EXDEV : r;
}

static int run(struct keeper *k)
{
	int r = take_signals(k);

	k->child.program = k->options->program;
	k->child.own_image = k->options->own_image;
	k->child.argv = k->options->argv;
	k->child.clients_fd = k->dir.clients_fd;
	k->child.control_fd = k->dir.control_fd;
	if (r == 0 && k->options->state_fd > 0) {
		upgrade_done(&k->upgrade, &k->state);
		ONEBEAT_CRASH_POINT("keeper.resume.answered");
		watchdog_start(&k->watchdog, clock_now_ms());
		on_sigchld(k); /* a death just before the exec */
	}
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
			    .upgrade = UPGRADE_NULL,
			    .reload = RELOAD_NULL,
			    .dir = RUNTIME_DIR_NULL,
			    .child = CHILD_NULL,
			    .signal_fd = -1,
			    .kill_due_ms = CLOCK_NEVER };
	int status = 1;

	log_set_role("keeper");
	k.upgrade.options = options;
	k.upgrade.dir = &k.dir;
	k.upgrade.child = &k.child;
	k.reload.child = &k.child;
	k.reload.wait_ms = options->upgrade_wait_ms;
	watchdog_init(&k.watchdog);
	if (options->state_fd > 0 ? resume(&k) : start(&k)) {
		raise_limit();
		status = run(&k);
		(void)holdings_drop(&k.child.held, CHANNEL_SETTINGS, 0);
		fdstore_save(&k.child.held);
		(void)notify_barrier(GOODBYE_MS); /* who is gone when it is read has said nothing */
		log_info("keeper.end", "status=%d", status);
	}
	activation_deinit(&k.activation);
	upgrade_deinit(&k.upgrade);
	reload_deinit(&k.reload);
	child_deinit(&k.child);
	ONEBEAT_CRASH_POINT("keeper.stop.dropped_all");
	runtime_dir_deinit(&k.dir);
	ONEBEAT_CRASH_POINT("keeper.stop.folder_left");
	close_fdp(&k.signal_fd);
	return status;
}
