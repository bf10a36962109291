/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stand-in for the agent, within the test's process
 *
 * One thread waits for connections and messages; the test's own thread gives orders and looks. Both hold
 * the one lock while they act. Messages are judged by lease.h alone, so that library and agent are held
 * against a third reading of it. What is withheld is kept in the order of arrival and answered later.
 */
#include "lib/standin_agent.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/standin_message.h"

#define LEASES_MAX 64
#define WITHHELD_MAX 256

struct withheld {
	int lease;
	union standin_message message;
};

struct standin_agent {
	pthread_t thread;
	pthread_mutex_t lock; /* of all below */
	int listener;
	int wake;
	int leases[LEASES_MAX]; /* -1: ended */
	int n_leases;
	struct standin_slots slots;
	struct standin_agent_counts counts;
	bool stopping;
	bool slow;
	bool ahead;
	enum onebeat_reason refusal;
	struct withheld *withheld;
	uint32_t n_withheld;
};

static void end_lease(struct standin_agent *a, int lease)
{
	if (a->leases[lease] < 0)
		return;
	close(a->leases[lease]);
	a->leases[lease] = -1;
	a->counts.n_open--;
}

/* A grant with the descriptor published in it, when there is one; false: refused. */
static bool grant_with(struct standin_agent *a, int lease, enum onebeat_class class,
		       uint32_t cookie, const uint32_t *payload, uint32_t length,
		       struct onebeat_grant *out)
{
	bool granted = standin_slots_grant(&a->slots, lease, class, out);

	out->cookie = cookie;
	if (granted && length > 0)
		standin_slots_publish(&a->slots, out, payload, length);
	return granted;
}

static enum onebeat_class class_for(uint32_t length)
{
	return length <= ONEBEAT_SMALL_PAYLOAD ? ONEBEAT_CLASS_SMALL : ONEBEAT_CLASS_LARGE;
}

static void on_hello(struct standin_agent *a, int lease, const struct onebeat_hello *m)
{
	struct onebeat_welcome w = {
		.grants = { { .slot = ONEBEAT_NO_SLOT }, { .slot = ONEBEAT_NO_SLOT } },
	};

	if (a->refusal) {
		standin_message_refused(a->leases[lease], a->refusal, m->cookie);
		end_lease(a, lease);
		return;
	}
	w.grants[0].cookie = m->cookie;
	if (m->length > 0)
		(void)grant_with(a, lease, class_for(m->length), m->cookie, m->descriptor,
				 m->length, &w.grants[0]);
	if (a->ahead)
		(void)grant_with(a, lease, ONEBEAT_CLASS_SMALL, 0, NULL, 0, &w.grants[1]);
	standin_message_welcome(a->leases[lease], &w, a->slots.memory.data_fd,
				a->slots.memory.status_ro_fd);
}

static void on_ask(struct standin_agent *a, int lease, const struct onebeat_ask *m)
{
	struct onebeat_grant grant;

	if (grant_with(a, lease, (enum onebeat_class)m->class, m->cookie, m->descriptor, m->length,
		       &grant))
		standin_message_grant(a->leases[lease], &grant);
	else
		standin_message_refused(a->leases[lease], ONEBEAT_REASON_FULL, m->cookie);
}

static void answer(struct standin_agent *a, int lease, const union standin_message *m)
{
	if (a->leases[lease] < 0)
		return;
	if (m->msg.type == ONEBEAT_MSG_HELLO)
		on_hello(a, lease, &m->hello);
	else
		on_ask(a, lease, &m->ask);
}

static void count(struct standin_agent_counts *c, const union standin_message *m)
{
	if (m->msg.type == ONEBEAT_MSG_HELLO) {
		c->n_hellos++;
		c->n_hello_descriptors += m->hello.length > 0;
		c->hello_flags = m->hello.flags;
		memcpy(c->library, m->hello.library, sizeof(m->hello.library));
	} else if (m->msg.type == ONEBEAT_MSG_ASK) {
		c->n_asks++;
		c->n_ask_descriptors += m->ask.length > 0;
	} else {
		c->n_goodbyes++;
	}
}

static void take(struct standin_agent *a, int lease, const union standin_message *m, size_t n)
{
	if (n == ONEBEAT_BELL_SIZE) {
		a->counts.n_bells++;
		return;
	}
	if (!standin_message_is_sound(m, n)) {
		a->counts.n_malformed++;
		end_lease(a, lease);
		return;
	}
	count(&a->counts, m);
	if (m->msg.type == ONEBEAT_MSG_GOODBYE) {
		end_lease(a, lease);
	} else if (!a->slow) {
		answer(a, lease, m);
	} else if (a->n_withheld < WITHHELD_MAX) {
		a->withheld[a->n_withheld].lease = lease;
		memcpy(&a->withheld[a->n_withheld++].message, m, n);
	}
}

static void read_lease(struct standin_agent *a, int lease)
{
	union standin_message m;

	while (a->leases[lease] >= 0) {
		ssize_t n = recv(a->leases[lease], &m, sizeof(m), MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			end_lease(a, lease);
		else
			take(a, lease, &m, (size_t)n);
	}
}

/* All slots; whose first version is seen, brings its lease the next grant. */
static void look(struct standin_agent *a)
{
	const uint32_t n = memory_n_slots(&a->slots.memory);
	struct onebeat_grant grant;

	for (uint32_t i = 0; i < n; i++) {
		int lease = a->slots.slots[i].lease;

		if (!standin_slots_look(&a->slots, i) || !a->ahead || a->leases[lease] < 0)
			continue;
		if (grant_with(a, lease, memory_class(&a->slots.memory, i), 0, NULL, 0, &grant))
			standin_message_grant(a->leases[lease], &grant);
	}
}

static void accept_lease(struct standin_agent *a)
{
	int fd = accept4(a->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (a->n_leases == LEASES_MAX) {
		close(fd);
		return;
	}
	a->leases[a->n_leases++] = fd;
	a->counts.n_connections++;
	a->counts.n_open++;
}

static nfds_t collect(const struct standin_agent *a, struct pollfd *fds)
{
	nfds_t n = 0;

	fds[n++] = (struct pollfd){ .fd = a->wake, .events = POLLIN };
	fds[n++] = (struct pollfd){ .fd = a->listener, .events = POLLIN };
	for (int i = 0; i < a->n_leases; i++)
		fds[n++] = (struct pollfd){ .fd = a->leases[i], .events = POLLIN };
	return n;
}

static void *serve(void *context)
{
	struct standin_agent *a = context;
	struct pollfd fds[LEASES_MAX + 2];
	eventfd_t value;

	pthread_mutex_lock(&a->lock);
	while (!a->stopping) {
		nfds_t n = collect(a, fds);

		pthread_mutex_unlock(&a->lock);
		(void)poll(fds, n, -1);
		pthread_mutex_lock(&a->lock);
		if (fds[0].revents)
			(void)eventfd_read(a->wake, &value);
		for (int i = 0; i < a->n_leases; i++)
			read_lease(a, i);
		if (fds[1].revents)
			accept_lease(a);
		look(a);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

static int listen_at(const char *dir)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s", dir, ONEBEAT_CLIENT_SOCKET);
	unlink(at.sun_path);
	if (fd >= 0 &&
	    (bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 64) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

struct standin_agent *standin_agent_new(const char *dir, uint32_t n_slots)
{
	struct standin_agent *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->ahead = true;
	a->withheld = calloc(WITHHELD_MAX, sizeof(a->withheld[0]));
	a->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!a->withheld || a->wake < 0 || standin_slots_init(&a->slots, n_slots) < 0)
		abort();
	drain_set_sleeping(&a->slots.memory, true);
	a->listener = listen_at(dir);
	pthread_mutex_init(&a->lock, NULL);
	if (a->listener < 0 || pthread_create(&a->thread, NULL, serve, a) != 0)
		abort();
	return a;
}

static void wake(const struct standin_agent *a)
{
	(void)eventfd_write(a->wake, 1);
}

struct standin_agent *standin_agent_free(struct standin_agent *a)
{
	if (!a)
		return NULL;
	pthread_mutex_lock(&a->lock);
	a->stopping = true;
	pthread_mutex_unlock(&a->lock);
	wake(a);
	pthread_join(a->thread, NULL);
	for (int i = 0; i < a->n_leases; i++)
		end_lease(a, i);
	close(a->listener);
	close(a->wake);
	standin_slots_deinit(&a->slots);
	pthread_mutex_destroy(&a->lock);
	free(a->withheld);
	free(a);
	return NULL;
}

void standin_agent_slow(struct standin_agent *a, bool slow)
{
	pthread_mutex_lock(&a->lock);
	a->slow = slow;
	for (uint32_t i = 0; !slow && i < a->n_withheld; i++)
		answer(a, a->withheld[i].lease, &a->withheld[i].message);
	if (!slow)
		a->n_withheld = 0;
	pthread_mutex_unlock(&a->lock);
}

void standin_agent_ahead(struct standin_agent *a, bool ahead)
{
	pthread_mutex_lock(&a->lock);
	a->ahead = ahead;
	pthread_mutex_unlock(&a->lock);
}

void standin_agent_verdict(struct standin_agent *a, enum standin_verdict verdict)
{
	pthread_mutex_lock(&a->lock);
	a->slots.verdict = verdict;
	pthread_mutex_unlock(&a->lock);
}

void standin_agent_limit(struct standin_agent *a, enum onebeat_class class, uint32_t n_left)
{
	pthread_mutex_lock(&a->lock);
	a->slots.n_left[class] = n_left;
	pthread_mutex_unlock(&a->lock);
}

void standin_agent_refuse(struct standin_agent *a, enum onebeat_reason reason)
{
	pthread_mutex_lock(&a->lock);
	a->refusal = reason;
	pthread_mutex_unlock(&a->lock);
}

void standin_agent_sleeping(struct standin_agent *a, bool sleeping)
{
	pthread_mutex_lock(&a->lock);
	drain_set_sleeping(&a->slots.memory, sleeping);
	pthread_mutex_unlock(&a->lock);
}

void standin_agent_grant(struct standin_agent *a, enum onebeat_class class, uint32_t n)
{
	struct onebeat_grant grant;

	pthread_mutex_lock(&a->lock);
	for (int i = 0; i < a->n_leases; i++) {
		for (uint32_t j = 0; j < n && a->leases[i] >= 0; j++) {
			if (grant_with(a, i, class, 0, NULL, 0, &grant))
				standin_message_grant(a->leases[i], &grant);
		}
	}
	pthread_mutex_unlock(&a->lock);
}

void standin_agent_hang_up(struct standin_agent *a)
{
	pthread_mutex_lock(&a->lock);
	for (int i = 0; i < a->n_leases; i++)
		end_lease(a, i);
	pthread_mutex_unlock(&a->lock);
	wake(a);
}

void standin_agent_judge(struct standin_agent *a, uint32_t slot, enum onebeat_state state,
			 uint32_t code, const char *text)
{
	pthread_mutex_lock(&a->lock);
	standin_slots_judge(&a->slots, slot, state, code, text);
	pthread_mutex_unlock(&a->lock);
}

struct standin_agent_counts standin_agent_counts(struct standin_agent *a)
{
	struct standin_agent_counts counts;

	pthread_mutex_lock(&a->lock);
	look(a);
	counts = a->counts;
	counts.n_invalid = a->slots.n_invalid;
	memcpy(counts.why, a->slots.why, sizeof(counts.why));
	pthread_mutex_unlock(&a->lock);
	return counts;
}

static struct standin_agent_view view(const struct standin_agent *a, uint32_t slot)
{
	const struct standin_slot *s = &a->slots.slots[slot];

	return (struct standin_agent_view){
		slot,       s->generation, memory_class(&a->slots.memory, slot),
		s->version, s->op,         s->n_versions,
		s->lease
	};
}

static bool is_such(const struct standin_slot *s, enum onebeat_op op)
{
	return s->granted && s->version > 0 && s->op == (uint32_t)op;
}

bool standin_agent_find(struct standin_agent *a, uint16_t port, enum onebeat_op op,
			struct standin_agent_view *out)
{
	bool found = false;

	pthread_mutex_lock(&a->lock);
	look(a);
	for (uint32_t i = 0; !found && i < memory_n_slots(&a->slots.memory); i++) {
		const struct standin_slot *s = &a->slots.slots[i];

		found = is_such(s, op) && s->descriptor && s->descriptor->port == port;
		if (found)
			*out = view(a, i);
	}
	pthread_mutex_unlock(&a->lock);
	return found;
}

uint32_t standin_agent_n_slots(struct standin_agent *a, enum onebeat_op op)
{
	uint32_t n = 0;

	pthread_mutex_lock(&a->lock);
	look(a);
	for (uint32_t i = 0; i < memory_n_slots(&a->slots.memory); i++)
		n += is_such(&a->slots.slots[i], op);
	pthread_mutex_unlock(&a->lock);
	return n;
}

struct descriptor *standin_agent_descriptor(struct standin_agent *a, uint32_t slot)
{
	struct descriptor *d;

	pthread_mutex_lock(&a->lock);
	look(a);
	d = a->slots.slots[slot].descriptor;
	if (d)
		descriptor_ref(d);
	pthread_mutex_unlock(&a->lock);
	return d;
}

const struct memory *standin_agent_memory(struct standin_agent *a)
{
	return &a->slots.memory;
}
