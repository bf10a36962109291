/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent says of a slot
 *
 * Clients read the line without any system call and may sleep on its version with FUTEX_WAIT. So the words
 * change first and version moves after them: whoever saw an old word and then sleeps on the version read
 * before it, is woken or not put to sleep at all. Words that stay the same are not stored, and a line that
 * stays the same wakes nobody: the watcher may write as often as it likes.
 *
 * What stands in the line is compared, never believed. If somebody else wrote there (a process of our own
 * uid could), then the comparison mends the word, and at worst one of his own domain is not woken.
 *
 * beat_ms alone belongs to another thread, the sender, and is not touched by status_line_write().
 */
#include "segment/status_line.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINE_WORDS (sizeof(struct onebeat_status_line) / sizeof(onebeat_word))
#define WORD_OF(field) (offsetof(struct onebeat_status_line, field) / sizeof(onebeat_word))

static bool put(onebeat_word *word, uint32_t value)
{
	if (atomic_load_explicit(word, memory_order_relaxed) == value)
		return false;
	atomic_store_explicit(word, value, memory_order_relaxed);
	return true;
}

/* Bytes of the text that fit into max without cutting a UTF-8 sequence. */
static size_t cut(const char *text, size_t max)
{
	size_t n = strnlen(text, max + 1);

	if (n <= max)
		return n;
	n = max;
	while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static bool put_text(onebeat_word *words, size_t n_words, const char *text)
{
	bool changed = false;
	size_t left;

	if (!text)
		text = "";
	left = cut(text, n_words * sizeof(*words) - 1);
	for (size_t i = 0; i < n_words; i++) {
		size_t n = left < sizeof(uint32_t) ? left : sizeof(uint32_t);
		uint32_t word = 0;

		memcpy(&word, text, n);
		text += n;
		left -= n;
		changed = put(&words[i], word) || changed;
	}
	return changed;
}

/* Shared, and everybody: others than clients may wait on it and must not swallow a wake-up. */
static void move_version(struct onebeat_status_line *line, uint32_t version)
{
	atomic_store_explicit(&line->version, version, memory_order_release);
	syscall(SYS_futex, &line->version, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void status_line_write(struct onebeat_status_line *line, uint32_t generation,
		       const struct status_line *s)
{
	bool changed = put(&line->generation, generation);

	changed = put(&line->state_code, s->state << 16 | (s->code & 0xffff)) || changed;
	changed = put(&line->judged, s->judged) || changed;
	changed = put(&line->confirmed, s->confirmed) || changed;
	changed = put(&line->since_ms, s->since_ms) || changed;
	changed = put(&line->holders, s->holders) || changed;
	changed = put_text(line->ip, ONEBEAT_STATUS_IP_WORDS, s->ip) || changed;
	changed = put_text(line->text, ONEBEAT_STATUS_TEXT_WORDS, s->text) || changed;
	if (changed)
		move_version(line, status_line_version(line) + 1);
}

void status_line_beat(struct onebeat_status_line *line, uint64_t now_ms)
{
	uint32_t beat_ms = (uint32_t)now_ms;

	atomic_store_explicit(&line->beat_ms, beat_ms ? beat_ms : 1, memory_order_relaxed);
}

void status_line_reset(struct onebeat_status_line *line, uint32_t generation, uint32_t version)
{
	onebeat_word *words = &line->version;

	/* Of no generation while it changes, so that nobody takes one grant's words for another's. */
	atomic_store_explicit(&line->generation, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	for (size_t i = WORD_OF(state_code); i < LINE_WORDS; i++)
		atomic_store_explicit(&words[i], 0, memory_order_relaxed);
	atomic_store_explicit(&line->generation, generation, memory_order_release);
	move_version(line, version);
}
