/* SPDX-License-Identifier: Apache-2.0 */
/* /proc: the stat line with any name in it, and descriptors that stay with their process. */
#include <criterion/criterion.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "segment/proc.h"

#define REST \
	" S 42 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654321 10 11 18446744073709551615 0 0"

Test(proc, parses_any_name)
{
	const char *const lines[] = {
		"17 (nginx)" REST,      "17 ()" REST,         "17 (a b)" REST,
		"17 (x) S 1 2 3)" REST, "17 ((sd-pam))" REST, "17 (two\nlines)" REST,
		"17 () R 0 ()" REST,
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct proc_stat st = { .ppid = -1 };

		cr_assert_eq(proc_parse_stat(lines[i], &st), 0, "%s", lines[i]);
		cr_assert_eq(st.ppid, 42, "%s", lines[i]);
		cr_assert_eq(st.start_ticks, 987654321, "%s", lines[i]);
	}
}

/* A process whose first thread has ended looks like a zombie, and is none. */
Test(proc, tells_a_dead_process_from_a_dead_first_thread)
{
	static const struct {
		const char *line;
		bool dead;
	} cases[] = {
		{ "17 (Z) S 42 7 7 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 9 10", false },
		{ "17 (x) Z 42 7 7 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 9 10", true },
		{ "17 (x) Z 42 7 7 0 -1 4 1 2 3 4 5 6 7 8 20 0 2 0 9 10", false },
		{ "17 (x) X 42 7 7 0 -1 4 1 2 3 4 5 6 7 8 20 0 0 0 9 10", true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct proc_stat st;

		cr_assert_eq(proc_parse_stat(cases[i].line, &st), 0);
		cr_assert_eq(st.dead, cases[i].dead, "%s", cases[i].line);
		cr_assert_eq(st.start_ticks, 9);
	}
}

Test(proc, refuses_what_is_cut)
{
	struct proc_stat st;

	cr_assert_eq(proc_parse_stat("", &st), -EBADMSG);
	cr_assert_eq(proc_parse_stat("17 (nginx", &st), -EBADMSG);
	cr_assert_eq(proc_parse_stat("17 (nginx) S 42 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 ",
				     &st),
		     -EBADMSG);
}

Test(proc, reads_a_live_process)
{
	int dir = proc_open(getpid());
	struct proc_stat st;
	char text[32];

	cr_assert(dir >= 0);
	cr_assert_eq(prctl(PR_SET_NAME, ") R 1 1"), 0);
	cr_assert_eq(proc_read_stat(dir, &st), 0);
	cr_assert_eq(st.ppid, getppid());
	cr_assert(st.start_ticks > 0);
	cr_assert_eq(proc_read(dir, "comm", text, sizeof(text)), 8);
	cr_assert_str_eq(text, ") R 1 1\n");
	cr_assert_eq(proc_read(dir, "comm", text, 4), 3, "cut, and ended");
	cr_assert_str_eq(text, ") R");
	cr_assert_eq(proc_read(dir, "nothing", text, sizeof(text)), -ENOENT);
}

/* A descriptor of a dead process says so, whoever has its number now. */
Test(proc, does_not_pass_to_the_next_process)
{
	pid_t pid = fork();
	struct proc_stat st;
	siginfo_t info;
	int dir;

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	dir = proc_open(pid);
	cr_assert(dir >= 0);
	kill(pid, SIGKILL);
	cr_assert_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	cr_assert_eq(proc_read_stat(dir, &st), 0, "a zombie has a stat line");
	cr_assert_eq(st.ppid, getpid());
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	cr_assert(proc_read_stat(dir, &st) < 0);
	cr_assert_eq(proc_open(pid), -ENOENT);
}
