/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NACOS_REQUEST_H
#define NACOS_REQUEST_H

#include <stddef.h>

#include "base/descriptor.h"

/* Longest target that nacos_*_target() may give: every byte of the longest descriptor percent-encoded. */
#define NACOS_TARGET_MAX 16384u

/*
 * Request targets of API v1: path and query, every parameter percent-encoded, each once (nacos-http 0, 1.3,
 * 1.4, 2.2). context is the registry's context path, "/nacos" or "". Length without the NUL; 0 when size is
 * too small.
 */
size_t nacos_register_target(const char *context, const struct descriptor *d, char *buf,
			     size_t size);
size_t nacos_deregister_target(const char *context, const struct descriptor *d, char *buf,
			       size_t size);
/* A light beat's whole request line: "PUT target HTTP/1.1\r\n". */
size_t nacos_beat_line(const char *context, const struct descriptor *d, char *buf, size_t size);
/* A full beat's form body, "beat=" and the encoded JSON (nacos-http 2.1, 9). */
size_t nacos_beat_body(const struct descriptor *d, char *buf, size_t size);

#endif
