/* SPDX-License-Identifier: Apache-2.0 */
/* The puppet's commands on its handle and its instances: one call of the library each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/puppet.h"

static const char *const state_names[] = {
	[ONEBEAT_STATE_DETACHED] = "DETACHED",
	[ONEBEAT_STATE_PENDING] = "PENDING",
	[ONEBEAT_STATE_WAITING] = "WAITING",
	[ONEBEAT_STATE_REGISTERING] = "REGISTERING",
	[ONEBEAT_STATE_UP] = "UP",
	[ONEBEAT_STATE_DOWN] = "DOWN",
	[ONEBEAT_STATE_REFUSED] = "REFUSED",
	[ONEBEAT_STATE_LEAVING] = "LEAVING",
	[ONEBEAT_STATE_GONE] = "GONE",
};

#define N_STATES ((int)(sizeof(state_names) / sizeof(state_names[0])))

static const char *state_name(int state)
{
	return state >= 0 && state < N_STATES ? state_names[state] : "UNKNOWN";
}

/* A state by name or number. */
static int state_of(const char *name)
{
	for (int i = 0; i < N_STATES; i++) {
		if (strcmp(state_names[i], name) == 0)
			return i;
	}
	return (int)strtol(name, NULL, 0);
}

static struct puppet_name *find(struct puppet *p, const char *name)
{
	for (struct puppet_name *n = p->names; n; n = n->next) {
		if (strcmp(n->name, name) == 0)
			return n;
	}
	return NULL;
}

/* The name's entry; answers when there is none. */
static struct puppet_name *named(struct puppet *p, const char *name)
{
	struct puppet_name *n = find(p, name);

	if (!n)
		puppet_refuse("nothing is registered as %s", name);
	return n;
}

static bool is_known(const struct puppet *p, const struct onebeat_instance *inst)
{
	for (const struct puppet_name *n = p->names; n; n = n->next) {
		if (n->inst == inst)
			return true;
	}
	return false;
}

static void forget(struct puppet *p, struct puppet_name *gone)
{
	struct puppet_name **at = &p->names;

	while (*at != gone)
		at = &(*at)->next;
	*at = gone->next;
	if (p->last == gone)
		p->last = NULL;
	puppet_spec_deinit(&gone->spec);
	free(gone);
}

static struct puppet_name *remember(struct puppet *p, const char *name)
{
	struct puppet_name *n = calloc(1, sizeof(*n));

	if (!n)
		abort();
	snprintf(n->name, sizeof(n->name), "%s", name);
	n->next = p->names;
	p->names = n;
	return n;
}

void puppet_name_it(struct puppet *p, const char *name, struct onebeat_instance *inst)
{
	struct puppet_name *n = find(p, name);

	if (!n)
		n = remember(p, name);
	n->inst = inst;
}

void puppet_note_lease(struct puppet *p)
{
	int fd = onebeat_fd(p->ob);

	if (fd >= 0)
		p->lease = fd;
}

static bool has_word(char **words, const char *word)
{
	for (; *words; words++) {
		if (strcmp(*words, word) == 0)
			return true;
	}
	return false;
}

static void do_open(struct puppet *p, char **words)
{
	struct onebeat_options o = onebeat_options_init();
	int r;

	o.runtime_dir = puppet_option(words, "dir", NULL);
	o.timeout_ms = (uint32_t)strtoul(puppet_option(words, "timeout", "1000"), NULL, 0);
	o.max_instances = (uint32_t)strtoul(puppet_option(words, "instances", "16"), NULL, 0);
	if (has_word(words, "require"))
		o.flags |= ONEBEAT_OPEN_REQUIRE_AGENT;
	if (has_word(words, "across_exec"))
		o.flags |= ONEBEAT_OPEN_ACROSS_EXEC;
	r = onebeat_open(&p->ob, &o);
	if (r == 0) {
		snprintf(p->dir, sizeof(p->dir), "%s", o.runtime_dir ? o.runtime_dir : "");
		puppet_note_lease(p);
	}
	puppet_result(r);
}

static void do_register(struct puppet *p, char **words)
{
	struct puppet_name *n = find(p, words[0]);
	struct onebeat_instance *inst = NULL;
	bool known = n != NULL;
	struct onebeat_spec spec;
	const char *bad;
	int r;

	if (!n)
		n = remember(p, words[0]);
	bad = puppet_spec_take(&n->spec, words + 1);
	spec = puppet_spec_build(&n->spec);
	r = bad ? 1 : onebeat_register(p->ob, &spec, &inst);
	if (r == 0) {
		bool same = is_known(p, inst);

		n->inst = inst;
		p->last = n;
		puppet_ok("same=%d", same);
		return;
	}
	if (!known)
		forget(p, n);
	if (bad)
		puppet_refuse("what is %s", bad);
	else
		puppet_fail(r);
}

static void do_update(struct puppet *p, char **words)
{
	struct puppet_name *n = named(p, words[0]);
	struct onebeat_spec spec;
	const char *bad;

	if (!n)
		return;
	bad = puppet_spec_take(&n->spec, words + 1);
	if (bad) {
		puppet_refuse("what is %s", bad);
		return;
	}
	spec = puppet_spec_build(&n->spec);
	puppet_result(onebeat_update(n->inst, &spec));
}

static void do_status(struct puppet *p, char **words)
{
	struct puppet_name *n = named(p, words[0]);
	struct onebeat_report report = { .size = sizeof(report) };
	int r;

	if (!n)
		return;
	r = onebeat_status(n->inst, &report);
	if (r < 0) {
		puppet_fail(r);
		return;
	}
	for (char *c = report.text; *c; c++) {
		if (*c == '"' || *c == '\n')
			*c = '\'';
	}
	puppet_ok(
		"state=%s code=%d confirmed=%u holders=%u beat_age_ms=%u since_ms=%u ip=%s text=\"%s\"",
		state_name(report.state), report.code, report.confirmed, report.holders,
		report.beat_age_ms, report.since_ms, report.ip, report.text);
}

static void do_wait(struct puppet *p, char **words)
{
	struct puppet_name *n = named(p, words[0]);

	if (n)
		puppet_result(
			onebeat_wait(n->inst, state_of(words[1]), (int)strtol(words[2], NULL, 0)));
}

static void do_set(struct puppet *p, char **words)
{
	struct puppet_name *n = named(p, words[0]);

	if (n)
		puppet_result(onebeat_set_status(n->inst, state_of(words[1])));
}

static void do_tick(struct puppet *p, char **words)
{
	struct puppet_name *n = named(p, words[0]);

	if (!n)
		return;
	onebeat_tick(n->inst);
	puppet_ok("%s", "");
}

static void do_deregister(struct puppet *p, char **words)
{
	struct puppet_name *n = named(p, words[0]);
	int r;

	if (!n)
		return;
	r = onebeat_deregister(n->inst);
	if (r == 0)
		forget(p, n);
	puppet_result(r);
}

static void do_attend(struct puppet *p, char **words)
{
	int r = onebeat_attend(p->ob);

	(void)words;
	if (r == 0)
		puppet_note_lease(p);
	puppet_result(r);
}

static void do_fd(struct puppet *p, char **words)
{
	int fd = onebeat_fd(p->ob);

	(void)words;
	if (fd < 0) {
		puppet_fail(fd);
		return;
	}
	puppet_note_lease(p);
	puppet_ok("fd=%d", fd);
}

static void do_close(struct puppet *p, char **words)
{
	int r = onebeat_close(p->ob);

	(void)words;
	p->ob = NULL;
	while (p->names)
		forget(p, p->names);
	puppet_result(r);
}

const struct puppet_command puppet_instance_commands[] = {
	{ "open", 0, do_open },     { "register", 1, do_register },
	{ "update", 1, do_update }, { "status", 1, do_status },
	{ "wait", 3, do_wait },     { "set", 2, do_set },
	{ "tick", 1, do_tick },     { "attend", 0, do_attend },
	{ "fd", 0, do_fd },         { "deregister", 1, do_deregister },
	{ "close", 0, do_close },   { NULL, 0, NULL },
};
