/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What official servers answered, and what it means
 *
 * golden/recorded-replies has a line for each different answer that 1.4.8, 2.5.1 and 3.0.3 gave while every
 * call, mistake and credential was tried on them: server, API, call, status, verdict, what was asked, and the
 * body, with \xNN for what cannot stand in a line. The verdicts were derived from the specification. What was
 * asked by calls that an agent never makes, and went wrong, is judged like the call that is most alike.
 */
#include <criterion/criterion.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nacos/login.h"
#include "nacos/reply.h"

#define LINE_SIZE 8192

enum {
	SERVER,
	API,
	CALL,
	STATUS,
	VERDICT,
	NAME,
	BODY,
	N_FIELDS
};

static const char *const verdicts[] = {
	[NACOS_OK] = "ok",         [NACOS_UNKNOWN] = "unknown", [NACOS_REFUSED] = "refused",
	[NACOS_DENIED] = "denied", [NACOS_FAILED] = "failed",   [NACOS_NO_API] = "no-api",
};

static const char *const login_verdicts[] = {
	[LOGIN_OK] = "ok",
	[LOGIN_DENIED] = "denied",
	[LOGIN_FAILED] = "failed",
	[LOGIN_NO_API] = "no-api",
};

/* Takes the escapes out, in place. Returns the length. */
static size_t unescape(char *text)
{
	char *to = text;

	for (const char *p = text; *p; p++) {
		bool escaped = *p == '\\';

		p += escaped;
		if (escaped && *p == 'x') {
			char digits[3] = { p[1], p[2] };

			*to++ = (char)strtol(digits, NULL, 16);
			p += 2;
		} else {
			*to++ = *p;
		}
	}
	return (size_t)(to - text);
}

static void split(char *line, char *fields[N_FIELDS])
{
	for (int i = 0; i < N_FIELDS; i++) {
		fields[i] = line;
		line += strcspn(line, i == BODY ? "\n" : "\t");
		cr_assert(*line, "'%s' ends early", fields[0]);
		*line++ = '\0';
	}
}

static enum nacos_call call_of(const char *name)
{
	if (strcmp(name, "beat") == 0)
		return NACOS_BEAT;
	return strcmp(name, "deregister") == 0 ? NACOS_DEREGISTER : NACOS_REGISTER;
}

static const char *verdict_of(char *fields[N_FIELDS], const char *body, size_t n)
{
	int status = (int)strtol(fields[STATUS], NULL, 10);
	static struct login_outcome login;
	struct nacos_outcome out;

	if (strcmp(fields[CALL], "login") == 0) {
		login_judge(status, body, n, &login);
		cr_expect_eq(login.verdict == LOGIN_OK, login.text[0] == '\0');
		cr_expect_eq(login.verdict == LOGIN_OK, login.ttl_s > 0 && login.n_token > 0);
		return login_verdicts[login.verdict];
	}
	nacos_judge(strcmp(fields[API], "v3") == 0 ? NACOS_V3 : NACOS_V1, call_of(fields[CALL]),
		    status, body, n, &out);
	cr_expect_eq(out.verdict == NACOS_OK, out.text[0] == '\0', "%s: %s", fields[NAME],
		     out.text);
	return verdicts[out.verdict];
}

Test(nacos_recorded, every_answer_is_judged_rightly)
{
	FILE *f = fopen(ONEBEAT_TESTS_DIR "/unit/golden/recorded-replies", "r");
	static char line[LINE_SIZE];
	char *fields[N_FIELDS];
	unsigned int n_lines = 0;

	cr_assert(f);
	while (fgets(line, sizeof(line), f)) {
		size_t n;

		split(line, fields);
		n = unescape(fields[BODY]);
		cr_expect_str_eq(verdict_of(fields, fields[BODY], n), fields[VERDICT],
				 "%s, %s %s, \"%s\": %s", fields[SERVER], fields[API], fields[CALL],
				 fields[NAME], fields[BODY]);
		n_lines++;
	}
	fclose(f);
	cr_expect_gt(n_lines, 120u);
}
