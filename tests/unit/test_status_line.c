/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/*
 * What clients see of a slot, and whom a change wakes.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "segment/status_line.h"
#include <onebeat/onebeat.h>

#define GENERATION 3u

static struct onebeat_status_line line;
static struct status_line said;

static void say_something(void)
{
	said = (struct status_line){
		.state = ONEBEAT_STATE_UP,
		.code = 10200,
		.judged = 7,
		.confirmed = 6,
		.since_ms = 1000,
		.holders = 2,
		.ip = "10.0.0.1",
		.text = "all is well",
	};
	status_line_reset(&line, GENERATION, 1);
	status_line_write(&line, GENERATION, &said);
}

TestSuite(status_line, .init = say_something);

static uint32_t load(const onebeat_word *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

/* A text as a client reads it: word by word; good until the next one. */
static const char *text_of(const onebeat_word *words, size_t size)
{
	static uint32_t text[ONEBEAT_STATUS_TEXT_WORDS];

	for (size_t i = 0; i < size / sizeof(*words); i++)
		text[i] = load(&words[i]);
	return (const char *)text;
}

#define TEXT(field) text_of(line.field, sizeof(line.field))

/* Writes and returns by how much the version moved. */
static uint32_t moved(void)
{
	uint32_t before = load(&line.version);

	status_line_write(&line, GENERATION, &said);
	return load(&line.version) - before;
}

Test(status_line, each_word_says_what_was_given)
{
	cr_assert_eq(load(&line.generation), GENERATION);
	cr_assert_eq(load(&line.state_code), ONEBEAT_STATE_UP << 16 | 10200);
	cr_assert_eq(load(&line.judged), 7);
	cr_assert_eq(load(&line.confirmed), 6);
	cr_assert_eq(load(&line.since_ms), 1000);
	cr_assert_eq(load(&line.holders), 2);
	cr_assert_str_eq(TEXT(ip), "10.0.0.1");
	cr_assert_str_eq(TEXT(text), "all is well");
}

Test(status_line, saying_the_same_again_moves_nothing)
{
	cr_assert_eq(moved(), 0);
	said.text = strdupa("all is well");
	cr_assert_eq(moved(), 0);
}

Test(status_line, any_change_moves_the_version_by_one)
{
	said.state = ONEBEAT_STATE_DOWN;
	cr_assert_eq(moved(), 1);
	said.code = 404;
	cr_assert_eq(moved(), 1);
	said.judged = 8;
	cr_assert_eq(moved(), 1);
	said.confirmed = 8;
	cr_assert_eq(moved(), 1);
	said.since_ms = 0;
	cr_assert_eq(moved(), 1);
	said.holders = 0;
	cr_assert_eq(moved(), 1);
	said.ip = "10.0.0.2";
	cr_assert_eq(moved(), 1);
	said.text = "all is well.";
	cr_assert_eq(moved(), 1);
	said.judged = 9;
	said.text = NULL;
	said.ip = NULL;
	cr_assert_eq(moved(), 1, "several changes are one");
	cr_assert_eq(moved(), 0);
}

Test(status_line, another_generation_is_a_change)
{
	uint32_t before = load(&line.version);

	status_line_write(&line, GENERATION + 1, &said);
	cr_assert_eq(load(&line.version), before + 1);
	cr_assert_eq(load(&line.generation), GENERATION + 1);
}

Test(status_line, shorter_text_leaves_nothing_of_the_longer_one)
{
	static const char zeros[sizeof(line.text)];

	said.text = "a";
	said.ip = "";
	cr_assert_eq(moved(), 1);
	cr_assert_eq(memcmp(TEXT(text) + 1, zeros, sizeof(line.text) - 1), 0);
	cr_assert_eq(memcmp(line.ip, zeros, sizeof(line.ip)), 0);
}

Test(status_line, no_text_is_an_empty_one)
{
	said.text = NULL;
	said.ip = NULL;
	(void)moved();
	cr_assert_str_eq(TEXT(text), "");
	cr_assert_str_eq(TEXT(ip), "");
}

/* 127 bytes fit; a sequence that would be cut in two is left out whole. */
Test(status_line, long_text_is_cut_between_characters)
{
	static const struct {
		const char *tail;
		size_t n_kept; /* of the tail */
	} cases[] = {
		{ "abcdefgh", 3 },
		{ "ab\xc3\xa9xyz", 2 }, /* its second byte would be the 128th */
		{ "a\xc3\xa9xyz", 3 },  /* ends with the 127th */
		{ "a\xe4\xb8\xadxyz", 1 },
		{ "\xe4\xb8\xadxyz", 3 },
		{ "\xf0\x9f\x98\x80xyz", 0 },
		{ "ab\xf0\x9f\x98\x80xyz", 2 },
		{ "abc", 3 },
		{ "abc\xf0\x9f\x98\x80", 3 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[256];
		size_t n = sizeof(line.text) - 1 - 3;

		memset(text, '-', n);
		snprintf(text + n, sizeof(text) - n, "%s", cases[i].tail);
		said.text = text;
		(void)moved();
		cr_assert_eq(strlen(TEXT(text)), n + cases[i].n_kept, "case %zu", i);
		cr_assert_eq(memcmp(line.text, text, n + cases[i].n_kept), 0);
	}
}

Test(status_line, long_address_is_cut_to_its_room)
{
	said.ip = "0000:1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa";
	(void)moved();
	cr_assert_eq(strlen(TEXT(ip)), sizeof(line.ip) - 1);
}

Test(status_line, beat_is_a_word_that_wakes_nobody)
{
	uint32_t version = load(&line.version);

	status_line_beat(&line, 0x500000007);
	cr_assert_eq(load(&line.beat_ms), 7, "the low half");
	status_line_beat(&line, UINT64_C(1) << 32);
	cr_assert_eq(load(&line.beat_ms), 1, "0 is kept for none");
	cr_assert_eq(load(&line.version), version);
}

Test(status_line, writing_leaves_the_beat_to_the_sender)
{
	status_line_beat(&line, 1234);
	said.state = ONEBEAT_STATE_DOWN;
	cr_assert_eq(moved(), 1);
	cr_assert_eq(load(&line.beat_ms), 1234);
}

Test(status_line, reset_keeps_nothing_but_what_was_given)
{
	static const char zeros[sizeof(line)];

	status_line_beat(&line, 1234);
	status_line_reset(&line, 9, 41);
	cr_assert_eq(load(&line.version), 41);
	cr_assert_eq(load(&line.generation), 9);
	cr_assert_eq(memcmp(&line.state_code, zeros, sizeof(line) - 8), 0);
}

/* Somebody wrote there who must not: the next write says the truth again, and tells. */
Test(status_line, foreign_scribble_is_mended)
{
	atomic_store(&line.state_code, ONEBEAT_STATE_GONE << 16);
	atomic_store(&line.text[3], 0xffffffff);
	cr_assert_eq(moved(), 1);
	cr_assert_eq(load(&line.state_code), ONEBEAT_STATE_UP << 16 | 10200);
	cr_assert_str_eq(TEXT(text), "all is well");
}

/* Waiters. */

/* Sleeps on the version through its own, read-only mapping, as a client does. */
static void wait_for_change(int fd, int ready)
{
	const struct onebeat_status_line *ours = mmap(NULL, sizeof(*ours), PROT_READ, MAP_SHARED,
						      fd, 0);
	const struct timespec limit = { .tv_sec = 10 };
	uint32_t version = load(&ours->version);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (write(ready, "", 1) != 1)
		_exit(2);
	while (load(&ours->version) == version) {
		if (syscall(SYS_futex, &ours->version, FUTEX_WAIT, version, &limit, NULL, 0) < 0 &&
		    errno == ETIMEDOUT)
			_exit(1);
	}
	_exit(load(&ours->state_code) >> 16 == ONEBEAT_STATE_DOWN ? 0 : 3);
}

/* Is the process asleep inside futex()? */
static bool sleeps_on_futex(pid_t pid)
{
	char path[64], text[128] = "";
	int fd, number;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 && sscanf(text, "%d", &number) == 1 && number == SYS_futex;
}

static void await_sleep(pid_t pid)
{
	time_t end = time(NULL) + 5;

	while (!sleeps_on_futex(pid) && time(NULL) < end)
		sched_yield();
}

Test(status_line, change_wakes_all_who_sleep_in_other_processes)
{
	int fd = memfd_create("line", MFD_CLOEXEC);
	struct onebeat_status_line *shared;
	pid_t pids[3];
	int ready[2];
	char byte;

	cr_assert_eq(ftruncate(fd, sizeof(*shared)), 0);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert_neq(shared, MAP_FAILED);
	status_line_reset(shared, GENERATION, 1);
	cr_assert_eq(pipe(ready), 0);
	for (int i = 0; i < 3; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			wait_for_change(fd, ready[1]);
		cr_assert_eq(read(ready[0], &byte, 1), 1);
		await_sleep(pids[i]);
	}
	said.state = ONEBEAT_STATE_DOWN;
	status_line_write(shared, GENERATION, &said);
	for (int i = 0; i < 3; i++) {
		int status;

		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		cr_assert(WIFEXITED(status));
		cr_assert_eq(WEXITSTATUS(status), 0,
			     "1: slept on; 3: woke before the words were there");
	}
}
