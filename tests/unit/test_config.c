/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration: what is accepted, what it becomes, and the sentence for everything that is refused
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "control/config.h"
#include "control/config_key.h"
#include "control/config_url.h"

#define REGISTRY "[registry]\nurl = http://10.0.0.1:8848\n"

/* Nothing of the machine's own settings may reach a test. */
static void clear_environment(void)
{
	unsetenv("ONEBEAT_RUNTIME_DIR");
	unsetenv("ONEBEAT_REGISTRY");
	unsetenv("XDG_RUNTIME_DIR");
}

TestSuite(config, .init = clear_environment);

/* Loads a file with these bytes; path is the name that it had. */
static int load_bytes(struct config *cfg, const char *bytes, size_t n, char path[64],
		      char error[CONFIG_ERROR_MAX])
{
	int fd;
	int r;

	snprintf(path, 64, "/tmp/onebeat-config-XXXXXX");
	fd = mkstemp(path);
	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
	close(fd);
	r = config_load(cfg, path, error);
	unlink(path);
	return r;
}

static void load(struct config *cfg, const char *text)
{
	char error[CONFIG_ERROR_MAX];
	char path[64];
	int r = load_bytes(cfg, text, strlen(text), path, error);

	cr_assert_eq(r, 0, "%s", error);
	cr_assert_str_eq(error, "");
}

static void set(struct config *cfg, const char *section, const char *key, const char *value,
		const char *where)
{
	char error[CONFIG_ERROR_MAX];

	cr_assert_eq(config_set(cfg, section, key, value, where, error), 0, "%s", error);
}

Test(config, defaults)
{
	struct config cfg;

	load(&cfg, REGISTRY);
	cr_expect_eq(cfg.log_level, LOG_LEVEL_INFO);
	cr_expect_eq(cfg.slots, 16384);
	cr_expect_eq(cfg.beat_connections, 2);
	cr_expect_eq(cfg.request_connections, 1);
	cr_expect_eq(cfg.listen_grace_ms, 5000);
	cr_expect_eq(cfg.exec_grace_ms, 10000);
	cr_expect_not(cfg.force_pidfd_open);
	cr_expect_null(cfg.ip);
	cr_expect_null(cfg.interface);
	cr_expect_null(cfg.cidr);
	cr_assert_eq(cfg.n_registries, 1);
	cr_expect_str_eq(cfg.registries[0].name, "default");
	cr_expect_str_eq(cfg.registries[0].context, "/nacos");
	cr_expect_str_eq(cfg.registries[0].namespace_id, "public");
	config_deinit(&cfg);
}

Test(config, every_key_is_read)
{
	struct config cfg;

	load(&cfg, "# a comment\n"
		   "[agent]\n"
		   "runtime_dir = /run/somewhere/\n"
		   "log_level = debug\n"
		   "ip = 2001:DB8:0::7\n"
		   "interface = eth0.7\n"
		   "cidr = 2001:db8::/32\n"
		   "slots = 8\n"
		   "beat_connections = 16\n"
		   "request_connections=3\n"
		   "listen_grace_ms = 100\n"
		   "exec_grace_ms = 3600000   ; an hour\n"
		   "identity = pidfd_open\n"
		   "\n"
		   "[registry east-1]\n"
		   "url = http://10.0.0.1, HTTP://nacos_2.example.:80 http://[::1]:65535,\n"
		   "url = http://10.0.0.4:1\n"
		   "context = /registry/v2/\n"
		   "namespace = team-7_x\n");
	cr_expect_str_eq(cfg.runtime_dir, "/run/somewhere");
	cr_expect_eq(cfg.log_level, LOG_LEVEL_DEBUG);
	cr_expect_str_eq(cfg.ip, "2001:db8::7");
	cr_expect_str_eq(cfg.interface, "eth0.7");
	cr_expect_str_eq(cfg.cidr, "2001:db8::/32");
	cr_expect_eq(cfg.slots, 8);
	cr_expect_eq(cfg.beat_connections, 16);
	cr_expect_eq(cfg.request_connections, 3);
	cr_expect_eq(cfg.listen_grace_ms, 100);
	cr_expect_eq(cfg.exec_grace_ms, 3600000);
	cr_expect(cfg.force_pidfd_open);
	cr_assert_eq(cfg.n_registries, 1);
	cr_expect_str_eq(cfg.registries[0].name, "east-1");
	cr_assert_eq(cfg.registries[0].n_urls, 4);
	cr_expect_str_eq(cfg.registries[0].urls[0], "http://10.0.0.1:8848");
	cr_expect_str_eq(cfg.registries[0].urls[1], "http://nacos_2.example.:80");
	cr_expect_str_eq(cfg.registries[0].urls[2], "http://[::1]:65535");
	cr_expect_str_eq(cfg.registries[0].urls[3], "http://10.0.0.4:1");
	cr_expect_str_eq(cfg.registries[0].context, "/registry/v2");
	cr_expect_str_eq(cfg.registries[0].namespace_id, "team-7_x");
	config_deinit(&cfg);
}

/*
 * Files come from editors of all kinds: CRLF, a byte order mark, indentation, ':', a last line
 * without end.
 */
Test(config, forms_of_lines)
{
	static const char text[] = "\xef\xbb\xbf[agent]\r\n"
				   "\tslots: 100\r\n"
				   "   beat_connections = 3 ; three\r\n"
				   ";request_connections = 9\r\n"
				   "[ registry \t west ] # here\r\n"
				   "  url=http://10.0.0.1\r\n"
				   "  context =";
	struct config cfg;

	load(&cfg, text);
	cr_expect_eq(cfg.slots, 100);
	cr_expect_eq(cfg.beat_connections, 3);
	cr_expect_eq(cfg.request_connections, 1);
	cr_expect_str_eq(cfg.registries[0].name, "west");
	cr_expect_str_eq(cfg.registries[0].context, "");
	config_deinit(&cfg);
}

/*
 * A comment may be longer than any line that the parser takes, and hold anything but a line's end.
 */
Test(config, long_comments)
{
	static char text[20000];
	struct config cfg;
	size_t n;

	memset(text, 'x', sizeof(text));
	text[0] = '#';
	n = sizeof(text) - sizeof("\n" REGISTRY);
	memcpy(text + n, "\n" REGISTRY, sizeof("\n" REGISTRY));
	load(&cfg, text);
	cr_expect_eq(cfg.registries[0].n_urls, 1);
	config_deinit(&cfg);
}

/* The path of a URL is the context, whether the key says the same or nothing. */
Test(config, path_of_a_url_is_the_context)
{
	struct config cfg;

	load(&cfg, "[registry]\nurl = http://10.0.0.1/my/nacos/ http://10.0.0.2\n");
	cr_expect_str_eq(cfg.registries[0].context, "/my/nacos");
	cr_expect_str_eq(cfg.registries[0].urls[0], "http://10.0.0.1:8848");
	config_deinit(&cfg);
	load(&cfg, "[registry]\ncontext = /same\nurl = http://10.0.0.1/same\n");
	cr_expect_str_eq(cfg.registries[0].context, "/same");
	config_deinit(&cfg);
	load(&cfg, "[registry]\nurl = http://10.0.0.1/\n");
	cr_expect_str_eq(cfg.registries[0].context, "/nacos", "a lone slash says nothing");
	config_deinit(&cfg);
}

/* Control characters and long values come back in sentences that a terminal can show. */
Test(config, values_in_sentences_are_cut_and_clean)
{
	char value[600];
	char error[CONFIG_ERROR_MAX];
	struct config cfg;

	load(&cfg, REGISTRY);
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	cr_expect_eq(config_set(&cfg, "agent", "log_level", value, "--log-level", error), -EINVAL);
	cr_expect(strstr(error, "vvv...' is not one of error, warning, info, debug"), "%s", error);
	cr_expect_eq(config_set(&cfg, "agent", "interface", "e\x1b[2J", "--interface", error),
		     -EINVAL);
	cr_expect_str_eq(error,
			 "--interface: key 'interface': value 'e?[2J' has a control character");
	cr_expect_eq(config_set(&cfg, "agent", value, "1", "--slots", error), -EINVAL);
	cr_expect(strstr(error, "vvv...' is unknown in section [agent]"), "%s", error);
	config_deinit(&cfg);
}

Test(config, too_many_urls_are_refused)
{
	struct config cfg;
	char error[CONFIG_ERROR_MAX];
	char url[64];

	load(&cfg, REGISTRY);
	for (unsigned int i = 0; i < CONFIG_URLS_MAX; i++) {
		snprintf(url, sizeof(url), "http://10.1.0.%u", i);
		set(&cfg, "registry", "url", url, "--registry");
	}
	cr_expect_eq(cfg.registries[0].n_urls, CONFIG_URLS_MAX);
	cr_expect_eq(config_set(&cfg, "registry", "url", "http://10.2.0.1", "--registry", error),
		     -EINVAL);
	cr_expect_str_eq(
		error,
		"--registry: key 'url': value 'http://10.2.0.1' is one address too many: a registry has at "
		"most 32");
	config_deinit(&cfg);
}

/*
 * Environment above file, command line above both; one origin's addresses replace another's, their
 * own add up.
 */
Test(config, origins_stand_above_each_other)
{
	struct config cfg;

	setenv("ONEBEAT_REGISTRY", "http://env-1,http://env-2", 1);
	setenv("ONEBEAT_RUNTIME_DIR", "/env/dir", 1);
	load(&cfg,
	     "[agent]\nruntime_dir = /file/dir\nslots = 10\n[registry east]\nurl = http://file/path\nnamespace = f\n");
	cr_expect_str_eq(cfg.runtime_dir, "/env/dir");
	cr_expect_str_eq(cfg.registries[0].name, "east");
	cr_expect_str_eq(cfg.registries[0].namespace_id, "f");
	cr_assert_eq(cfg.registries[0].n_urls, 2);
	cr_expect_str_eq(cfg.registries[0].urls[1], "http://env-2:8848");
	cr_expect_str_eq(cfg.registries[0].context, "/nacos", "the path went with its URL");
	set(&cfg, "registry", "url", "http://cmd-1/c", "--registry");
	set(&cfg, "registry", "url", "http://cmd-2", "--registry");
	set(&cfg, "agent", "runtime_dir", "/cmd/dir", "--runtime-dir");
	set(&cfg, "agent", "slots", "11", "--slots");
	cr_expect_str_eq(cfg.runtime_dir, "/cmd/dir");
	cr_expect_eq(cfg.slots, 11);
	cr_assert_eq(cfg.registries[0].n_urls, 2);
	cr_expect_str_eq(cfg.registries[0].urls[0], "http://cmd-1:8848");
	cr_expect_str_eq(cfg.registries[0].context, "/c");
	config_deinit(&cfg);
}

/* A registry needs no file at all, and an empty variable says nothing. */
Test(config, environment_alone_is_enough)
{
	struct config cfg;
	char error[CONFIG_ERROR_MAX];

	setenv("ONEBEAT_REGISTRY", "http://10.0.0.1", 1);
	setenv("ONEBEAT_RUNTIME_DIR", "", 1);
	load(&cfg, "");
	cr_expect_eq(config_check(&cfg, error), 0, "%s", error);
	cr_expect_str_eq(cfg.registries[0].name, "default");
	config_deinit(&cfg);
}

Test(config, environment_errors_name_the_variable)
{
	struct config cfg;
	char error[CONFIG_ERROR_MAX];
	char path[64];

	setenv("ONEBEAT_REGISTRY", "10.0.0.1", 1);
	cr_expect_eq(load_bytes(&cfg, "", 0, path, error), -EINVAL);
	cr_expect_str_eq(
		error,
		"ONEBEAT_REGISTRY: key 'url': value '10.0.0.1' is not an http:// or https:// URL: write "
		"http[s]://HOST[:PORT][/CONTEXT]");
	config_deinit(&cfg);
}

/* The rules for those who may not write to the system's folder. */
Test(config, runtime_dir_of_ordinary_users)
{
	struct config cfg;
	char error[CONFIG_ERROR_MAX];

	uid_t before = geteuid();

	if (before == 0)
		cr_assert_eq(seteuid(65534), 0);
	load(&cfg, REGISTRY);
	cr_expect_null(cfg.runtime_dir);
	cr_expect_eq(config_check(&cfg, error), -EINVAL);
	cr_expect_str_eq(
		error,
		"no runtime folder: /run/onebeat is not writable and XDG_RUNTIME_DIR is not set: name one "
		"with --runtime-dir or ONEBEAT_RUNTIME_DIR");
	set(&cfg, "agent", "runtime_dir", "/tmp/here", "--runtime-dir");
	cr_expect_eq(config_check(&cfg, error), 0, "%s", error);
	config_deinit(&cfg);
	setenv("XDG_RUNTIME_DIR", "/run/user/65534", 1);
	load(&cfg, REGISTRY);
	cr_expect_str_eq(cfg.runtime_dir, "/run/user/65534/onebeat");
	config_deinit(&cfg);
	cr_assert_eq(seteuid(before), 0);
	prctl(PR_SET_DUMPABLE,
	      1); /* changing the user took it, and a leak check at the end needs it */
}

Test(config, runtime_dir_of_root)
{
	struct config cfg;

	if (geteuid() != 0)
		cr_skip_test("not root");
	setenv("XDG_RUNTIME_DIR", "/run/user/0", 1);
	load(&cfg, REGISTRY);
	cr_expect_str_eq(cfg.runtime_dir, "/run/onebeat");
	config_deinit(&cfg);
}

Test(config, check_wants_a_registry)
{
	struct config cfg;
	char error[CONFIG_ERROR_MAX];

	load(&cfg, "[registry]\nnamespace = x\n");
	cr_expect_eq(config_check(&cfg, error), -EINVAL);
	cr_expect(
		strstr(error,
		       "registry 'default': no registry: give its address as url (or domain, or endpoint)"),
		"%s", error);
	config_deinit(&cfg);
	load(&cfg, "");
	cr_expect_eq(config_check(&cfg, error), -EINVAL);
	cr_expect(
		strstr(error,
		       "no registry: give its address as url in section [registry] of /tmp/onebeat-config-"),
		"%s", error);
	config_deinit(&cfg);
}

Test(config, check_finds_contradictions)
{
	struct config cfg;
	char error[CONFIG_ERROR_MAX];

	load(&cfg, REGISTRY "[agent]\nip = 10.0.0.1\ncidr = 192.168.0.0/16\n");
	cr_expect_eq(config_check(&cfg, error), -EINVAL);
	cr_expect_str_eq(
		error,
		"keys 'ip' and 'cidr' contradict each other: 10.0.0.1 is not in 192.168.0.0/16");
	config_deinit(&cfg);
}

/* What config_print() or config_help() writes. */
static void printed(const struct config *cfg, char *out, size_t size)
{
	int fd = memfd_create("printed", MFD_CLOEXEC);
	ssize_t n;

	cr_assert(fd >= 0);
	if (cfg)
		config_print(cfg, fd);
	else
		config_help(fd);
	n = pread(fd, out, size - 1, 0);
	cr_assert(n > 0);
	out[n] = '\0';
	close(fd);
}

/* Behind the first line, which names the file. */
static const char *body(const char *text)
{
	return strchr(text, '\n');
}

static void expect_round_trip(const char *text)
{
	char first[16384];
	char second[16384];
	struct config cfg;

	load(&cfg, text);
	printed(&cfg, first, sizeof(first));
	config_deinit(&cfg);
	load(&cfg, first);
	printed(&cfg, second, sizeof(second));
	cr_expect_str_eq(body(first), body(second));
	config_deinit(&cfg);
}

Test(config, printed_configuration_is_read_to_the_same)
{
	expect_round_trip(REGISTRY);
	expect_round_trip(
		"[agent]\nruntime_dir = /run/some where/# else\nlog_level = error\nip = ::2\ninterface = eth0\n"
		"cidr = ::/0\nslots = 65536\nidentity = pidfd_open\n"
		"[registry a.b-c_d]\nurl = http://[::1]:1/,http://x\ncontext = /\nnamespace = n\n");
	expect_round_trip(
		"[registry]\nurl = http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:65535\n");
}

Test(config, printed_values_are_the_effective_ones)
{
	char text[16384];
	struct config cfg;

	load(&cfg, "[registry]\nurl = http://10.0.0.1/up\n");
	set(&cfg, "agent", "log_level", "warning", "--log-level");
	printed(&cfg, text, sizeof(text));
	cr_expect(strstr(text, "\nlog_level = warning\n"));
	cr_expect(strstr(text, "\nslots = 16384\n"));
	cr_expect(strstr(text, "\n# ip =\n"));
	cr_expect(strstr(text, "\n[registry default]\n"));
	cr_expect(strstr(text, "\nurl = http://10.0.0.1:8848\n"));
	cr_expect(strstr(text, "\ncontext = /up\n"));
	config_deinit(&cfg);
}

/* Every key of the table: named, with its range and default. */
Test(config, help_tells_every_key)
{
	char text[16384];
	char name[64];

	printed(NULL, text, sizeof(text));
	for (size_t i = 0; i < CONFIG_KEYS_N; i++) {
		snprintf(name, sizeof(name), "\n  %s = %s", config_keys[i].name,
			 config_keys[i].type->shown);
		cr_expect(strstr(text, name), "%s in\n%s", name, text);
		cr_expect(strstr(text, config_keys[i].help));
	}
	cr_expect(strstr(text, "\n  slots = NUMBER  8..65536 slots, default 16384\n"), "%s", text);
}

/* End functions accept what never began. */
Test(config, deinit_is_idempotent)
{
	struct config cfg;

	load(&cfg, REGISTRY "[agent]\nip = 10.0.0.1\ncidr = 10.0.0.0/8\ninterface = eth0\n");
	config_deinit(&cfg);
	config_deinit(&cfg);
	cr_expect_null(cfg.runtime_dir);
}

Test(config, urls_come_apart_again)
{
	char host[CONFIG_URL_HOST_MAX + 1];
	char port[8];

	config_url_split("http://[2001:db8::1]:18848", host, port);
	cr_expect_str_eq(host, "2001:db8::1");
	cr_expect_str_eq(port, "18848");
	config_url_split("https://[::1]:9/nacos/serverlist?a=b:c", host, port);
	cr_expect_str_eq(host, "::1");
	cr_expect_str_eq(port, "9");
	config_url_split("http://nacos.example:1", host, port);
	cr_expect_str_eq(host, "nacos.example");
	cr_expect_str_eq(port, "1");
}
