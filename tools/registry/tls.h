/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_TLS_H
#define REGISTRY_TLS_H

#include <microhttpd.h>
#include <stddef.h>

/* Paths of PEM files; cert and key are NULL without TLS, client_ca when clients need no
 * certificate. */
struct tls_options {
	const char *cert;
	const char *key;
	const char *client_ca;
};

struct tls {
	char *cert;
	char *key;
	char *client_ca;
};
#define TLS_NULL             \
	{                    \
		.cert = NULL \
	}

enum {
	TLS_MHD_OPTIONS = 4
};

/* Reads the files. Returns 0, or a negative errno with a message in error. */
int tls_init(struct tls *t, const struct tls_options *options, char *error, size_t error_size);
void tls_deinit(struct tls *t);

/* What the library is started with; all zero without TLS. */
unsigned int tls_flags(const struct tls *t);
void tls_mhd_options(const struct tls *t, struct MHD_OptionItem items[TLS_MHD_OPTIONS]);

/* Before the handshake of a connection: asks for a certificate that the client CA signed. */
void tls_demand_certificate(const struct tls *t, struct MHD_Connection *con);

#endif
