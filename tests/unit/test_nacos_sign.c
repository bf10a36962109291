/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures: the protocol's test vectors, and the limits
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "nacos/sign.h"

#define SENT_MS UINT64_C(1700000000000)
#define JAN_15 UINT64_C(1705276800000) /* 2024-01-15T00:00:00Z */
#define DAY_MS UINT64_C(86400000)

static struct sign_key key_of(const char *region, uint64_t epoch_ms)
{
	struct sign_key key;

	cr_assert(sign_key_init(&key, "secretKey0", region, epoch_ms));
	return key;
}

static const char *signature(const struct sign_key *key, const char *data)
{
	static char out[SIGN_SIGNATURE_SIZE];

	cr_assert(sign_signature(key, data, out));
	return out;
}

Test(nacos_sign, first_form)
{
	struct sign_key key = key_of(NULL, SENT_MS);
	char data[SIGN_DATA_MAX];

	cr_expect_eq(sign_data(SENT_MS, "DEFAULT_GROUP", "orders", data, sizeof(data)), 36);
	cr_expect_str_eq(data, "1700000000000@@DEFAULT_GROUP@@orders");
	cr_expect_str_eq(signature(&key, data), "KJuut6MPLVKxJCqFq5OpW61v+OU=");
	cr_expect_gt(sign_data(SENT_MS, NULL, NULL, data, sizeof(data)), 0);
	cr_expect_str_eq(data, "1700000000000");
	cr_expect_str_eq(signature(&key, data), "2aTxk9+P1rN+QWA6IB0pyEcJql0=");
}

Test(nacos_sign, v4)
{
	struct sign_key key = key_of("cn-hangzhou", JAN_15);

	cr_expect_str_eq(key.bytes, "aYu3u8gKuYIur+Kn+GDaITxyfOFBFOFJMh6S49eIq30=");
	cr_expect_str_eq(signature(&key, "1700000000000@@DEFAULT_GROUP@@orders"),
			 "JB07eusyx539081y/lQpUm4Lt5w=");
}

/* The derived key is good from midnight to midnight, UTC. */
Test(nacos_sign, v4_key_is_of_its_day)
{
	struct sign_key key = key_of("cn-hangzhou", JAN_15);
	struct sign_key late = key_of("cn-hangzhou", JAN_15 + DAY_MS - 1);
	struct sign_key next = key_of("cn-hangzhou", JAN_15 + DAY_MS);

	cr_expect_str_eq(key.bytes, late.bytes);
	cr_expect_str_neq(key.bytes, next.bytes);
	cr_expect_not(sign_key_outdated(&key, JAN_15 + DAY_MS - 1));
	cr_expect(sign_key_outdated(&key, JAN_15 + DAY_MS));
	cr_expect(sign_key_outdated(&key, JAN_15 - 1));
	key = key_of("", JAN_15);
	cr_expect_not(sign_key_outdated(&key, JAN_15 + 2 * DAY_MS));
}

/* '+', '/' and '=' of Base64, and the '@', would not survive in a query as they stand. */
Test(nacos_sign, params_are_encoded)
{
	struct sign_key key = key_of(NULL, SENT_MS);
	struct sign_key v4 = key_of("cn-hangzhou", JAN_15);
	char buf[512];

	cr_expect_gt(
		sign_params(&key, "ak/0", SENT_MS, "DEFAULT_GROUP", "orders", buf, sizeof(buf)), 0);
	cr_expect_str_eq(
		buf, "&signature=KJuut6MPLVKxJCqFq5OpW61v%2BOU%3D"
		     "&data=1700000000000%40%40DEFAULT_GROUP%40%40orders&ak=ak%2F0&app=onebeat");
	cr_expect_gt(sign_params(&v4, "ak", SENT_MS, "DEFAULT_GROUP", "orders", buf, sizeof(buf)),
		     0);
	cr_expect_str_eq(buf, "&signature=JB07eusyx539081y%2FlQpUm4Lt5w%3D"
			      "&data=1700000000000%40%40DEFAULT_GROUP%40%40orders&ak=ak"
			      "&app=onebeat&signatureVersion=v4");
}

Test(nacos_sign, small_buffers_give_nothing)
{
	struct sign_key key = key_of("cn-hangzhou", JAN_15);
	char whole[512];
	size_t n = sign_params(&key, "ak", SENT_MS, "g", "s", whole, sizeof(whole));

	for (size_t size = 1; size <= n + 1; size++) {
		char *buf = malloc(size);

		cr_assert(buf);
		cr_expect_eq(sign_params(&key, "ak", SENT_MS, "g", "s", buf, size),
			     size > n ? n : 0);
		free(buf);
	}
}

Test(nacos_sign, bad_keys_are_refused)
{
	char text[SIGN_SECRET_MAX + 2];
	struct sign_key key;
	char out[SIGN_SIGNATURE_SIZE];

	memset(text, 'k', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	cr_expect_not(sign_key_init(&key, "", NULL, SENT_MS));
	cr_expect_not(sign_signature(&key, "data", out));
	cr_expect_not(sign_key_init(&key, text, NULL, SENT_MS));
	cr_expect_not(sign_key_init(&key, "secret", text, SENT_MS));
	text[SIGN_SECRET_MAX] = '\0';
	cr_expect(sign_key_init(&key, text, NULL, SENT_MS));
	cr_expect(sign_key_init(&key, text, "r", SENT_MS));
}

Test(nacos_sign, wiped_keys_are_gone)
{
	static const struct sign_key nothing;
	struct sign_key key = key_of("cn-hangzhou", JAN_15);
	char out[SIGN_SIGNATURE_SIZE];

	sign_key_wipe(&key);
	sign_key_wipe(&key);
	cr_expect_arr_eq(&key, &nothing, sizeof(key));
	cr_expect_not(sign_signature(&key, "data", out));
}
