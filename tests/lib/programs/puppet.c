/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program under a test's control: lib/puppet.h
 *
 *   open [dir=DIR] [require] [across_exec] [instances=N] [timeout=MS]
 *   register NAME service=S port=N [group= cluster= ns= registry= ip= weight= policy=owner|any
 *       enabled=0 ephemeral=0 when_listening=1 beat_ms= progress_ms= md.KEY=VALUE ...]
 *       -> same=1 when the library gave a pointer that it gave before
 *   update NAME ...       what is not named stays as it was
 *   status NAME           -> state= code= confirmed= holders= beat_age_ms= since_ms= ip= text="..."
 *   wait NAME STATE MS    set NAME UP|DOWN    tick NAME    deregister NAME
 *   attend    fd -> fd=N    close
 *   listen PORT -> port=N    unlisten
 *   fork, forkworker [uid=N] -> pid=N of a child that stays    forkcall -> each call's code in a child
 *   daemonise -> pid=N, said by the grandchild that goes on    exec PATH ARGS
 *   forkmany N -> count=N of children that stay    forkby fork|_Fork|clone -> pid=N of a child that stays
 *   vfork PATH ARGS -> pid=N of what runs there
 *   closeall [brute]    reuse -> fd=N    foreign -> bytes=N lost=N    sockets -> count=N
 *   pid -> pid=N    crash    exit N    end _exit|quick_exit|abort|segv|thread
 *   thread COMMAND ...    another thread does it while the first waits
 *   leavemain    the first thread ends, another goes on with the commands
 *   publish N    threads that update the last one for ever: weight and md.v are always the same number
 *   autonew [enabled=0|1 wait=MS management=PORT management_service=S] spec ...    auto-registration: what it is
 *   autobind [fd=N]    the last socket that listens, or another    autostart    autostop    autoattend    autoclose
 *   autostate -> running= managed= said=    autoname NAME [management]    commands above then know its instance
 *   setuid UID    touch MIB    core    a crash leaves a core file from here on
 *
 * Values may have %XX for a byte. Input is read unbuffered, because several processes may go on with it.
 */
#include "lib/puppet.h"

#include <stdarg.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 65536
#define WORDS_MAX 256

static void say(const char *line, int length)
{
	while (length > 0) {
		ssize_t n = write(STDOUT_FILENO, line, (size_t)length);

		if (n < 0 && errno != EINTR)
			_exit(3); /* nobody listens any more */
		if (n > 0) {
			line += n;
			length -= (int)n;
		}
	}
}

static void answer(const char *head, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

static void answer(const char *head, const char *format, va_list args)
{
	char line[2048];
	int n = snprintf(line, sizeof(line), "%s", head);

	n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, args);
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	while (n > 0 && line[n - 1] == ' ')
		n--;
	line[n++] = '\n';
	say(line, n);
}

void puppet_ok(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	answer("ok ", format, args);
	va_end(args);
}

void puppet_refuse(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	answer("error 1 ", format, args);
	va_end(args);
}

static void error_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void error_line(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	answer("error ", format, args);
	va_end(args);
}

void puppet_fail(int code)
{
	int error = errno;

	if (code == ONEBEAT_E_SYSTEM)
		error_line("%d %s: %s", code, onebeat_strerror(code), strerror(error));
	else
		error_line("%d %s", code, onebeat_strerror(code));
}

void puppet_result(int code)
{
	if (code == 0)
		puppet_ok("%s", "");
	else
		puppet_fail(code);
}

const char *puppet_option(char **words, const char *key, const char *fallback)
{
	size_t n = strlen(key);

	for (; *words; words++) {
		if (strncmp(*words, key, n) == 0 && (*words)[n] == '=')
			return *words + n + 1;
	}
	return fallback;
}

static const struct puppet_command *const tables[] = {
	puppet_instance_commands, puppet_process_commands, puppet_numbers_commands,
	puppet_fork_commands,     puppet_thread_commands,  puppet_auto_commands,
};

static const struct puppet_command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		for (const struct puppet_command *c = tables[i]; c->name; c++) {
			if (strcmp(c->name, name) == 0)
				return c;
		}
	}
	return NULL;
}

void puppet_obey(struct puppet *p, char *line)
{
	const struct puppet_command *command;
	char *words[WORDS_MAX + 1] = { NULL };
	char *rest = NULL;
	int n = 0;

	for (char *w = strtok_r(line, " \n", &rest); w && n < WORDS_MAX;
	     w = strtok_r(NULL, " \n", &rest))
		words[n++] = w;
	command = n > 0 ? find_command(words[0]) : NULL;
	if (!command)
		puppet_refuse("no such command: %s", n > 0 ? words[0] : "(empty line)");
	else if (n - 1 < command->n_needed)
		puppet_refuse("%s needs %d words more", words[0], command->n_needed - (n - 1));
	else
		command->run(p, words + 1);
}

void puppet_obey_all(struct puppet *p)
{
	static char line[LINE_MAX_BYTES];

	while (fgets(line, sizeof(line), stdin))
		puppet_obey(p, line);
}

int main(void)
{
	static struct puppet puppet = { .lease = -1 };

	setvbuf(stdin, NULL, _IONBF, 0);
	puppet_obey_all(&puppet);
	return 0;
}
