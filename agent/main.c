/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onebeatd: options and exit codes
 *
 * The same program is keeper and agent: the keeper executes it again with --agent-manifest. Both
 * read the whole configuration before they touch anything, so that a wrong one stops onebeatd with
 * nothing bound and nothing locked. Exit status: 0 done, 1 failed, 2 wrong usage.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "control/agent.h"
#include "control/config.h"
#include "keeper/keeper.h"

enum {
	EXIT_USAGE = 2
};

enum mode {
	MODE_RUN,
	MODE_CHECK,
	MODE_PRINT,
	MODE_HELP,
	MODE_VERSION
};

/* Options without a letter of their own. */
enum {
	OPT_REGISTRY = 256,
	OPT_RUNTIME_DIR,
	OPT_LOG_LEVEL,
	OPT_CHECK,
	OPT_PRINT,
	OPT_VERSION,
	OPT_MANIFEST
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "registry", required_argument, NULL, OPT_REGISTRY },
	{ "runtime-dir", required_argument, NULL, OPT_RUNTIME_DIR },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "print-config", no_argument, NULL, OPT_PRINT },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "agent-manifest", required_argument, NULL,
	  OPT_MANIFEST }, /* the keeper's, in no help text */
	{ NULL, 0, NULL, 0 },
};

static const char help_text[] =
	"Usage: onebeatd [OPTION]...\n"
	"Keeps the processes of this host registered with a Nacos registry.\n"
	"\n"
	"  -c, --config FILE      read FILE instead of " CONFIG_FILE_DEFAULT "\n"
	"      --registry URL     the registry's address; may be repeated for its other addresses\n"
	"      --runtime-dir DIR  folder of sockets and journal\n"
	"      --log-level LEVEL  error, warning, info or debug\n"
	"      --check            check the configuration and exit\n"
	"      --print-config     print the configuration in force and exit\n"
	"  -h, --help             print this and exit\n"
	"      --version          print the version and exit\n"
	"\n"
	"Runs in the foreground and writes its log to stderr. SIGTERM stops it and leaves the\n"
	"registrations to the next start; 'onebeatctl leave' removes them.\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage.\n"
	"\n";

/* A setting from the command line, applied when the file has been read. */
struct setting {
	const char *section;
	const char *key;
	const char *value;
	const char *option;
};

struct request {
	enum mode mode;
	const char *file;
	int manifest_fd; /* -1: we are the keeper */
	struct setting *settings;
	size_t n_settings;
};

static void add_setting(struct request *req, const char *section, const char *key,
			const char *option)
{
	req->settings[req->n_settings++] = (struct setting){
		.section = section, .key = key, .value = optarg, .option = option
	};
}

static int parse_fd(const char *text)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && n >= 0 && n <= INT_MAX ? (int)n : -1;
}

/* 0 or EXIT_USAGE. */
static int take_option(struct request *req, int option)
{
	switch (option) {
	case 'c':
		req->file = optarg;
		return 0;
	case OPT_REGISTRY:
		add_setting(req, "registry", "url", "--registry");
		return 0;
	case OPT_RUNTIME_DIR:
		add_setting(req, "agent", "runtime_dir", "--runtime-dir");
		return 0;
	case OPT_LOG_LEVEL:
		add_setting(req, "agent", "log_level", "--log-level");
		return 0;
	case OPT_CHECK:
		req->mode = MODE_CHECK;
		return 0;
	case OPT_PRINT:
		req->mode = MODE_PRINT;
		return 0;
	case 'h':
		req->mode = MODE_HELP;
		return 0;
	case OPT_VERSION:
		req->mode = MODE_VERSION;
		return 0;
	case OPT_MANIFEST:
		req->manifest_fd = parse_fd(optarg);
		return req->manifest_fd < 0 ? EXIT_USAGE : 0;
	default:
		return EXIT_USAGE; /* getopt has said why */
	}
}

static int parse(struct request *req, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "c:h", long_options, NULL)) != -1) {
		if (take_option(req, option) != 0) {
			fputs("Try 'onebeatd --help'.\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "onebeatd: unexpected argument '%s'\nTry 'onebeatd --help'.\n",
			argv[optind]);
		return EXIT_USAGE;
	}
	return 0;
}

static int complain(const char *error, int status)
{
	fprintf(stderr, "onebeatd: %s\n", error);
	return status;
}

/* Fills cfg from everywhere. 0 or an exit status, after saying why. */
static int configure(struct config *cfg, const struct request *req)
{
	char error[CONFIG_ERROR_MAX] = "";

	if (config_load(cfg, req->file, error) < 0)
		return complain(error, EXIT_FAILURE);
	for (size_t i = 0; i < req->n_settings; i++) {
		const struct setting *s = &req->settings[i];

		if (config_set(cfg, s->section, s->key, s->value, s->option, error) < 0)
			return complain(error, EXIT_USAGE);
	}
	if (req->mode == MODE_PRINT)
		config_print(cfg, STDOUT_FILENO);
	return config_check(cfg, error) < 0 ? complain(error, EXIT_FAILURE) : 0;
}

static int run_keeper(const struct config *cfg, char **argv)
{
	char program[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	struct keeper_options options = { .runtime_dir = cfg->runtime_dir,
					  .program = program,
					  .argv = argv };

	if (n < 0) {
		fprintf(stderr, "onebeatd: cannot find its own program file: %s\n",
			strerror(errno));
		return EXIT_FAILURE;
	}
	program[n] = '\0';
	return keeper_run(&options);
}

static int run(const struct request *req, char **argv)
{
	CLEANUP(config_deinit) struct config cfg;
	int status = configure(&cfg, req);

	if (status != 0 || req->mode == MODE_PRINT)
		return status;
	if (req->mode == MODE_CHECK) {
		puts("configuration ok");
		return 0;
	}
	log_set_level(cfg.log_level);
	if (req->manifest_fd < 0)
		return run_keeper(&cfg, argv);
	/*
	 * A terminal or a service manager signals all of us; what that means is for the keeper to
	 * say.
	 */
	sigaction(SIGINT, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	return agent_run(&cfg, req->manifest_fd);
}

int main(int argc, char **argv)
{
	CLEANUP(free_p) struct setting *settings = calloc((size_t)argc + 1, sizeof(*settings));
	struct request req = { .manifest_fd = -1, .settings = settings };
	int status = settings && argc > 0 ? parse(&req, argc, argv) : EXIT_FAILURE;

	sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	if (status != 0)
		return status;
	if (req.mode == MODE_VERSION) {
		puts("onebeatd " ONEBEAT_VERSION);
		return 0;
	}
	if (req.mode == MODE_HELP) {
		fputs(help_text, stdout);
		fflush(stdout);
		config_help(STDOUT_FILENO);
		return 0;
	}
	return run(&req, argv);
}
