/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of keys
 *
 * Everything about a key: where it stands, what it may be, what it is without being set, and what it means. The
 * file's reader, the command line, the printed configuration and the help text all go through it, so a new key is
 * one line here and one field in struct config.
 */
#include <onebeat/onebeat.h>
#include <onebeat/segment.h>

#include "control/config_value.h"

#define AGENT(name, field, type, min, max, unit, value, help)                                     \
	{                                                                                         \
		CONFIG_SECTION_AGENT, name, &config_value_##type, offsetof(struct config, field), \
			min, max, unit, value, help                                               \
	}
#define REGISTRY_N(name, field, type, min, max, unit, value, help)                           \
	{                                                                                    \
		CONFIG_SECTION_REGISTRY, name, &config_value_##type,                         \
			offsetof(struct config_registry, field), min, max, unit, value, help \
	}
#define REGISTRY(name, field, type, value, help) \
	REGISTRY_N(name, field, type, 0, 0, "", value, help)

#define ALLOW(name, list, help)                                                                 \
	{                                                                                       \
		CONFIG_SECTION_ALLOW, name, &config_value_allow,                                \
			offsetof(struct allow_rule, texts) + (list) * sizeof(char *), 0, 0, "", \
			NULL, help                                                              \
	}

const struct config_key config_keys[CONFIG_KEYS_N] = {
	AGENT("runtime_dir", runtime_dir, path, 0, 0, "", NULL,
	      "Folder of sockets and journal; else " CONFIG_RUNTIME_DIR_DEFAULT
	      " or $XDG_RUNTIME_DIR/onebeat."),
	AGENT("log_level", log_level, level, 0, 0, "", "info",
	      "Least severe lines that are written to stderr."),
	AGENT("ip", ip, address, 0, 0, "", NULL,
	      "Address of instances that name none; else by interface, cidr or route."),
	AGENT("interface", interface, interface, 0, 0, "", NULL,
	      "Network interface whose address is registered."),
	AGENT("cidr", cidr, network, 0, 0, "", NULL,
	      "Network in which the registered address lies."),
	AGENT("slots", slots, number, 8, ONEBEAT_SLOTS_MAX, "slots", "16384",
	      "Most instances that the processes of one user may register."),
	AGENT("beat_connections", beat_connections, number, 1, 16, "connections", "2",
	      "Most connections to one registry address for beats; eight times as many while it is slow."),
	AGENT("request_connections", request_connections, number, 1, 16, "connections", "1",
	      "Most connections to one registry address for everything else."),
	AGENT("listen_grace_ms", listen_grace_ms, number, 100, 3600000, "ms", "5000",
	      "How long the port of an instance may not listen before it is disabled."),
	AGENT("exec_grace_ms", exec_grace_ms, number, 100, 3600000, "ms", "10000",
	      "How long an instance is kept whose process became another program unannounced."),
	AGENT("identity", force_pidfd_open, identity, 0, 0, "", "auto",
	      "How a client's process is got hold of; pidfd_open: as on kernels before 6.5."),
	AGENT("control_group", control_group, group, 0, 0, "", NULL,
	      "Group whose members may look with onebeatctl, by name or number; of systemd's socket: SocketGroup=."),
	AGENT("leases", leases, number, 1, 65536, "leases", "16384",
	      "Most processes of one user that may hold a lease; at most 3/4 of what descriptors allow."),
	AGENT("silent_leases", silent_leases, number, 1, 65536, "connections", "256",
	      "Most connections of one user that have not said HELLO."),
	AGENT("hello_timeout_ms", hello_timeout_ms, number, 100, 3600000, "ms", "10000",
	      "How long a connection may stay without HELLO."),
	AGENT("messages_per_second", messages_per_second, number, 0, 100000000, "messages", "20000",
	      "Messages of one user that are read in a second, the rest later; 0: without limit."),
	AGENT("updates_per_second", updates_per_second, number, 0, 100000000, "updates", "10000",
	      "Updates of one user that are taken in a second, the newest later; 0: without limit."),
	REGISTRY("url", urls, urls, NULL,
		 "Addresses of one registry, http[s]://HOST[:PORT][/CONTEXT]; may be repeated."),
	REGISTRY("context", context_of_key, context, "/nacos",
		 "Path before the registry's API; / for none."),
	REGISTRY("namespace", namespace_id, namespace, "public",
		 "Namespace id of instances that name none."),
	REGISTRY("api", api, api, "auto",
		 "The registry's API; auto: v1, and v3 where a server has no v1."),
	REGISTRY("beats", beats, beats, "light",
		 "What a beat carries: the instance's key alone, or the whole instance."),
	REGISTRY(
		"route", route, route, "auto",
		"Servers that an instance's requests go to: the one responsible for it, any, or auto: as the servers tell."),
	REGISTRY(
		"endpoint", endpoint, endpoint, NULL,
		"Page that lists the servers, http[s]://HOST[:PORT][/PATH]; else port 8080 and /nacos/serverlist."),
	REGISTRY_N("endpoint_interval", endpoint_interval_ms, number, 100, 86400000, "ms", "30000",
		   "Time between two looks at the endpoint."),
	REGISTRY("domain", domain, domain, NULL,
		 "One name for all servers, [http[s]://]HOST[:PORT], looked up anew for each try."),
	REGISTRY_N("connect_timeout", connect_timeout_ms, number, 10, 60000, "ms", "2000",
		   "How long a connection to a server may take to stand."),
	REGISTRY_N("request_timeout", request_timeout_ms, number, 10, 120000, "ms", "4000",
		   "How long one request to one server may take, its connection included."),
	REGISTRY_N(
		"beat_connections", beat_connections, number, 1, 16, "connections", NULL,
		"Most connections to one server of this registry for beats; else as in section [agent]."),
	REGISTRY_N(
		"request_connections", request_connections, number, 1, 16, "connections", NULL,
		"Most connections to one server of this registry for everything else; else as in section [agent]."),
	REGISTRY_N(
		"reregister_rate", reregister_per_second, number, 1, 100000, "registrations",
		"4000",
		"Most instances that one server is told again in a second when it has lost them."),
	REGISTRY("persistent", persistent, persistent, "keep",
		 "What becomes of a persistent instance at the registry when its process is gone."),
	REGISTRY("username", username, text, NULL, "User to log in as."),
	REGISTRY("password_file", password.file, file, NULL,
		 "File with the user's password alone, readable by its owner only."),
	REGISTRY("password_credential", password.credential, credential, NULL,
		 "Credential of systemd (LoadCredential=) with the user's password."),
	REGISTRY("password_env", password.env, variable, NULL,
		 "Environment variable with the user's password."),
	REGISTRY("access_key", access_key, text, NULL, "Access key to sign requests with (AK)."),
	REGISTRY("secret_key_file", secret_key.file, file, NULL,
		 "File with the access key's secret alone, readable by its owner only (SK)."),
	REGISTRY("secret_key_credential", secret_key.credential, credential, NULL,
		 "Credential of systemd (LoadCredential=) with the access key's secret."),
	REGISTRY("secret_key_env", secret_key.env, variable, NULL,
		 "Environment variable with the access key's secret."),
	REGISTRY("region", region, region, NULL,
		 "Region to sign for, in the newer form of signature; else the older one is used."),
	REGISTRY("ca_file", ca_file, file, NULL,
		 "PEM file of the authorities that may vouch for the servers; else the system's."),
	REGISTRY("client_cert", client_cert, file, NULL,
		 "PEM file of the certificate that is shown to the servers."),
	REGISTRY("client_key", client_key, file, NULL,
		 "PEM file of that certificate's key, readable by its owner only."),
	REGISTRY("server_name", server_name, host, NULL,
		 "Name that the servers' certificates must have; else the host of the URL."),
	REGISTRY("tls_min_version", tls_min_version, tls_version, "1.2",
		 "Oldest version of TLS that is spoken."),
	REGISTRY(
		"tls_verify", tls_verify, yes_no, "yes",
		"Whether a server's certificate must be right; no: anybody can pose as the registry."),
	REGISTRY("allow_plaintext_password", allow_plaintext_password, yes_no, "no",
		 "Whether the password may go over http to other hosts, where others can read it."),
	REGISTRY("proxy", proxy, proxy, NULL,
		 "Proxy to the registry, http://HOST[:PORT], port 3128; none is taken unasked."),
	ALLOW("uid", ALLOW_UID,
	      "Users, by name or number, that the section is for; * is everybody."),
	ALLOW("gid", ALLOW_GID, "Groups, by name or number: their members as well."),
	ALLOW("service", ALLOW_SERVICE, "Patterns of services that they may register; else any."),
	ALLOW("ip", ALLOW_IP, "Addresses and networks that they may register; else any."),
	ALLOW("port", ALLOW_PORT, "Ports and ranges, like 80, 8000-8999; else any."),
	{ CONFIG_SECTION_ALLOW, "join", &config_value_join, offsetof(struct allow_rule, join), 0, 0,
	  "", "no", "Whether they may join instances that other users hold." },
};

_Static_assert(ONEBEAT_SLOTS_DEFAULT == 16384, "the text in the table is the segment's default");
