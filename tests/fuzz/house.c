/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/house.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "beat/beat.h"
#include "fuzz/fuzz.h"

#define TURNS_MAX 8

static struct house *built;

static void path_of(const struct house *h, const char *name, char path[108])
{
	snprintf(path, 108, "%s/%s", h->dir, name);
}

static void remove_file(const struct house *h, const char *name)
{
	char path[108];

	path_of(h, name, path);
	unlink(path);
}

static void pull_down(void)
{
	remove_file(built, ONEBEAT_CLIENT_SOCKET);
	remove_file(built, "journal");
	rmdir(built->dir);
}

static void address_of(const struct house *h, struct sockaddr_un *out)
{
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	path_of(h, ONEBEAT_CLIENT_SOCKET, out->sun_path);
}

void house_build(struct house *h)
{
	struct sockaddr_un address;

	*h = (struct house){ .dir = "/dev/shm/onebeat-fuzz-XXXXXX", .keeper = -1 };
	if (!mkdtemp(h->dir))
		err(1, "%s", h->dir);
	built = h;
	atexit(pull_down);
	address_of(h, &address);
	h->clients = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(h->clients, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(h->clients, 64) < 0)
		err(1, "%s", address.sun_path);
	/* Every refusal is a line: an input would write thousands. */
	log_set_level(LOG_LEVEL_ERROR);
	rcu_register_thread();
	if (dom2beat_init(&h->map) < 0 || beat_queue_init(&h->to_sender) < 0 ||
	    beat_queue_init(&h->to_watcher) < 0)
		errx(1, "no memory");
}

static void no_event(void *ctx, const char *event, const struct descriptor *d, const char *text)
{
	(void)ctx;
	(void)event;
	(void)d;
	(void)text;
}

/* The agent inherits duplicates, as by fork. */
static void write_manifest(struct house *h, int link)
{
	uint32_t n = 0;

	h->entries[n++] = (struct manifest_entry){ .kind = CHANNEL_LINK, .fd = link };
	h->entries[n++] = (struct manifest_entry){ .kind = CHANNEL_CLIENTS,
						   .fd = fcntl(h->clients, F_DUPFD_CLOEXEC, 3) };
	for (uint32_t i = 0; i < h->n_held; i++) {
		h->entries[n] = h->held[i];
		h->entries[n++].fd = fcntl(h->held[i].fd, F_DUPFD_CLOEXEC, 3);
	}
	h->manifest = (struct manifest_head){ .n_entries = n };
}

int house_try(struct house *h)
{
	static const struct allow everything;
	static const struct watcher_registry registry = { .name = "default",
							  .namespace_id = "public" };
	struct watcher_options o = {
		.runtime_dir = h->dir,
		.n_slots = HOUSE_N_SLOTS,
		.registries = &registry,
		.n_registries = 1,
		.ip = "10.0.0.1",
		.listen_grace_ms = 5000,
		.exec_grace_ms = 10000,
		.quotas = { .leases = HOUSE_HELD_MAX,
			    .silent = HOUSE_HELD_MAX,
			    .hello_timeout_ms = 10000 },
		.allow = &everything,
		.map = &h->map,
		.to_sender = &h->to_sender,
		.to_watcher = &h->to_watcher,
		.manifest = &h->manifest,
		.entries = h->entries,
		.event = no_event,
	};
	int link[2];
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, link) < 0)
		return -errno;
	h->keeper = link[0];
	write_manifest(h, link[1]);
	r = h->entries[1].fd < 0 ? -errno : watcher_new(&h->watcher, &o);
	if (r < 0) {
		close(h->keeper);
		/* What it had not come to take over; the rest are closed already. */
		for (uint32_t i = 0; i < h->manifest.n_entries; i++)
			close(h->entries[i].fd);
	}
	return r;
}

void house_start(struct house *h)
{
	FUZZ_CHECK(house_try(h) == 0);
}

static void let_go(struct house *h, uint32_t kind, uint64_t id)
{
	for (uint32_t i = 0; i < h->n_held; i++) {
		if (h->held[i].kind != kind || h->held[i].id != id)
			continue;
		close(h->held[i].fd);
		h->held[i] = h->held[--h->n_held];
		return;
	}
}

static void take_hold(struct house *h, const struct channel_msg *msg, int fd)
{
	struct channel_msg held = *msg;

	FUZZ_CHECK(fd >= 0);
	held.type = CHANNEL_HELD;
	held.status = h->n_held == HOUSE_HELD_MAX ? ENFILE : h->hold_status;
	if (held.status == 0)
		h->held[h->n_held++] = (struct manifest_entry){ .kind = msg->kind,
								.fd = fd,
								.id = msg->id };
	else
		close(fd);
	FUZZ_CHECK(channel_send(h->keeper, &held, -1) == 0);
}

/* Whether there was anything. */
static bool turn_keeper(struct house *h)
{
	struct channel_msg msg;
	bool any = false;
	int fd;

	while (channel_receive(h->keeper, &msg, &fd, MSG_DONTWAIT) == 1) {
		any = true;
		if (msg.type == CHANNEL_HOLD)
			take_hold(h, &msg, fd);
		else if (msg.type == CHANNEL_DROP)
			let_go(h, msg.kind, msg.id);
	}
	return any;
}

static bool turn_sender(struct house *h)
{
	struct beat *beat;
	bool any = false;

	beat_queue_drain_event(&h->to_sender);
	while ((beat = beat_pop_to_sender(&h->to_sender))) {
		uint32_t want = atomic_load(&beat->want_version);

		atomic_store(&beat->acked, want);
		atomic_store(&beat->state, want ? MACHINE_UP : MACHINE_GONE);
		beat_push_to_watcher(&h->to_watcher, beat, want == 0);
		any = true;
	}
	return any;
}

/* STOP makes it return after one turn; what else is ready is served in the same turn. */
static void turn_watcher(struct house *h)
{
	const struct channel_msg stop = { .version = CHANNEL_VERSION, .type = CHANNEL_STOP };

	h->watcher->running = true;
	FUZZ_CHECK(channel_send(h->keeper, &stop, -1) == 0);
	FUZZ_CHECK(watcher_run(h->watcher) == 0);
}

void house_turn(struct house *h)
{
	bool any = true;

	turn_watcher(h); /* accepts */
	for (int i = 0; i < TURNS_MAX && any; i++) {
		turn_watcher(h);
		any = turn_keeper(h);
		any = turn_sender(h) || any;
	}
	turn_watcher(h);
}

void house_crash(struct house *h)
{
	bool returned;

	h->watcher = watcher_free(h->watcher);
	close(h->keeper);
	while (beat_pop_to_sender(&h->to_sender))
		;
	while (beat_pop_to_watcher(&h->to_watcher, &returned))
		;
	/* The dead agent's memory is gone; here it has to be given back. */
	dom2beat_deinit(&h->map);
	FUZZ_CHECK(dom2beat_init(&h->map) == 0);
}

static void has_left(void *ctx, uint32_t n_deregistered, uint32_t n_failed)
{
	(void)n_deregistered;
	FUZZ_CHECK(n_failed == 0);
	*(bool *)ctx = true;
}

void house_leave(struct house *h)
{
	bool left = false;

	watcher_leave(h->watcher, 1000, has_left, &left);
	for (int i = 0; i < TURNS_MAX && !left; i++)
		house_turn(h);
	FUZZ_CHECK(left && h->watcher->instances.n_used == 0);
	FUZZ_CHECK(h->map.size == 0);
	h->watcher = watcher_free(h->watcher);
	close(h->keeper);
	while (h->n_held > 0)
		let_go(h, h->held[0].kind, h->held[0].id);
	remove_file(h, "journal");
}

int house_connect(const struct house *h)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	address_of(h, &address);
	FUZZ_CHECK(fd >= 0);
	FUZZ_CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}
