/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_VERDICT_H
#define HTTP_VERDICT_H

#include "beat/beat.h"
#include "http/registry.h"
#include "nacos/reply.h"

/*
 * What a request's end means to the instance's machine. The beat's code and note say why from here on; the log
 * does so when it is news. MACHINE_AGAIN: a server did not speak the API that was used. o is filled in when a server answered.
 */
enum machine_outcome verdict_of(struct registry *registry, struct beat *beat, enum nacos_call call,
				const struct http_result *result, struct nacos_outcome *o);

#endif
