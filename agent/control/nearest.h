/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROL_NEAREST_H
#define CONTROL_NEAREST_H

#include <stddef.h>

/* The known word that a mistyped one most likely means; NULL when none is near. */
const char *nearest_word(const char *word, const char *const *known, size_t n_known);

#endif
