/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_ATTACKER_H
#define LIB_ATTACKER_H

/*
 * A client that has the agent's socket and segment, but not the library's manners (programs/hostile.c)
 *
 * It speaks the protocol by hand, from lease.h and segment.h alone, so that it can break it anywhere. What it
 * does is random, and follows from its seed.
 */

#include <stdbool.h>
#include <stdint.h>

#include "segment/memory.h"
#include <onebeat/lease.h>

#define ATTACKER_SLOTS_MAX 4096u

struct attacker {
	const char *dir; /* runtime folder */
	uint64_t seed;   /* state of its random numbers */
	uint32_t count;  /* how many connections, slots or the like */
	uint64_t end_ms; /* CLOCK_BOOTTIME: it stops then */
	/* Of the lease that attacker_attach() made. */
	int fd;
	int data_fd, status_fd;
	struct memory memory; /* its own mapping; geometry from the header */
	uint32_t n_slots;
	struct onebeat_grant slots[ATTACKER_SLOTS_MAX];
	uint64_t n_done; /* acts, for the closing line */
};

uint64_t attacker_random(struct attacker *a);
uint32_t attacker_below(struct attacker *a, uint32_t n);
/* Its time is over. */
bool attacker_done(const struct attacker *a);
/* Ends the program: the attack could not even begin, or found what it must not. */
_Noreturn void attacker_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A connection to client.sock, or to another socket of the folder, waiting for room; -errno. */
int attacker_connect(const struct attacker *a, const char *name, int type);
/* Sends HELLO with no descriptor. False when the agent's end is gone. */
bool attacker_hello(int fd);
/* Waits for one message of at most size bytes; what came, 0 at the end, or -errno. */
int attacker_receive(int fd, void *msg, size_t size, int timeout_ms, int fds[2]);
/* Connects, greets, maps; one slot is granted. */
void attacker_attach(struct attacker *a);
/* Asks until it has n slots, or the agent says no. The number that it has. */
uint32_t attacker_ask(struct attacker *a, uint32_t n);
/* A good descriptor of service, for that port. Its length. */
uint32_t attacker_descriptor(uint32_t *words, const char *service, uint32_t port, double weight);

struct attack {
	const char *name;
	void (*run)(struct attacker *a);
	const char *what;
};

extern const struct attack attacks_on_segment[]; /* name NULL: the end */
extern const struct attack attacks_on_socket[];

#endif
