/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS
 *
 * The library does it with GnuTLS. It would ask for a client's certificate and leave the verdict
 * to us, after the handshake; here the handshake itself fails without a good one, as it does in
 * an official server's container.
 */
#include "tls.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PEM_MAX = 256 * 1024
};

/* Reads a whole file as a text. Returns NULL with errno set. */
static char *read_text(const char *path)
{
	char *text = calloc(1, PEM_MAX + 1);
	FILE *file = text ? fopen(path, "re") : NULL;
	int why = file ? 0 : errno;

	if (file) {
		if (fread(text, 1, PEM_MAX, file) == 0 || ferror(file))
			why = EIO;
		fclose(file);
	}
	if (why == 0)
		return text;
	free(text);
	errno = why;
	return NULL;
}

static int read_pem(char **to, const char *option, const char *path, char *error, size_t error_size)
{
	int r;

	if (!path)
		return 0;
	*to = read_text(path);
	if (*to)
		return 0;
	r = -errno;
	snprintf(error, error_size, "%s: cannot read \"%s\": %s", option, path, strerror(-r));
	return r;
}

int tls_init(struct tls *t, const struct tls_options *options, char *error, size_t error_size)
{
	int r;

	*t = (struct tls)TLS_NULL;
	r = read_pem(&t->cert, "--tls-cert", options->cert, error, error_size);
	if (r == 0)
		r = read_pem(&t->key, "--tls-key", options->key, error, error_size);
	if (r == 0)
		r = read_pem(&t->client_ca, "--tls-client-ca", options->client_ca, error,
			     error_size);
	if (r != 0)
		tls_deinit(t);
	return r;
}

void tls_deinit(struct tls *t)
{
	free(t->cert);
	free(t->key);
	free(t->client_ca);
	*t = (struct tls)TLS_NULL;
}

unsigned int tls_flags(const struct tls *t)
{
	return t->cert ? MHD_USE_TLS : 0;
}

void tls_mhd_options(const struct tls *t, struct MHD_OptionItem items[TLS_MHD_OPTIONS])
{
	size_t n = 0;

	if (t->cert) {
		items[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_CERT, 0, t->cert };
		items[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_KEY, 0, t->key };
	}
	if (t->client_ca)
		items[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_TRUST, 0, t->client_ca };
	items[n] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
}

void tls_demand_certificate(const struct tls *t, struct MHD_Connection *con)
{
	const union MHD_ConnectionInfo *info =
		t->client_ca ? MHD_get_connection_info(con, MHD_CONNECTION_INFO_GNUTLS_SESSION)
			     : NULL;

	if (!info || !info->tls_session)
		return;
	gnutls_certificate_server_set_request(info->tls_session, GNUTLS_CERT_REQUIRE);
	gnutls_session_set_verify_cert(info->tls_session, NULL, 0);
}
