/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onebeat-registry: an in-memory registry that speaks Nacos over HTTP
 *
 * For trying onebeat and for its tests. Options, the listening socket and signals are here; exit
 * status 0 is a clean stop, 1 a failure, 2 wrong usage.
 */
#include "auth.h"
#include "httpd.h"
#include "mode.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

static const char usage[] =
	"usage: onebeat-registry [option]...\n"
	"\n"
	"An in-memory registry that speaks the part of Nacos that clients meet: v1, v2, v3.\n"
	"Its page at / shows what is registered. POST /registry/admin/VERB, from loopback only,\n"
	"changes it while it runs (see tools/registry/admin.c): mode?mode=1.4, clear,\n"
	"fault?kind=503&count=2, faults-clear; GET /registry/admin shows how it stands.\n"
	"\n"
	"  --listen ADDR:PORT      where to listen (127.0.0.1:8848); port 0 takes a free one,\n"
	"                          an IPv6 address stands in brackets\n"
	"  --mode MODE             server to behave like: 1.4, 2, 3, 3-no-v1 or 3.2 (2)\n"
	"  --time-scale F          time-outs run F times faster, 0.01 to 10000 (1). Intervals in\n"
	"                          replies are not scaled: give instances the metadata\n"
	"                          preserved.heart.beat.interval below 15000/F ms to keep up\n"
	"  --nodes N               a cluster of N nodes, 1 to 16, on ports from the one of --listen\n"
	"                          on (1); with port 0 each takes a free one\n"
	"  --tls-cert FILE         speak https with this certificate (PEM, with its chain)\n"
	"  --tls-key FILE          and its key\n"
	"  --tls-client-ca FILE    demand a certificate that this CA signed from clients\n"
	"  --log FILE              write one line of JSON for each request; FILE is emptied first\n"
	"  --keepalive-requests N  close a connection after N requests; 0 never does (100)\n"
	"  --auth USER:PASSWORD    ask for a token, which a login of this user gives\n"
	"  --token-ttl SECONDS     how long a token holds, by the wall clock (18000)\n"
	"  --server-identity NAME:VALUE  a request with this header needs no token\n"
	"  --help                  show this and stop\n"
	"  --version               show the version and stop\n";

struct settings {
	struct httpd_options server;
	struct auth auth;
};

__attribute__((format(printf, 1, 2), noreturn)) static void wrong_usage(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("onebeat-registry: ", stderr);
	vfprintf(stderr, fmt, args);
	fputs(" (see --help)\n", stderr);
	va_end(args);
	exit(2);
}

/* Takes "ADDR:PORT" apart in place. Returns false when it is not of that form. */
static bool split_address(char *text, char **host, char **port)
{
	char *colon = strrchr(text, ':');
	size_t n;

	if (!colon || colon == text || !colon[1])
		return false;
	*colon = '\0';
	*port = colon + 1;
	*host = text;
	n = strlen(text);
	if (text[0] == '[' && text[n - 1] == ']') {
		text[n - 1] = '\0';
		*host = text + 1;
	} else if (strchr(text, ':')) {
		return false;
	}
	return (*port)[strspn(*port, "0123456789")] == '\0' && strtoul(*port, NULL, 10) <= 65535;
}

static void set_listen(struct settings *set, const char *value)
{
	struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *found = NULL;
	char copy[256], *host, *port;

	snprintf(copy, sizeof(copy), "%s", value);
	if (!split_address(copy, &host, &port) || getaddrinfo(host, port, &hints, &found) != 0)
		wrong_usage("--listen: \"%s\" is not ADDR:PORT with a numeric address and a port "
			    "from 0 to 65535",
			    value);
	memcpy(&set->server.address.at, found->ai_addr, found->ai_addrlen);
	set->server.address.len = found->ai_addrlen;
	freeaddrinfo(found);
}

static void set_time_scale(struct settings *set, const char *value)
{
	char *end;
	double scale = strtod(value, &end);

	if (end == value || *end || !(scale >= 0.01 && scale <= 10000.0))
		wrong_usage("--time-scale: \"%s\" is not a number from 0.01 to 10000", value);
	set->server.time_scale = scale;
}

static void set_keepalive(struct settings *set, const char *value)
{
	size_t n = strlen(value);

	if (!n || n > 9 || strspn(value, "0123456789") != n)
		wrong_usage("--keepalive-requests: \"%s\" is not a number from 0 to 999999999",
			    value);
	set->server.keepalive_requests = (unsigned int)strtoul(value, NULL, 10);
}

static void set_nodes(struct settings *set, const char *value)
{
	size_t n = strlen(value);
	unsigned long nodes = n < 3 && strspn(value, "0123456789") == n ? strtoul(value, NULL, 10)
									: 0;

	if (nodes < 1 || nodes > CLUSTER_MAX)
		wrong_usage("--nodes: \"%s\" is not a number from 1 to %d", value, CLUSTER_MAX);
	set->server.n_nodes = (unsigned int)nodes;
}

static void set_mode(struct settings *set, const char *value)
{
	set->server.mode = mode_find(value);
	if (!set->server.mode)
		wrong_usage("--mode: \"%s\" is not one of %s", value, mode_names);
}

static void set_auth(struct settings *set, const char *value)
{
	if (!auth_set_user(&set->auth, value))
		wrong_usage("--auth: the value is not USER:PASSWORD, each of 1 to %d bytes",
			    AUTH_NAME_MAX - 1);
}

static void set_identity(struct settings *set, const char *value)
{
	if (!auth_set_identity(&set->auth, value))
		wrong_usage("--server-identity: the value is not NAME:VALUE, each of 1 to %d bytes",
			    AUTH_NAME_MAX - 1);
}

static void set_token_ttl(struct settings *set, const char *value)
{
	if (!auth_set_ttl(&set->auth, value))
		wrong_usage("--token-ttl: \"%s\" is not a number from 1 to %d", value,
			    AUTH_TTL_MAX_S);
}

__attribute__((noreturn)) static void show(const char *text)
{
	fputs(text, stdout);
	exit(fflush(stdout) == 0 ? 0 : 1);
}

static void set_log(struct settings *set, const char *value)
{
	set->server.log_path = value;
}

static void set_tls_cert(struct settings *set, const char *value)
{
	set->server.tls.cert = value;
}

static void set_tls_key(struct settings *set, const char *value)
{
	set->server.tls.key = value;
}

static void set_tls_client_ca(struct settings *set, const char *value)
{
	set->server.tls.client_ca = value;
}

/* The options that take a value. */
static const struct {
	const char *name;
	void (*set)(struct settings *set, const char *value);
} valued[] = {
	{ "listen", set_listen },
	{ "mode", set_mode },
	{ "time-scale", set_time_scale },
	{ "nodes", set_nodes },
	{ "tls-cert", set_tls_cert },
	{ "tls-key", set_tls_key },
	{ "tls-client-ca", set_tls_client_ca },
	{ "log", set_log },
	{ "keepalive-requests", set_keepalive },
	{ "auth", set_auth },
	{ "server-identity", set_identity },
	{ "token-ttl", set_token_ttl },
};

enum {
	N_VALUED = sizeof(valued) / sizeof(valued[0]),
	FIRST_VALUED = 256 /* above all characters */
};

static void check_options(const struct settings *set)
{
	const struct tls_options *tls = &set->server.tls;

	unsigned int port = listen_port(&set->server.address);

	if (port + set->server.n_nodes - 1 > 65535)
		wrong_usage("--nodes: %u nodes from port %u on pass 65535", set->server.n_nodes,
			    port);
	if (!tls->cert != !tls->key)
		wrong_usage("--tls-cert and --tls-key: one needs the other");
	if (tls->client_ca && !tls->cert)
		wrong_usage("--tls-client-ca: needs --tls-cert and --tls-key");
}

static void parse_options(struct settings *set, int argc, char **argv)
{
	struct option options[N_VALUED + 3] = { { NULL, 0, NULL, 0 } };
	int c;

	for (int i = 0; i < N_VALUED; i++)
		options[i] = (struct option){ valued[i].name, required_argument, NULL,
					      FIRST_VALUED + i };
	options[N_VALUED] = (struct option){ "help", no_argument, NULL, 'h' };
	options[N_VALUED + 1] = (struct option){ "version", no_argument, NULL, 'v' };
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (c >= FIRST_VALUED)
			valued[c - FIRST_VALUED].set(set, optarg);
		else if (c == 'h')
			show(usage);
		else if (c == 'v')
			show("onebeat-registry " ONEBEAT_VERSION "\n");
		else if (c == ':')
			wrong_usage("%s: needs a value", argv[optind - 1]);
		else
			wrong_usage("%s: is not an option, or takes no value", argv[optind - 1]);
	}
	if (optind < argc)
		wrong_usage("\"%s\": takes no arguments but options", argv[optind]);
	check_options(set);
}

/* SIGTERM and SIGINT become readable. Returns a descriptor or a negative errno. */
static int watch_signals(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t stop;
	int fd;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	if (sigprocmask(SIG_BLOCK, &stop, NULL) != 0 || sigaction(SIGPIPE, &ignore, NULL) != 0)
		return -errno;
	fd = signalfd(-1, &stop, SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void print_ready(const struct httpd *server)
{
	fputs("onebeat-registry: listening on", stdout);
	for (unsigned int i = 0; i < server->cluster.n_members; i++)
		printf(" %s://%s/nacos", server->tls.cert ? "https" : "http",
		       server->cluster.members[i].address);
	printf(" mode=%s pid=%d\n", server->options.mode->name, (int)getpid());
	fflush(stdout);
}

static int failed(const char *what, const char *why)
{
	fprintf(stderr, "onebeat-registry: %s%s%s\n", what, why ? ": " : "", why ? why : "");
	return 1;
}

int main(int argc, char **argv)
{
	struct settings set = {
		.server = { .mode = mode_find("2"),
			    .time_scale = 1.0,
			    .keepalive_requests = 100,
			    .n_nodes = 1 },
	};
	static struct httpd server;
	char error[512];
	int stop_fd, r;

	auth_init(&set.auth);
	set.server.auth = &set.auth;
	set_listen(&set, "127.0.0.1:8848");
	parse_options(&set, argc, argv);
	stop_fd = watch_signals();
	if (stop_fd < 0)
		return failed("signals", strerror(-stop_fd));
	if (httpd_init(&server, &set.server, error, sizeof(error)) != 0)
		return failed(error, NULL);
	print_ready(&server);
	r = httpd_run(&server, stop_fd);
	httpd_deinit(&server);
	close(stop_fd);
	return r == 0 ? 0 : failed("stopped", strerror(-r));
}
