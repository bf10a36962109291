/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROL_JSON_OUT_H
#define CONTROL_JSON_OUT_H

#include <stdio.h>

/* text as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void json_out_string(FILE *out, const char *text);
/* "name":"text", with a comma in front unless first. */
void json_out_member(FILE *out, const char *name, const char *text, int first);

#endif
