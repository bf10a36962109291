/* SPDX-License-Identifier: Apache-2.0 */
/* labels: valgrind */
/* Auto-registration by itself: what it refuses, and what a forked child may do. No agent is needed. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <onebeat/onebeat.h>

static struct onebeat_options nowhere(void)
{
	struct onebeat_options o = onebeat_options_init();

	o.runtime_dir = "/nonexistent";
	o.timeout_ms = 10;
	return o;
}

static struct onebeat_spec some_spec(void)
{
	struct onebeat_spec spec = onebeat_spec_init();

	spec.service = "orders";
	return spec;
}

static struct onebeat_auto_options options_for(const struct onebeat_spec *spec,
					       const struct onebeat_options *open)
{
	struct onebeat_auto_options o = onebeat_auto_options_init();

	o.spec = spec;
	o.open = open;
	return o;
}

static int refused(const struct onebeat_auto_options *o)
{
	struct onebeat_auto *a = NULL;
	int r;

	memset(&a, 0xee, sizeof(a)); /* must become NULL */
	r = onebeat_auto_new(&a, o);

	cr_assert_null(a);
	return r;
}

Test(client_auto, wrong_options_are_refused)
{
	struct onebeat_options open = nowhere();
	struct onebeat_spec spec = some_spec();
	struct onebeat_auto_options o = options_for(&spec, &open);
	struct onebeat_auto *a;

	cr_assert_eq(onebeat_auto_new(NULL, &o), ONEBEAT_E_NULL);
	cr_assert_eq(onebeat_auto_new(&a, NULL), ONEBEAT_E_NULL);
	o.size--;
	cr_assert_eq(refused(&o), ONEBEAT_E_SIZE);
	o = options_for(NULL, &open);
	cr_assert_eq(refused(&o), ONEBEAT_E_NULL);
	o = options_for(&spec, &open);
	o.enabled = 2;
	cr_assert_eq(refused(&o), ONEBEAT_E_ENABLED);
	o = options_for(&spec, &open);
	o.management_port = 65536;
	cr_assert_eq(refused(&o), ONEBEAT_E_PORT);
	o.management_port = 9090;
	o.management_service = "a@@b";
	cr_assert_eq(refused(&o), ONEBEAT_E_SERVICE_CHARS);
	o = options_for(&spec, &open);
	spec.size = 1;
	cr_assert_eq(refused(&o), ONEBEAT_E_SIZE);
	spec = some_spec();
	open.size = 1;
	cr_assert_eq(refused(&o), ONEBEAT_E_SIZE);
}

Test(client_auto, folder_that_is_too_long_is_refused)
{
	struct onebeat_options open = nowhere();
	struct onebeat_spec spec = some_spec();
	struct onebeat_auto_options o = options_for(&spec, &open);
	char folder[128];

	memset(folder, 'a', sizeof(folder));
	folder[0] = '/';
	folder[sizeof(folder) - 1] = '\0';
	open.runtime_dir = folder;
	cr_assert_eq(refused(&o), ONEBEAT_E_RUNTIME_DIR);
}

Test(client_auto, longest_spec_is_copied_and_management_finds_room)
{
	static char service[ONEBEAT_SERVICE_MAX + 1 - sizeof("-management") + 1];
	static char group[ONEBEAT_GROUP_MAX + 1], cluster[ONEBEAT_CLUSTER_MAX + 1];
	static char value[ONEBEAT_METADATA_CHARS_MAX - 20];
	struct onebeat_metadata pair = { "k", value };
	struct onebeat_options open = nowhere();
	struct onebeat_spec spec = some_spec();
	struct onebeat_auto_options o = options_for(&spec, &open);
	struct onebeat_auto *a;

	memset(service, 's', sizeof(service) - 1);
	memset(group, 'g', sizeof(group) - 1);
	memset(cluster, 'c', sizeof(cluster) - 1);
	memset(value, 'v', sizeof(value) - 1);
	spec.service = service;
	spec.group = group;
	spec.cluster = cluster;
	spec.metadata = &pair;
	spec.n_metadata = 1;
	spec.port = 8080;
	o.management_port = 65535;
	cr_assert_eq(onebeat_auto_new(&a, &o), 0);
	memset(service, '@', sizeof(service) - 1);
	cr_assert_eq(onebeat_auto_start(a), 0, "started with the copy");
	cr_assert_not_null(onebeat_auto_management(a));
	cr_assert_eq(onebeat_auto_close(a), 0);
}

/* management.port must fit beside the program's own pairs. */
Test(client_auto, metadata_that_leaves_no_room_for_management_is_refused)
{
	static char value[ONEBEAT_METADATA_CHARS_MAX];
	struct onebeat_metadata pair = { "k", value };
	struct onebeat_options open = nowhere();
	struct onebeat_spec spec = some_spec();
	struct onebeat_auto_options o = options_for(&spec, &open);
	struct onebeat_auto *a;

	memset(value, 'v', sizeof(value) - 1);
	spec.metadata = &pair;
	spec.n_metadata = 1;
	o.management_port = 9090;
	cr_assert_eq(refused(&o), ONEBEAT_E_METADATA_LONG);
	o.management_port = 0;
	cr_assert_eq(onebeat_auto_new(&a, &o), 0);
	onebeat_auto_close(a);
}

Test(client_auto, closed_or_missing_object_is_no_handle)
{
	struct onebeat_options open = nowhere();
	struct onebeat_spec spec = some_spec();
	struct onebeat_auto_options o = options_for(&spec, &open);
	struct onebeat_auto *a;

	cr_assert_eq(onebeat_auto_new(&a, &o), 0);
	cr_assert_eq(onebeat_auto_close(a), 0);
	cr_assert_eq(onebeat_auto_start(a), ONEBEAT_E_HANDLE);
	cr_assert_eq(onebeat_auto_stop(NULL), ONEBEAT_E_HANDLE);
	cr_assert_eq(onebeat_auto_attend(NULL), ONEBEAT_E_HANDLE);
	cr_assert_eq(onebeat_auto_bind(NULL, 0), ONEBEAT_E_HANDLE);
	cr_assert_null(onebeat_auto_instance(NULL));
	cr_assert_eq(onebeat_auto_close(NULL), 0);
}

/* 0 in the child when every call does what the header says. */
static int try_in_child(struct onebeat_auto *a)
{
	if (onebeat_auto_start(a) != ONEBEAT_E_FORKED || onebeat_auto_stop(a) != ONEBEAT_E_FORKED)
		return 1;
	if (onebeat_auto_attend(a) != ONEBEAT_E_FORKED ||
	    onebeat_auto_bind(a, 0) != ONEBEAT_E_FORKED)
		return 2;
	if (onebeat_auto_handle(a) || onebeat_auto_instance(a) || onebeat_auto_management(a))
		return 3;
	return onebeat_auto_close(a) == 0 ? 0 : 4;
}

Test(client_auto, forked_child_may_only_close)
{
	struct onebeat_options open = nowhere();
	struct onebeat_spec spec = some_spec();
	struct onebeat_auto_options o = options_for(&spec, &open);
	struct onebeat_auto *a;
	int status;
	pid_t pid;

	spec.port = 8080;
	cr_assert_eq(onebeat_auto_new(&a, &o), 0);
	cr_assert_eq(onebeat_auto_start(a), 0);
	pid = fork();
	if (pid == 0)
		_exit(try_in_child(a));
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 0);
	cr_assert_not_null(onebeat_auto_instance(a), "the parent's goes on");
	onebeat_auto_close(a);
}

Test(client_auto, check_says_what_register_would)
{
	struct onebeat_spec spec = some_spec();

	cr_assert_eq(onebeat_check(NULL), ONEBEAT_E_NULL);
	cr_assert_eq(onebeat_check(&spec), ONEBEAT_E_PORT);
	spec.port = 8080;
	cr_assert_eq(onebeat_check(&spec), 0);
	spec.weight = -1;
	cr_assert_eq(onebeat_check(&spec), ONEBEAT_E_WEIGHT);
}

/* A datagram socket and one that is bound alone do not listen. */
Test(client_auto, sockets_that_do_not_listen_are_refused)
{
	struct onebeat_options open = nowhere();
	struct onebeat_spec spec = some_spec();
	struct onebeat_auto_options o = options_for(&spec, &open);
	int datagram = socket(AF_INET, SOCK_DGRAM, 0);
	int silent = socket(AF_INET, SOCK_STREAM, 0);
	int local = socket(AF_UNIX, SOCK_STREAM, 0);
	struct onebeat_auto *a;

	cr_assert_eq(onebeat_auto_new(&a, &o), 0);
	cr_assert_eq(onebeat_auto_bind(a, datagram), ONEBEAT_E_LISTEN);
	cr_assert_eq(onebeat_auto_bind(a, silent), ONEBEAT_E_LISTEN);
	cr_assert_eq(onebeat_auto_bind(a, local), ONEBEAT_E_LISTEN);
	cr_assert_eq(onebeat_auto_bind(a, -1), ONEBEAT_E_LISTEN);
	cr_assert_eq(onebeat_auto_start(a), ONEBEAT_E_PORT, "none of them gave a port");
	onebeat_auto_close(a);
	close(datagram);
	close(silent);
	close(local);
}
