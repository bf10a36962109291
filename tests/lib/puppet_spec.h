/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_PUPPET_SPEC_H
#define LIB_PUPPET_SPEC_H

#include <stdbool.h>

#include <onebeat/onebeat.h>

#define PUPPET_SPEC_WORDS_MAX 128

/* The key=value words that an instance was described with, later ones in place of earlier ones. */
struct puppet_spec {
	struct {
		char *key;
		char *value;
	} words[PUPPET_SPEC_WORDS_MAX];
	int n_words;
	struct onebeat_metadata metadata[PUPPET_SPEC_WORDS_MAX];
};

/* Takes a list of words in; values may have %XX. NULL, or the word that is not understood. */
const char *puppet_spec_take(struct puppet_spec *s, char **words);
/* What the words describe; it points into s. */
struct onebeat_spec puppet_spec_build(struct puppet_spec *s);
void puppet_spec_deinit(struct puppet_spec *s);

#endif
