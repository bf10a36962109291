/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile or broken agent, seen from the library: libclient/messages.c, grant.c, segment_map.c and the calls.
 *
 * The input is a script of steps: messages to the library, files to go with them, calls of the program between
 * them. Every call answers with a code that the table knows, within its time; in the end no descriptor is left
 * over. A segment that the agent passes is written to by the library: it is checked that nothing outside of it is.
 */
#include <err.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include <onebeat/lease.h>
#include <onebeat/onebeat.h>

#define N_SMALL 14u
#define N_LARGE 2u
#define LARGE_OFFSET (ONEBEAT_BLOCKS_OFFSET + ONEBEAT_BLOCKS_ALIGN)
#define DATA_SIZE (LARGE_OFFSET + N_LARGE * 2 * ONEBEAT_LARGE_BLOCK)
#define STATUS_SIZE                                        \
	((uint32_t)(sizeof(struct onebeat_status_header) + \
		    (N_SMALL + N_LARGE) * sizeof(struct onebeat_status_line)))
#define STEPS_MAX 24
#define FDS_LOOKED_AT 128

static char dir[] = "/tmp/onebeat-fuzz-XXXXXX";
static int listener = -1;

static void remove_dir(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/client.sock", dir);
	unlink(path);
	rmdir(dir);
}

static void make_listener(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (!mkdtemp(dir))
		err(1, "%s", dir);
	atexit(remove_dir);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/client.sock", dir);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 8) < 0)
		err(1, "%s", address.sun_path);
}

/* The files of a segment; bytes of its header as the input wants them. */
static void make_segment(struct fuzz_input *in, int fds[2])
{
	struct onebeat_status_header h = {
		.magic = ONEBEAT_SEGMENT_MAGIC,
		.byte_order = ONEBEAT_SEGMENT_BYTE_ORDER,
		.major = ONEBEAT_SEGMENT_MAJOR,
		.header_size = sizeof(h),
		.line_size = sizeof(struct onebeat_status_line),
		.n_small = N_SMALL,
		.n_large = N_LARGE,
		.small_offset = ONEBEAT_BLOCKS_OFFSET,
		.large_offset = LARGE_OFFSET,
		.data_size = DATA_SIZE,
		.status_size = STATUS_SIZE,
		.ready = 1,
	};
	uint8_t n_spoilt = fuzz_byte(in) % 4;

	for (uint8_t i = 0; i < n_spoilt; i++) {
		uint8_t at = fuzz_byte(in);

		if (at < offsetof(struct onebeat_status_header, reserved1) - sizeof(uint32_t))
			fuzz_take(in, (uint8_t *)&h + at, sizeof(uint32_t));
	}
	fds[0] = memfd_create("data", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	fds[1] = memfd_create("status", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	FUZZ_CHECK(fds[0] >= 0 && fds[1] >= 0);
	FUZZ_CHECK(ftruncate(fds[0], DATA_SIZE) == 0 && ftruncate(fds[1], STATUS_SIZE) == 0);
	FUZZ_CHECK(pwrite(fds[1], &h, sizeof(h), 0) == (ssize_t)sizeof(h));
	FUZZ_CHECK(fcntl(fds[0], F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
	FUZZ_CHECK(fcntl(fds[1], F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
}

static void say(int agent, void *message, size_t size, const int *fds, size_t n_fds)
{
	union {
		char room[CMSG_SPACE(sizeof(int) * 12)];
		struct cmsghdr align;
	} control = { .room = { 0 } };
	struct iovec iov = { message, size };
	struct msghdr head = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds > 0) {
		struct cmsghdr *c;

		head.msg_control = control.room;
		head.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c = CMSG_FIRSTHDR(&head);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	(void)sendmsg(agent, &head, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A grant as the input wants it, but of a slot that may exist. */
static struct onebeat_grant grant(struct fuzz_input *in)
{
	struct onebeat_grant g = { .slot = fuzz_byte(in), .generation = fuzz_byte(in) };

	if (g.slot == 0xff)
		g.slot = fuzz_word(in);
	g.class = g.slot < N_SMALL ? ONEBEAT_CLASS_SMALL : ONEBEAT_CLASS_LARGE;
	g.version = fuzz_byte(in) % 4;
	g.cookie = fuzz_byte(in) % 8;
	return g;
}

static void welcome(struct fuzz_input *in, int agent)
{
	struct onebeat_welcome m = { .msg = { ONEBEAT_LEASE_MAGIC, ONEBEAT_MSG_WELCOME, sizeof(m) },
				     .major = ONEBEAT_SEGMENT_MAJOR };
	int fds[2];

	make_segment(in, fds);
	m.grants[0] = grant(in);
	m.grants[1] = grant(in);
	say(agent, &m, sizeof(m), fds, fuzz_byte(in) == 0xee ? 1 : 2);
	close(fds[0]);
	close(fds[1]);
}

static void refuse(struct fuzz_input *in, int agent)
{
	struct onebeat_refused m = { .msg = { ONEBEAT_LEASE_MAGIC, ONEBEAT_MSG_REFUSED, sizeof(m) },
				     .cookie = fuzz_byte(in) % 8,
				     .reason = fuzz_byte(in) % 8 };

	fuzz_take(in, m.text, sizeof(m.text)); /* need not end */
	say(agent, &m, sizeof(m), NULL, 0);
}

/* Whatever the input has, with up to 12 descriptors of no use. */
static void babble(struct fuzz_input *in, int agent)
{
	uint8_t message[300];
	size_t size = fuzz_byte(in) + (size_t)(fuzz_byte(in) & 1) * 44;
	int fds[12];
	uint8_t n_fds = fuzz_byte(in);

	fuzz_take(in, message, size);
	for (size_t i = 0; i < 12; i++)
		fds[i] = listener;
	say(agent, message, size, fds, n_fds > 240 ? n_fds % 13 : 0);
}

static void send_step(struct fuzz_input *in, int agent, uint8_t step)
{
	struct onebeat_granted granted = { .msg = { ONEBEAT_LEASE_MAGIC, ONEBEAT_MSG_GRANT,
						    sizeof(granted) } };

	switch (step % 5) {
	case 0:
		welcome(in, agent);
		break;
	case 1:
		granted.grant = grant(in);
		say(agent, &granted, sizeof(granted), NULL, 0);
		break;
	case 2:
		refuse(in, agent);
		break;
	case 3:
		babble(in, agent);
		break;
	default:
		shutdown(agent, SHUT_WR);
	}
}

struct program {
	struct onebeat *ob;
	struct onebeat_instance *inst;
	struct onebeat_metadata pairs[20]; /* enough for a large slot */
};

static void check_code(int r)
{
	FUZZ_CHECK(r >= 0 || strcmp(onebeat_strerror(r), onebeat_strerror(-9999)) != 0);
}

static void check_status(const struct program *p)
{
	struct onebeat_report report = { .size = sizeof(report) };

	check_code(onebeat_status(p->inst, &report));
	FUZZ_CHECK(memchr(report.ip, '\0', sizeof(report.ip)));
	FUZZ_CHECK(memchr(report.text, '\0', sizeof(report.text)));
}

static void call_step(struct fuzz_input *in, struct program *p, uint8_t step)
{
	struct onebeat_spec spec = onebeat_spec_init();

	spec.service = "orders";
	spec.port = 8080;
	spec.metadata = p->pairs;
	spec.n_metadata = step & 0x40 ? 20 : 0;
	spec.weight = fuzz_byte(in);
	switch (step % 6) {
	case 0:
		check_code(onebeat_attend(p->ob));
		break;
	case 1:
		if (!p->inst)
			check_code(onebeat_register(p->ob, &spec, &p->inst));
		break;
	case 2:
		if (p->inst)
			check_code(onebeat_update(p->inst, &spec));
		break;
	case 3:
		if (p->inst)
			check_code(onebeat_set_status(p->inst, ONEBEAT_STATE_DOWN));
		break;
	case 4:
		if (p->inst)
			check_code(onebeat_deregister(p->inst));
		p->inst = NULL;
		break;
	default:
		if (p->inst) {
			onebeat_tick(p->inst);
			check_status(p);
		}
	}
}

static int count_open(void)
{
	int n = 0;

	for (int fd = 0; fd < FDS_LOOKED_AT; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void run(struct fuzz_input *in, struct program *p)
{
	struct onebeat_options o = onebeat_options_init();
	int agent = -1;

	o.runtime_dir = dir;
	o.timeout_ms = 0;
	o.max_instances = 2;
	FUZZ_CHECK(onebeat_open(&p->ob, &o) == 0);
	for (int i = 0; i < STEPS_MAX && in->left > 0; i++) {
		uint8_t step = fuzz_byte(in);

		if (agent < 0)
			agent = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (step & 0x80)
			call_step(in, p, step);
		else if (agent >= 0)
			send_step(in, agent, step);
	}
	check_code(onebeat_close(p->ob));
	if (agent >= 0)
		close(agent);
	while ((agent = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(agent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char value[60];
	static char keys[20][4];
	struct fuzz_input in = { data, size };
	struct program p = { 0 };
	int n_open;

	if (listener < 0)
		make_listener();
	memset(value, 'v', sizeof(value) - 1);
	for (unsigned int i = 0; i < 20; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%u", i);
		p.pairs[i] = (struct onebeat_metadata){ keys[i], value };
	}
	n_open = count_open();
	run(&in, &p);
	FUZZ_CHECK(count_open() == n_open);
	return 0;
}
