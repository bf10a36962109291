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
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "control/agent.h"
#include "control/config.h"
#include "control/dry_run.h"
#include "control/registry_list.h"
#include "keeper/child.h"
#include "keeper/keeper.h"
#include "segment/journal.h"

/* What an agent says by its exit status and what the keeper understands. */
_Static_assert((int)AGENT_OTHER_VERSION == (int)CHILD_OTHER_VERSION, "one status");
_Static_assert(__builtin_strcmp(AGENT_MAY_DECLINE, CHILD_MAY_DECLINE) == 0, "one name");

#define OWN_IMAGE "/proc/self/exe"

enum {
	EXIT_USAGE = 2
};

enum mode {
	MODE_RUN,
	MODE_CHECK,
	MODE_PRINT,
	MODE_DRY_RUN,
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
	OPT_DRY_RUN,
	OPT_VERSION,
	OPT_MANIFEST,
	OPT_UPGRADE_CHECK,
	OPT_STATE
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "registry", required_argument, NULL, OPT_REGISTRY },
	{ "runtime-dir", required_argument, NULL, OPT_RUNTIME_DIR },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "print-config", no_argument, NULL, OPT_PRINT },
	{ "dry-run", required_argument, NULL, OPT_DRY_RUN },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "agent-manifest", required_argument, NULL,
	  OPT_MANIFEST }, /* the keeper's, in no help text; so are the next two */
	{ "upgrade-check", required_argument, NULL, OPT_UPGRADE_CHECK },
	{ "keeper-state", required_argument, NULL, OPT_STATE },
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
	"      --dry-run SPEC     print the requests for an instance, send nothing and exit; SPEC is like\n"
	"                         service=orders,port=8080,metadata.zone=a with ip, group, cluster,\n"
	"                         namespace, weight, enabled, ephemeral (yes or no) and registry\n"
	"  -h, --help             print this and exit\n"
	"      --version          print the version and exit\n"
	"\n"
	"Runs in the foreground and writes its log to stderr. SIGTERM stops it and leaves the\n"
	"registrations to the next start; 'onebeatctl leave' removes them. SIGHUP, or\n"
	"'onebeatctl reload', reads the configuration anew, all or nothing.\n"
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
	const char *spec; /* of the dry run */
	int manifest_fd;  /* -1: we are the keeper */
	int state_fd;     /* -1: not executed by a keeper in its own place */
	int check_fd;     /* -1: no keeper asks whether we could be */
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
	case OPT_DRY_RUN:
		req->mode = MODE_DRY_RUN;
		req->spec = optarg;
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
	case OPT_UPGRADE_CHECK:
		req->check_fd = parse_fd(optarg);
		return req->check_fd < 0 ? EXIT_USAGE : 0;
	case OPT_STATE:
		req->state_fd = parse_fd(optarg);
		return req->state_fd < 0 ? EXIT_USAGE : 0;
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

/* Fills cfg from everywhere, file being the file. 0 or an exit status with a sentence. */
static int read_config(struct config *cfg, const struct request *req, const char *file, char *error)
{
	if (config_load(cfg, file, error) < 0)
		return EXIT_FAILURE;
	for (size_t i = 0; i < req->n_settings; i++) {
		const struct setting *s = &req->settings[i];

		if (config_set(cfg, s->section, s->key, s->value, s->option, error) < 0)
			return EXIT_USAGE;
	}
	return 0;
}

/* For a running agent: reload_source. */
static int read_again(void *ctx, struct config *out, char error[CONFIG_ERROR_MAX])
{
	const struct request *req = ctx;

	if (read_config(out, req, req->file, error) != 0)
		return -EINVAL;
	return config_check(out, error);
}

/*
 * What the keeper holds for an agent is what was in force, or what a reload has checked; the files may be another
 * matter by now. False: there is nothing, or this program cannot read it; cfg is empty.
 */
static bool inherit_config(struct config *cfg, const struct request *req)
{
	int fd = req->manifest_fd < 0 ? -1 : agent_settings(req->manifest_fd);
	char error[CONFIG_ERROR_MAX] = "";
	char path[32];

	if (fd < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	/* The command line once more, because it stands above the environment. */
	if (read_config(cfg, req, path, error) == 0 && config_check(cfg, error) == 0)
		return true;
	log_warning("agent.settings", "error=%s next=\"the files are read\"", LOG_Q(error));
	config_deinit(cfg);
	return false;
}

/* 0 or an exit status, after saying why. */
static int configure(struct config *cfg, const struct request *req)
{
	char error[CONFIG_ERROR_MAX] = "";
	int status;

	if (inherit_config(cfg, req))
		return 0;
	status = read_config(cfg, req, req->file, error);
	if (status != 0)
		return complain(error, status);
	if (req->mode == MODE_PRINT)
		config_print(cfg, STDOUT_FILENO);
	return config_check(cfg, error) < 0 ? complain(error, EXIT_FAILURE) : 0;
}

/* The path that we were executed by, when it still leads to us: a link there may lead elsewhere tomorrow. */
static bool installed_path(char program[PATH_MAX])
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): that is how the kernel gives it */
	const char *path = (const char *)getauxval(AT_EXECFN);
	char folder[PATH_MAX] = "";
	struct stat named, own;
	int n;

	if (!path || stat(path, &named) < 0 || stat(OWN_IMAGE, &own) < 0 ||
	    named.st_dev != own.st_dev || named.st_ino != own.st_ino)
		return false;
	if (path[0] != '/' && !getcwd(folder, sizeof(folder)))
		return false;
	n = snprintf(program, PATH_MAX, "%s%s%s", folder, *folder ? "/" : "", path);
	return n > 0 && n < PATH_MAX;
}

/* Where the installed program is, found before a package replaces it. 0 or a negative errno. */
static int find_program(char program[PATH_MAX])
{
	static const char deleted[] = " (deleted)";
	ssize_t n;

	if (installed_path(program))
		return 0;
	n = readlink(OWN_IMAGE, program, PATH_MAX - 1);
	if (n < 0)
		return -errno;
	program[n] = '\0';
	if (n > (ssize_t)strlen(deleted) && access(program, F_OK) < 0 &&
	    strcmp(program + n - strlen(deleted), deleted) == 0)
		program[n - (ssize_t)strlen(deleted)] = '\0'; /* replaced already */
	return 0;
}

static int run_keeper(const char *runtime_dir, const char *control_group, const struct request *req,
		      char **argv)
{
	char program[PATH_MAX];
	struct keeper_options options = { .runtime_dir = runtime_dir,
					  .control_group = control_group,
					  .program = program,
					  .own_image = OWN_IMAGE,
					  .argv = argv,
					  .state_fd = req->state_fd };
	int r = find_program(program);

	if (r < 0) {
		fprintf(stderr, "onebeatd: cannot find its own program file: %s\n", strerror(-r));
		return EXIT_FAILURE;
	}
	if (req->state_fd >= 0) {
		argv[1] = argv[0]; /* the option is not for those that we start */
		options.argv = argv + 1;
	}
	return keeper_run(&options);
}

#define NOT_US "version " ONEBEAT_VERSION " cannot take over from the running one: "

/* The answer of probe.h. */
static int answer_keeper(int fd, const struct config *cfg)
{
	uint32_t n_slots;
	int r = keeper_check_state(fd, cfg->runtime_dir);

	if (r == -EXDEV)
		return complain("the configured runtime_dir is not the running onebeatd's: "
				"that is changed by a stop and a start",
				EXIT_FAILURE);
	if (r < 0)
		return complain(r == -EPROTO ? NOT_US
					"its keeper is of another version; stop and start"
					     : "the running keeper's state cannot be read",
				EXIT_FAILURE);
	if (journal_look(cfg->runtime_dir, &n_slots) == JOURNAL_OTHER)
		return complain(NOT_US "its journal has another layout; stop and start",
				EXIT_FAILURE);
	puts("onebeatd " ONEBEAT_VERSION);
	return 0;
}

static int run_agent(const struct config *cfg, struct request *req)
{
	const struct reload_source source = { .load = read_again, .ctx = req };

	/* Also when we are the keeper's own image, whose file has another name. */
	(void)prctl(PR_SET_NAME, "onebeatd");
	/*
	 * A terminal or a service manager signals all of us; what that means is for the keeper to
	 * say.
	 */
	sigaction(SIGINT, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	sigaction(SIGHUP, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	return agent_run(cfg, &source, req->manifest_fd);
}

static int show_requests(const struct config *cfg, const char *spec)
{
	char error[CONFIG_ERROR_MAX] = "";

	if (dry_run(cfg, spec, stdout, error) < 0)
		return complain(error, EXIT_FAILURE);
	return fflush(stdout) == 0 ? 0 : EXIT_FAILURE;
}

/* Before anything is bound: the agent itself would go on without a secret, for the other registries' sake. */
static int check_secrets(const struct config *cfg)
{
	CLEANUP(free_p) struct registry_list *list = calloc(1, sizeof(*list));
	char error[CONFIG_ERROR_MAX];

	if (!list)
		return complain("out of memory", EXIT_FAILURE);
	registry_list_fill(list, cfg);
	return registry_list_check_secrets(list, error) < 0 ? complain(error, EXIT_FAILURE) : 0;
}

static int run(struct request *req, char **argv)
{
	CLEANUP(config_deinit) struct config cfg;
	int status = configure(&cfg, req);

	if (status == 0)
		log_set_level(cfg.log_level);
	if (req->state_fd >= 0)
		return run_keeper(NULL, NULL, req,
				  argv); /* there is no other keeper: nothing may stop it */
	if (status != 0 || req->mode == MODE_PRINT)
		return status;
	if (req->check_fd >= 0)
		return answer_keeper(req->check_fd, &cfg);
	if (req->mode == MODE_DRY_RUN)
		return show_requests(&cfg, req->spec);
	if (req->manifest_fd < 0)
		status = check_secrets(&cfg);
	if (status != 0)
		return status;
	if (req->mode == MODE_CHECK) {
		puts("configuration ok");
		return 0;
	}
	return req->manifest_fd < 0 ? run_keeper(cfg.runtime_dir, cfg.control_group, req, argv)
				    : run_agent(&cfg, req);
}

int main(int argc, char **argv)
{
	CLEANUP(free_p) struct setting *settings = calloc((size_t)argc + 1, sizeof(*settings));
	struct request req = {
		.manifest_fd = -1, .state_fd = -1, .check_fd = -1, .settings = settings
	};
	int status;

	sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	if (!settings)
		return complain("out of memory", EXIT_FAILURE);
	status = argc > 0 ? parse(&req, argc, argv) : EXIT_FAILURE;
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
