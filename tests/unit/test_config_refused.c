/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration files that are refused: each mistake has its own sentence, with file and line
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/config.h"

#define REGISTRY "[registry]\nurl = http://10.0.0.1:8848\n"

/* Nothing of the machine's own settings may reach a test. */
static void clear_environment(void)
{
	unsetenv("ONEBEAT_RUNTIME_DIR");
	unsetenv("ONEBEAT_REGISTRY");
	unsetenv("XDG_RUNTIME_DIR");
}

TestSuite(config_refused, .init = clear_environment);

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

/* The error for a file, without the file's name. */
static const char *refusal(const char *bytes, size_t n, char error[CONFIG_ERROR_MAX])
{
	struct config cfg;
	char path[64];
	int r = load_bytes(&cfg, bytes, n, path, error);

	cr_expect_eq(r, -EINVAL, "accepted: %.*s", (int)n, bytes);
	config_deinit(&cfg);
	cr_expect_eq(strncmp(error, path, strlen(path)), 0, "no file name: %s", error);
	return error + (strlen(error) > strlen(path) ? strlen(path) : 0);
}

struct refused {
	const char *text;
	const char *error; /* behind the file's name */
};

static const struct refused refused[] = {
	/* Lines */
	{ "[agent]\nslots\n",
	  ":2: the line is neither a [section], nor 'key = value', nor a comment" },
	{ "[agent]\n\n= 5\n",
	  ":3: key '' is unknown in section [agent]: known are runtime_dir, log_level, ip, interface, "
	  "cidr, slots, beat_connections, request_connections, listen_grace_ms, exec_grace_ms, identity, "
	  "control_group, leases, silent_leases, hello_timeout_ms, messages_per_second, updates_per_second" },
	{ "slots = 5\n",
	  ":1: a key stands before the first section: begin with [agent] or [registry]" },
	{ "[agent\nslots = 9\n",
	  ":1: the line begins like a section, but is not one: [agent], [registry NAME] or [allow NAME]" },
	{ "[agent] slots = 9\n",
	  ":1: the line begins like a section, but is not one: [agent], [registry NAME] or [allow NAME]" },
	{ "[agent]\nslots = 9\x01\n",
	  ":2: the line has a control character: this is not a text file" },
	{ "[agent]\ngarbage\nslots = 0\n",
	  ":2: the line is neither a [section], nor 'key = value', nor a comment" },
	{ "[agent]\nslots = 0\ngarbage\n",
	  ":2: key 'slots': value '0' is not a whole number in 8..65536 (slots)" },

	/* Sections and keys */
	{ "[agnet]\n", ":1: section [agnet] is unknown: did you mean [agent]?" },
	{ "[Registry]\n", ":1: section [Registry] is unknown: did you mean [registry]?" },
	{ "[registri east]\n", ":1: section [registri east] is unknown: did you mean [registry]?" },
	{ "[allow]\n", ":1: section [allow] has no name: [allow NAME]" },
	{ "[allow a]\nuid = 0\n[allow a]\n",
	  ":3: a second section [allow a]: give it another name" },
	{ "[alow a]\n", ":1: section [alow a] is unknown: did you mean [allow]?" },
	{ "[allow a]\nuids = 0\n",
	  ":2: key 'uids' is unknown in section [allow]: did you mean 'uid'?" },
	{ "[allow a]\nslots = 9\n",
	  ":2: key 'slots' is unknown in section [allow]: it belongs in section [agent]" },
	{ "[allow a]\nuid = 0\nuid = 1\n", ":3: key 'uid' is given twice, first in line 2" },
	{ "[allow a]\nuid = nobody-of-that-name\n",
	  ":2: key 'uid': value 'nobody-of-that-name' names 'nobody-of-that-name', which is no user of "
	  "this host, number or *" },
	{ "[allow a]\ngid = -1\n",
	  ":2: key 'gid': value '-1' names '-1', which is no group of this host or number" },
	{ "[allow a]\nservice = a/b\n",
	  ":2: key 'service': value 'a/b' has a pattern 'a/b' that no service name can match" },
	{ "[allow a]\nip = 10.0.0.1/8\n",
	  ":2: key 'ip': value '10.0.0.1/8' has '10.0.0.1/8', which has bits set behind its prefix" },
	{ "[allow a]\nip = home\n",
	  ":2: key 'ip': value 'home' has 'home', which is no address or network like 10.0.0.0/8" },
	{ "[allow a]\nport = 80,90-80\n",
	  ":2: key 'port': value '80,90-80' has '90-80', which is not a rising range in 1..65535" },
	{ "[allow a]\nport = 70000\n",
	  ":2: key 'port': value '70000' has '70000', which is no port or range like 8000-8999" },
	{ "[allow a]\nservice = ,\n",
	  ":2: key 'service': value ',' is empty: leave the key out for no limit" },
	{ "[allow a]\njoin = maybe\n", ":2: key 'join': value 'maybe' is not one of yes, no" },
	{ "[]\n",
	  ":1: section [] is unknown: known are [agent], [registry NAME] and [allow NAME]" },
	{ "[database]\n",
	  ":1: section [database] is unknown: known are [agent], [registry NAME] and [allow NAME]" },
	{ "[agent]\nslot = 9\n",
	  ":2: key 'slot' is unknown in section [agent]: did you mean 'slots'?" },
	{ "[agent]\nlog-level = info\n",
	  ":2: key 'log-level' is unknown in section [agent]: did you mean 'log_level'?" },
	{ "[agent]\nurl = http://a\n",
	  ":2: key 'url' is unknown in section [agent]: it belongs in section [registry]" },
	{ "[registry]\nslots = 9\n",
	  ":2: key 'slots' is unknown in section [registry]: it belongs in section [agent]" },
	{ "[registry]\npassword = x\n",
	  ":2: key 'password' is unknown in section [registry]: did you mean 'password_file' or "
	  "'password_credential' or 'password_env'?" },
	{ "[registry]\nreregister-rate = 1\n",
	  ":2: key 'reregister-rate' is unknown in section [registry]: did you mean 'reregister_rate'?" },
	{ "[agent]\nslots = 9\nip = 10.0.0.1\nslots = 9\n",
	  ":4: key 'slots' is given twice, first in line 2" },
	{ REGISTRY "[registry]\n",
	  ":3: a second section [registry default]: give it another name; the addresses of one registry "
	  "all go into its key 'url'" },
	{ "[registry east]\n[registry west]\n[registry \t east ]\n",
	  ":3: a second section [registry east]: give it another name; the addresses of one registry all "
	  "go into its key 'url'" },
	{ "[registry east]\nbeats = full\n[registry west]\nbeats = full\nbeats = full\n",
	  ":5: key 'beats' is given twice, first in line 4" },
	{ "[registry a/b]\n",
	  ":1: section [registry]: name 'a/b' is not 1 to 32 of A-Z a-z 0-9 . _ -" },
	{ "[registry aaaaaaaaaabbbbbbbbbbccccccccccddd]\n",
	  ":1: section [registry]: name 'aaaaaaaaaabbbbbbbbbbccccccccccddd' is not 1 to 32 of A-Z a-z 0-9 . _ -" },

	/* Values of [agent] */
	{ "[agent]\nruntime_dir = run\n",
	  ":2: key 'runtime_dir': value 'run' is not an absolute path of at most 90 bytes" },
	{ "[agent]\nruntime_dir =\n",
	  ":2: key 'runtime_dir': value '' is not an absolute path of at most 90 bytes" },
	{ "[agent]\nruntime_dir = /a;b\n",
	  ":2: key 'runtime_dir': value '/a;b' is not a path without ';'" },
	{ "[agent]\nlog_level = loud\n",
	  ":2: key 'log_level': value 'loud' is not one of error, warning, info, debug" },
	{ "[agent]\nip = 10.0.0.256\n",
	  ":2: key 'ip': value '10.0.0.256' is not a numeric IPv4 or IPv6 address" },
	{ "[agent]\nip = [::1]\n",
	  ":2: key 'ip': value '[::1]' is not a numeric IPv4 or IPv6 address" },
	{ "[agent]\nip = myhost\n",
	  ":2: key 'ip': value 'myhost' is not a numeric IPv4 or IPv6 address" },
	{ "[agent]\nip = 0.0.0.0\n",
	  ":2: key 'ip': value '0.0.0.0' is not an address at which others can reach this host" },
	{ "[agent]\nip = fe80::1\n",
	  ":2: key 'ip': value 'fe80::1' is not an address at which others can reach this host" },
	{ "[agent]\ninterface = abcdefghijklmnop\n",
	  ":2: key 'interface': value 'abcdefghijklmnop' is not the name of a network interface (1 to 15 characters, no "
	  "blank, / : ;)" },
	{ "[agent]\ncidr = 10.0.0.0\n",
	  ":2: key 'cidr': value '10.0.0.0' is not a network like 10.0.0.0/8 or fd00::/8" },
	{ "[agent]\ncidr = 10.0.0.0/33\n",
	  ":2: key 'cidr': value '10.0.0.0/33' is not a network like 10.0.0.0/8 or fd00::/8" },
	{ "[agent]\ncidr = 10.1.0.0/8\n",
	  ":2: key 'cidr': value '10.1.0.0/8' is not a network: it has bits set behind its /8" },
	{ "[agent]\nslots = 7\n",
	  ":2: key 'slots': value '7' is not a whole number in 8..65536 (slots)" },
	{ "[agent]\nslots = 65537\n",
	  ":2: key 'slots': value '65537' is not a whole number in 8..65536 (slots)" },
	{ "[agent]\nslots = 99999999999999999999\n",
	  ":2: key 'slots': value '99999999999999999999' is not a whole number in 8..65536 (slots)" },
	{ "[agent]\nslots = -9\n",
	  ":2: key 'slots': value '-9' is not a whole number in 8..65536 (slots)" },
	{ "[agent]\nslots = 9 # nine\n",
	  ":2: key 'slots': value '9 # nine' is not a whole number in 8..65536 (slots)" },
	{ "[agent]\nexec_grace_ms = 10s\n",
	  ":2: key 'exec_grace_ms': value '10s' is not a whole number in 100..3600000 (ms)" },
	{ "[agent]\nidentity = pidfd\n",
	  ":2: key 'identity': value 'pidfd' is not one of auto, pidfd_open" },

	/* Values of [registry] */
	{ "[registry]\nurl = https://a,http://b\n",
	  ":2: key 'url': value 'https://a,http://b' mixes http and https with https://a:8848: a registry "
	  "speaks one" },
	{ "[registry]\nurl = ftp://a\n",
	  ":2: key 'url': value 'ftp://a' is not an http:// or https:// URL" },
	{ "[registry]\nurl = 10.0.0.1:8848\n",
	  ":2: key 'url': value '10.0.0.1:8848' is not an http:// or https:// URL: write "
	  "http[s]://HOST[:PORT][/CONTEXT]" },
	{ "[registry]\nurl = https://u@a\n",
	  ":2: key 'url': value 'https://u@a' has a user name in it, which is not supported" },
	{ "[registry]\napi = v2\n", ":2: key 'api': value 'v2' is not one of auto, v1, v3" },
	{ "[registry]\napi =\n", ":2: key 'api': value '' is not one of auto, v1, v3" },
	{ "[registry]\napi = auto|v1\n",
	  ":2: key 'api': value 'auto|v1' is not one of auto, v1, v3" },
	{ "[registry]\nbeats = heavy\n",
	  ":2: key 'beats': value 'heavy' is not one of light, full" },
	{ "[registry]\nroute = owner\n",
	  ":2: key 'route': value 'owner' is not one of auto, responsible, any" },
	{ "[registry]\npersistent = no\n",
	  ":2: key 'persistent': value 'no' is not one of keep, remove" },
	{ "[registry]\ntls_min_version = 1.1\n",
	  ":2: key 'tls_min_version': value '1.1' is not one of 1.2, 1.3" },
	{ "[registry]\ntls_verify = false\n",
	  ":2: key 'tls_verify': value 'false' is not one of yes, no" },
	{ "[registry]\nconnect_timeout = 9\n",
	  ":2: key 'connect_timeout': value '9' is not a whole number in 10..60000 (ms)" },
	{ "[registry]\nbeat_connections = 0\n",
	  ":2: key 'beat_connections': value '0' is not a whole number in 1..16 (connections)" },
	{ "[registry]\ndomain = a b\n",
	  ":2: key 'domain': value 'a b' is not a URL with a valid host name" },
	{ "[registry]\ndomain = nacos.example/x\n",
	  ":2: key 'domain': value 'nacos.example/x' has the path '/x', which belongs in key 'context'" },
	{ "[registry]\nendpoint = nacos.example\n",
	  ":2: key 'endpoint': value 'nacos.example' is not an http:// or https:// URL: write "
	  "http[s]://HOST[:PORT][/CONTEXT]" },
	{ "[registry]\nendpoint = http://a/l?x=\"\n",
	  ":2: key 'endpoint': value 'http://a/l?x=\"' has a query that is not up to 64 of A-Z a-z 0-9 . _ ~ "
	  "- & = %" },
	{ "[registry]\nproxy = https://a\n",
	  ":2: key 'proxy': value 'https://a' is not a proxy like http://HOST[:PORT]" },
	{ "[registry]\nusername =\n",
	  ":2: key 'username': value '' is not 1 to 128 bytes without ';' and tabs" },
	{ "[registry]\npassword_file = secret\n",
	  ":2: key 'password_file': value 'secret' is not an absolute path of at most 180 bytes without ';'" },
	{ "[registry]\npassword_credential = ../shadow\n",
	  ":2: key 'password_credential': value '../shadow' is not the name of a credential: 1 to 64 of A-Z "
	  "a-z 0-9 . _ -, no '.' first" },
	{ "[registry]\npassword_env = 1X\n",
	  ":2: key 'password_env': value '1X' is not the name of an environment variable: 1 to 64 of A-Z a-z "
	  "0-9 _, no digit first" },
	{ "[registry]\nregion = a.b\n",
	  ":2: key 'region': value 'a.b' is not the name of a region: 1 to 64 of A-Z a-z 0-9 _ -" },
	{ "[registry]\nserver_name = 10.0.0.1\n",
	  ":2: key 'server_name': value '10.0.0.1' is not a host name" },
	{ "[registry]\nurl = http://\n", ":2: key 'url': value 'http://' has no host" },
	{ "[registry]\nurl = http://:8848\n", ":2: key 'url': value 'http://:8848' has no host" },
	{ "[registry]\nurl = http://a:\n",
	  ":2: key 'url': value 'http://a:' has a port that is not in 1..65535" },
	{ "[registry]\nurl = http://a:0\n",
	  ":2: key 'url': value 'http://a:0' has a port that is not in 1..65535" },
	{ "[registry]\nurl = http://a:65536\n",
	  ":2: key 'url': value 'http://a:65536' has a port that is not in 1..65535" },
	{ "[registry]\nurl = http://a:8848x\n",
	  ":2: key 'url': value 'http://a:8848x' has a port that is not in 1..65535" },
	{ "[registry]\nurl = http://u:p@a\n",
	  ":2: key 'url': value 'http://u:p@a' has a user name in it, which is not supported" },
	{ "[registry]\nurl = http://a?b=c\n",
	  ":2: key 'url': value 'http://a?b=c' has a query or a fragment, which a "
	  "registry's address cannot have" },
	{ "[registry]\nurl = http://a/b#c\n",
	  ":2: key 'url': value 'http://a/b#c' has a query or a fragment, which a "
	  "registry's address cannot have" },
	{ "[registry]\nurl = http://::1\n",
	  ":2: key 'url': value 'http://::1' has a port that is not in 1..65535" },
	{ "[registry]\nurl = http://[::1\n",
	  ":2: key 'url': value 'http://[::1' has a port that is not in 1..65535" },
	{ "[registry]\nurl = http://[fe80::1%eth0]\n",
	  ":2: key 'url': value 'http://[fe80::1%eth0]' is not a URL with a "
	  "valid IPv6 address in its brackets" },
	{ "[registry]\nurl = http://[10.0.0.1]\n",
	  ":2: key 'url': value 'http://[10.0.0.1]' is not a URL with a valid IPv6 address in its brackets" },
	{ "[registry]\nurl = http://[]\n",
	  ":2: key 'url': value 'http://[]' is not a URL with a valid IPv6 address in its brackets" },
	{ "[registry]\nurl = http://10.0.0.300\n",
	  ":2: key 'url': value 'http://10.0.0.300' is not a URL with a valid IPv4 address" },
	{ "[registry]\nurl = http://a..b\n",
	  ":2: key 'url': value 'http://a..b' is not a URL with a valid host name" },
	{ "[registry]\nurl = http://a,http://a:8848\n",
	  ":2: key 'url': value 'http://a,http://a:8848' names http://a:8848 twice" },
	{ "[registry]\nurl = http://a\nurl = http://A/\n",
	  ":3: key 'url': value 'http://A/' names http://A:8848 twice" },
	{ "[registry]\nurl = , ,\n",
	  ":2: key 'url': value ', ,' is not the address of any registry" },
	{ "[registry]\nurl =\n", ":2: key 'url': value '' is not the address of any registry" },
	{ "[registry]\nurl = http://a/x,http://b/y\n",
	  ":2: key 'url': value 'http://a/x,http://b/y' has the path '/y', and an address before it '/x': a registry has "
	  "one" },
	{ "[registry]\ncontext = /x\nurl = http://a/y\n",
	  ":3: key 'url': value 'http://a/y' has a path that is not the '/x' that key 'context' gives" },
	{ "[registry]\ncontext = /\nurl = http://a/y\n",
	  ":3: key 'url': value 'http://a/y' has a path that is not the '/' that key 'context' gives" },
	{ "[registry]\nurl = http://a/y\ncontext = /x\n",
	  ":3: key 'context': value '/x' is not the path '/y' of key 'url'" },
	{ "[registry]\ncontext = nacos\n",
	  ":2: key 'context': value 'nacos' is not a path like /nacos, or / for none" },
	{ "[registry]\ncontext = /a//b\n",
	  ":2: key 'context': value '/a//b' is not a path like /nacos, or / for none" },
	{ "[registry]\ncontext = /a//\n",
	  ":2: key 'context': value '/a//' is not a path like /nacos, or / for none" },
	{ "[registry]\ncontext = //\n",
	  ":2: key 'context': value '//' is not a path like /nacos, or / for none" },
	{ "[registry]\ncontext = /a b\n",
	  ":2: key 'context': value '/a b' has a character in its path outside A-Z a-z 0-9 . _ ~ - /" },
	{ "[registry]\nnamespace =\n",
	  ":2: key 'namespace': value '' is not a namespace id: 1 to 64 of A-Z a-z 0-9 _ -" },
	{ "[registry]\nnamespace = a.b\n",
	  ":2: key 'namespace': value 'a.b' is not a namespace id: 1 to 64 of A-Z a-z 0-9 _ -" },
};

/* File, line, key, value and rule, for each thing that can be wrong. */
Test(config_refused, refusals_name_place_and_rule)
{
	char error[CONFIG_ERROR_MAX];

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		cr_expect_str_eq(refusal(refused[i].text, strlen(refused[i].text), error),
				 refused[i].error, "%s\ninstead of%s", error, refused[i].error);
}

/* A NUL ends a line for the parser, and would hide the rest of it. */
Test(config_refused, nul_bytes_are_refused)
{
	static const char text[] = "[agent]\nslots = 9\0rubbish\n";
	char error[CONFIG_ERROR_MAX];

	cr_expect_str_eq(refusal(text, sizeof(text) - 1, error),
			 ":2: the line has a control character: this is not a text file");
}

/* The parser would take what does not fit for another line. What just fits is taken. */
Test(config_refused, long_lines)
{
	char text[400];
	char error[CONFIG_ERROR_MAX];
	char path[64];
	struct config cfg;

	memset(text, ' ', sizeof(text));
	memcpy(text, "[agent]\nslots = 9", strlen("[agent]\nslots = 9"));
	text[8 + 198] = '\n';
	cr_expect_eq(load_bytes(&cfg, text, 8 + 199, path, error), 0, "%s", error);
	cr_expect_eq(cfg.slots, 9);
	config_deinit(&cfg);
	text[8 + 198] = ' ';
	cr_expect_str_eq(refusal(text, 8 + 199, error), ":2: the line is longer than 198 bytes");
}

Test(config_refused, unreadable_files_are_errors)
{
	struct config cfg;
	char error[CONFIG_ERROR_MAX];

	cr_expect_eq(config_load(&cfg, "/nonexistent/onebeatd.conf", error), -ENOENT);
	cr_expect_str_eq(error, "/nonexistent/onebeatd.conf: No such file or directory");
	config_deinit(&cfg);
	cr_expect_eq(config_load(&cfg, "/tmp", error), -EISDIR);
	cr_expect_str_eq(error, "/tmp: Is a directory");
	config_deinit(&cfg);
}

/* A file of noise is refused or harmless, never a crash; one in two begins like a real one. */
Test(config_refused, garbage_is_tolerated)
{
	static const char seeds[] =
		"[agent]\nslots = 9\n[registry x]\nurl = http://[::1]:1/a,http://b\ncontext = /a\n;\n";
	uint64_t x = 0x853c49e6748fea9bu;
	char bytes[sizeof(seeds)];
	char error[CONFIG_ERROR_MAX];
	char path[64];

	for (int round = 0; round < 2000; round++) {
		struct config cfg;

		memcpy(bytes, seeds, sizeof(seeds));
		for (size_t i = 0; i < sizeof(seeds); i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			if (round % 2 == 0 || x % 32 == 0)
				bytes[i] = (char)(x >> 32);
		}
		load_bytes(&cfg, bytes, x % sizeof(seeds), path, error);
		config_deinit(&cfg);
	}
}
