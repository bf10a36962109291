/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A runner for Criterion tests under ThreadSanitizer
 *
 * Criterion hands each test to a fresh process through memory at a fixed address, and that address is
 * inside TSan's shadow: its runner dies before the first test. But a Criterion test is a plain record in
 * a linker section. This file walks that section, runs every test in a forked child and writes the same
 * JUnit file; the few functions below that a test calls take the place of those in libcriterion, because
 * a program's own symbols come first. Parameterized tests and theories are refused by name.
 *
 * A child ends with status 0, FAILED or SKIPPED, a signal, or what TSan makes of it (66).
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAILED 70
#define SKIPPED 71
#define TIMEOUT_S 100 /* below the limit of whoever runs this program */

extern struct criterion_test *__start_cr_tst[];
extern struct criterion_test *__stop_cr_tst[];
extern struct criterion_suite *__start_cr_sts[] __attribute__((weak));
extern struct criterion_suite *__stop_cr_sts[] __attribute__((weak));

static const struct criterion_test *current;
static jmp_buf test_end;
static int test_status;

/* What a test may call of Criterion. */

void criterion_internal_test_setup(void)
{
	if (current->data->init)
		current->data->init();
}

void criterion_internal_test_main(void (*fn)(void))
{
	if (setjmp(test_end) == 0)
		fn();
}

void criterion_internal_test_teardown(void)
{
	if (current->data->fini)
		current->data->fini();
}

void criterion_send_assert(struct criterion_assert_stats *stats)
{
	if (stats->passed)
		return;
	fprintf(stderr, "%s:%u: %s\n", stats->file, stats->line, stats->message);
	test_status = FAILED;
}

/* The same for criterion/new/assert.h. */
void cri_assert_node_send(const char *file, size_t line, struct cri_assert_node *tree)
{
	fprintf(stderr, "%s:%zu: %s\n", file, line,
		tree->message ? tree->message : "assertion failed");
	test_status = FAILED;
}

void criterion_abort_test(void)
{
	longjmp(test_end, 1);
}

void criterion_continue_test(void)
{
}

void cri_asserts_passed_incr(void)
{
}

void criterion_skip_test(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "[SKIP] %s::%s: ", current->category, current->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	test_status = SKIPPED;
	longjmp(test_end, 1);
}

/* The runner. */

static const struct criterion_test_extra_data *suite_data(const char *name)
{
	for (struct criterion_suite **s = __start_cr_sts; s != __stop_cr_sts; s++)
		if (*s && strcmp((*s)->name, name) == 0)
			return (*s)->data;
	return NULL;
}

static void run_in_child(const struct criterion_test *test)
{
	const struct criterion_test_extra_data *suite = suite_data(test->category);
	double timeout_s = test->data->timeout;

	current = test;
	alarm(timeout_s > 0 ? (unsigned)timeout_s + 1 : TIMEOUT_S);
	if (suite && suite->init)
		suite->init();
	test->test();
	if (suite && suite->fini)
		suite->fini();
	exit(test_status);
}

/* Returns NULL when the test did what it promises, "" when it was skipped, else what went wrong. */
static const char *verdict(const struct criterion_test *test, int status)
{
	static char text[80];

	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		return "";
	if (WIFSIGNALED(status) && WTERMSIG(status) == test->data->signal)
		return NULL;
	if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "ended by signal %d", WTERMSIG(status));
	else if (test->data->signal != 0)
		snprintf(text, sizeof(text), "signal %d did not come", test->data->signal);
	else if (WEXITSTATUS(status) != test->data->exit_code)
		snprintf(text, sizeof(text), "exit status %d", WEXITSTATUS(status));
	else
		return NULL;
	return text;
}

static const char *run(const struct criterion_test *test)
{
	const struct criterion_test_extra_data *suite = suite_data(test->category);
	int status;
	pid_t pid;

	if (test->data->disabled || (suite && suite->disabled))
		return "";
	if (test->data->kind_ != CR_TEST_NORMAL)
		return "a parameterized test, which this runner cannot run";
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		run_in_child(test);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return "no child process";
	return verdict(test, status);
}

static void report(FILE *xml, const struct criterion_test *test, const char *fault)
{
	fprintf(xml, "<testcase classname=\"%s\" name=\"%s\">", test->category, test->name);
	if (fault && fault[0])
		fprintf(xml, "<failure message=\"%s\"/>", fault);
	else if (fault)
		fputs("<skipped/>", xml);
	fputs("</testcase>\n", xml);
	if (fault && fault[0])
		fprintf(stderr, "%s/%s: %s\n", test->category, test->name, fault);
}

int main(int argc, char **argv)
{
	const char *path = "/dev/null";
	int n_failed = 0;
	FILE *xml;

	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], "--xml=", 6) == 0)
			path = argv[i] + 6;
	xml = fopen(path, "we");
	if (!xml) {
		perror(path);
		return 1;
	}
	fputs("<testsuites><testsuite name=\"tsan\">\n", xml);
	for (struct criterion_test **t = __start_cr_tst; t != __stop_cr_tst; t++) {
		const char *fault = *t ? run(*t) : NULL;

		if (*t)
			report(xml, *t, fault);
		n_failed += fault && fault[0];
	}
	fputs("</testsuite></testsuites>\n", xml);
	fclose(xml);
	return n_failed != 0;
}
