/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every module of the agent is made with its first, its second, its n-th call of each kind failing, until none
 * fails any more: it says so with the code of what failed, or does without; and nothing is left behind, no
 * descriptor and no memory.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/config.h"
#include "control/server.h"
#include "fuzz/house.h"
#include "http/framing.h"
#include "http/sender.h"
#include "keeper/runtime_dir.h"
#include "lib/fault/fault.h"
#include "lib/journal_dir.h"

#define FDS_LOOKED_AT 200
#define N_MAX 2000u /* no module makes so many calls */

static struct house house;

/* Makes it, uses it as far as it can fail, and ends it. 0 or the negative errno that it was told. */
typedef int (*attempt_fn)(void);

static int count_open(void)
{
	int n = 0;

	for (int fd = 0; fd < FDS_LOOKED_AT; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Some refuse what their callers named with a code of their own, and a sentence. */
static bool is_truthful(int r, enum fault_kind kind)
{
	return r == 0 || r == -fault_error(kind);
}

/* False: it was not reached, there are fewer calls. */
static bool attempt_with(attempt_fn attempt, enum fault_kind kind, unsigned int n)
{
	const int n_open = count_open();
	const long n_blocks = fault_n_blocks();
	bool failed;
	int r;

	fault_arm(kind, n);
	r = attempt();
	failed = fault_disarm();
	cr_expect(failed ? is_truthful(r, kind) : r == 0, "%s %u: %d", fault_name(kind), n, r);
	cr_expect_eq(count_open(), n_open, "%s %u: descriptors are left", fault_name(kind), n);
	cr_expect_eq(fault_n_blocks(), n_blocks, "%s %u: %ld blocks are left", fault_name(kind), n,
		     fault_n_blocks() - n_blocks);
	return failed;
}

/* How many calls were made to fail. */
static unsigned int sweep(attempt_fn attempt)
{
	unsigned int n_failed = 0;

	/* What is made once a process, by libc or liburcu, is made now. */
	cr_assert_eq(attempt(), 0);
	for (int kind = 0; kind < FAULT_N; kind++) {
		unsigned int n = 1;

		while (n < N_MAX && attempt_with(attempt, (enum fault_kind)kind, n))
			n++;
		cr_assert_lt(n, N_MAX);
		n_failed += n - 1;
	}
	cr_expect_gt(n_failed, 0, "nothing could fail");
	return n_failed;
}

static void nothing(void *ctx, uint32_t events)
{
	(void)ctx;
	(void)events;
}

static int attempt_loop(void)
{
	uint64_t watch;
	struct loop loop;
	int r = loop_init(&loop);

	if (r == 0)
		r = loop_add(&loop, STDIN_FILENO, 0, nothing, NULL, &watch);
	if (r == -EPERM) /* a file */
		r = 0;
	loop_deinit(&loop);
	return r;
}

Test(fault_init, loop)
{
	sweep(attempt_loop);
}

static int attempt_queues(void)
{
	struct beat_queue queue = BEAT_QUEUE_NULL;
	struct calls calls = { .event_fd = -1 };
	struct events *events = NULL;
	int r = beat_queue_init(&queue);

	if (r == 0)
		r = calls_init(&calls);
	if (r == 0)
		r = events_new(&events);
	events_free(events);
	calls_deinit(&calls);
	beat_queue_deinit(&queue);
	return r;
}

Test(fault_init, queues_calls_and_events)
{
	sweep(attempt_queues);
}

static int attempt_memory(void)
{
	struct memory m;
	int r = memory_create(&m, 40);

	if (r == 0)
		r = memory_slot_open(&m, 0, 1);
	if (r == 0)
		r = memory_slot_open(&m, 39, 1);
	memory_deinit(&m);
	return r;
}

Test(fault_init, memory_of_a_segment)
{
	sweep(attempt_memory);
}

static int attempt_domain(void)
{
	struct domain *d;
	int r = domain_new(&d, 0, 0, 40);

	errno = 0;
	if (r == 0 && !domain_grant(d, ONEBEAT_CLASS_LARGE))
		r = -errno;
	domain_free(d);
	return r;
}

Test(fault_init, domain)
{
	sweep(attempt_domain);
}

static int attempt_journal(void)
{
	const struct journal_slot slot = { .generation = 1 };
	const struct journal_lease lease = { .pid = 1 };
	struct journal *journal;
	int r = journal_open(&journal, dir, 40);

	if (r >= 0)
		r = journal_put_lease(journal, 0, &lease);
	if (r == 0)
		r = journal_put_slot(journal, 1, 0, &slot);
	journal_close(journal);
	unlink(path);
	return r < 0 ? r : 0;
}

Test(fault_init, journal)
{
	journal_dir_init(40);
	sweep(attempt_journal);
	journal_dir_deinit();
}

static int attempt_framing(void)
{
	static const char bytes[] = "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok";
	struct framing_reply reply;
	struct framing *framing;
	size_t consumed;
	int r = framing_new(&framing);

	if (r == 0)
		r = framing_feed(framing, bytes, sizeof(bytes) - 1, &consumed, &reply);
	framing_free(framing);
	return r == FRAMING_REPLY ? 0 : r;
}

Test(fault_init, framing)
{
	sweep(attempt_framing);
}

static int attempt_config(void)
{
	char error[CONFIG_ERROR_MAX];
	struct config cfg;
	int r = config_load(&cfg, path, error);

	cr_expect((r == 0) == (error[0] == '\0'), "a refusal without a sentence");
	if (r == 0)
		r = config_set(&cfg, "agent", "slots", "64", "--slots", error);
	config_deinit(&cfg);
	return r;
}

Test(fault_init, configuration)
{
	FILE *file;

	journal_dir_init(40);
	file = fopen(path, "w");
	cr_assert_not_null(file);
	fputs("[agent]\nip = 10.0.0.1\n[registry one]\nurl = http://a, http://b:80/c\n", file);
	fclose(file);
	sweep(attempt_config);
	journal_dir_deinit();
}

static int attempt_manifest(void)
{
	const struct manifest_entry entry = { .kind = CHANNEL_LINK, .fd = 3 };
	const struct manifest_head head = { .n_entries = 1 };
	struct manifest_head read;
	struct manifest_entry *entries = NULL;
	int fd = manifest_write(&head, &entry);
	int r = fd < 0 ? fd : manifest_read(fd, &read, &entries);

	free(entries);
	return r;
}

Test(fault_init, manifest)
{
	sweep(attempt_manifest);
}

static int attempt_channel(void)
{
	const struct channel_msg msg = { .version = CHANNEL_VERSION, .type = CHANNEL_HOLD };
	struct channel_msg got;
	int fds[2], fd = -1;
	int r = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0 ? -errno : 0;

	if (r < 0)
		return r;
	r = channel_send(fds[0], &msg, fds[0]);
	if (r == 0)
		r = channel_receive(fds[1], &got, &fd, MSG_DONTWAIT);
	if (fd >= 0)
		close(fd);
	close(fds[0]);
	close(fds[1]);
	return r < 0 ? r : 0;
}

Test(fault_init, channel)
{
	sweep(attempt_channel);
}

static int attempt_watcher(void)
{
	int r = house_try(&house);

	if (r == 0) {
		house.watcher = watcher_free(house.watcher);
		close(house.keeper);
	}
	return r;
}

Test(fault_init, watcher)
{
	house_build(&house);
	cr_expect_gt(sweep(attempt_watcher), 10);
}

static int attempt_sender(void)
{
	static const char *const urls[] = { "http://127.0.0.1:1", "http://[::1]:1" };
	const struct sender_registry_options registries[] = {
		{ .name = "east", .urls = urls, .n_urls = 2, .context = "", .beat_connections = 2 },
		{ .name = "west", .urls = urls, .n_urls = 1, .context = "/nacos" },
		{ .name = "north",
		  .endpoint = "https://127.0.0.1:1/list",
		  .snapshot = "/nowhere/servers" },
	};
	const struct sender_options o = {
		.registries = registries,
		.n_registries = 3,
		.to_sender = &house.to_sender,
		.to_watcher = &house.to_watcher,
	};
	struct sender *sender;
	int r = sender_new(&sender, &o);

	cr_expect((r == 0) == (sender != NULL));
	sender_free(sender);
	return r;
}

Test(fault_init, sender)
{
	house_build(&house);
	cr_expect_gt(sweep(attempt_sender), 5);
}

static int attempt_server(void)
{
	struct server_options o = { .map = NULL };
	struct server *server = NULL;
	int fds[2];
	int r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 ? -errno : 0;

	if (r < 0)
		return r;
	o.listen_fd = fds[0];
	r = events_new(&o.events);
	if (r == 0)
		r = server_new(&server, &o);
	cr_expect((r == 0) == (server != NULL));
	server_free(server);
	events_free(o.events);
	close(fds[0]);
	close(fds[1]);
	return r;
}

Test(fault_init, control_server)
{
	cr_expect_gt(sweep(attempt_server), 5);
}

static int attempt_runtime_dir(void)
{
	struct runtime_dir rd = RUNTIME_DIR_NULL;
	struct activation given = ACTIVATION_NULL;
	char why[RUNTIME_DIR_WHY_MAX] = "";
	pid_t holder;
	int r = runtime_dir_take(&rd, dir, &holder, why);

	if (r == 0)
		r = runtime_dir_bind(&rd, &given, why);
	cr_expect(r == 0 || why[0], "a refusal without a sentence");
	runtime_dir_deinit(&rd);
	return r;
}

Test(fault_init, runtime_dir)
{
	journal_dir_init(40);
	sweep(attempt_runtime_dir);
	journal_dir_deinit();
}

/* The sweep itself: it sees a leak, and a lie. */
static void *leaked;

static int attempt_leak(void)
{
	int fd;

	leaked = malloc(1);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -EINVAL;
	close(fd);
	free(leaked);
	return 0;
}

Test(fault_init, sweep_sees_leak_and_lie)
{
	long n_blocks = fault_n_blocks();

	fault_arm(FAULT_OPEN, 1);
	cr_assert_eq(attempt_leak(), -EINVAL);
	cr_assert(fault_disarm());
	cr_assert_eq(fault_n_blocks(), n_blocks + 1);
	cr_assert_not(is_truthful(-EINVAL, FAULT_OPEN));
	free(leaked);
}
