/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log
 *
 * stderr belongs to whoever started us (systemd's journal, a terminal, a file), so there is no file
 * handling here. A line is built on the stack and written with one write(2), which keeps lines of several
 * threads and of keeper and agent whole. The limit is per call site, not global, so that one noisy client
 * cannot silence the rest. A site's counters are relaxed atomics: two threads may let one line too many
 * through, which is harmless.
 *
 * Nor can one noisy user silence another: what is done for a user is counted apart, in one of LOG_SHARES counts
 * chosen by site and uid. Two that meet in one count are limited together. So the log as a whole has a limit too.
 */
#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static _Atomic int log_level_now = LOG_LEVEL_INFO;
static const char *_Atomic log_role = "onebeatd";
static const char *const level_names[] = { "error", "warning", "info", "debug" };

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&log_level_now, (int)level, memory_order_relaxed);
}

bool log_level_of(const char *name, enum log_level *out)
{
	for (unsigned int i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*out = (enum log_level)i;
			return true;
		}
	}
	return false;
}

void log_set_role(const char *role)
{
	atomic_store_explicit(&log_role, role, memory_order_relaxed);
}

#define LOG_SHARES 256u

static struct log_site shares[LOG_SHARES];
static _Thread_local uint32_t about; /* uid + 1; 0: nobody */

void log_about(uid_t uid)
{
	about = uid + 1;
}

void log_about_nobody(void)
{
	about = 0;
}

static struct log_site *share_of(struct log_site *site)
{
	uint64_t x = (uint64_t)(uintptr_t)site ^ (uint64_t)about << 32;

	if (about == 0)
		return site;
	x *= UINT64_C(0x9e3779b97f4a7c15);
	return &shares[(x >> 32) % LOG_SHARES];
}

/* True when the site may write now; *dropped is what it kept back before. */
static bool site_admits(struct log_site *site, uint32_t *dropped)
{
	uint64_t now = clock_now_ms();
	uint64_t start = atomic_load_explicit(&site->window_ms, memory_order_relaxed);

	*dropped = 0;
	if (start == 0 || now - start >= LOG_WINDOW_MS) {
		atomic_store_explicit(&site->window_ms, now, memory_order_relaxed);
		atomic_store_explicit(&site->n_lines, 0, memory_order_relaxed);
	}
	if (atomic_fetch_add_explicit(&site->n_lines, 1, memory_order_relaxed) >= LOG_BURST) {
		atomic_fetch_add_explicit(&site->n_dropped, 1, memory_order_relaxed);
		return false;
	}
	*dropped = atomic_exchange_explicit(&site->n_dropped, 0, memory_order_relaxed);
	return true;
}

bool log_admits(struct log_site *site)
{
	uint32_t dropped;

	return site_admits(share_of(site), &dropped);
}

static size_t format_head(char *line, size_t size, enum log_level level, const char *event)
{
	struct timespec ts;
	struct tm tm;
	size_t n;
	int m;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &tm);
	m = snprintf(line + n, size - n, ".%03ldZ %-7s %s[%d] event=%s", ts.tv_nsec / 1000000,
		     level_names[level], atomic_load_explicit(&log_role, memory_order_relaxed),
		     (int)getpid(), event);
	return n + (size_t)m;
}

/* Appends at *n, cutting at the end: a cut line is better than none. */
__attribute__((format(printf, 4, 0))) static void append(char *line, size_t size, size_t *n,
							 const char *fmt, va_list ap)
{
	int m = vsnprintf(line + *n, size - *n, fmt, ap);

	if (m > 0)
		*n += (size_t)m < size - *n ? (size_t)m : size - *n - 1;
}

__attribute__((format(printf, 4, 5))) static void appendf(char *line, size_t size, size_t *n,
							  const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	append(line, size, n, fmt, ap);
	va_end(ap);
}

void log_write(struct log_site *site, enum log_level level, const char *event, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	const size_t size = sizeof(line) - 1;
	uint32_t dropped;
	va_list ap;
	size_t n;

	if ((int)level > atomic_load_explicit(&log_level_now, memory_order_relaxed) ||
	    !site_admits(share_of(site), &dropped))
		return;
	n = format_head(line, size, level, event);
	if (*fmt)
		appendf(line, size, &n, " ");
	va_start(ap, fmt);
	append(line, size, &n, fmt, ap);
	va_end(ap);
	if (dropped > 0)
		appendf(line, size, &n, " dropped=%u", dropped);
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return; /* nobody to tell */
}

/* Writes one character's form at p; returns its length, at most 4. */
static size_t quote_char(char *p, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";

	if (c == '"' || c == '\\') {
		p[0] = '\\';
		p[1] = (char)c;
		return 2;
	}
	if (c < 0x20 || c == 0x7f) {
		p[0] = '\\';
		p[1] = 'x';
		p[2] = hex[c >> 4];
		p[3] = hex[c & 15];
		return 4;
	}
	p[0] = (char)c;
	return 1;
}

const char *log_quote(char *buf, unsigned long size, const char *text)
{
	size_t n = 0;

	buf[n++] = '"';
	for (const char *p = text ? text : ""; *p && n + 6 < size; p++)
		n += quote_char(buf + n, (unsigned char)*p);
	buf[n++] = '"';
	buf[n] = '\0';
	return buf;
}
