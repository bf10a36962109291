/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signing with access key and secret key
 *
 * Only the cloud's registries check it; the open-source server ignores the parameters. What is signed
 * is the time and the service, by HMAC-SHA1. The secret key itself is the key of the first form. That
 * of V4 is derived from it for a day and a region, so that it can be kept for the day: four HMAC-SHA256
 * over "aliyun_v4"+secret, date, region, product and a closing word, in Base64; and that text, not the
 * bytes, is the key.
 *
 * Keys on the stack are wiped where they were made. HMAC() of libcrypto is what libcurl already brings
 * into the process.
 */
#include "nacos/sign.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "nacos/encode.h"

#define PREFIX_V4 "aliyun_v4"
#define PRODUCT "mse"
#define CLOSING "aliyun_v4_request"
#define APP "onebeat"

#define SHA256_SIZE 32
#define SHA1_SIZE 20
#define DAY_MS UINT64_C(86400000)

static bool hmac(const EVP_MD *digest, const void *key, size_t n_key, const char *text,
		 unsigned char *out)
{
	unsigned int n = 0;

	return HMAC(digest, key, (int)n_key, (const unsigned char *)text, strlen(text), out, &n) &&
	       n > 0;
}

static uint32_t day_of(uint64_t epoch_ms)
{
	return (uint32_t)(epoch_ms / DAY_MS);
}

static bool date_of(uint64_t epoch_ms, char out[9])
{
	time_t seconds = (time_t)(epoch_ms / 1000);
	struct tm tm;

	return gmtime_r(&seconds, &tm) && strftime(out, 9, "%Y%m%d", &tm) == 8;
}

static bool derive(struct sign_key *key, const char *secret, const char *region, const char *date)
{
	char first[sizeof(PREFIX_V4) + SIGN_SECRET_MAX];
	unsigned char step[2][SHA256_SIZE];
	int n = snprintf(first, sizeof(first), PREFIX_V4 "%s", secret);
	bool done = hmac(EVP_sha256(), first, (size_t)n, date, step[0]) &&
		    hmac(EVP_sha256(), step[0], SHA256_SIZE, region, step[1]) &&
		    hmac(EVP_sha256(), step[1], SHA256_SIZE, PRODUCT, step[0]) &&
		    hmac(EVP_sha256(), step[0], SHA256_SIZE, CLOSING, step[1]);

	if (done)
		key->n = (size_t)EVP_EncodeBlock((unsigned char *)key->bytes, step[1], SHA256_SIZE);
	explicit_bzero(first, sizeof(first));
	explicit_bzero(step, sizeof(step));
	return done;
}

bool sign_key_init(struct sign_key *key, const char *secret, const char *region, uint64_t epoch_ms)
{
	const char *const where = region ? region : "";
	const size_t n_region = strlen(where);
	const size_t n = strlen(secret);
	char date[9];

	*key = (struct sign_key){ .v4 = n_region > 0, .day = day_of(epoch_ms) };
	if (n == 0 || n > SIGN_SECRET_MAX || n_region > SIGN_NAME_MAX)
		return false;
	if (!key->v4) {
		memcpy(key->bytes, secret, n);
		key->n = n;
		return true;
	}
	if (date_of(epoch_ms, date) && derive(key, secret, where, date))
		return true;
	sign_key_wipe(key);
	return false;
}

bool sign_key_outdated(const struct sign_key *key, uint64_t epoch_ms)
{
	return key->v4 && key->day != day_of(epoch_ms);
}

void sign_key_wipe(struct sign_key *key)
{
	explicit_bzero(key, sizeof(*key));
}

size_t sign_data(uint64_t epoch_ms, const char *group, const char *service, char *buf, size_t size)
{
	int n;

	if (service)
		n = snprintf(buf, size, "%" PRIu64 "@@%s@@%s", epoch_ms, group, service);
	else
		n = snprintf(buf, size, "%" PRIu64, epoch_ms);
	return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

bool sign_signature(const struct sign_key *key, const char *data, char out[SIGN_SIGNATURE_SIZE])
{
	unsigned char digest[SHA1_SIZE];

	return key->n > 0 && hmac(EVP_sha1(), key->bytes, key->n, data, digest) &&
	       EVP_EncodeBlock((unsigned char *)out, digest, SHA1_SIZE) == SIGN_SIGNATURE_SIZE - 1;
}

size_t sign_params(const struct sign_key *key, const char *access_key, uint64_t epoch_ms,
		   const char *group, const char *service, char *buf, size_t size)
{
	char signature[SIGN_SIGNATURE_SIZE];
	char data[SIGN_DATA_MAX];
	struct encode e;

	if (sign_data(epoch_ms, group, service, data, sizeof(data)) == 0 ||
	    !sign_signature(key, data, signature))
		return 0;
	encode_init(&e, ENCODE_QUERY, buf, size);
	encode_plain(&e, "&signature=");
	encode_text(&e, signature);
	encode_plain(&e, "&data=");
	encode_text(&e, data);
	encode_plain(&e, "&ak=");
	encode_text(&e, access_key);
	encode_plain(&e, "&app=" APP);
	if (key->v4)
		encode_plain(&e, "&signatureVersion=v4");
	return encode_end(&e);
}

const char *sign_params_shown(bool v4)
{
	return v4 ? "&signature=***&data=***&ak=***&app=" APP "&signatureVersion=v4"
		  : "&signature=***&data=***&ak=***&app=" APP;
}
