/* SPDX-License-Identifier: Apache-2.0 */
/* Who descends from whom, by process and not by number. */
#include <criterion/criterion.h>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "segment/identity.h"

TestSuite(identity_descent, .timeout = 30);

/*
 * Starts a chain of n processes below this one; tells the pid of the last, which lives until
 * killed.
 */
static pid_t start_chain(int n, pid_t *first)
{
	int pipe_fds[2];
	pid_t last;

	cr_assert_eq(pipe(pipe_fds), 0);
	*first = fork();
	if (*first == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (--n > 0) {
			pid_t pid = fork();

			if (pid > 0) {
				waitpid(pid, NULL, 0);
				_exit(0);
			}
			prctl(PR_SET_PDEATHSIG, SIGKILL);
		}
		last = getpid();
		if (write(pipe_fds[1], &last, sizeof(last)) != (ssize_t)sizeof(last))
			_exit(9);
		pause();
	}
	cr_assert_eq(read(pipe_fds[0], &last, sizeof(last)), (ssize_t)sizeof(last));
	return last;
}

/* Who has that number now. */
static struct identity now_at(pid_t pid)
{
	struct identity id = { .pid = pid };

	cr_assert(identity_refresh(&id));
	return id;
}

static bool descends(pid_t child, pid_t ancestor)
{
	const struct identity a = now_at(child), b = now_at(ancestor);

	return identity_descends(&a, &b);
}

Test(identity_descent, knows_descent)
{
	pid_t first, last;

	last = start_chain(5, &first);
	cr_assert(descends(last, first));
	cr_assert(descends(last, getpid()));
	cr_assert(descends(last, getppid()));
	cr_assert_eq(descends(last, last), false, "nobody is his own ancestor");
	cr_assert_eq(descends(first, last), false);
	cr_assert_eq(descends(getpid(), last), false);
	kill(first, SIGKILL);
}

/* The numbers fit, the processes do not: whoever has a dead holder's number now is not that holder. */
Test(identity_descent, knows_no_descent_by_number_alone)
{
	struct identity child, ancestor, other;
	pid_t first, last = start_chain(3, &first);

	child = now_at(last);
	ancestor = now_at(first);
	cr_assert(identity_descends(&child, &ancestor));
	other = ancestor;
	other.start_ticks--;
	cr_assert_eq(identity_descends(&child, &other), false);
	other.start_ticks = 0;
	cr_assert_eq(identity_descends(&child, &other), false, "never known");
	other = child;
	other.start_ticks--;
	cr_assert_eq(identity_descends(&other, &ancestor), false);
	other.start_ticks = 0;
	cr_assert_eq(identity_descends(&other, &ancestor), false);
	other = (struct identity){ .pid = 0, .start_ticks = 1 };
	cr_assert_eq(identity_descends(&child, &other), false);
	cr_assert_eq(identity_descends(&other, &ancestor), false);
	kill(first, SIGKILL);
}

Test(identity_descent, gives_up_on_long_chains)
{
	pid_t first, last;

	last = start_chain(63, &first);
	cr_assert(descends(last, getpid()), "63 steps");
	kill(first, SIGKILL);
	last = start_chain(70, &first);
	cr_assert_eq(descends(last, getpid()), false, "70 steps");
	kill(first, SIGKILL);
}
