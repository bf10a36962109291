/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds of values
 *
 * Each kind reads a text into its field, or says how the sentence "key 'x': value 'y' ..." goes on,
 * and writes its field down again. Whatever is accepted must survive being printed and read back,
 * so texts that the file format would change (a ';' behind a blank begins a comment there) are
 * refused.
 *
 * Kinds that know of networks are in config_value_host.c, those of a registry's addresses in
 * config_value_url.c.
 */
#include "control/config_value.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest folder whose sockets' names fit sockaddr_un, as in the library. */
#define RUNTIME_DIR_MAX 90u

int config_refuse(const struct config_setting *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->why, CONFIG_ERROR_MAX, fmt, ap);
	va_end(ap);
	return CONFIG_KEY_REFUSED;
}

static void *field(const struct config_setting *s)
{
	return config_key_field(s->cfg, s->key);
}

int config_replace_text(char **text, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

unsigned int config_print_text(const struct config *cfg, const struct config_key *key, int fd)
{
	const char *text = *(char *const *)config_key_field_of(cfg, key);

	if (!text)
		return 0;
	dprintf(fd, "%s = %s\n", key->name, text);
	return 1;
}

static int set_path(const struct config_setting *s)
{
	size_t n = strlen(s->value);
	char path[RUNTIME_DIR_MAX + 1];

	while (n > 1 && s->value[n - 1] == '/')
		n--;
	if (s->value[0] != '/' || n > RUNTIME_DIR_MAX)
		return config_refuse(s, "is not an absolute path of at most %u bytes",
				     RUNTIME_DIR_MAX);
	if (strchr(s->value, ';'))
		return config_refuse(s, "is not a path without ';'");
	snprintf(path, sizeof(path), "%.*s", (int)n, s->value);
	if (path[n - 1] == ' ')
		return config_refuse(s, "is not a path without a blank at its end");
	return config_replace_text(field(s), path);
}

static int set_group(const struct config_setting *s)
{
	size_t n = strlen(s->value);

	if (n == 0 || n > 64 || strpbrk(s->value, " \t;#") ||
	    (strspn(s->value, "0123456789") != n && !getgrnam(s->value)))
		return config_refuse(s, "is not the name or number of a group of this host");
	return config_replace_text(field(s), s->value);
}

const struct config_type config_value_group = { "GROUP", set_group, config_print_text };

const struct config_type config_value_path = { "PATH", set_path, config_print_text };

/* Longest list of a choice's words, with a blank for each '|' more. */
#define WORDS_MAX 64u

/* "a, b, c" for "a|b|c". */
static const char *listed(const char *words, char out[WORDS_MAX])
{
	size_t n = 0;

	for (; *words && n < WORDS_MAX - 2; words++) {
		out[n++] = *words == '|' ? ',' : *words;
		if (*words == '|')
			out[n++] = ' ';
	}
	out[n] = '\0';
	return out;
}

/* The field is the number of the word in the type's text "a|b|c": enums are in its order. */
static int set_choice(const struct config_setting *s)
{
	size_t length = strlen(s->value);
	const char *word = s->key->type->shown;
	char list[WORDS_MAX];

	for (uint32_t i = 0; *word; i++) {
		size_t n = strcspn(word, "|");

		if (n == length && strncmp(word, s->value, n) == 0) {
			*(uint32_t *)field(s) = i;
			return 0;
		}
		word += n + (word[n] == '|');
	}
	return config_refuse(s, "is not one of %s", listed(s->key->type->shown, list));
}

static unsigned int print_choice(const struct config *cfg, const struct config_key *key, int fd)
{
	uint32_t chosen = *(const uint32_t *)config_key_field_of(cfg, key);
	const char *word = key->type->shown;

	while (chosen-- > 0)
		word = strchr(word, '|') + 1;
	dprintf(fd, "%s = %.*s\n", key->name, (int)strcspn(word, "|"), word);
	return 1;
}

_Static_assert(sizeof(enum log_level) == sizeof(uint32_t), "a level is a choice");

const struct config_type config_value_level = { "error|warning|info|debug", set_choice,
						print_choice };
const struct config_type config_value_api = { "auto|v1|v3", set_choice, print_choice };
const struct config_type config_value_beats = { "light|full", set_choice, print_choice };
const struct config_type config_value_route = { "auto|responsible|any", set_choice, print_choice };
const struct config_type config_value_persistent = { "keep|remove", set_choice, print_choice };
const struct config_type config_value_tls_version = { "1.2|1.3", set_choice, print_choice };

static int set_yes_no(const struct config_setting *s)
{
	bool yes = strcmp(s->value, "yes") == 0;

	if (!yes && strcmp(s->value, "no") != 0)
		return config_refuse(s, "is not one of yes, no");
	*(bool *)field(s) = yes;
	return 0;
}

static unsigned int print_yes_no(const struct config *cfg, const struct config_key *key, int fd)
{
	dprintf(fd, "%s = %s\n", key->name,
		*(const bool *)config_key_field_of(cfg, key) ? "yes" : "no");
	return 1;
}

const struct config_type config_value_yes_no = { "yes|no", set_yes_no, print_yes_no };

static int set_number(const struct config_setting *s)
{
	const struct config_key *key = s->key;
	size_t n = strspn(s->value, "0123456789");
	unsigned long long number = n > 0 && n <= 10 ? strtoull(s->value, NULL, 10) : 0;

	if (n == 0 || n > 10 || s->value[n] != '\0' || number < key->min || number > key->max)
		return config_refuse(s, "is not a whole number in %u..%u (%s)", key->min, key->max,
				     key->unit);
	*(uint32_t *)field(s) = (uint32_t)number;
	return 0;
}

static unsigned int print_number(const struct config *cfg, const struct config_key *key, int fd)
{
	uint32_t number = *(const uint32_t *)config_key_field_of(cfg, key);

	if (number < key->min)
		return 0; /* there is no default, and nobody has set it */
	dprintf(fd, "%s = %u\n", key->name, number);
	return 1;
}

const struct config_type config_value_number = { "NUMBER", set_number, print_number };

static int set_identity(const struct config_setting *s)
{
	bool force = strcmp(s->value, "pidfd_open") == 0;

	if (!force && strcmp(s->value, "auto") != 0)
		return config_refuse(s, "is not one of auto, pidfd_open");
	*(bool *)field(s) = force;
	return 0;
}

static unsigned int print_identity(const struct config *cfg, const struct config_key *key, int fd)
{
	dprintf(fd, "%s = %s\n", key->name,
		*(const bool *)config_key_field_of(cfg, key) ? "pidfd_open" : "auto");
	return 1;
}

const struct config_type config_value_identity = { "auto|pidfd_open", set_identity,
						   print_identity };

/* Whether the file's reader would give the text back as it is: it cuts blanks, and comments behind them. */
static bool is_plain(const char *text, size_t max)
{
	size_t n = strlen(text);

	return n > 0 && n <= max && text[0] != ' ' && text[n - 1] != ' ' && !strpbrk(text, ";\t");
}

#define TEXT_MAX 128u

static int set_text(const struct config_setting *s)
{
	if (!is_plain(s->value, TEXT_MAX))
		return config_refuse(s, "is not 1 to %u bytes without ';' and tabs", TEXT_MAX);
	return config_replace_text(field(s), s->value);
}

const struct config_type config_value_text = { "TEXT", set_text, config_print_text };

#define FILE_MAX 180u /* what a line of the file has room for */

static int set_file(const struct config_setting *s)
{
	if (s->value[0] != '/' || !is_plain(s->value, FILE_MAX))
		return config_refuse(s, "is not an absolute path of at most %u bytes without ';'",
				     FILE_MAX);
	return config_replace_text(field(s), s->value);
}

const struct config_type config_value_file = { "PATH", set_file, config_print_text };

#define WORD_MAX 64u
#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool is_name(const char *text, const char *chars)
{
	size_t n = strlen(text);

	return n > 0 && n <= WORD_MAX && strspn(text, chars) == n;
}

static int set_variable(const struct config_setting *s)
{
	if (!is_name(s->value, LETTERS DIGITS "_") || strchr(DIGITS, s->value[0]))
		return config_refuse(
			s,
			"is not the name of an environment variable: 1 to %u of A-Z a-z 0-9 _, no digit first",
			WORD_MAX);
	return config_replace_text(field(s), s->value);
}

const struct config_type config_value_variable = { "VARIABLE", set_variable, config_print_text };

static int set_credential(const struct config_setting *s)
{
	if (!is_name(s->value, LETTERS DIGITS "._-") || s->value[0] == '.')
		return config_refuse(
			s,
			"is not the name of a credential: 1 to %u of A-Z a-z 0-9 . _ -, no '.' first",
			WORD_MAX);
	return config_replace_text(field(s), s->value);
}

const struct config_type config_value_credential = { "NAME", set_credential, config_print_text };

static int set_region(const struct config_setting *s)
{
	if (!is_name(s->value, LETTERS DIGITS "_-"))
		return config_refuse(s, "is not the name of a region: 1 to %u of A-Z a-z 0-9 _ -",
				     WORD_MAX);
	return config_replace_text(field(s), s->value);
}

const struct config_type config_value_region = { "REGION", set_region, config_print_text };
