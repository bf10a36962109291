/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Upgrade: both processes from the installed program, no lease broken
 *
 * The order is chosen so that whatever fails leaves a whole pair of the old program:
 *
 *   probe  the new program is run in check mode (probe.c); a no costs nothing.
 *   yield  the agent ends without a word to anybody: held descriptors and journal are all that counts.
 *   try    an agent of the new program adopts. Until it is ready we are the old keeper, and the old program
 *	    is still at hand as /proc/self/exe, even when its file is gone.
 *   exec   only now we execute the new program in our own place. Pid, lock, sockets, memfds, leases, and the
 *	    agent as our child stay; state.c says which number is what.
 *   undo   the new agent died or was not ready in time, or the exec failed: an agent of our own program
 *	    takes over again.
 *
 * During "try" an agent of the new program works under a keeper of the old one: messages that one side does
 * not know are read over, another CHANNEL_VERSION is refused by the probe. A new keeper that dies after the
 * exec is as any keeper's death: the agent ends, registrations stay, the next start adopts.
 *
 * Who asked waits at a socket that the agent handed over, because agents come and go meanwhile.
 */
#include "keeper/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include <onebeat/crashpoint.h>
#include "keeper/spawn.h"

#define OWN_ENTRIES 6u /* beside what is held */
#define ANSWER_MAX 1024

void upgrade_deinit(struct upgrade *u)
{
	close_fdp(&u->tool_fd);
	close_fdp(&u->probe.out_fd);
}

static uint64_t due_in(const struct upgrade *u, uint32_t wait_ms)
{
	return clock_now_ms() +
	       (u->options->upgrade_wait_ms ? u->options->upgrade_wait_ms : wait_ms);
}

/* Few bytes into an empty socket buffer: never waited for. */
static void say(int *fd, const char *line)
{
	(void)send(*fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);
	close_fdp(fd);
}

/* text as it may stand inside a JSON string. */
static const char *plain(char *buf, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text && n + 2 < size; text++) {
		if (*text == '"' || *text == '\\')
			buf[n++] = '\\';
		buf[n++] = *text >= ' ' && *text <= '~' ? *text : '?';
	}
	buf[n] = '\0';
	return buf;
}

static void refuse(int *fd, const char *why)
{
	char text[2 * PROBE_WHY_MAX], line[ANSWER_MAX];

	snprintf(line, sizeof(line), "{\"end\":true,\"error\":\"%s\"}\n",
		 plain(text, sizeof(text), why));
	say(fd, line);
}

/* It is over, and nothing has changed. */
static void give_up(struct upgrade *u)
{
	log_error("upgrade.failed", "program=%s error=%s next=\"version %s goes on\"",
		  LOG_Q(u->options->program), LOG_Q(u->why), ONEBEAT_VERSION);
	u->phase = UPGRADE_NONE;
	u->due_ms = CLOCK_NEVER;
	refuse(&u->tool_fd, u->why);
}

/* The descriptors that stay open through the exec; *n of them. */
static struct manifest_entry *list_kept(const struct upgrade *u, uint32_t *n)
{
	const struct child *c = u->child;
	const struct manifest_entry own[OWN_ENTRIES] = {
		{ .kind = STATE_LOCK, .fd = u->dir->lock_fd },
		{ .kind = STATE_FOLDER, .fd = u->dir->dir_fd },
		{ .kind = STATE_LINK, .fd = c->link },
		{ .kind = STATE_TOOL, .fd = u->tool_fd },
		{ .kind = CHANNEL_CLIENTS, .fd = c->clients_fd },
		{ .kind = CHANNEL_CONTROL, .fd = c->control_fd },
	};
	struct manifest_entry *list = calloc(OWN_ENTRIES + c->held.n_held, sizeof(*list));

	*n = 0;
	for (uint32_t i = 0; list && i < OWN_ENTRIES; i++) {
		if (own[i].fd >= 0)
			list[(*n)++] = own[i];
	}
	if (list)
		holdings_list(&c->held, list + *n);
	*n += c->held.n_held;
	return list;
}

static uint64_t bits_of(const sigset_t *mask)
{
	uint64_t bits = 0;

	for (int i = 1; i <= 64; i++) {
		if (sigismember(mask, i) == 1)
			bits |= UINT64_C(1) << (i - 1);
	}
	return bits;
}

static int pack(const struct upgrade *u, const struct manifest_entry *list, uint32_t n)
{
	const struct child *c = u->child;
	struct state_head head = { .n_entries = n,
				   .agent_pid = c->pid,
				   .agent_can = c->can,
				   .started_ms = c->started_ms,
				   .ready_ms = c->ready_ms,
				   .mask = bits_of(&c->mask),
				   .n_restarts = c->n_restarts,
				   .restart_delay_ms = c->restart.delay_ms,
				   .restart_n_early = c->restart.n_early,
				   .from_pid = u->from_pid,
				   .kept_sockets = (uint8_t)(u->dir->keep_clients |
							     u->dir->keep_control << 1),
				   .from_version = ONEBEAT_VERSION };

	int low, fd;

	snprintf(head.runtime_dir, sizeof(head.runtime_dir), "%s", u->dir->path);
	low = state_write(&head, list);
	if (low < 0 || low > STDERR_FILENO)
		return low;
	fd = fcntl(low, F_DUPFD, STDERR_FILENO + 1); /* we were started without stdin */
	if (fd < 0)
		fd = -errno;
	close(low);
	return fd;
}

static void set_cloexec(const struct manifest_entry *list, uint32_t n, int flag)
{
	for (uint32_t i = 0; i < n; i++)
		(void)fcntl(list[i].fd, F_SETFD, flag);
}

/* Returns only when it failed: a negative errno. */
static int become_new(const struct upgrade *u)
{
	CLEANUP(free_p) struct manifest_entry *list = NULL;
	CLEANUP(free_p) char **argv = NULL;
	CLEANUP(close_fdp) int state = -1;
	char option[SPAWN_OPTION_MAX];
	uint32_t n;
	int r;

	list = list_kept(u, &n);
	if (!list)
		return -ENOMEM;
	state = pack(u, list, n);
	if (state < 0)
		return state;
	snprintf(option, sizeof(option), KEEPER_STATE_OPTION "%d", state);
	argv = spawn_argv(u->options->argv, option);
	if (!argv)
		return -ENOMEM;
	ONEBEAT_CRASH_POINT("keeper.upgrade.packed");
	set_cloexec(list, n, 0);
	ONEBEAT_CRASH_POINT("keeper.upgrade.unsealed");
	execv(u->options->program, argv);
	r = -errno;
	set_cloexec(list, n, FD_CLOEXEC);
	return r;
}

static void go_back(struct upgrade *u)
{
	u->phase = UPGRADE_UNDO;
	u->due_ms = due_in(u, u->child->pid ? UPGRADE_YIELD_MS : UPGRADE_READY_MS);
	u->child->use_own = u->options->own_image != NULL;
	u->child->restart = (struct restart)RESTART_NULL;
	if (u->child->pid)
		child_yield(u->child);
	else
		u->child->start_due_ms = clock_now_ms();
}

/* The new agent works: now us. */
static void follow(struct upgrade *u)
{
	int r = -ESTALE;

	log_info("upgrade.exec", "program=%s version=%s held=%u", LOG_Q(u->options->program),
		 LOG_Q(u->version), u->child->held.n_held);
	if (probe_unchanged(&u->probe, u->options->program))
		r = become_new(u);
	snprintf(u->why, sizeof(u->why), "the keeper could not execute %s: %s", u->options->program,
		 r == -ESTALE ? "the file changed after it was checked" : strerror(-r));
	go_back(u);
}

void upgrade_ask(struct upgrade *u, int tool_fd)
{
	int state, r;
	struct manifest_entry *list;
	uint32_t n;

	if (u->phase != UPGRADE_NONE) {
		refuse(&tool_fd, "an upgrade is under way already");
		return;
	}
	u->tool_fd = tool_fd;
	u->from_pid = u->child->pid;
	list = list_kept(u, &n);
	state = list ? pack(u, list, n) : -ENOMEM;
	free(list);
	ONEBEAT_CRASH_POINT("keeper.upgrade.asked");
	r = state < 0 ? state
		      : probe_start(&u->probe, u->options->program, u->options->argv,
				    &u->child->mask, state);
	if (r < 0) {
		snprintf(u->why, sizeof(u->why), "%s cannot be run: %s", u->options->program,
			 strerror(-r));
		give_up(u);
		return;
	}
	log_info("upgrade.probe", "program=%s pid=%d", LOG_Q(u->options->program),
		 (int)u->probe.pid);
	u->phase = UPGRADE_PROBE;
	u->due_ms = due_in(u, PROBE_WAIT_MS);
}

bool upgrade_reap(struct upgrade *u, pid_t pid, int how)
{
	char why[PROBE_WHY_MAX];

	if (pid != u->probe.pid)
		return false;
	if (!probe_ended(&u->probe, how, u->version, why)) {
		snprintf(u->why, sizeof(u->why), "%.100s refuses: %.140s", u->options->program,
			 why);
		if (u->phase == UPGRADE_PROBE)
			give_up(u);
		return true;
	}
	ONEBEAT_CRASH_POINT("keeper.upgrade.probed");
	if (u->phase != UPGRADE_PROBE)
		return true; /* abandoned meanwhile */
	log_info("upgrade.yield", "program=%s version=%s agent=%d", LOG_Q(u->options->program),
		 LOG_Q(u->version), (int)u->child->pid);
	u->phase = UPGRADE_YIELD;
	u->due_ms = due_in(u, UPGRADE_YIELD_MS);
	if (u->child->pid)
		child_yield(u->child);
	else
		upgrade_agent_died(u);
	ONEBEAT_CRASH_POINT("keeper.upgrade.yielded");
	return true;
}

void upgrade_agent_died(struct upgrade *u)
{
	struct child *c = u->child;

	switch (u->phase) {
	case UPGRADE_YIELD:
		u->phase = UPGRADE_TRY;
		u->due_ms = due_in(u, UPGRADE_READY_MS);
		c->use_own = false;
		c->start_due_ms = clock_now_ms();
		/* The program that follows reads the files, as was checked; so does ours, if we go back. */
		(void)holdings_drop(&c->held, CHANNEL_SETTINGS, 0);
		break;
	case UPGRADE_TRY:
		snprintf(u->why, sizeof(u->why),
			 "its agent (version %s) ended before it was ready; see the log",
			 u->version);
		go_back(u);
		break;
	default:
		break;
	}
}

static void hurry(struct upgrade *u)
{
	u->due_ms = CLOCK_NEVER;
	if (u->phase == UPGRADE_PROBE) {
		probe_kill(&u->probe);
	} else if (u->phase == UPGRADE_UNDO && !u->child->yields) {
		give_up(u); /* not ready again either; it is started again and again as ever */
	} else if (u->child->pid) {
		log_warning("upgrade.late", "pid=%d next=\"killed\"", (int)u->child->pid);
		kill(u->child->pid, SIGKILL);
		u->due_ms = due_in(u, UPGRADE_READY_MS);
	}
}

/* Ready, and nothing on our side of the channel that an exec would lose. */
static bool settled(const struct child *c)
{
	return c->pid && c->ready_ms != 0 && !c->yields && c->answers.n_waiting == 0;
}

void upgrade_turn(struct upgrade *u, uint64_t now_ms)
{
	if (u->phase == UPGRADE_NONE)
		return;
	if (u->phase == UPGRADE_TRY && settled(u->child))
		follow(u);
	else if (u->phase == UPGRADE_TRY && !u->child->pid && u->child->start_failed)
		upgrade_agent_died(u);
	else if (u->phase == UPGRADE_UNDO && settled(u->child))
		give_up(u);
	else if (now_ms >= u->due_ms)
		hurry(u);
}

uint64_t upgrade_due_ms(const struct upgrade *u)
{
	return u->phase == UPGRADE_NONE ? CLOCK_NEVER : u->due_ms;
}

void upgrade_abandon(struct upgrade *u, const char *why)
{
	if (u->phase == UPGRADE_NONE)
		return;
	snprintf(u->why, sizeof(u->why), "%s", why);
	if (u->probe.pid)
		probe_kill(&u->probe);
	give_up(u);
}

void upgrade_done(struct upgrade *u, const struct state_head *from)
{
	char line[ANSWER_MAX], old[2 * sizeof(from->from_version)];

	log_info("upgrade.done", "from=%s to=%s agent=%d", LOG_Q(from->from_version),
		 ONEBEAT_VERSION, (int)u->child->pid);
	snprintf(line, sizeof(line),
		 "{\"upgraded\":true,\"from\":{\"version\":\"%s\",\"keeper_pid\":%d,\"pid\":%d},"
		 "\"to\":{\"version\":\"%s\",\"keeper_pid\":%d,\"pid\":%d}}\n"
		 "{\"end\":true,\"error\":null}\n",
		 plain(old, sizeof(old), from->from_version), (int)getpid(), from->from_pid,
		 ONEBEAT_VERSION, (int)getpid(), (int)u->child->pid);
	if (u->tool_fd >= 0)
		say(&u->tool_fd, line);
}
