/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012)
 *
 * The keys of dom2Beat are texts that other people's processes choose. With a hash that they can
 * compute, one of them could register names that all fall into one bucket, and make each lookup a
 * walk over its tens of thousands of instances. With a secret key it cannot find such names, which
 * FNV or jhash with a seed does not promise. It costs about 100 ns a key, on changes only.
 */
#include "beat/siphash.h"

static uint64_t rotl(uint64_t x, unsigned int n_bits)
{
	return x << n_bits | x >> (64 - n_bits);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static void compress(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

void siphash_init(struct siphash *s, const uint64_t key[2])
{
	*s = (struct siphash){
		.v = { key[0] ^ UINT64_C(0x736f6d6570736575), key[1] ^ UINT64_C(0x646f72616e646f6d),
		       key[0] ^ UINT64_C(0x6c7967656e657261),
		       key[1] ^ UINT64_C(0x7465646279746573) },
	};
}

void siphash_add(struct siphash *s, const void *data, size_t size)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++) {
		s->word |= (uint64_t)bytes[i] << s->n_bytes % 8 * 8;
		if (++s->n_bytes % 8 == 0) {
			compress(s->v, s->word);
			s->word = 0;
		}
	}
}

uint64_t siphash_end(struct siphash *s)
{
	compress(s->v, s->word | s->n_bytes << 56);
	s->v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(s->v);
	return s->v[0] ^ s->v[1] ^ s->v[2] ^ s->v[3];
}
