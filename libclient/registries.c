/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instance in several registries
 *
 * To the agent these are instances of their own, a slot each, so that one registry's outage is nothing to the
 * others. To the program they are one: the first is what it holds, the others hang on it, and every call goes
 * along that chain. Here is what the list of names may look like.
 */
#include "registries.h"

#include <stdbool.h>
#include <string.h>

#include "alphabet.h"

static bool is_named(const struct registries *r, const char *name)
{
	for (uint32_t i = 0; i < r->n; i++) {
		if (strcmp(r->names[i], name) == 0)
			return true;
	}
	return false;
}

static int add(struct registries *out, const char *name, size_t n)
{
	char *to = out->names[out->n];

	if (n > ONEBEAT_REGISTRY_MAX)
		return ONEBEAT_E_REGISTRY_LONG;
	for (size_t i = 0; i < n; i++) {
		if (!alphabet_has(name[i], "._-"))
			return ONEBEAT_E_REGISTRY_CHARS;
	}
	memcpy(to, name, n);
	to[n] = '\0';
	if (n == 0 || is_named(out, to))
		return ONEBEAT_E_REGISTRIES;
	out->n++;
	return 0;
}

int onebeat__registries_read(struct registries *out, const char *text)
{
	out->n = 0;
	if (!text || !text[0]) {
		out->names[0][0] = '\0';
		out->n = 1;
		return 0;
	}
	for (;;) {
		const char *end = text;
		int r;

		/* No further than a name may be long: the text may have no end. */
		while (*end && *end != ',' && end - text <= ONEBEAT_REGISTRY_MAX)
			end++;
		if (out->n == ONEBEAT_REGISTRIES_MAX)
			return ONEBEAT_E_REGISTRIES;
		r = add(out, text, (size_t)(end - text));
		if (r < 0 || !*end)
			return r;
		text = end + 1;
	}
}

void onebeat__registries_encode(const struct registries *r, uint32_t k,
				const struct onebeat_spec *spec, struct encoded *out)
{
	struct onebeat_spec one;

	if (r->n == 1) {
		onebeat__encode(spec, out);
		return;
	}
	one = *spec;
	one.registry = r->names[k];
	onebeat__encode(&one, out);
}
