/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of metadata
 *
 * They are the registry's, which punishes late and hard: a time-out that is no number has the instance deleted
 * within seconds, three keys make every list of the service fail, too long a set is refused with each attempt.
 * Lengths count as the registry counts, in UTF-16 units. One rule is held against all pairs before the next,
 * so that the code does not depend on the pairs' order.
 */
#include "spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define TIME_MAX UINT64_C(2147483647)
#define TIMEOUT_DEFAULT_MS UINT32_C(15000)
#define DELETE_DEFAULT_MS UINT32_C(30000)
/* No text of so many bytes is within the limit of units, whatever its characters. */
#define BYTES_MAX (ONEBEAT_METADATA_CHARS_MAX * 3u)

static const char *const reserved[] = { "publishInstanceWeight", "publishInstanceEnable",
					"customInstanceId" };

/* Length of the sequence that begins with this byte; 0: none does. */
static size_t sequence_length(uint8_t first)
{
	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first <= 0xdf)
		return 2;
	if ((first & 0xf0) == 0xe0)
		return 3;
	return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

/* Decodes one character in its shortest form. Its length, or 0. The NUL at the text's end ends it too. */
static size_t next_char(const uint8_t *s, uint32_t *out)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	static const uint8_t first_mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	const size_t length = sequence_length(s[0]);
	uint32_t c = s[0] & first_mask[length];

	for (size_t i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[length] || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		return 0;
	*out = c;
	return length;
}

static bool is_text(const char *text)
{
	const uint8_t *s = (const uint8_t *)text;
	uint32_t c;

	while (*s) {
		size_t length;

		while (*s >= 0x20 && *s < 0x7f)
			s++;
		if (!*s)
			break;
		length = next_char(s, &c);
		if (length == 0 || c < 0x20 || (c >= 0x7f && c <= 0x9f))
			return false;
		s += length;
	}
	return true;
}

/* UTF-16 units of a text that may not be UTF-8 yet; over the limit when it is longer than any good one. */
static uint32_t count_units(const char *text)
{
	uint32_t n = 0;

	if (strnlen(text, BYTES_MAX + 1) > BYTES_MAX)
		return ONEBEAT_METADATA_CHARS_MAX + 1;
	for (const uint8_t *s = (const uint8_t *)text; *s; s++) {
		if ((*s & 0xc0) != 0x80)
			n += *s >= 0xf0 ? 2 : 1;
	}
	return n;
}

static bool any_empty(const struct onebeat_metadata *pairs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!pairs[i].key || !pairs[i].key[0] || !pairs[i].value)
			return true;
	}
	return false;
}

/* Counting is for those that may be: a unit is a byte at least, and most sets have fewer bytes than they may have units. */
static bool too_long(const struct onebeat_metadata *pairs, uint32_t n)
{
	uint32_t units = 0;
	size_t bytes = 0;

	for (uint32_t i = 0; i < n && bytes <= ONEBEAT_METADATA_CHARS_MAX; i++)
		bytes += strnlen(pairs[i].key, BYTES_MAX) + strnlen(pairs[i].value, BYTES_MAX);
	if (bytes <= ONEBEAT_METADATA_CHARS_MAX)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		units += count_units(pairs[i].key) + count_units(pairs[i].value);
		if (units > ONEBEAT_METADATA_CHARS_MAX)
			return true;
	}
	return false;
}

static bool all_text(const struct onebeat_metadata *pairs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!is_text(pairs[i].key) || !is_text(pairs[i].value))
			return false;
	}
	return true;
}

/* Most keys differ in their first character: this is the path of an update. */
static bool same(const char *a, const char *b)
{
	return a[0] == b[0] && strcmp(a, b) == 0;
}

static bool any_twice(const struct onebeat_metadata *pairs, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		for (uint32_t j = 0; j < i; j++) {
			if (same(pairs[i].key, pairs[j].key))
				return true;
		}
	}
	return false;
}

static const char *value_of(const struct onebeat_metadata *pairs, uint32_t n, const char *key)
{
	for (uint32_t i = 0; i < n; i++) {
		if (same(pairs[i].key, key))
			return pairs[i].value;
	}
	return NULL;
}

static bool any_reserved(const struct onebeat_metadata *pairs, uint32_t n)
{
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		if (value_of(pairs, n, reserved[i]))
			return true;
	}
	return false;
}

/* Leaves *out alone when the key is not there; false when its value is no time. */
static bool take_time(const struct onebeat_metadata *pairs, uint32_t n, const char *key,
		      uint32_t *out)
{
	const char *text = value_of(pairs, n, key);
	uint64_t time = 0;

	if (!text)
		return true;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		time = time * 10 + (uint64_t)(*text - '0');
		if (time > TIME_MAX)
			return false;
	}
	*out = (uint32_t)time;
	return time > 0;
}

static int check_times(const struct onebeat_metadata *pairs, uint32_t n, uint32_t beat_ms)
{
	uint32_t interval_ms = 0, timeout_ms = TIMEOUT_DEFAULT_MS, delete_ms = DELETE_DEFAULT_MS;
	uint32_t longest_ms;

	if (!take_time(pairs, n, "preserved.heart.beat.interval", &interval_ms) ||
	    !take_time(pairs, n, "preserved.heart.beat.timeout", &timeout_ms) ||
	    !take_time(pairs, n, "preserved.ip.delete.timeout", &delete_ms))
		return ONEBEAT_E_METADATA_TIMES;
	/* Both count when both are given: one until the registry answers, the other from then on. */
	longest_ms = beat_ms > interval_ms ? beat_ms : interval_ms;
	if (longest_ms == 0)
		longest_ms = SPEC_BEAT_MS_DEFAULT;
	/* The agent beats no faster, whatever the registry is told. */
	if (longest_ms < SPEC_BEAT_MS_MIN)
		longest_ms = SPEC_BEAT_MS_MIN;
	return longest_ms < timeout_ms && longest_ms < delete_ms ? 0 : ONEBEAT_E_METADATA_ORDER;
}

int onebeat__metadata_check(const struct onebeat_metadata *pairs, uint32_t n, uint32_t beat_ms)
{
	if (n > ONEBEAT_METADATA_PAIRS_MAX)
		return ONEBEAT_E_METADATA_MANY;
	if (any_empty(pairs, n))
		return ONEBEAT_E_METADATA_EMPTY;
	if (too_long(pairs, n))
		return ONEBEAT_E_METADATA_LONG;
	if (!all_text(pairs, n))
		return ONEBEAT_E_METADATA_CHARS;
	if (any_twice(pairs, n))
		return ONEBEAT_E_METADATA_TWICE;
	if (any_reserved(pairs, n))
		return ONEBEAT_E_METADATA_RESERVED;
	return check_times(pairs, n, beat_ms);
}
