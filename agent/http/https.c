/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How servers are reached: TLS, and a proxy
 *
 * A certificate is verified, by chain and by name, unless the configuration says tls_verify = no in
 * as many words. An own CA stands instead of the system's, not beside it: who runs one does not
 * want any of the hundred others to vouch for the registry.
 *
 * A server name is for nodes that are called by address while their certificate names a service.
 * libcurl takes the name for SNI and for the check from the URL, so the URL has it, and a route
 * leads the connection to the node. The Host header follows: servers compare it with SNI.
 *
 * Through a proxy everything goes in a tunnel, plain http too. Beats need that, because their
 * connection is used as it is, and a proxy cannot remember passwords that it does not read.
 */
#include "http/https.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/plaintext.h"

#define URL_MAX 512

static bool is_tls(const char *base)
{
	return strncmp(base, "https://", 8) == 0;
}

/* The name that this server has to prove, or NULL: that of its URL. */
static const char *server_name(const struct https_link *link, const char *base)
{
	return link && link->tls && is_tls(base) ? link->tls->server_name : NULL;
}

/* ":8848" of "https://[::1]:8848"; nodes always have a port. */
static const char *port_of(const char *base)
{
	const char *colon = strrchr(base, ':');

	return colon && strspn(colon + 1, "0123456789") == strlen(colon + 1) ? colon : "";
}

const char *https_host(const struct https_link *link, const char *base, const char *host, char *buf,
		       size_t size)
{
	const char *name = server_name(link, base);

	if (!name)
		return host;
	snprintf(buf, size, "%s%s", name, port_of(base));
	return buf;
}

static CURLcode set_text(CURL *easy, CURLoption option, const char *text)
{
	return text ? curl_easy_setopt(easy, option, text) : CURLE_OK;
}

static CURLcode set_tls(CURL *easy, const struct registry_tls *tls)
{
	const long least = tls->min_version == REGISTRY_TLS_1_3 ? (long)CURL_SSLVERSION_TLSv1_3
								: (long)CURL_SSLVERSION_TLSv1_2;
	CURLcode r;

	curl_easy_setopt(easy, CURLOPT_SSLVERSION, least);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, tls->no_verify ? 0L : 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, tls->no_verify ? 0L : 2L);
	if (tls->ca_file)
		curl_easy_setopt(easy, CURLOPT_CAPATH, (char *)NULL);
	r = set_text(easy, CURLOPT_CAINFO, tls->ca_file);
	if (r == CURLE_OK)
		r = set_text(easy, CURLOPT_SSLCERT, tls->client_cert);
	if (r == CURLE_OK)
		r = set_text(easy, CURLOPT_SSLKEY, tls->client_key);
	return r;
}

static CURLcode set_proxy(CURL *easy, const char *proxy)
{
	CURLcode r = curl_easy_setopt(easy, CURLOPT_PROXY, proxy);

	if (r == CURLE_OK)
		r = curl_easy_setopt(easy, CURLOPT_NOPROXY, ""); /* not the environment's */
	curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	return r;
}

/* "::HOST:PORT": whatever the URL names, connect there. */
static CURLcode set_route(CURL *easy, const char *base, struct curl_slist **route)
{
	char text[URL_MAX];

	snprintf(text, sizeof(text), "::%s", base + strlen("https://"));
	*route = curl_slist_append(NULL, text);
	if (!*route)
		return CURLE_OUT_OF_MEMORY;
	return curl_easy_setopt(easy, CURLOPT_CONNECT_TO, *route);
}

CURL *https_easy(struct curl_glue *glue, const struct https_link *link, const char *base,
		 char error[CURL_ERROR_SIZE], struct curl_slist **route)
{
	const char *name = server_name(link, base);
	CURLcode r = CURLE_OK;
	char url[URL_MAX];
	CURL *easy;

	*route = NULL;
	snprintf(url, sizeof(url), "%s", base);
	if (name)
		snprintf(url, sizeof(url), "https://%s%s", name, port_of(base));
	easy = curl_glue_easy(glue, url, error);
	if (!easy)
		return NULL;
	if (name)
		r = set_route(easy, base, route);
	if (r == CURLE_OK && link && link->tls && is_tls(base))
		r = set_tls(easy, link->tls);
	if (r == CURLE_OK && link && link->proxy)
		r = set_proxy(easy, link->proxy);
	if (r == CURLE_OK)
		return easy;
	curl_easy_cleanup(easy);
	curl_slist_free_all(*route);
	*route = NULL;
	return NULL;
}

const char *https_token(const struct https_link *link, const char *base)
{
	if (!link || !link->token || !secret_given(link->token))
		return NULL;
	if (!link->allow_plaintext && plaintext_exposes(base))
		return NULL;
	return secret_text(link->token);
}
