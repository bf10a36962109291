/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What onebeatctl makes of lines that an agent sends: tools/onebeatctl/json.c.
 *
 * Walks a line as the commands do, by members and elements, to the end of each. Text that is read fits its room and
 * ends; a member that is found by number is found by name, unless an earlier one has the same.
 */
#include "fuzz/fuzz.h"
#include "tools/onebeatctl/json.h"

#define DEPTH_MAX 40

static void look(const struct json *doc, int value, int depth)
{
	char text[48], name[64];
	int child;

	FUZZ_CHECK(value < doc->n_tokens);
	(void)json_number(doc, value, 0);
	(void)json_text(doc, value, text, sizeof(text));
	FUZZ_CHECK(memchr(text, '\0', sizeof(text)));
	if (depth == DEPTH_MAX)
		return;
	for (int i = 0; i < json_size(doc, value); i++) {
		child = json_element(doc, value, i);
		if (child >= 0) {
			look(doc, child, depth + 1);
			continue;
		}
		child = json_member_at(doc, value, i, name, sizeof(name));
		if (child < 0)
			continue;
		FUZZ_CHECK(memchr(name, '\0', sizeof(name)));
		FUZZ_CHECK(json_member(doc, value, name) >= 0);
		look(doc, child, depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* As getline() leaves it: a NUL behind. */
	char *line = malloc(size + 1);
	struct json doc;

	FUZZ_CHECK(line);
	if (size > 0)
		memcpy(line, data, size);
	line[size] = '\0';
	if (size < 2000 && json_parse(&doc, line, size)) {
		look(&doc, 0, 0);
		FUZZ_CHECK(json_member(&doc, 0, "\x01 no such member") < 0 || size > 0);
		FUZZ_CHECK(json_number(&doc, -1, 7) == 7);
		json_free(&doc);
	}
	free(line);
	return 0;
}
