/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper's child: the agent
 *
 * Started with a new channel and everything that is held; what it hands over is held under the name
 * that it gives; what it says about itself (ready, left) is noted here and acted on by the keeper.
 *
 * What a dead agent had still sent is read before its death is acted on, because a lease that it
 * handed over last, or the word that it leaves for good, counts as much as one that came earlier.
 *
 * The channel is never waited for: our end does not block (see answers.c). One thread.
 */
#include "keeper/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include <onebeat/crashpoint.h>
#include "base/log.h"
#include "keeper/spawn.h"

#define OWN_ENTRIES 3u /* link and the two listening sockets, ahead of what is held */
#define BURST 64       /* messages read before the keeper looks at its signals again */
#define ANSWERS_PAUSE_MS 10u

/* No more from this one: it is dead, or has closed its end. */
static void end_link(struct child *c)
{
	answers_clear(&c->answers);
	c->answers_due_ms = CLOCK_NEVER;
	close_fdp(&c->link);
}

void child_deinit(struct child *c)
{
	end_link(c);
	close_fdp(&c->asks_fd);
	close_fdp(&c->reload_fd);
	holdings_deinit(&c->held);
}

static int list_inherited(const struct child *c, int agents_end, struct manifest_entry **out)
{
	struct manifest_entry *list = calloc(OWN_ENTRIES + c->held.n_held, sizeof(*list));

	if (!list)
		return -ENOMEM;
	list[0] = (struct manifest_entry){ .kind = CHANNEL_LINK, .fd = agents_end };
	list[1] = (struct manifest_entry){ .kind = CHANNEL_CLIENTS, .fd = c->clients_fd };
	list[2] = (struct manifest_entry){ .kind = CHANNEL_CONTROL, .fd = c->control_fd };
	holdings_list(&c->held, list + OWN_ENTRIES);
	*out = list;
	return 0;
}

/* Our end does not block; the agent's may. */
static int make_link(int *ours, int *agents)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	*ours = pair[0];
	*agents = pair[1];
	return fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

/* Its pid or a negative errno. */
static pid_t spawn(struct child *c)
{
	CLEANUP(free_p) struct manifest_entry *inherited = NULL;
	CLEANUP(close_fdp) int ours = -1;
	CLEANUP(close_fdp) int agents = -1;
	struct spawn s = { .program = c->use_own ? c->own_image : c->program,
			   .argv = c->argv,
			   .mask = &c->mask };
	pid_t pid;
	int r;

	r = make_link(&ours, &agents);
	if (r == 0)
		r = list_inherited(c, agents, &inherited);
	if (r < 0)
		return r;
	s.entries = inherited;
	s.head.n_entries = OWN_ENTRIES + c->held.n_held;
	s.head.quarantine = restart_quarantine(&c->restart);
	s.head.n_restarts = c->n_restarts;
	s.head.keeper_pid = getpid();
	if (c->own_image && !c->use_own)
		(void)setenv(CHILD_MAY_DECLINE, "1", 1);
	else
		(void)unsetenv(CHILD_MAY_DECLINE);
	pid = spawn_agent(&s);
	if (pid > 0)
		c->link = take_fd(&ours);
	return pid;
}

/* From here on the program that we are: what is installed is missing, broken, or of another version. */
static bool turn_to_own(struct child *c)
{
	if (!c->own_image || c->use_own)
		return false;
	c->use_own = true;
	return true;
}

static void not_started(struct child *c, int error, uint64_t now_ms)
{
	const char *program = c->use_own ? c->own_image : c->program;
	bool own = turn_to_own(c);
	uint32_t delay_ms = own ? 0 : restart_failed(&c->restart);

	c->start_failed = true;
	c->start_due_ms = now_ms + delay_ms;
	log_error("agent.unstartable", "program=%s error=%s next=\"%s in %u ms\"", LOG_Q(program),
		  LOG_Q(strerror(error)), own ? "the keeper's own program" : "again", delay_ms);
}

void child_start(struct child *c)
{
	uint64_t now_ms = clock_now_ms();
	pid_t pid = spawn(c);

	if (pid < 0) {
		not_started(c, -pid, now_ms);
		return;
	}
	ONEBEAT_CRASH_POINT("keeper.agent.started");
	c->pid = pid;
	c->started_ms = now_ms;
	c->ready_ms = 0;
	c->can = 0;
	c->start_failed = false;
	c->start_due_ms = CLOCK_NEVER;
	log_info("agent.started", "pid=%d restarts=%u held=%u quarantine=%d", (int)pid,
		 c->n_restarts, c->held.n_held, restart_quarantine(&c->restart));
}

/* Takes over *fd if it is to be held. 0 or an errno for the answer. */
static uint16_t hold(struct child *c, const struct channel_msg *msg, int *fd)
{
	int r;

	if (*fd < 0)
		return EBADF;
	if (msg->kind < CHANNEL_DATA || msg->kind > CHANNEL_SETTINGS)
		return EINVAL;
	r = holdings_put(&c->held, (enum channel_kind)msg->kind, msg->id, *fd);
	if (r < 0)
		return (uint16_t)-r;
	(void)take_fd(fd);
	return 0;
}

static void answer_hold(struct child *c, const struct channel_msg *asked, uint16_t status)
{
	struct channel_msg msg = { .version = CHANNEL_VERSION,
				   .type = CHANNEL_HELD,
				   .kind = asked->kind,
				   .status = status,
				   .id = asked->id };

	if (status != 0)
		log_error("agent.unheld", "kind=%u id=%llu error=%s next=\"the agent is told\"",
			  msg.kind, (unsigned long long)msg.id, LOG_Q(strerror(status)));
	answers_push(&c->answers, &msg);
}

static void on_ready(struct child *c, uint64_t can)
{
	c->ready_ms = clock_now_ms();
	c->can = can;
	ONEBEAT_CRASH_POINT("keeper.ready.received");
	log_info("agent.ready", "pid=%d after_ms=%llu", (int)c->pid,
		 (unsigned long long)(c->ready_ms - c->started_ms));
}

static void on_message(struct child *c, const struct channel_msg *msg, int fd)
{
	CLEANUP(close_fdp) int mine = fd;

	switch (msg->type) {
	case CHANNEL_HOLD:
		ONEBEAT_CRASH_POINT("keeper.hold.received");
		answer_hold(c, msg, hold(c, msg, &mine));
		ONEBEAT_CRASH_POINT("keeper.hold.kept");
		break;
	case CHANNEL_DROP:
		ONEBEAT_CRASH_POINT("keeper.drop.received");
		(void)holdings_drop(&c->held, (enum channel_kind)msg->kind, msg->id);
		ONEBEAT_CRASH_POINT("keeper.drop.done");
		break;
	case CHANNEL_READY:
		on_ready(c, msg->id);
		break;
	case CHANNEL_ALIVE:
		c->alive = msg->id;
		break;
	case CHANNEL_UPGRADE:
		close_fdp(
			&c->asks_fd); /* one at a time is looked at: the earlier one sees the end */
		c->asks_fd = take_fd(&mine);
		break;
	case CHANNEL_RELOAD:
		close_fdp(&c->reload_fd);
		c->reload_fd = take_fd(&mine);
		c->asks_reload = true;
		break;
	case CHANNEL_LEFT:
		c->left = true;
		c->left_status = (int)(msg->id & 0xff);
		break;
	default:
		log_warning("agent.unknown", "type=%u next=\"ignored\"", msg->type);
	}
}

/* A message that cannot be taken as it is: an agent that waits for an answer gets one. */
static void refuse(struct child *c, const struct channel_msg *msg, int error)
{
	if (error != EBADMSG && msg->type == CHANNEL_HOLD)
		answer_hold(c, msg, (uint16_t)error);
	else
		log_error("agent.malformed", "error=%s next=\"message ignored\"",
			  LOG_Q(strerror(error)));
}

/* Reads one message. False when there is none now, or none will come (link is -1 then). */
static bool read_link(struct child *c)
{
	struct channel_msg msg;
	int fd = -1;
	int r = channel_receive(c->link, &msg, &fd, MSG_DONTWAIT);

	if (r == -EAGAIN)
		return false;
	if (r == 1)
		on_message(c, &msg, fd);
	else if (r == -EPROTO || r == -EMFILE || r == -EBADMSG)
		refuse(c, &msg, -r);
	else
		end_link(c);
	return c->link >= 0;
}

/* An agent that is not told of a lease leaves its client waiting: none is given up while somebody reads. */
static void send_answers(struct child *c)
{
	int r;

	if (c->link < 0 || c->answers.n_waiting == 0)
		return;
	c->answers_due_ms = CLOCK_NEVER;
	r = answers_send(&c->answers, c->link);
	if (r == -EPIPE || r == -ECONNRESET) {
		answers_clear(&c->answers); /* nobody reads them; the end shows when we read */
	} else if (r < 0 && r != -EAGAIN) {
		log_warning("agent.unanswered", "error=%s next=\"again in %u ms\"",
			    LOG_Q(strerror(-r)), ANSWERS_PAUSE_MS);
		c->answers_due_ms = clock_now_ms() + ANSWERS_PAUSE_MS;
	}
	ONEBEAT_CRASH_POINT("keeper.answered");
}

short child_events(const struct child *c)
{
	int events = answers_full(&c->answers) ? 0 : POLLIN;

	if (c->answers.n_waiting > 0 && c->answers_due_ms == CLOCK_NEVER)
		events |= POLLOUT;
	return (short)events;
}

void child_turn(struct child *c, uint64_t now_ms)
{
	if (now_ms >= c->answers_due_ms)
		send_answers(c);
}

void child_talk(struct child *c)
{
	for (int i = 0; i < BURST && !answers_full(&c->answers); i++) {
		if (!read_link(c))
			break;
	}
	send_answers(c);
}

static void order(struct child *c, enum channel_type type, uint64_t id)
{
	const struct channel_msg msg = { .version = CHANNEL_VERSION,
					 .type = (uint16_t)type,
					 .id = id };

	if (c->link < 0 || answers_full(&c->answers))
		return; /* it does not listen, and will be killed in the end */
	answers_push(&c->answers, &msg);
	send_answers(c);
}

void child_stop(struct child *c)
{
	order(c, CHANNEL_STOP, 0);
}

void child_ask(struct child *c, uint64_t number)
{
	order(c, CHANNEL_ASK, number);
}

bool child_reread(struct child *c)
{
	if (c->can & CHANNEL_CAN_REREAD)
		order(c, CHANNEL_REREAD, 0);
	return c->can & CHANNEL_CAN_REREAD;
}

void child_yield(struct child *c)
{
	c->yields = true;
	if (c->can & CHANNEL_CAN_YIELD)
		order(c, CHANNEL_YIELD, 0);
	else
		kill(c->pid,
		     SIGKILL); /* of an earlier release: it would say that it leaves for good */
}

static void log_death(const struct child *c, int how, uint64_t now_ms, const char *next)
{
	const char *what = WIFSIGNALED(how) ? "signal" : "status";

	log_warning("agent.died", "pid=%d %s=%d lived_ms=%llu next=%s", (int)c->pid, what,
		    WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how),
		    (unsigned long long)(now_ms - c->started_ms), LOG_Q(next));
}

static void read_rest(struct child *c)
{
	do {
		answers_clear(&c->answers);
	} while (c->link >= 0 && read_link(c));
	end_link(c);
}

static void plan_restart(struct child *c, int how, uint64_t now_ms)
{
	uint32_t delay_ms = restart_died(&c->restart, c->started_ms, c->ready_ms, now_ms);
	char next[120];
	bool own = c->ready_ms == 0 && WIFEXITED(how) && WEXITSTATUS(how) == CHILD_OTHER_VERSION &&
		   turn_to_own(c);

	c->start_due_ms = now_ms + delay_ms;
	c->n_restarts++;
	snprintf(next, sizeof(next), "started again in %u ms%s%s", delay_ms,
		 restart_quarantine(&c->restart) ? ", without the slot that it was adopting" : "",
		 own ? ", from the keeper's own program" : "");
	log_death(c, how, now_ms, next);
}

/* Its end was wanted. */
static void make_room(struct child *c, int how, uint64_t now_ms)
{
	c->start_due_ms = now_ms;
	if (WIFSIGNALED(how))
		log_death(c, how, now_ms, "another follows at once");
}

void child_died(struct child *c, int how, bool last)
{
	uint64_t now_ms;

	read_rest(c);
	now_ms = clock_now_ms(); /* it may only now be ready */
	if (!last && !c->left && c->yields)
		make_room(c, how, now_ms);
	else if (!last && !c->left)
		plan_restart(c, how, now_ms);
	else if (WIFSIGNALED(how))
		log_death(c, how, now_ms, "the keeper ends too");
	c->pid = 0;
	c->ready_ms = 0;
	c->yields = false;
}
