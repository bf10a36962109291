/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reload: an agent with new settings, no lease broken
 *
 * Which settings are good is the agent's to judge: it reads the files, gives us the outcome as a memfd to hold
 * (SETTINGS 1), and only then asks. What remains is a change of agents as in an upgrade, without a change of program:
 * the running one ends without a word to anybody, and the next one adopts. The text is passed on and not read again
 * from files, so what was checked is what counts, whatever becomes of the files meanwhile.
 *
 * An agent that will not become ready with the new settings gives way to one with the old ones, which are held
 * (SETTINGS 0) until the new one says that it works. SIGHUP is the service's, whose main process we are: it is passed
 * on to the agent, and waits when there is none, or when something else is under way.
 */
#include "keeper/reload.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#define YIELD_MS 2000u  /* for the old agent to end by itself */
#define READY_MS 30000u /* for an agent to adopt and be ready */

static uint64_t due_in(const struct reload *r, uint32_t wait_ms)
{
	return clock_now_ms() + (r->wait_ms ? r->wait_ms : wait_ms);
}

void reload_deinit(struct reload *r)
{
	close_fdp(&r->tool_fd);
}

/* Few bytes into an empty socket buffer: never waited for. */
static void say(int *fd, const char *line)
{
	if (*fd >= 0)
		(void)send(*fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);
	close_fdp(fd);
}

void reload_turn_away(int *fd, const char *why)
{
	char line[256];

	snprintf(line, sizeof(line), "{\"end\":true,\"error\":\"%s\"}\n", why);
	say(fd, line);
}

static void refuse(int *fd, const char *why)
{
	log_error("reload.refused", "error=%s next=\"the settings stay\"", LOG_Q(why));
	reload_turn_away(fd, why);
}

static void end(struct reload *r)
{
	r->phase = RELOAD_NONE;
	r->due_ms = CLOCK_NEVER;
	(void)holdings_drop(&r->child->held, CHANNEL_SETTINGS, 1);
}

void reload_ask(struct reload *r, const char *busy)
{
	struct child *c = r->child;

	c->asks_reload = false;
	if (r->phase != RELOAD_NONE)
		busy = "a reload is under way already";
	else if (!holdings_has(&c->held, CHANNEL_SETTINGS, 1))
		busy = "the keeper could not hold the new settings";
	if (busy) {
		refuse(&c->reload_fd, busy);
		return;
	}
	r->tool_fd = take_fd(&c->reload_fd);
	r->from_pid = c->pid;
	r->phase = RELOAD_YIELD;
	r->due_ms = due_in(r, YIELD_MS);
	log_info("reload.yield", "agent=%d", (int)c->pid);
	child_yield(c);
}

void reload_agent_died(struct reload *r)
{
	struct child *c = r->child;

	if (r->phase == RELOAD_YIELD) {
		r->phase = RELOAD_START;
		r->due_ms = due_in(r, READY_MS);
		c->start_due_ms = clock_now_ms();
	} else if (r->phase == RELOAD_START) {
		end(r);
		c->start_due_ms = clock_now_ms();
		refuse(&r->tool_fd,
		       "no agent became ready with the new settings: one with the old ones "
		       "follows; see the log");
	}
}

static void done(struct reload *r)
{
	char line[128];

	holdings_rename(&r->child->held, CHANNEL_SETTINGS, 1, 0);
	end(r);
	log_info("reload.done", "from=%d agent=%d", (int)r->from_pid, (int)r->child->pid);
	snprintf(line, sizeof(line),
		 "{\"reloaded\":true,\"from_pid\":%d,\"pid\":%d}\n{\"end\":true,\"error\":null}\n",
		 (int)r->from_pid, (int)r->child->pid);
	say(&r->tool_fd, line);
}

/* Ready, and nothing of ours is still on its way to it. */
static bool settled(const struct child *c)
{
	return c->pid && c->ready_ms != 0 && !c->yields && c->answers.n_waiting == 0;
}

static void pass_on(struct reload *r)
{
	r->wanted = false;
	if (child_reread(r->child))
		log_info("reload.signal", "agent=%d", (int)r->child->pid);
	else
		log_warning(
			"reload.signal",
			"error=\"the agent's version cannot reload\" next=\"use onebeatctl upgrade\"");
}

void reload_turn(struct reload *r, bool busy, uint64_t now_ms)
{
	struct child *c = r->child;

	if (r->phase == RELOAD_NONE) {
		if (r->wanted && !busy && settled(c))
			pass_on(r);
		return;
	}
	if (r->phase == RELOAD_START && settled(c)) {
		done(r);
	} else if (r->phase == RELOAD_START && !c->pid && c->start_failed) {
		reload_agent_died(r);
	} else if (now_ms >= r->due_ms && c->pid) {
		log_warning("reload.late", "pid=%d next=\"killed\"", (int)c->pid);
		kill(c->pid, SIGKILL); /* not yet waited for: the pid is still its own */
		r->due_ms = due_in(r, READY_MS);
	}
}

uint64_t reload_due_ms(const struct reload *r)
{
	return r->phase == RELOAD_NONE ? CLOCK_NEVER : r->due_ms;
}

void reload_abandon(struct reload *r)
{
	r->wanted = false;
	if (r->phase == RELOAD_NONE)
		return;
	end(r);
	refuse(&r->tool_fd, "onebeatd was told to stop or leave meanwhile");
}
