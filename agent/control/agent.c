/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent process
 *
 * The composition root: takes over what the keeper handed down, makes dom2Beat and the queues, and runs the three
 * threads. Watcher in the main thread, because its end is the process's end; sender and control in threads of
 * their own. They meet in dom2Beat (RCU), in two queues, and in calls carried to the owning thread; there is no
 * other shared state.
 *
 * End: stop or leave ends the watcher, which tells us the exit status; the keeper is told (CHANNEL_LEFT), and
 * nothing else is undone, because registrations are to stay or are gone already, unless another agent is to follow us. When the keeper is gone we
 * leave as we are: its successor's agent adopts by the journal.
 */
#include "control/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/channel.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/manifest.h"
#include <onebeat/crashpoint.h>
#include "control/address.h"
#include "control/events.h"
#include "control/registry_list.h"
#include "control/server.h"
#include "http/sender.h"
#include "segment/guard.h"
#include "segment/journal.h"
#include "segment/status_line.h"
#include "segment/watcher.h"

struct agent {
	const struct config *cfg;
	struct reload_options reload;
	bool follows_reload; /* the keeper has our settings, and knows what they are when we are ready */
	struct registry_list registries;
	struct manifest_head manifest;
	struct manifest_entry *entries;
	struct dom2beat map;
	struct beat_queue to_sender;
	struct beat_queue to_watcher;
	struct events *events;
	struct watcher *watcher;
	struct sender *sender;
	struct server *server;
	pthread_t sender_thread;
	pthread_t server_thread;
	bool sender_runs;
	bool server_runs;
	_Atomic uint64_t asked; /* the keeper's last question, answered by the sender's thread */
	char ip[46];
	char ip_error[CONFIG_ERROR_MAX];
};

static void on_event(void *ctx, const char *event, const struct descriptor *d, const char *text)
{
	static struct log_site refusals;
	struct agent *a = ctx;

	/* One who is refused without end must not push out what others would like to read. */
	if (strcmp(event, "refused") == 0 && !log_admits(&refusals))
		return;
	events_add(a->events, event, d, text);
}

static void on_progress(void *ctx, const struct beat *beat, const struct sender_progress *progress)
{
	struct agent *a = ctx;
	struct journal_progress rec = {
		.posted = progress->posted,
		.acked = progress->acked,
		.delete_attempted = progress->delete_attempted,
	};

	journal_failed(journal_put_progress(watcher_journal(a->watcher), beat->id, &rec),
		       "progress");
}

static void on_beaten(void *ctx, const struct dom2beat_node *node, uint64_t now_ms)
{
	(void)ctx;
	for (uint32_t i = 0; i < node->n_holders; i++) {
		if (node->holders[i].line)
			status_line_beat(node->holders[i].line, now_ms);
	}
}

static void on_due(void *ctx, const struct beat *beat, uint64_t due_ms)
{
	struct agent *a = ctx;

	journal_put_due(watcher_journal(a->watcher), beat->id, due_ms);
}

static void *run_sender(void *ctx)
{
	(void)prctl(PR_SET_NAME, "onebeat-sender"); /* for who looks at threads */
	rcu_register_thread();
	if (sender_run(ctx) < 0)
		_exit(1); /* an agent that cannot send is none: the keeper starts another */
	rcu_unregister_thread();
	return NULL;
}

static void *run_server(void *ctx)
{
	(void)prctl(PR_SET_NAME, "onebeat-control");
	rcu_register_thread();
	server_run(ctx);
	rcu_unregister_thread();
	return NULL;
}

static int entry_fd(const struct agent *a, enum channel_kind kind)
{
	for (uint32_t i = 0; i < a->manifest.n_entries; i++) {
		if (a->entries[i].kind == kind)
			return a->entries[i].fd;
	}
	return -1;
}

/* The link is the watcher's to read; any thread may send one message, which goes whole. */
static int tell_keeper(const struct agent *a, enum channel_type type, uint64_t id)
{
	struct channel_msg msg = { .version = CHANNEL_VERSION, .type = (uint16_t)type, .id = id };

	return channel_send(entry_fd(a, CHANNEL_LINK), &msg, -1);
}

static void say_alive(void *sender, void *ctx)
{
	struct agent *a = ctx;

	(void)sender;
	(void)tell_keeper(a, CHANNEL_ALIVE, atomic_load_explicit(&a->asked, memory_order_relaxed));
}

/*
 * By way of the sender: the answer then says that both threads go round, which is what beats hang on. Tools may
 * find the control thread busy; nobody's registration hangs on that.
 */
static void on_asked(void *ctx, uint64_t id)
{
	struct agent *a = ctx;

	atomic_store_explicit(&a->asked, id, memory_order_relaxed);
	calls_post(sender_calls(a->sender), say_alive, a);
}

/* For the control thread: reading may wait for name services. */
static void on_reread(void *ctx)
{
	struct agent *a = ctx;

	server_reload(a->server);
}

/* The machine is short of something just now. */
static bool is_passing(int r)
{
	return r == -EMFILE || r == -ENFILE || r == -ENOMEM || r == -ENOBUFS;
}

static int make_watcher(struct agent *a)
{
	const struct config *cfg = a->cfg;
	struct watcher_options o = {
		.runtime_dir = cfg->runtime_dir,
		.n_slots = cfg->slots,
		.registries = a->registries.watched,
		.n_registries = a->registries.n,
		.ip_error = a->ip_error,
		.listen_grace_ms = cfg->listen_grace_ms,
		.exec_grace_ms = cfg->exec_grace_ms,
		.force_pidfd_open = cfg->force_pidfd_open,
		.allow = &cfg->allow,
		.may_decline = getenv(AGENT_MAY_DECLINE) != NULL,
		.quotas = { .leases = cfg->leases,
			    .silent = cfg->silent_leases,
			    .hello_timeout_ms = cfg->hello_timeout_ms,
			    .messages_per_second = cfg->messages_per_second,
			    .updates_per_second = cfg->updates_per_second },
		.map = &a->map,
		.to_sender = &a->to_sender,
		.to_watcher = &a->to_watcher,
		.manifest = &a->manifest,
		.entries = a->entries,
		.event = on_event,
		.event_ctx = a,
		.asked = on_asked,
		.asked_ctx = a,
		.reread = on_reread,
		.reread_ctx = a,
	};
	int r;

	r = address_choose(cfg, a->ip, a->ip_error);
	if (r == 0)
		o.ip = a->ip;
	else if (is_passing(r))
		return r; /* this agent would refuse for good what the next one can serve */
	else
		log_warning("address.none", "error=%s next=\"instances must bring their own\"",
			    LOG_Q(a->ip_error));
	return watcher_new(&a->watcher, &o);
}

static int make_sender(struct agent *a)
{
	struct sender_options o = {
		.registries = a->registries.sent,
		.n_registries = a->registries.n,
		.to_sender = &a->to_sender,
		.to_watcher = &a->to_watcher,
		.progress = on_progress,
		.beaten = on_beaten,
		.due = on_due,
		.ctx = a,
	};

	return sender_new(&a->sender, &o);
}

static int make_server(struct agent *a, uint64_t started_ms)
{
	struct server_options o = {
		.listen_fd = entry_fd(a, CHANNEL_CONTROL),
		.keeper_fd = entry_fd(a, CHANNEL_LINK),
		.watcher = a->watcher,
		.sender = a->sender,
		.map = &a->map,
		.events = a->events,
		.reload = &a->reload,
		.started_ms = started_ms,
		.keeper_pid = a->manifest.keeper_pid,
		.n_restarts = a->manifest.n_restarts,
	};

	return server_new(&a->server, &o);
}

static int make_all(struct agent *a)
{
	int r = guard_install();

	registry_list_fill(&a->registries, a->cfg);
	if (r == 0)
		r = dom2beat_init(&a->map);
	if (r == 0)
		r = beat_queue_init(&a->to_sender);
	if (r == 0)
		r = beat_queue_init(&a->to_watcher);
	if (r == 0)
		r = events_new(&a->events);
	if (r == 0)
		r = make_watcher(a);
	if (r == 0)
		r = make_sender(a);
	if (r == 0)
		r = make_server(a, clock_now_ms());
	return r;
}

static int start_threads(struct agent *a)
{
	int r = pthread_create(&a->sender_thread, NULL, run_sender, a->sender);

	if (r != 0)
		return -r;
	a->sender_runs = true;
	r = pthread_create(&a->server_thread, NULL, run_server, a->server);
	if (r != 0)
		return -r;
	a->server_runs = true;
	return 0;
}

static void stop_threads(struct agent *a)
{
	if (a->server_runs) {
		server_stop(a->server);
		pthread_join(a->server_thread, NULL);
	}
	if (a->sender_runs) {
		sender_stop(a->sender);
		pthread_join(a->sender_thread, NULL);
	}
}

/*
 * What we run with, for who follows us: the files may be changed and wrong by then. A keeper that does not take it
 * leaves them the files.
 */
static int keep_settings(const struct agent *a)
{
	const struct channel_msg hold = { .version = CHANNEL_VERSION,
					  .type = CHANNEL_HOLD,
					  .kind = CHANNEL_SETTINGS };
	CLEANUP(close_fdp) int fd = -1;

	if (a->follows_reload)
		return 0;
	fd = reload_settings(a->cfg);
	return fd < 0 ? fd : channel_send(a->reload.keeper_fd, &hold, fd);
}

static int work(struct agent *a)
{
	int r = make_all(a);

	if (r == 0)
		r = start_threads(a);
	if (r == 0)
		r = keep_settings(a);
	if (r == 0)
		r = tell_keeper(a, CHANNEL_READY, CHANNEL_CAN_YIELD | CHANNEL_CAN_REREAD);
	if (r < 0) {
		log_error("agent.start", "error=%s", LOG_Q(strerror(-r)));
		_exit(r == -EPROTO
			      ? AGENT_OTHER_VERSION
			      : 1); /* threads may run already and wait for us; the keeper starts another */
	}
	ONEBEAT_CRASH_POINT("agent.ready.said");
	r = watcher_run(a->watcher);
	if (r == -EPIPE)
		_exit(1); /* no keeper: at once, before another agent begins to send */
	ONEBEAT_CRASH_POINT("agent.stop.begun");
	stop_threads(a);
	ONEBEAT_CRASH_POINT("agent.end");
	if (r == WATCHER_YIELDS)
		return 0; /* that is all: who follows is the keeper's affair */
	(void)tell_keeper(a, CHANNEL_LEFT, r < 0 ? 1 : (uint64_t)r);
	ONEBEAT_CRASH_POINT("agent.stop.left_said");
	return r < 0 ? 1 : r;
}

int agent_settings(int manifest_fd)
{
	CLEANUP(free_p) struct manifest_entry *entries = NULL;
	int copy = fcntl(manifest_fd, F_DUPFD_CLOEXEC, 0); /* the reader closes it */
	const struct manifest_entry *best = NULL;
	struct manifest_head head;

	if (copy < 0 || manifest_read(copy, &head, &entries) < 0)
		return -1;
	for (uint32_t i = 0; i < head.n_entries; i++) {
		if (entries[i].kind == CHANNEL_SETTINGS && (!best || entries[i].id > best->id))
			best = &entries[i];
	}
	return best ? best->fd : -1;
}

/* They have been read: the watcher would give up at the keeper what it does not know. */
static void close_settings(struct agent *a)
{
	for (uint32_t i = 0; i < a->manifest.n_entries; i++) {
		if (a->entries[i].kind != CHANNEL_SETTINGS)
			continue;
		a->follows_reload |= a->entries[i].id > 0;
		close_fdp(&a->entries[i].fd);
	}
}

int agent_run(const struct config *cfg, const struct reload_source *source, int manifest_fd)
{
	static struct agent a;
	int r;

	a.cfg = cfg;
	r = manifest_read(manifest_fd, &a.manifest, &a.entries);
	if (r < 0) {
		log_error("agent.manifest", "error=%s", LOG_Q(strerror(-r)));
		return r == -EPROTO ? AGENT_OTHER_VERSION : 1;
	}
	close_settings(&a);
	a.reload = (struct reload_options){ .cfg = cfg,
					    .source = *source,
					    .map = &a.map,
					    .keeper_fd = entry_fd(&a, CHANNEL_LINK) };
	rcu_register_thread();
	r = work(&a);
	/* The process ends here: what the threads made is given back by the kernel, all at once. */
	rcu_unregister_thread();
	return r;
}
