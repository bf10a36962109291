/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

/*
 * The log: one line an event, key=value, to stderr
 *
 *   2026-01-31T12:00:00.123Z info  event=lease.open pid=17 uid=0 program="nginx"
 *
 * No line per beat. Each call site is limited to LOG_BURST lines in LOG_WINDOW_MS; what was left out is
 * counted in the site's next line (dropped=N). While a thread works for a user (log_about), its lines count
 * for that user alone. Thread-safe: one write(2) a line, at most LOG_LINE_MAX bytes.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LOG_LINE_MAX 1024
#define LOG_BURST 20u
#define LOG_WINDOW_MS 10000u

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

struct log_site {
	_Atomic uint64_t window_ms;
	_Atomic uint32_t n_lines;
	_Atomic uint32_t n_dropped;
};

void log_set_level(enum log_level level);
/* Name to level: error, warning, info, debug. False for anything else. */
bool log_level_of(const char *name, enum log_level *out);
/* "onebeatd" or "keeper": who speaks; a static string. */
void log_set_role(const char *role);

/* What this thread does from here on it does for that user; until log_about_nobody(). */
void log_about(uid_t uid);
void log_about_nobody(void);
/* May something be told from this site? For what is limited as lines are, but is none. */
bool log_admits(struct log_site *site);

/* fmt gives the line's key=value pairs; quote texts that may hold blanks with LOG_Q / log_quote(). */
void log_write(struct log_site *site, enum log_level level, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Writes text into buf as "..." with quotes, backslashes and control characters escaped; returns buf. */
const char *log_quote(char *buf, unsigned long size, const char *text);

#define LOG_Q(text) log_quote((char[256]){ 0 }, 256, (text))

#define LOG_AT(level, event, ...)                                      \
	do {                                                           \
		static struct log_site log_site_here_;                 \
		log_write(&log_site_here_, level, event, __VA_ARGS__); \
	} while (0)

#define log_error(event, ...) LOG_AT(LOG_LEVEL_ERROR, event, __VA_ARGS__)
#define log_warning(event, ...) LOG_AT(LOG_LEVEL_WARNING, event, __VA_ARGS__)
#define log_info(event, ...) LOG_AT(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) LOG_AT(LOG_LEVEL_DEBUG, event, __VA_ARGS__)

#endif
