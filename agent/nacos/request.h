/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NACOS_REQUEST_H
#define NACOS_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/descriptor.h"
#include "nacos/api.h"

/* Longest target that nacos_*_target() may give: every byte of the longest descriptor percent-encoded. */
#define NACOS_TARGET_MAX 16384u
/* Servers with default settings take no longer request line and headers together. */
#define NACOS_HEAD_MAX 8192u

/*
 * Request targets: path and query, every parameter percent-encoded, each once (nacos-http 0, 1.3, 1.4, 1.11,
 * 2.2). Length without the NUL; 0 when size is too small.
 */
size_t nacos_register_target(const struct nacos_api *api, const struct descriptor *d, char *buf,
			     size_t size);
size_t nacos_deregister_target(const struct nacos_api *api, const struct descriptor *d, char *buf,
			       size_t size);
/* A light beat's whole request line: "PUT target HTTP/1.1\r\n"; of v3 a POST, the one beat it has. */
size_t nacos_beat_line(const struct nacos_api *api, const struct descriptor *d, char *buf,
		       size_t size);
/* A full beat's form body, "beat=" and the encoded JSON, behind a light beat's line of v1 (nacos-http 2.1, 9). */
size_t nacos_beat_body(const struct descriptor *d, char *buf, size_t size);

/*
 * The registration as a form: target without query, and body (content type NACOS_FORM_TYPE). For heads that
 * servers would refuse for their length only, because 1.4.4 to 1.4.8 lose the body.
 */
#define NACOS_FORM_TYPE "application/x-www-form-urlencoded;charset=UTF-8"
size_t nacos_register_path(const struct nacos_api *api, char *buf, size_t size);
size_t nacos_register_body(const struct nacos_api *api, const struct descriptor *d, char *buf,
			   size_t size);
/*
 * Whether a registration whose head would have n_head bytes goes as a form. head_refused: a server has
 * answered such a head as too long (nacos_outcome.head_refused).
 */
bool nacos_register_as_form(const struct nacos_api *api, size_t n_head, bool head_refused);

#endif
