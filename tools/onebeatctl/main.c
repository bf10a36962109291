/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onebeatctl: the operator's tool
 *
 *   onebeatctl list | status | show INSTANCE | ping | events | reload | upgrade | leave | stop   [-o table|json]
 *
 * A plain client of the agent's control socket. Exit status: 0 done, 1 failed, 2 wrong usage.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"

static const struct option table[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "runtime-dir", required_argument, NULL, 'r' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'v' },
	{ NULL, 0, NULL, 0 },
};

static void usage(FILE *out)
{
	fputs("usage: onebeatctl [-o table|json] [--runtime-dir DIR] COMMAND\n\n", out);
	for (const struct command *c = commands; c->name; c++)
		fprintf(out, "  %-7s %-9s %s\n", c->name, c->argument ? c->argument : "", c->help);
	fputs("\n  -o, --output FORMAT   table (default) or json: one JSON document, for events one a line\n"
	      "  --runtime-dir DIR     where onebeatd runs (default: ONEBEAT_RUNTIME_DIR, /run/onebeat, ...)\n"
	      "  --help, --version\n"
	      "\nExit status: 0 done, 1 failed, 2 wrong usage.\n",
	      out);
}

static int wrong(const char *what, const char *value)
{
	fprintf(stderr, "onebeatctl: %s '%s'; see --help\n", what, value);
	return 2;
}

static int run(const struct settings *s, int n, char **words)
{
	for (const struct command *c = commands; n > 0 && c->name; c++) {
		if (strcmp(c->name, words[0]) != 0)
			continue;
		if (n != (c->argument ? 2 : 1))
			return wrong(c->argument ? "one argument is needed behind"
						 : "nothing may follow",
				     words[0]);
		return c->run(s, c->argument ? words[1] : NULL);
	}
	if (n > 0)
		return wrong("there is no command", words[0]);
	usage(stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct settings s = { .json = false };
	int option;

	while ((option = getopt_long(argc, argv, "o:", table, NULL)) != -1) {
		switch (option) {
		case 'o':
			if (strcmp(optarg, "json") != 0 && strcmp(optarg, "table") != 0)
				return wrong("--output is 'table' or 'json', not", optarg);
			s.json = strcmp(optarg, "json") == 0;
			break;
		case 'r':
			s.runtime_dir = optarg;
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'v':
			puts("onebeatctl " ONEBEAT_VERSION);
			return 0;
		default:
			return 2;
		}
	}
	return run(&s, argc - optind, argv + optind);
}
