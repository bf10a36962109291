/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults on command
 *
 * A rule names requests (node, method, prefix of the path, a text in the target) and what happens
 * to them, for a number of them or until the rules are cleared. The first rule in the order of
 * adding meets a request; the others are not looked at. Some faults stand before the server, so
 * the request is not carried out; others come after it was. A client cannot tell these apart, and
 * that is what they are for.
 *
 * Rules own their texts. What the HTTP library cannot play (a torn head, bytes dribbled out) is
 * the scripted byte server's of tests/.
 */
#include "fault.h"

#include "api.h"
#include "respond.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[FAULT_N_KINDS] = {
	[FAULT_503] = "503",
	[FAULT_500] = "500",
	[FAULT_403] = "403",
	[FAULT_403_HTML] = "403-html",
	[FAULT_GARBAGE] = "garbage",
	[FAULT_REPLY] = "reply",
	[FAULT_RESET_BEFORE] = "reset-before",
	[FAULT_DELAY] = "delay",
	[FAULT_SPLIT] = "split",
	[FAULT_LOST] = "lost",
	[FAULT_HALF] = "half",
	[FAULT_RESET_AFTER] = "reset-after",
};

const char *fault_name(enum fault_kind kind)
{
	return names[kind];
}

static bool refuse(char *error, size_t size, const char *name, const char *value, const char *rule)
{
	snprintf(error, size, "fault: %s: \"%s\" is not %s", name, value ? value : "", rule);
	return false;
}

static bool read_kind(struct fault *rule, const char *text, char *error, size_t error_size)
{
	for (int i = FAULT_NONE + 1; text && i < FAULT_N_KINDS; i++)
		if (strcmp(names[i], text) == 0) {
			rule->kind = (enum fault_kind)i;
			return true;
		}
	return refuse(error, error_size, "kind", text,
		      "one of 503, 500, 403, 403-html, garbage, reply, reset-before, delay, split, "
		      "lost, half, reset-after");
}

static bool read_numbers(struct fault *rule, const struct formdata *params, char *error,
			 size_t error_size)
{
	static const struct {
		const char *name;
		long min, max, usual;
		const char *rule;
	} numbers[] = {
		{ "node", 0, 63, FAULT_ANY_NODE, "a node from 0 to 63" },
		{ "count", 1, 1000000000, 0, "a number from 1 to 1000000000" },
		{ "ms", 0, 600000, 0, "milliseconds from 0 to 600000" },
		{ "status", 200, 599, 200, "a status from 200 to 599" },
	};
	long values[4];

	for (size_t i = 0; i < 4; i++)
		if (!formdata_number(params, numbers[i].name, numbers[i].min, numbers[i].max,
				     numbers[i].usual, &values[i]))
			return refuse(error, error_size, numbers[i].name,
				      formdata_get(params, numbers[i].name), numbers[i].rule);
	rule->node = (int)values[0];
	rule->left = (unsigned int)values[1];
	rule->ms = (unsigned int)values[2];
	rule->status = (int)values[3];
	if (rule->kind == FAULT_DELAY && !rule->ms)
		return refuse(error, error_size, "ms", formdata_get(params, "ms"),
			      "milliseconds from 1 to 600000, which kind=delay needs");
	return true;
}

static void free_rule(struct fault *rule)
{
	free(rule->path);
	free(rule->method);
	free(rule->query);
	free(rule->type);
	free(rule->body);
}

static bool copy(char **to, const char *text)
{
	*to = text ? strdup(text) : NULL;
	return *to || !text;
}

static bool copy_texts(struct fault *rule, const struct formdata *params, const char *body)
{
	return copy(&rule->path, formdata_or(params, "path", "/nacos/")) &&
	       copy(&rule->method, formdata_get(params, "method")) &&
	       copy(&rule->query, formdata_get(params, "query")) &&
	       copy(&rule->type, formdata_or(params, "type", "text/plain;charset=UTF-8")) &&
	       copy(&rule->body, body ? body : "");
}

bool fault_add(struct faults *f, const struct formdata *params, const char *body, char *error,
	       size_t error_size)
{
	struct fault rule = { .kind = FAULT_NONE };

	if (!read_kind(&rule, formdata_get(params, "kind"), error, error_size) ||
	    !read_numbers(&rule, params, error, error_size))
		return false;
	if (f->n_rules == FAULT_RULES_MAX) {
		snprintf(error, error_size, "fault: %d rules are there, and no more fit",
			 FAULT_RULES_MAX);
		return false;
	}
	if (!copy_texts(&rule, params, body)) {
		free_rule(&rule);
		snprintf(error, error_size, "out of memory");
		return false;
	}
	f->rules[f->n_rules++] = rule;
	return true;
}

static void remove_rule(struct faults *f, size_t at)
{
	free_rule(&f->rules[at]);
	f->n_rules--;
	memmove(&f->rules[at], &f->rules[at + 1], (f->n_rules - at) * sizeof(f->rules[0]));
}

void fault_clear(struct faults *f)
{
	while (f->n_rules)
		remove_rule(f, f->n_rules - 1);
}

static void put_text(struct sbuf *b, const char *name, const char *text)
{
	sbuf_fmt(b, ",\"%s\":", name);
	if (text)
		sbuf_json(b, text);
	else
		sbuf_add(b, "null");
}

void fault_json(const struct faults *f, struct sbuf *out)
{
	sbuf_add(out, "[");
	for (size_t i = 0; i < f->n_rules; i++) {
		const struct fault *rule = &f->rules[i];

		sbuf_fmt(out, "%s{\"kind\":\"%s\"", i ? "," : "", names[rule->kind]);
		put_text(out, "path", rule->path);
		put_text(out, "method", rule->method);
		put_text(out, "query", rule->query);
		sbuf_fmt(out, ",\"node\":%d,\"left\":%u,\"ms\":%u}", rule->node, rule->left,
			 rule->ms);
	}
	sbuf_add(out, "]");
}

static bool meets(const struct fault *rule, int node, const char *method, const char *target)
{
	return (rule->node == FAULT_ANY_NODE || rule->node == node) &&
	       (!rule->method || strcmp(rule->method, method) == 0) &&
	       strncmp(target, rule->path, strlen(rule->path)) == 0 &&
	       (!rule->query || strstr(target, rule->query));
}

struct fault_hit fault_take(struct faults *f, int node, const char *method, const char *target)
{
	struct fault_hit hit = { .kind = FAULT_NONE };
	size_t i = 0;

	while (i < f->n_rules && !meets(&f->rules[i], node, method, target))
		i++;
	if (i == f->n_rules)
		return hit;
	hit.kind = f->rules[i].kind;
	hit.ms = f->rules[i].ms;
	hit.status = f->rules[i].status;
	if (hit.kind == FAULT_REPLY) { /* the rule may go before a reply that waits */
		hit.type = strdup(f->rules[i].type);
		hit.body = strdup(f->rules[i].body);
	}
	if (f->rules[i].left && --f->rules[i].left == 0)
		remove_rule(f, i);
	return hit;
}

void fault_hit_deinit(struct fault_hit *hit)
{
	free(hit->type);
	free(hit->body);
	hit->type = NULL;
	hit->body = NULL;
}

static void plain(struct api_reply *out, int status, const char *type, const char *body)
{
	respond_text(out, body);
	out->status = status;
	out->type = type;
}

void fault_reply(const struct fault_hit *hit, const struct api_request *req, struct api_reply *out)
{
	static const char text[] = "text/plain;charset=UTF-8";

	switch (hit->kind) {
	case FAULT_503:
		plain(out, 503, text, "server is STARTINGnow, please try again later!");
		break;
	case FAULT_500:
		plain(out, 500, text, "caused: java.lang.NullPointerException;");
		break;
	case FAULT_403:
		respond_error_page(req, out, 403, "user not found!");
		break;
	case FAULT_403_HTML:
		respond_html(out, 403);
		break;
	case FAULT_GARBAGE:
		plain(out, 200, "application/json", "{\"code\":}\x01 <garbage");
		break;
	case FAULT_REPLY:
		plain(out, hit->status, hit->type, hit->body ? hit->body : "");
		break;
	default:
		break;
	}
}
