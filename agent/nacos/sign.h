/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NACOS_SIGN_H
#define NACOS_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest secret key; those of clouds have 30 bytes. */
#define SIGN_SECRET_MAX 255u
/* Longest access key and region. */
#define SIGN_NAME_MAX 128u
/* Longest data: 13 digits of time, "@@", group, "@@", service. */
#define SIGN_DATA_MAX 1024u
/* Base64 of 20 bytes, and the NUL. */
#define SIGN_SIGNATURE_SIZE 29u

/* What signs: a secret, to be wiped. */
struct sign_key {
	bool v4;
	uint32_t day; /* of v4: since the epoch, in UTC; the key is good for that day */
	size_t n;
	char bytes[SIGN_SECRET_MAX + 1];
};

/* region "" or NULL: the first form, else V4. False when a text is empty or too long; the key is wiped then. */
bool sign_key_init(struct sign_key *key, const char *secret, const char *region, uint64_t epoch_ms);
/* True when a key of that day would be another. */
bool sign_key_outdated(const struct sign_key *key, uint64_t epoch_ms);
/* Idempotent. */
void sign_key_wipe(struct sign_key *key);

/* What is signed: "<ms>@@GROUP@@service"; the time alone when service is NULL. 0 when size is too small. */
size_t sign_data(uint64_t epoch_ms, const char *group, const char *service, char *buf, size_t size);
bool sign_signature(const struct sign_key *key, const char *data, char out[SIGN_SIGNATURE_SIZE]);
/*
 * The query parameters that a request takes along, each with a '&' before it (nacos-http 3.5). They are good for
 * one try: a repeated request is signed again. Their length; 0 when size is too small.
 */
size_t sign_params(const struct sign_key *key, const char *access_key, uint64_t epoch_ms,
		   const char *group, const char *service, char *buf, size_t size);

/* The same parameters for people, with *** for what is secret, or new with every request. */
const char *sign_params_shown(bool v4);

#endif
