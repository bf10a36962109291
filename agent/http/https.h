/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_HTTPS_H
#define HTTP_HTTPS_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/secret.h"
#include "http/curl_glue.h"
#include "http/registry_options.h"

/* How the servers of one registry are reached, and by what they know us. */
struct https_link {
	const struct registry_tls *tls; /* NULL: as it is by default */
	const char *proxy;              /* NULL: none */
	const struct secret *token;     /* NULL or empty: none */
	uint32_t generation;            /* another one: another token */
	bool allow_plaintext;           /* the token may go over http to other hosts */
};

/*
 * An easy handle for a server ("http[s]://host:port"). *route has to live as long, then goes to
 * curl_slist_free_all(); it may be NULL. link may be NULL. NULL: out of memory.
 */
CURL *https_easy(struct curl_glue *glue, const struct https_link *link, const char *base,
		 char error[CURL_ERROR_SIZE], struct curl_slist **route);

/* What the Host header of a server says, in buf when it is not host itself. */
const char *https_host(const struct https_link *link, const char *base, const char *host, char *buf,
		       size_t size);

/* The token that this server may be told; NULL: none. */
const char *https_token(const struct https_link *link, const char *base);

static inline uint32_t https_generation(const struct https_link *link)
{
	return link ? link->generation : 0;
}

#endif
