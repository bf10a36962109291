/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration file
 *
 * inih takes "key = value" apart, from lines that we read for it, because it is a lenient reader:
 * it cuts lines at its buffer's size, ends them at a NUL, joins indented ones to the line before,
 * says nothing of a heading without keys, and how much of that it does depends on how it was built.
 * So every line is checked before inih sees it: its length, its bytes, and, when it is a heading,
 * the section. A comment may be of any length and is not passed on.
 *
 * The first error ends the reading: after it the reader gives inih no more lines.
 */
#include "control/config_key.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define WHERE_MAX 256

struct ini_file {
	struct config *cfg;
	const char *path;
	FILE *file;
	unsigned int line;
	const char *section;                   /* NULL before the first heading */
	unsigned int key_lines[CONFIG_KEYS_N]; /* where a key was set; 0: nowhere yet */
	char *error;
	int result;
};

static const char *where_of(const struct ini_file *f, char where[WHERE_MAX])
{
	snprintf(where, WHERE_MAX, "%s:%u", f->path, f->line);
	return where;
}

static void fail(struct ini_file *f, const char *sentence)
{
	snprintf(f->error, CONFIG_ERROR_MAX, "%s:%u: %s", f->path, f->line, sentence);
	f->result = -EINVAL;
}

static bool is_blank(int c)
{
	return c == ' ' || c == '\t';
}

/* Passes over blanks, and over the mark that some editors put before the first line. */
static int first_char(struct ini_file *f)
{
	int c = getc(f->file);

	if (f->line == 1 && c == 0xef && getc(f->file) == 0xbb && getc(f->file) == 0xbf)
		c = getc(f->file);
	while (is_blank(c))
		c = getc(f->file);
	return c;
}

static int skip_line(FILE *file)
{
	int c;

	do {
		c = getc(file);
	} while (c != EOF && c != '\n');
	return '\n';
}

/*
 * Reads on from c to the line's end. False, with the error told, when the line cannot be a line of
 * ours.
 */
static bool take_line(struct ini_file *f, int c, char *buf, size_t size)
{
	const size_t max = size - sizeof("\n");
	char sentence[80];
	size_t n = 0;

	for (; c != EOF && c != '\n'; c = getc(f->file)) {
		if (c == '\r')
			continue;
		if ((c < 0x20 && c != '\t') || c == 0x7f) {
			fail(f, "the line has a control character: this is not a text file");
			return false;
		}
		if (n == max) {
			snprintf(sentence, sizeof(sentence), "the line is longer than %zu bytes",
				 max);
			fail(f, sentence);
			return false;
		}
		buf[n++] = (char)c;
	}
	buf[n] = '\n';
	buf[n + 1] = '\0';
	return true;
}

/* Another registry or rule has the same keys again. */
static void forget_lines(struct ini_file *f)
{
	for (size_t i = 0; i < CONFIG_KEYS_N; i++) {
		if (strcmp(config_keys[i].section, CONFIG_SECTION_AGENT) != 0)
			f->key_lines[i] = 0;
	}
}

/* line begins with '['. */
static void enter_section(struct ini_file *f, const char *line)
{
	const char *end = strchr(line, ']');
	char where[WHERE_MAX];
	char text[256];
	size_t n;

	if (!end || !strchr("\n;#", end[1 + strspn(end + 1, " \t")])) {
		fail(f,
		     "the line begins like a section, but is not one: [agent], [registry NAME] or [allow NAME]");
		return;
	}
	line += 1 + strspn(line + 1, " \t");
	n = end > line ? (size_t)(end - line) : 0;
	while (n > 0 && is_blank(line[n - 1]))
		n--;
	snprintf(text, sizeof(text), "%.*s", (int)n, line);
	f->result = config_section_enter(f->cfg, text, CONFIG_BY_FILE, where_of(f, where),
					 &f->section, f->error);
	if (f->result == 0)
		forget_lines(f);
}

/* inih's fgets(). */
static char *read_line(char *buf, int num, void *ctx)
{
	struct ini_file *f = ctx;
	int c;

	if (f->result != 0)
		return NULL;
	f->line++;
	c = first_char(f);
	if (c == EOF)
		return NULL;
	if (c == '#' || c == ';')
		c = skip_line(f->file);
	if (!take_line(f, c, buf, (size_t)num))
		return NULL;
	if (buf[0] == '[')
		enter_section(f, buf);
	return f->result == 0 ? buf : NULL;
}

static bool is_given_twice(struct ini_file *f, const struct config_key *key)
{
	unsigned int *line = &f->key_lines[key - config_keys];
	char sentence[128];

	if (*line > 0 && strcmp(key->name, "url") != 0) {
		snprintf(sentence, sizeof(sentence), "key '%s' is given twice, first in line %u",
			 key->name, *line);
		fail(f, sentence);
		return true;
	}
	*line = f->line;
	return false;
}

/* inih's handler; nonzero: go on. */
static int take_pair(void *ctx, const char *section, const char *name, const char *value)
{
	struct ini_file *f = ctx;
	const struct config_key *key;
	char where[WHERE_MAX];

	(void)section; /* headings have been read already, and better */
	if (f->result != 0 || !name)
		return f->result == 0;
	if (!f->section) {
		fail(f, "a key stands before the first section: begin with [agent] or [registry]");
		return 0;
	}
	key = config_key_find(f->section, name, where_of(f, where), f->error);
	if (!key)
		f->result = -EINVAL;
	else if (!is_given_twice(f, key))
		f->result = config_key_set(f->cfg, key, value ? value : "", CONFIG_BY_FILE, where,
					   f->error);
	return f->result == 0;
}

int config_ini_read(struct config *cfg, const char *path, char error[CONFIG_ERROR_MAX])
{
	CLEANUP(fclose_p) FILE *file = fopen(path, "re");
	struct ini_file f = { .cfg = cfg, .path = path, .file = file, .error = error };
	int r;

	if (!file) {
		r = -errno;
		snprintf(error, CONFIG_ERROR_MAX, "%s: %s", path, strerror(-r));
		return r;
	}
	errno = 0;
	r = ini_parse_stream(read_line, &f, take_pair, &f);
	if (ferror(file)) {
		r = errno ? -errno : -EIO;
		snprintf(error, CONFIG_ERROR_MAX, "%s: %s", path, strerror(-r));
		return r;
	}
	/*
	 * Lines without a '=' are inih's to find; it tells the number of the first one when it is
	 * through.
	 */
	if (r > 0 && (f.result == 0 || (unsigned int)r < f.line)) {
		f.line = (unsigned int)r;
		fail(&f, "the line is neither a [section], nor 'key = value', nor a comment");
	}
	return r < 0 ? -ENOMEM : f.result;
}
