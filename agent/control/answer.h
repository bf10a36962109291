/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROL_ANSWER_H
#define CONTROL_ANSWER_H

#include <stdio.h>

#include "control/server.h"

/* The JSON lines of control.h, without the closing one. Control thread, registered with liburcu. */
void answer_list(FILE *out, const struct server_options *o);
void answer_status(FILE *out, const struct server_options *o);
void answer_event(FILE *out, const struct event *event);
/* The last line of every answer; error NULL: none. */
void answer_end(FILE *out, const char *error);

#endif
