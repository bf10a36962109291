/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_FORMDATA_H
#define REGISTRY_FORMDATA_H

#include <stdbool.h>
#include <stddef.h>

struct formdata_pair {
	const char *name;
	char *value;
};

/* The parameters of one request. They point into the texts that were parsed. */
struct formdata {
	struct formdata_pair *pairs;
	size_t n_pairs;
	size_t size;
};
#define FORMDATA_NULL         \
	{                     \
		.pairs = NULL \
	}

/* Adds the parameters in text, which is decoded in place. Returns 0 or -ENOMEM. */
int formdata_parse(struct formdata *f, char *text);
void formdata_deinit(struct formdata *f);

/* The first value of that name as it was sent; NULL when there is none. */
const char *formdata_raw(const struct formdata *f, const char *name);
/* The same without white space around it; a blank value is NULL too. Trims in place. */
const char *formdata_get(const struct formdata *f, const char *name);
const char *formdata_or(const struct formdata *f, const char *name, const char *fallback);
/* A decimal number from min to max; *out is usual when there is none. False: it is no such number. */
bool formdata_number(const struct formdata *f, const char *name, long min, long max, long usual,
		     long *out);

#endif
