/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_FAULT_H
#define REGISTRY_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct api_reply;
struct api_request;
struct formdata;
struct sbuf;

enum fault_kind {
	FAULT_NONE,
	/* answered so, and not carried out */
	FAULT_503,
	FAULT_500,
	FAULT_403,
	FAULT_403_HTML,
	FAULT_GARBAGE,
	FAULT_REPLY,
	FAULT_RESET_BEFORE,
	/* carried out */
	FAULT_DELAY,
	FAULT_SPLIT,
	FAULT_LOST,
	FAULT_HALF,
	FAULT_RESET_AFTER,
	FAULT_N_KINDS
};

enum {
	FAULT_RULES_MAX = 32,
	FAULT_ANY_NODE = -1
};

struct fault {
	enum fault_kind kind;
	char *path;   /* prefix of the path */
	char *method; /* or NULL for any */
	char *query;  /* what the target contains, or NULL */
	int node;
	unsigned int left; /* requests it still meets; 0 is no limit */
	unsigned int ms;   /* the reply waits so long */
	int status;        /* of FAULT_REPLY, as are the next two */
	char *type;
	char *body;
};

struct faults {
	struct fault rules[FAULT_RULES_MAX];
	size_t n_rules;
};

/* What meets one request. The texts are those of FAULT_REPLY; the caller frees by fault_hit_deinit. */
struct fault_hit {
	enum fault_kind kind;
	unsigned int ms;
	int status;
	char *type;
	char *body;
};

/* Adds what the parameters of the admin page say. False: refused, with the reason in error. */
bool fault_add(struct faults *f, const struct formdata *params, const char *body, char *error,
	       size_t error_size);
void fault_clear(struct faults *f);
void fault_json(const struct faults *f, struct sbuf *out);

/* Takes the first rule that meets this request, and counts it. */
struct fault_hit fault_take(struct faults *f, int node, const char *method, const char *target);
void fault_hit_deinit(struct fault_hit *hit);
const char *fault_name(enum fault_kind kind);

/* Writes the reply of a fault that is not carried out. */
void fault_reply(const struct fault_hit *hit, const struct api_request *req, struct api_reply *out);

#endif
