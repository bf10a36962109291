/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What onebeatctl can ask
 *
 * With -o json the agent's lines are passed on inside one JSON document; the table form is made from the same
 * lines, so neither knows more than the other.
 */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "link.h"
#include "table.h"

#define TEXT 1024

/* "3 ms", "4.2 s", "7 min", "5 h", "12 d" */
static const char *duration(char *buf, size_t size, double ms)
{
	if (ms < 0)
		snprintf(buf, size, "-");
	else if (ms < 1000)
		snprintf(buf, size, "%.0f ms", ms);
	else if (ms < 120e3)
		snprintf(buf, size, "%.1f s", ms / 1e3);
	else if (ms < 120 * 60e3)
		snprintf(buf, size, "%.0f min", ms / 60e3);
	else if (ms < 48 * 3600e3)
		snprintf(buf, size, "%.0f h", ms / 3600e3);
	else
		snprintf(buf, size, "%.0f d", ms / 86400e3);
	return buf;
}

static void text_of(const struct json *doc, int object, const char *name, char *buf, size_t size)
{
	json_text(doc, json_member(doc, object, name), buf, size);
}

/* "nginx[17] nginx[18]+" : program and pid; "+" when only its process is watched, its lease being closed. */
static void holders_of(const struct json *doc, char *buf, size_t size)
{
	int holders = json_member(doc, 0, "holders");
	size_t n = 0;

	buf[0] = '\0';
	for (int i = 0; i < json_size(doc, holders) && n + 1 < size; i++) {
		int h = json_element(doc, holders, i);
		char program[32], pid[16], state[16];

		text_of(doc, h, "program", program, sizeof(program));
		text_of(doc, h, "pid", pid, sizeof(pid));
		text_of(doc, h, "state", state, sizeof(state));
		n += (size_t)snprintf(buf + n, size - n, "%s%s[%s]%s", i ? " " : "", program, pid,
				      strcmp(state, "watched") == 0 ? "+" : "");
	}
}

struct listing {
	struct table table;
	bool json;
	unsigned int n_instances, n_refused;
	FILE *refused; /* lines kept for behind the instances */
	char *refused_text;
	size_t n_refused_text;
};

static void add_row(struct listing *l, const struct json *doc)
{
	char key[TEXT], state[32], since[32], age[32], code[16], holders[TEXT], text[160];
	const char *const cells[] = { key, state, since, age, code, holders, text };

	text_of(doc, 0, "key", key, sizeof(key));
	text_of(doc, 0, "state", state, sizeof(state));
	text_of(doc, 0, "code", code, sizeof(code));
	text_of(doc, 0, "text", text, sizeof(text));
	holders_of(doc, holders, sizeof(holders));
	duration(since, sizeof(since), json_number(doc, json_member(doc, 0, "since_ms"), -1));
	duration(age, sizeof(age), json_number(doc, json_member(doc, 0, "beat_age_ms"), -1));
	table_add(&l->table, cells);
}

static void add_refused(struct listing *l, const struct json *doc, int r)
{
	char pid[16], program[32], uid[16], service[300], text[160], often[32] = "";
	double times = json_number(doc, json_member(doc, r, "times"), 1);

	text_of(doc, r, "pid", pid, sizeof(pid));
	text_of(doc, r, "program", program, sizeof(program));
	text_of(doc, r, "uid", uid, sizeof(uid));
	text_of(doc, r, "service", service, sizeof(service));
	text_of(doc, r, "text", text, sizeof(text));
	if (times > 1)
		snprintf(often, sizeof(often), " (%.0f times)", times);
	fprintf(l->refused, "refused: %s[%s] uid %s%s%s: %s%s\n", program, pid, uid,
		service[0] ? " " : "", service, text, often);
}

static bool list_line(void *ctx, const char *line, size_t n)
{
	struct listing *l = ctx;
	struct json doc;
	int refused;

	if (!json_parse(&doc, line, n))
		return true;
	refused = json_member(&doc, 0, "refused");
	if (refused >= 0 && l->json)
		fprintf(l->refused, "%s%.*s", l->n_refused ? "," : "", (int)n - 1, line);
	else if (refused >= 0)
		add_refused(l, &doc, refused);
	else if (l->json)
		printf("%s%.*s", l->n_instances ? ",\n" : "", (int)n - 1, line);
	else
		add_row(l, &doc);
	if (refused >= 0)
		l->n_refused++;
	else
		l->n_instances++;
	json_free(&doc);
	return true;
}

static int run_list(const struct settings *s, const char *argument)
{
	static const char *const head[] = { "INSTANCE", "STATE",   "SINCE", "LAST BEAT",
					    "CODE",     "HOLDERS", "WHY" };
	struct listing l = { .json = s->json };
	int r;

	(void)argument;
	l.refused = open_memstream(&l.refused_text, &l.n_refused_text);
	if (!l.refused)
		return 1;
	table_init(&l.table, sizeof(head) / sizeof(head[0]));
	table_add(&l.table, head);
	if (s->json)
		fputs("{\"instances\":[", stdout);
	r = link_ask(s->runtime_dir, ONEBEAT_CONTROL_LIST, list_line, &l);
	fclose(l.refused);
	if (s->json)
		printf("],\"refused\":[%s],\"complete\":%s}\n", l.refused_text,
		       r == 0 ? "true" : "false");
	else if (r == 0) {
		table_print(&l.table);
		fputs(l.refused_text, stdout);
	}
	table_deinit(&l.table);
	free(l.refused_text);
	return r;
}

struct search {
	const struct settings *settings;
	const char *wanted;
	unsigned int n_found;
	bool exact;
	char *line; /* the match to show */
	size_t n;
};

/* An exact key wins over a part of one. */
static bool search_line(void *ctx, const char *line, size_t n)
{
	struct search *s = ctx;
	char key[TEXT];
	struct json doc;

	if (!json_parse(&doc, line, n))
		return true;
	text_of(&doc, 0, "key", key, sizeof(key));
	json_free(&doc);
	if (!strstr(key, s->wanted) || (s->exact && strcmp(key, s->wanted) != 0))
		return true;
	s->exact = strcmp(key, s->wanted) == 0;
	s->n_found = s->exact ? 1 : s->n_found + 1;
	free(s->line);
	s->line = strndup(line, n);
	s->n = n;
	return true;
}

static void show_metadata(const struct json *doc)
{
	int metadata = json_member(doc, 0, "metadata");
	char name[TEXT], value[TEXT * 4];

	for (int i = 0; i < json_size(doc, metadata); i++) {
		json_text(doc, json_member_at(doc, metadata, i, name, sizeof(name)), value,
			  sizeof(value));
		printf("%-12s %s=%s\n", i ? "" : "metadata", name, value);
	}
}

static void show_found(const char *line, size_t n)
{
	static const char *const names[] = { "key",      "state",     "text",  "code",
					     "registry", "namespace", "group", "service",
					     "cluster",  "ip",        "port",  "weight",
					     "enabled",  "ephemeral" };
	char text[TEXT];
	struct json doc;

	if (!json_parse(&doc, line, n))
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		text_of(&doc, 0, names[i], text, sizeof(text));
		printf("%-12s %s\n", names[i], text);
	}
	printf("%-12s %s\n", "since",
	       duration(text, sizeof(text),
			json_number(&doc, json_member(&doc, 0, "since_ms"), -1)));
	printf("%-12s %s\n", "last beat",
	       duration(text, sizeof(text),
			json_number(&doc, json_member(&doc, 0, "beat_age_ms"), -1)));
	holders_of(&doc, text, sizeof(text));
	printf("%-12s %s\n", "holders", text);
	show_metadata(&doc);
	json_free(&doc);
}

static int run_show(const struct settings *s, const char *argument)
{
	struct search search = { .settings = s, .wanted = argument };
	int r = link_ask(s->runtime_dir, ONEBEAT_CONTROL_LIST, search_line, &search);

	if (r == 0 && search.n_found == 1 && search.line) {
		if (s->json)
			fputs(search.line, stdout);
		else
			show_found(search.line, search.n);
	} else if (r == 0) {
		fprintf(stderr,
			"onebeatctl: '%s' %s: give more of the key that 'onebeatctl list' shows\n",
			argument,
			search.n_found ? "is part of several instances' keys"
				       : "is in no instance's key");
		r = 1;
	}
	free(search.line);
	return r;
}

static bool print_line(void *ctx, const char *line, size_t n)
{
	(void)ctx;
	fwrite(line, 1, n, stdout);
	fflush(stdout); /* events are for watching */
	return !ferror(stdout);
}

/* name value, nested ones as name.name */
static void print_tree(const struct json *doc, int value, const char *prefix)
{
	for (int i = 0; i < json_size(doc, value); i++) {
		char name[64], path[256], text[TEXT];
		int child = json_member_at(doc, value, i, name, sizeof(name));

		if (child < 0) {
			child = json_element(doc, value, i);
			snprintf(name, sizeof(name), "%d", i);
		}
		snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "." : "", name);
		json_text(doc, child, text, sizeof(text));
		if (text[0] == '{' || text[0] == '[')
			print_tree(doc, child, path);
		else
			printf("%-28s %s\n", path, text);
	}
}

static bool status_line(void *ctx, const char *line, size_t n)
{
	struct json doc;

	(void)ctx;
	if (!json_parse(&doc, line, n))
		return true;
	print_tree(&doc, 0, "");
	json_free(&doc);
	return true;
}

static int run_status(const struct settings *s, const char *argument)
{
	(void)argument;
	return link_ask(s->runtime_dir, ONEBEAT_CONTROL_STATUS, s->json ? print_line : status_line,
			NULL);
}

static bool event_line(void *ctx, const char *line, size_t n)
{
	char wall[40], event[24], key[TEXT], text[160];
	struct json doc;

	(void)ctx;
	if (!json_parse(&doc, line, n))
		return true;
	text_of(&doc, 0, "time", wall, sizeof(wall));
	text_of(&doc, 0, "event", event, sizeof(event));
	text_of(&doc, 0, "key", key, sizeof(key));
	text_of(&doc, 0, "text", text, sizeof(text));
	printf("%s  %-12s %s%s%s\n", wall, event, key, text[0] ? "  " : "", text);
	fflush(stdout);
	json_free(&doc);
	return !ferror(stdout);
}

static int run_events(const struct settings *s, const char *argument)
{
	(void)argument;
	return link_ask(s->runtime_dir, ONEBEAT_CONTROL_EVENTS, s->json ? print_line : event_line,
			NULL);
}

static int run_ping(const struct settings *s, const char *argument)
{
	(void)argument;
	return link_ask(s->runtime_dir, ONEBEAT_CONTROL_PING, s->json ? print_line : status_line,
			NULL);
}

static int run_leave(const struct settings *s, const char *argument)
{
	(void)argument;
	return link_ask(s->runtime_dir, ONEBEAT_CONTROL_LEAVE, s->json ? print_line : status_line,
			NULL);
}

static int run_stop(const struct settings *s, const char *argument)
{
	int r;

	(void)argument;
	r = link_ask(s->runtime_dir, ONEBEAT_CONTROL_STOP, print_line, NULL);
	if (r == 0)
		puts(s->json ? "{\"stopping\":true}"
			     : "stopping; registrations stay for the next start");
	return r;
}

static int run_upgrade(const struct settings *s, const char *argument)
{
	(void)argument;
	return link_ask(s->runtime_dir, ONEBEAT_CONTROL_UPGRADE, s->json ? print_line : status_line,
			NULL);
}

static int run_reload(const struct settings *s, const char *argument)
{
	(void)argument;
	return link_ask(s->runtime_dir, ONEBEAT_CONTROL_RELOAD, s->json ? print_line : status_line,
			NULL);
}

const struct command commands[] = {
	{ "list", NULL, "instances: state, since when, last beat, last code, who holds them",
	  run_list },
	{ "show", "INSTANCE", "one instance in full; INSTANCE is its key or a part of it",
	  run_show },
	{ "status", NULL, "the agent: counts, registry nodes, connections", run_status },
	{ "ping", NULL, "is the agent there?", run_ping },
	{ "events", NULL, "what happened to instances, kept ones first, then as it happens",
	  run_events },
	{ "reload", NULL, "read the configuration anew, all or nothing; nobody notices",
	  run_reload },
	{ "upgrade", NULL, "run keeper and agent from the installed program; no lease breaks",
	  run_upgrade },
	{ "leave", NULL, "deregister everything, then stop agent and keeper", run_leave },
	{ "stop", NULL, "stop agent and keeper; registrations stay for the next start", run_stop },
	{ NULL, NULL, NULL, NULL },
};
