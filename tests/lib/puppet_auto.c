/* SPDX-License-Identifier: Apache-2.0 */
/* The puppet's commands on auto-registration: one call of the library each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/puppet.h"

/* One of each a process. */
static struct onebeat_auto *automatic;
static unsigned int n_said; /* how often the library has said that all is registered */

static void on_registered(void *ctx, struct onebeat_auto *a)
{
	(void)ctx;
	if (a == automatic || !automatic) /* a start inside of the very first call */
		n_said++;
}

/* The words behind "spec", which ends the options before it. */
static char **cut_spec(char **words)
{
	for (; *words; words++) {
		if (strcmp(*words, "spec") == 0) {
			*words = NULL;
			return words + 1;
		}
	}
	return words;
}

static uint32_t number(char **words, const char *key, const char *fallback)
{
	return (uint32_t)strtoul(puppet_option(words, key, fallback), NULL, 0);
}

static void do_new(struct puppet *p, char **words)
{
	char **spec_words = cut_spec(words);
	struct onebeat_auto_options o = onebeat_auto_options_init();
	struct onebeat_options open = onebeat_options_init();
	struct puppet_spec words_of_spec = { .n_words = 0 };
	const char *bad = puppet_spec_take(&words_of_spec, spec_words);
	struct onebeat_spec spec = puppet_spec_build(&words_of_spec);

	(void)p;
	o.spec = &spec;
	o.open = &open;
	o.enabled = (int)number(words, "enabled", "1");
	o.wait_ms = number(words, "wait", "0");
	o.management_port = number(words, "management", "0");
	o.management_service = puppet_option(words, "management_service", NULL);
	o.registered = on_registered;
	if (bad)
		puppet_refuse("what is %s", bad);
	else
		puppet_result(onebeat_auto_new(&automatic, &o));
	/* The library has its own copy: what it was told from is overwritten here. */
	puppet_spec_deinit(&words_of_spec);
	memset(&spec, 0xee, sizeof(spec));
	memset(&open, 0xee, sizeof(open));
}

static void do_bind(struct puppet *p, char **words)
{
	const char *given = puppet_option(words, "fd", NULL);
	int fd = p->n_listeners > 0 ? p->listeners[p->n_listeners - 1] : -1;

	if (given)
		fd = (int)strtol(given, NULL, 0);
	puppet_result(onebeat_auto_bind(automatic, fd));
}

static void do_start(struct puppet *p, char **words)
{
	(void)p;
	(void)words;
	puppet_result(onebeat_auto_start(automatic));
}

static void do_stop(struct puppet *p, char **words)
{
	(void)p;
	(void)words;
	puppet_result(onebeat_auto_stop(automatic));
}

static void do_attend(struct puppet *p, char **words)
{
	(void)p;
	(void)words;
	puppet_result(onebeat_auto_attend(automatic));
}

static void do_close(struct puppet *p, char **words)
{
	(void)p;
	(void)words;
	puppet_result(onebeat_auto_close(automatic));
	automatic = NULL;
}

static void do_state(struct puppet *p, char **words)
{
	(void)p;
	(void)words;
	puppet_ok("running=%d managed=%d said=%u", onebeat_auto_handle(automatic) != NULL,
		  onebeat_auto_management(automatic) != NULL, n_said);
}

static void do_name(struct puppet *p, char **words)
{
	struct onebeat_instance *inst = words[1] ? onebeat_auto_management(automatic)
						 : onebeat_auto_instance(automatic);

	if (!inst) {
		puppet_refuse("no such instance runs");
		return;
	}
	puppet_name_it(p, words[0], inst);
	puppet_ok("%s", "");
}

const struct puppet_command puppet_auto_commands[] = {
	{ "autonew", 0, do_new },       { "autobind", 0, do_bind },   { "autostart", 0, do_start },
	{ "autostop", 0, do_stop },     { "autostate", 0, do_state }, { "autoname", 1, do_name },
	{ "autoattend", 0, do_attend }, { "autoclose", 0, do_close }, { NULL, 0, NULL },
};
