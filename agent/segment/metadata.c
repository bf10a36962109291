/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata of a descriptor
 *
 * A run of pairs, each with two lengths in front. The rules are those of the registry, applied here because
 * it punishes late and hard: a time-out that is no number has the instance deleted within seconds, three
 * keys make every list of the service fail, too long a set is refused with each attempt. Lengths count as
 * the registry counts, in UTF-16 units.
 *
 * Texts are copied with a NUL behind each. They cannot outgrow their source: a pair's two NULs take less
 * than its two lengths did.
 */
#include "segment/metadata.h"

#include <stdbool.h>
#include <string.h>

#define PAIR_HEAD 4u
#define TIME_MAX UINT32_C(2147483647)
#define TIMEOUT_DEFAULT_MS UINT32_C(15000)
#define DELETE_DEFAULT_MS UINT32_C(30000)

static const char *const reserved[] = { "publishInstanceWeight", "publishInstanceEnable",
					"customInstanceId" };

struct pair {
	const uint8_t *key;
	const uint8_t *value;
	uint32_t n_key;
	uint32_t n_value;
};

/* Cuts the next pair off the bytes. */
static bool next_pair(const uint8_t **at, uint32_t *left, struct pair *out)
{
	uint16_t lengths[2]; /* key, value */
	uint32_t size;

	if (*left < PAIR_HEAD)
		return false;
	memcpy(lengths, *at, sizeof(lengths));
	size = PAIR_HEAD + lengths[0] + lengths[1];
	if (size > *left)
		return false;
	out->key = *at + PAIR_HEAD;
	out->n_key = lengths[0];
	out->value = out->key + lengths[0];
	out->n_value = lengths[1];
	*at += size;
	*left -= size;
	return true;
}

/* Length of a sequence by its first byte; 0: cannot begin one. */
static uint32_t sequence_length(uint8_t first)
{
	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first <= 0xdf)
		return 2;
	if ((first & 0xf0) == 0xe0)
		return 3;
	return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

/* Decodes one sequence of UTF-8 in its shortest form; returns its length, or 0. */
static uint32_t next_char(const uint8_t *s, uint32_t n, uint32_t *out)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	static const uint8_t first_mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t length = sequence_length(s[0]);
	uint32_t c;

	if (length == 0 || length > n)
		return 0;
	c = s[0] & first_mask[length];
	for (uint32_t i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[length] || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		return 0;
	*out = c;
	return length;
}

static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f);
}

/* Adds the text's UTF-16 units to *n_chars; false when it is not UTF-8 or has a control character. */
static bool count_chars(const uint8_t *s, uint32_t n, uint32_t *n_chars)
{
	uint32_t c;

	while (n > 0) {
		uint32_t length = next_char(s, n, &c);

		if (length == 0 || is_control(c))
			return false;
		*n_chars += c >= 0x10000 ? 2 : 1;
		s += length;
		n -= length;
	}
	return true;
}

static const char *keep(struct metadata *md, const uint8_t *s, uint32_t n)
{
	char *at = md->text + md->n_text;

	memcpy(at, s, n);
	at[n] = '\0';
	md->n_text += n + 1;
	return at;
}

static int check_texts(struct metadata *md, const struct pair *p, char why[WHY_MAX])
{
	if (p->n_key == 0)
		return why_plain(why, "metadata has an empty key");
	if (!count_chars(p->key, p->n_key, &md->n_chars))
		return why_value(why, "metadata key", p->key, p->n_key,
				 "has a control character or is not UTF-8");
	if (!count_chars(p->value, p->n_value, &md->n_chars))
		return why_value(why, "metadata value", p->value, p->n_value,
				 "has a control character or is not UTF-8");
	if (md->n_chars > ONEBEAT_METADATA_CHARS_MAX)
		return why_plain(why,
				 "metadata keys and values are longer than %d characters in all",
				 ONEBEAT_METADATA_CHARS_MAX);
	return 0;
}

static int check_key(const struct metadata *md, const char *key, char why[WHY_MAX])
{
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		if (strcmp(key, reserved[i]) == 0)
			return why_value(why, "metadata key", key, strlen(key),
					 "breaks Nacos 2.x servers");
	}
	for (uint32_t i = 0; i < md->n_pairs; i++) {
		if (strcmp(key, md->pairs[i].key) == 0)
			return why_value(why, "metadata key", key, strlen(key), "is there twice");
	}
	return 0;
}

/* Decimal digits and nothing else, 1..TIME_MAX. */
static bool parse_time(const char *text, uint32_t *out)
{
	uint64_t n = 0;

	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '9')
			return false;
		n = n * 10 + (uint64_t)(*p - '0');
		if (n > TIME_MAX)
			return false;
	}
	*out = (uint32_t)n;
	return n > 0;
}

static int check_time(struct metadata *md, const char *key, const char *value, char why[WHY_MAX])
{
	uint32_t *time = NULL;

	if (strcmp(key, "preserved.heart.beat.interval") == 0)
		time = &md->interval_ms;
	else if (strcmp(key, "preserved.heart.beat.timeout") == 0)
		time = &md->timeout_ms;
	else if (strcmp(key, "preserved.ip.delete.timeout") == 0)
		time = &md->delete_ms;
	if (time && !parse_time(value, time))
		return why_value(why, key, value, strlen(value),
				 "is not milliseconds in digits, 1..2147483647");
	return 0;
}

static int take_pair(struct metadata *md, const struct pair *p, char why[WHY_MAX])
{
	struct descriptor_pair pair;
	int r;

	if (md->n_pairs == ONEBEAT_METADATA_PAIRS_MAX)
		return why_plain(why, "metadata has more than %d pairs",
				 ONEBEAT_METADATA_PAIRS_MAX);
	r = check_texts(md, p, why);
	if (r < 0)
		return r;
	pair.key = keep(md, p->key, p->n_key);
	pair.value = keep(md, p->value, p->n_value);
	r = check_key(md, pair.key, why);
	if (r == 0)
		r = check_time(md, pair.key, pair.value, why);
	if (r == 0)
		md->pairs[md->n_pairs++] = pair;
	return r;
}

int metadata_decode(const uint8_t *value, uint32_t length, struct metadata *out, char why[WHY_MAX])
{
	struct pair pair;

	if (length > sizeof(out->text))
		return why_plain(why, "metadata is %u bytes long, which no slot holds", length);
	out->n_pairs = 0;
	out->interval_ms = 0;
	out->timeout_ms = 0;
	out->delete_ms = 0;
	out->n_chars = 0;
	out->n_text = 0;
	while (length > 0) {
		int r;

		if (!next_pair(&value, &length, &pair))
			return why_plain(why, "metadata ends inside pair %u", out->n_pairs + 1);
		r = take_pair(out, &pair, why);
		if (r < 0)
			return r;
	}
	return 0;
}

int metadata_check_order(const struct metadata *md, uint32_t interval_ms, char why[WHY_MAX])
{
	uint32_t timeout_ms = md->timeout_ms ? md->timeout_ms : TIMEOUT_DEFAULT_MS;
	uint32_t delete_ms = md->delete_ms ? md->delete_ms : DELETE_DEFAULT_MS;

	if (interval_ms >= timeout_ms)
		return why_plain(
			why, "the beat interval %u is not below preserved.heart.beat.timeout %u",
			interval_ms, timeout_ms);
	if (interval_ms >= delete_ms)
		return why_plain(why,
				 "the beat interval %u is not below preserved.ip.delete.timeout %u",
				 interval_ms, delete_ms);
	return 0;
}
