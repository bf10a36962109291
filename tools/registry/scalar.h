/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_SCALAR_H
#define REGISTRY_SCALAR_H

#include <stdbool.h>

/* Texts read as an official server reads them. Those that can fail return false then and leave
 * *out alone. */

bool scalar_int(const char *text, int *out);
bool scalar_double(const char *text, double *out); /* NaN and Infinity are numbers */
/* true, on, yes, y or t in any case; everything else, 1 included, is false. */
bool scalar_bool(const char *text);
/* Those that v2 and v3 take: true, on, yes, 1 and their opposites, in any case. */
bool scalar_strict_bool(const char *text, bool *out);

#endif
