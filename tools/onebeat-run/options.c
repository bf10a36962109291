/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onebeat-run's command line
 *
 * Numbers are checked here, names and metadata by the library, which knows the rules. Metadata is cut at '=' in
 * place: argv outlives the registration.
 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPT_SERVICE = 256,
	OPT_PORT,
	OPT_IP,
	OPT_GROUP,
	OPT_CLUSTER,
	OPT_NAMESPACE,
	OPT_REGISTRY,
	OPT_WEIGHT,
	OPT_METADATA,
	OPT_POLICY,
	OPT_WAIT,
	OPT_KEEP_GOING,
	OPT_NO_LISTEN_CHECK,
	OPT_RUNTIME_DIR,
	OPT_HELP,
	OPT_VERSION
};

static const struct option table[] = {
	{ "service", required_argument, NULL, OPT_SERVICE },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "ip", required_argument, NULL, OPT_IP },
	{ "group", required_argument, NULL, OPT_GROUP },
	{ "cluster", required_argument, NULL, OPT_CLUSTER },
	{ "namespace", required_argument, NULL, OPT_NAMESPACE },
	{ "registry", required_argument, NULL, OPT_REGISTRY },
	{ "weight", required_argument, NULL, OPT_WEIGHT },
	{ "metadata", required_argument, NULL, OPT_METADATA },
	{ "policy", required_argument, NULL, OPT_POLICY },
	{ "wait", required_argument, NULL, OPT_WAIT },
	{ "keep-going", no_argument, NULL, OPT_KEEP_GOING },
	{ "no-listen-check", no_argument, NULL, OPT_NO_LISTEN_CHECK },
	{ "runtime-dir", required_argument, NULL, OPT_RUNTIME_DIR },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

static const char usage_text[] =
	"usage: onebeat-run --service NAME --port PORT [OPTION]... -- COMMAND [ARG]...\n"
	"\n"
	"Registers an instance and becomes COMMAND. The instance is registered once PORT listens, lives as long as\n"
	"any process of COMMAND lives and PORT listens, and is gone from the registry milliseconds after.\n"
	"\n"
	"  --service NAME      service name, without the group\n"
	"  --port PORT         1..65535\n"
	"  --ip IP             address to register (default: the host's, as the agent chooses it)\n"
	"  --group G           default DEFAULT_GROUP\n"
	"  --cluster C         default DEFAULT\n"
	"  --namespace NS      default: the agent's\n"
	"  --registry NAME     default: the agent's first; NAME,NAME,...: in each of them\n"
	"  --weight W          0..10000, default 1\n"
	"  --metadata K=V      may be given again\n"
	"  --policy any|owner  any (default): alive while any process of COMMAND is; owner: the first process alone\n"
	"  --wait SECONDS      wait so long for the agent's word on the registration, default 1\n"
	"  --keep-going        run COMMAND unregistered when no agent answers or it refuses\n"
	"  --no-listen-check   register at once and do not watch the port\n"
	"  --runtime-dir DIR   where onebeatd listens (default: ONEBEAT_RUNTIME_DIR, /run/onebeat, ...)\n"
	"  --help, --version\n"
	"\n"
	"Exit status: COMMAND's own; 1 not registered, 2 wrong usage, 126 COMMAND cannot be run, 127 not found.\n";

__attribute__((format(printf, 1, 2))) static int wrong(const char *fmt, ...)
{
	va_list ap;

	fputs("onebeat-run: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("; see --help\n", stderr);
	return OPTIONS_WRONG;
}

/* A number in low..high, nothing behind it. */
static bool number(const char *text, double low, double high, double *out)
{
	char *end;

	errno = 0;
	*out = strtod(text, &end);
	return errno == 0 && end != text && *end == '\0' && *out >= low && *out <= high;
}

static int take_port(struct run_options *o, const char *text)
{
	double port;

	if (!number(text, 1, 65535, &port) || port != (double)(uint32_t)port)
		return wrong("--port '%s' is not a whole number in 1..65535", text);
	o->spec.port = (uint32_t)port;
	return OPTIONS_OK;
}

static int take_wait(struct run_options *o, const char *text)
{
	double seconds;

	if (!number(text, 0, 3600, &seconds))
		return wrong("--wait '%s' is not a number of seconds in 0..3600", text);
	o->wait_ms = (unsigned int)(seconds * 1000);
	return OPTIONS_OK;
}

static int take_policy(struct run_options *o, const char *text)
{
	if (strcmp(text, "any") != 0 && strcmp(text, "owner") != 0)
		return wrong("--policy '%s' is neither 'any' nor 'owner'", text);
	o->spec.policy = strcmp(text, "any") == 0 ? ONEBEAT_ANY_HOLDER : ONEBEAT_OWNER;
	return OPTIONS_OK;
}

static int take_metadata(struct run_options *o, char *text)
{
	char *equals = strchr(text, '=');

	if (!equals || equals == text)
		return wrong("--metadata '%s' is not KEY=VALUE", text);
	if (o->spec.n_metadata == ONEBEAT_METADATA_PAIRS_MAX + 1)
		return OPTIONS_OK; /* the library refuses them already */
	*equals = '\0';
	o->metadata[o->spec.n_metadata++] = (struct onebeat_metadata){ .key = text,
								       .value = equals + 1 };
	return OPTIONS_OK;
}

static int take_text(struct run_options *o, int option, const char *text)
{
	switch (option) {
	case OPT_SERVICE:
		o->spec.service = text;
		break;
	case OPT_IP:
		o->spec.ip = text;
		break;
	case OPT_GROUP:
		o->spec.group = text;
		break;
	case OPT_CLUSTER:
		o->spec.cluster = text;
		break;
	case OPT_NAMESPACE:
		o->spec.namespace_id = text;
		break;
	case OPT_REGISTRY:
		o->spec.registry = text;
		break;
	default:
		o->runtime_dir = text;
	}
	return OPTIONS_OK;
}

static int take(struct run_options *o, int option, char *text)
{
	switch (option) {
	case OPT_PORT:
		return take_port(o, text);
	case OPT_WEIGHT:
		return number(text, 0, 10000, &o->spec.weight)
			       ? OPTIONS_OK
			       : wrong("--weight '%s' is not a number in 0..10000", text);
	case OPT_METADATA:
		return take_metadata(o, text);
	case OPT_POLICY:
		return take_policy(o, text);
	case OPT_WAIT:
		return take_wait(o, text);
	case OPT_KEEP_GOING:
		o->keep_going = true;
		return OPTIONS_OK;
	case OPT_NO_LISTEN_CHECK:
		o->spec.flags &= ~(uint32_t)ONEBEAT_WHEN_LISTENING;
		return OPTIONS_OK;
	case OPT_HELP:
		fputs(usage_text, stdout);
		return OPTIONS_DONE;
	case OPT_VERSION:
		printf("onebeat-run %s\n", onebeat_version());
		return OPTIONS_DONE;
	case '?':
		return OPTIONS_WRONG; /* getopt has said why */
	default:
		return take_text(o, option, text);
	}
}

int options_parse(struct run_options *out, int argc, char **argv)
{
	int option;

	*out = (struct run_options){ .spec = onebeat_spec_init(), .wait_ms = 1000 };
	out->spec.flags = ONEBEAT_WHEN_LISTENING;
	out->spec.metadata = out->metadata;
	while ((option = getopt_long(argc, argv, "+", table, NULL)) != -1) {
		int r = take(out, option, optarg);

		if (r != OPTIONS_OK)
			return r;
	}
	if (!out->spec.service)
		return wrong("--service is missing");
	if (out->spec.port == 0)
		return wrong("--port is missing");
	if (!argv[optind])
		return wrong("the command to run is missing");
	out->command = &argv[optind];
	return OPTIONS_OK;
}
