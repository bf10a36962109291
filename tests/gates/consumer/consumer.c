/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user of the installed library, compiled as C11 and as C++17: header and library are of one version,
 * every kind of call links, and without an agent the handle is detached, as the header promises.
 */
#include <onebeat/onebeat.h>
#include <stdio.h>
#include <string.h>

static int expect(int condition, const char *what)
{
	if (!condition)
		fprintf(stderr, "consumer: %s\n", what);
	return !condition;
}

int main(void)
{
	struct onebeat_options options = onebeat_options_init();
	struct onebeat_spec spec = onebeat_spec_init();
	struct onebeat_instance *instance = NULL;
	struct onebeat *ob = NULL;
	char version[32];
	int n_faults = 0;

	snprintf(version, sizeof(version), "%d.%d.%d", ONEBEAT_VERSION_MAJOR, ONEBEAT_VERSION_MINOR,
		 ONEBEAT_VERSION_PATCH);
	n_faults += expect(strcmp(version, onebeat_version()) == 0, "header and library differ");

	options.runtime_dir = "/nonexistent/onebeat";
	n_faults += expect(onebeat_open(&ob, &options) == ONEBEAT_OK, "open without an agent");
	spec.port = 8080;
	n_faults += expect(onebeat_register(ob, &spec, &instance) == ONEBEAT_E_SERVICE_EMPTY,
			   "a spec without a service is refused");
	n_faults += expect(strstr(onebeat_strerror(ONEBEAT_E_SERVICE_EMPTY), "service") != NULL,
			   "the error names the service");
	n_faults += expect(onebeat_close(ob) == ONEBEAT_OK, "close");
	return n_faults != 0;
}
