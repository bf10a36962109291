/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash against the test vectors of its authors: key 00 01 .. 0f, message 00 01 .. */
#include <criterion/criterion.h>

#include "beat/siphash.h"

static const uint64_t key[2] = { UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908) };

static uint64_t hash_in_pieces(size_t size, size_t piece)
{
	unsigned char message[16];
	struct siphash s;

	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (unsigned char)i;
	siphash_init(&s, key);
	for (size_t at = 0; at < size; at += piece)
		siphash_add(&s, message + at, size - at < piece ? size - at : piece);
	return siphash_end(&s);
}

Test(siphash, gives_its_authors_numbers)
{
	cr_assert_eq(hash_in_pieces(0, 1), UINT64_C(0x726fdb47dd0e0e31));
	cr_assert_eq(hash_in_pieces(1, 1), UINT64_C(0x74f839c593dc67fd));
	cr_assert_eq(hash_in_pieces(8, 8), UINT64_C(0x93f5f5799a932462));
	cr_assert_eq(hash_in_pieces(15, 15), UINT64_C(0xa129ca6149be45e5));
}

Test(siphash, does_not_care_how_the_bytes_are_cut)
{
	for (size_t piece = 1; piece <= 15; piece++)
		cr_assert_eq(hash_in_pieces(15, piece), UINT64_C(0xa129ca6149be45e5));
}

static uint64_t hash_of_a(uint64_t first, uint64_t second)
{
	struct siphash s;

	siphash_init(&s, (const uint64_t[2]){ first, second });
	siphash_add(&s, "a", 1);
	return siphash_end(&s);
}

Test(siphash, depends_on_both_halves_of_the_key)
{
	cr_assert_neq(hash_of_a(key[0] ^ 1, key[1]), hash_of_a(key[0], key[1]));
	cr_assert_neq(hash_of_a(key[0], key[1] ^ 1), hash_of_a(key[0], key[1]));
}
