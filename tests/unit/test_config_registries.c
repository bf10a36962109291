/* SPDX-License-Identifier: Apache-2.0 */
/*
 * [registry NAME]: several of them, every key, and what contradicts what
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "control/config.h"
#include "control/config_key.h"
#include "control/config_url.h"

#define AGENT "[agent]\nruntime_dir = /tmp/somewhere\n"

/* Nothing of the machine's own settings may reach a test. */
static void clear_environment(void)
{
	unsetenv("ONEBEAT_RUNTIME_DIR");
	unsetenv("ONEBEAT_REGISTRY");
	unsetenv("XDG_RUNTIME_DIR");
}

TestSuite(config_registries, .init = clear_environment);

static int try_load(struct config *cfg, const char *text, char error[CONFIG_ERROR_MAX])
{
	char path[] = "/tmp/onebeat-config-XXXXXX";
	int fd = mkstemp(path);
	int r;

	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	r = config_load(cfg, path, error);
	unlink(path);
	return r;
}

static void load(struct config *cfg, const char *text)
{
	char error[CONFIG_ERROR_MAX];

	cr_assert_eq(try_load(cfg, text, error), 0, "%s", error);
}

static const struct config_registry *only(struct config *cfg, const char *text)
{
	load(cfg, text);
	cr_assert_eq(cfg->n_registries, 1);
	return &cfg->registries[0];
}

Test(config_registries, defaults_of_a_registry)
{
	struct config cfg;
	const struct config_registry *r = only(&cfg, "[registry a]\nurl = http://a\n");

	cr_expect_eq(r->api, CONFIG_API_AUTO);
	cr_expect_eq(r->beats, CONFIG_BEATS_LIGHT);
	cr_expect_eq(r->route, CONFIG_ROUTE_AUTO);
	cr_expect_eq(r->persistent, CONFIG_PERSISTENT_KEEP);
	cr_expect_eq(r->endpoint_interval_ms, 30000);
	cr_expect_eq(r->connect_timeout_ms, 2000);
	cr_expect_eq(r->request_timeout_ms, 4000);
	cr_expect_eq(r->beat_connections, 0, "as in [agent]");
	cr_expect_eq(r->request_connections, 0, "as in [agent]");
	cr_expect_eq(r->reregister_per_second, 4000);
	cr_expect_eq(r->tls_min_version, CONFIG_TLS_1_2);
	cr_expect(r->tls_verify);
	cr_expect_not(r->allow_plaintext_password);
	cr_expect_null(r->endpoint);
	cr_expect_null(r->domain);
	cr_expect_null(r->username);
	cr_expect_null(r->password.file);
	cr_expect_null(r->proxy);
	config_deinit(&cfg);
}

#define EVERY_KEY                                                               \
	"[registry a]\n"                                                        \
	"url = https://a:1, https://b\ncontext = /c\nnamespace = n\napi = v3\n" \
	"beats = full\nroute = any\nendpoint = https://e/list?x=y\n"            \
	"endpoint_interval = 5000\nconnect_timeout = 100\n"                     \
	"request_timeout = 200\nbeat_connections = 3\n"                         \
	"request_connections = 4\nreregister_rate = 7\npersistent = remove\n"   \
	"username = some body\npassword_credential = nacos.password\n"          \
	"ca_file = /etc/ca.pem\nclient_cert = /etc/c.pem\n"                     \
	"client_key = /etc/k.pem\nserver_name = nacos.example\n"                \
	"tls_min_version = 1.3\ntls_verify = yes\n"                             \
	"allow_plaintext_password = yes\nproxy = http://p\n"

Test(config_registries, every_key_is_read)
{
	struct config cfg;
	const struct config_registry *r = only(&cfg, EVERY_KEY);

	cr_expect_eq(r->n_urls, 2);
	cr_expect_str_eq(r->urls[1], "https://b:8848");
	cr_expect_eq(r->api, CONFIG_API_V3);
	cr_expect_eq(r->beats, CONFIG_BEATS_FULL);
	cr_expect_eq(r->route, CONFIG_ROUTE_ANY);
	cr_expect_eq(r->persistent, CONFIG_PERSISTENT_REMOVE);
	cr_expect_str_eq(r->endpoint, "https://e:8080/list?x=y");
	cr_expect_eq(r->endpoint_interval_ms, 5000);
	cr_expect_eq(r->connect_timeout_ms, 100);
	cr_expect_eq(r->request_timeout_ms, 200);
	cr_expect_eq(r->beat_connections, 3);
	cr_expect_eq(r->request_connections, 4);
	cr_expect_eq(r->reregister_per_second, 7);
	cr_expect_str_eq(r->username, "some body");
	cr_expect_str_eq(r->password.credential, "nacos.password");
	cr_expect_str_eq(r->ca_file, "/etc/ca.pem");
	cr_expect_str_eq(r->client_cert, "/etc/c.pem");
	cr_expect_str_eq(r->client_key, "/etc/k.pem");
	cr_expect_str_eq(r->server_name, "nacos.example");
	cr_expect_eq(r->tls_min_version, CONFIG_TLS_1_3);
	cr_expect(r->tls_verify);
	cr_expect(r->allow_plaintext_password);
	cr_expect_str_eq(r->proxy, "http://p:3128");
	config_deinit(&cfg);
	r = only(&cfg, "[registry a]\ndomain = nacos.example\naccess_key = k\n"
		       "secret_key_env = SK\nregion = cn-hangzhou\n");
	cr_expect_str_eq(r->domain, "http://nacos.example:8848");
	cr_expect_str_eq(r->access_key, "k");
	cr_expect_str_eq(r->secret_key.env, "SK");
	cr_expect_str_eq(r->region, "cn-hangzhou");
	config_deinit(&cfg);
	r = only(&cfg, "[registry a]\nendpoint = http://10.0.0.1\ndomain = https://n:1/\n");
	cr_expect_str_eq(r->endpoint, "http://10.0.0.1:8080/nacos/serverlist");
	cr_expect_str_eq(r->domain, "https://n:1");
	config_deinit(&cfg);
}

/* Keys go to the section that they stand in, the first registry is the default one. */
Test(config_registries, several_keep_apart)
{
	char error[CONFIG_ERROR_MAX];
	struct config cfg;

	load(&cfg, AGENT "[registry east]\nurl = http://e\nnamespace = x\n"
			 "[agent]\nslots = 8\n"
			 "[registry west]\nurl = http://w1,http://w2\nbeats = full\n");
	cr_assert_eq(cfg.n_registries, 2);
	cr_expect_str_eq(cfg.registries[0].name, "east");
	cr_expect_str_eq(cfg.registries[0].namespace_id, "x");
	cr_expect_eq(cfg.registries[0].n_urls, 1);
	cr_expect_eq(cfg.registries[0].beats, CONFIG_BEATS_LIGHT);
	cr_expect_str_eq(cfg.registries[1].name, "west");
	cr_expect_str_eq(cfg.registries[1].namespace_id, "public");
	cr_expect_eq(cfg.registries[1].n_urls, 2);
	cr_expect_eq(cfg.registries[1].beats, CONFIG_BEATS_FULL);
	cr_expect_eq(config_check(&cfg, error), 0, "%s", error);
	cr_expect_eq(config_set(&cfg, "registry", "url", "http://c", "--registry", error), 0, "%s",
		     error);
	cr_expect_str_eq(cfg.registries[0].urls[0], "http://c:8848", "--registry is the first's");
	cr_expect_eq(config_set(&cfg, "registry west", "url", "http://d", "-", error), 0, "%s",
		     error);
	cr_expect_str_eq(cfg.registries[1].urls[0], "http://d:8848");
	config_deinit(&cfg);
}

Test(config_registries, there_is_a_most)
{
	char text[CONFIG_REGISTRIES_MAX * 32 + 64];
	char error[CONFIG_ERROR_MAX];
	struct config cfg;
	size_t n = 0;

	for (unsigned int i = 0; i < CONFIG_REGISTRIES_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "[registry r%u]\n", i);
	load(&cfg, text);
	cr_expect_eq(cfg.n_registries, CONFIG_REGISTRIES_MAX);
	config_deinit(&cfg);
	snprintf(text + n, sizeof(text) - n, "[registry last]\n");
	cr_expect_eq(try_load(&cfg, text, error), -EINVAL);
	cr_expect(strstr(error, ":17: section [registry last]: more than 16 registries"), "%s",
		  error);
	config_deinit(&cfg);
}

struct contradiction {
	const char *text;  /* behind [registry a] */
	const char *error; /* behind "registry 'a': "; NULL: none */
};

#define LOGIN "username = u\npassword_env = P\n"

static const struct contradiction contradictions[] = {
	{ "url = http://a\ndomain = b\n",
	  "key 'domain' is the one name of all servers: it cannot stand beside 'url'" },
	{ "endpoint = http://a\ndomain = b\n",
	  "key 'domain' is the one name of all servers: it cannot stand beside 'endpoint'" },
	{ "url = http://a\nendpoint = http://b\n", NULL },
	{ "namespace = n\n",
	  "no registry: give its address as url (or domain, or endpoint) in section [registry a]" },
	{ "url = http://a\nendpoint_interval = 1000\n",
	  "key 'endpoint_interval' is of no use without 'endpoint'" },
	{ "url = http://a\nconnect_timeout = 501\nrequest_timeout = 500\n",
	  "keys 'connect_timeout' and 'request_timeout' contradict each other: 501 ms of connecting do not "
	  "fit into 500 ms of a request" },
	{ "url = http://a\nconnect_timeout = 500\nrequest_timeout = 500\n", NULL },
	{ "url = http://a\nca_file = /c\n",
	  "key 'ca_file' protects nothing: the registry's address is not an https:// URL" },
	{ "url = http://a\ntls_verify = no\n",
	  "key 'tls_verify' protects nothing: the registry's address is not an https:// URL" },
	{ "url = http://a\ntls_verify = yes\ntls_min_version = 1.2\nendpoint_interval = 30000\n",
	  NULL },
	{ "url = https://a\nca_file = /c\nserver_name = b\ntls_min_version = 1.3\n", NULL },
	{ "domain = https://a\nca_file = /c\n", NULL },
	{ "url = https://a\nclient_cert = /c\n",
	  "key 'client_cert' is of no use without 'client_key': a certificate is shown with its key" },
	{ "url = https://a\nclient_key = /c\n",
	  "key 'client_key' is of no use without 'client_cert': a certificate is shown with its key" },
	{ "url = https://a\nca_file = /c\ntls_verify = no\n",
	  "key 'ca_file' is of no use with 'tls_verify = no': nothing is verified" },
	{ "url = https://a\nserver_name = c\ntls_verify = no\n",
	  "key 'server_name' is of no use with 'tls_verify = no': nothing is verified" },
	{ "url = https://a\n" LOGIN, NULL },
	{ "url = http://127.0.0.1\n" LOGIN, NULL },
	{ "url = http://localhost,http://[::1]\n" LOGIN, NULL },
	{ "url = http://localhost,http://10.0.0.1\n" LOGIN,
	  "the password of 'u' would go to http://10.0.0.1:8848 where everybody between can read it: use "
	  "https://, or say 'allow_plaintext_password = yes'" },
	{ "domain = 127.0.0.1.example\n" LOGIN,
	  "the password of 'u' would go to http://127.0.0.1.example:8848 where everybody between can read "
	  "it: use https://, or say 'allow_plaintext_password = yes'" },
	{ "endpoint = http://a\n" LOGIN,
	  "the password of 'u' would go to http://a:8080/nacos/serverlist where everybody between can read "
	  "it: use https://, or say 'allow_plaintext_password = yes'" },
	{ "url = http://a\nallow_plaintext_password = yes\n" LOGIN, NULL },
	{ "url = https://a\nusername = u\n",
	  "key 'username' is 'u', and no key tells the secret: give 'password_file', 'password_credential' "
	  "or 'password_env'" },
	{ "url = https://a\npassword_file = /p\n",
	  "key 'password_file' is of no use without 'username'" },
	{ "url = https://a\npassword_credential = /p\n", "" },
	{ "url = https://a\n" LOGIN "password_file = /p\n",
	  "keys 'password_file', 'password_credential' and 'password_env' exclude each other: a secret has "
	  "one place" },
	{ "url = http://a\naccess_key = k\n",
	  "key 'access_key' is 'k', and no key tells the secret: give 'secret_key_file', "
	  "'secret_key_credential' or 'secret_key_env'" },
	{ "url = http://a\nsecret_key_env = K\n",
	  "key 'secret_key_env' is of no use without 'access_key'" },
	{ "url = http://a\naccess_key = k\nsecret_key_env = K\n", NULL },
	{ "url = https://a\naccess_key = k\nsecret_key_env = K\n" LOGIN,
	  "keys 'username' and 'access_key' exclude each other: a registry has one way to tell who asks" },
	{ "url = http://a\nregion = r\n", "key 'region' is of no use without 'access_key'" },
	{ "url = http://b\n[registry b]\nurl = http://c,http://b\nnamespace = n\n", NULL },
	{ "url = http://b/x\n[registry b]\nurl = http://c,http://b\n", NULL },
};

Test(config_registries, contradictions_name_thing_value_and_rule)
{
	char text[512], wanted[CONFIG_ERROR_MAX], error[CONFIG_ERROR_MAX];
	struct config cfg;

	for (size_t i = 0; i < sizeof(contradictions) / sizeof(contradictions[0]); i++) {
		const struct contradiction *c = &contradictions[i];

		snprintf(text, sizeof(text), AGENT "[registry a]\n%s", c->text);
		if (c->error && !*c->error) {
			cr_expect_eq(try_load(&cfg, text, error), -EINVAL);
			config_deinit(&cfg);
			continue;
		}
		load(&cfg, text);
		snprintf(wanted, sizeof(wanted), "registry 'a': %s", c->error ? c->error : "");
		cr_expect_eq(config_check(&cfg, error), c->error ? -EINVAL : 0, "%s", text);
		if (c->error)
			cr_expect_str_eq(error, wanted, "%s\ninstead of %s", error, wanted);
		config_deinit(&cfg);
	}
}

/* Two sections for one registry would be two clients that undo each other's work. */
Test(config_registries, one_registry_under_two_names)
{
	char error[CONFIG_ERROR_MAX];
	struct config cfg;

	load(&cfg, AGENT "[registry a]\nurl = http://x\n[registry b]\nurl = http://y,http://x\n");
	cr_expect_eq(config_check(&cfg, error), -EINVAL);
	cr_expect_str_eq(
		error,
		"registries 'a' and 'b' are one: both have http://x:8848/nacos with namespace 'public'; name "
		"it once");
	config_deinit(&cfg);
}

static void printed(const struct config *cfg, char *out, size_t size)
{
	int fd = memfd_create("printed", MFD_CLOEXEC);
	ssize_t n;

	cr_assert(fd >= 0);
	config_print(cfg, fd);
	n = pread(fd, out, size - 1, 0);
	cr_assert(n > 0);
	out[n] = '\0';
	close(fd);
}

/* Every registry with its own values, and nothing that is a secret: the file has none. */
Test(config_registries, what_is_printed_is_read_to_the_same)
{
	char first[16384], second[16384];
	char error[CONFIG_ERROR_MAX];
	struct config cfg;

	load(&cfg,
	     AGENT EVERY_KEY "[registry b]\ndomain = d\naccess_key = k\nsecret_key_file = /s\n");
	printed(&cfg, first, sizeof(first));
	cr_expect(strstr(first, "\n[registry a]\n") < strstr(first, "\n[registry b]\n"));
	cr_expect(strstr(first, "\nbeats = full\n"));
	cr_expect(strstr(strstr(first, "[registry b]"), "\nbeats = light\n"));
	cr_expect(strstr(strstr(first, "[registry b]"), "\n# beat_connections =\n"));
	config_deinit(&cfg);
	load(&cfg, first);
	cr_expect_eq(config_check(&cfg, error), 0, "%s", error);
	printed(&cfg, second, sizeof(second));
	cr_expect_str_eq(strchr(first, '\n'), strchr(second, '\n'));
	config_deinit(&cfg);
}

Test(config_registries, loopback_is_told_by_the_address)
{
	cr_expect(config_url_is_loopback("http://127.9.9.9:1"));
	cr_expect(config_url_is_loopback("http://[::1]:1"));
	cr_expect(config_url_is_loopback("http://LOCALHOST:1"));
	cr_expect_not(config_url_is_loopback("http://localhost.example:1"));
	cr_expect_not(config_url_is_loopback("http://[2001:db8::1]:1"));
	cr_expect(config_url_is_tls("https://a:1"));
	cr_expect_not(config_url_is_tls("http://a:1"));
}
