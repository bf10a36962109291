/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_CRC32C_H
#define ONEBEAT_CRC32C_H

/*
 * The checksum of blocks and journal records (private, not installed)
 *
 * CRC-32C, because processors have an instruction for it. It guards against accidents (a hole punched into the
 * file, a half-written record), not against malice. Here and not in a library, because libonebeat needs libc alone.
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli, reflected), four bits a step: a table that fits one cache line. */
static inline uint32_t onebeat__crc32c_word(uint32_t crc, uint32_t word)
{
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
		0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};

	crc ^= word;
	for (int i = 0; i < 8; i++)
		crc = (crc >> 4) ^ table[crc & 15];
	return crc;
}

/*
 * The same by the processor's own instruction, where it has one: onebeat__crc32c_fast() takes words off the
 * front, as many as it likes. Asked of the processor once; not by __builtin_cpu_supports(), which would bring
 * a constructor into every program.
 */
#if defined(__x86_64__)
#include <cpuid.h>

static inline int onebeat__crc32c_is_fast(void)
{
	static _Atomic uint32_t known; /* 0: not asked, 1: no, 2: yes */
	uint32_t k = atomic_load_explicit(&known, memory_order_relaxed);
	unsigned int a, b, c = 0, d;

	if (k == 0) {
		k = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSE4_2) ? 2 : 1;
		atomic_store_explicit(&known, k, memory_order_relaxed);
	}
	return k == 2;
}

__attribute__((target("sse4.2"))) static inline uint32_t onebeat__crc32c_sse42(
	uint32_t crc, const uint32_t *words, size_t n)
{
	uint64_t wide = crc;
	size_t i = 0;

	for (; i + 2 <= n; i += 2)
		wide = __builtin_ia32_crc32di(wide, (uint64_t)words[i + 1] << 32 | words[i]);
	crc = (uint32_t)wide;
	return i < n ? __builtin_ia32_crc32si(crc, words[i]) : crc;
}

static inline size_t onebeat__crc32c_fast(uint32_t *crc, const uint32_t *words, size_t n)
{
	if (!onebeat__crc32c_is_fast())
		return 0;
	*crc = onebeat__crc32c_sse42(*crc, words, n);
	return n;
}
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

static inline size_t onebeat__crc32c_fast(uint32_t *crc, const uint32_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*crc = __crc32cw(*crc, words[i]);
	return n;
}
#else
static inline size_t onebeat__crc32c_fast(uint32_t *crc, const uint32_t *words, size_t n)
{
	(void)crc;
	(void)words;
	(void)n;
	return 0;
}
#endif

/* Over n words, as they stand in memory of a little- or big-endian host: both ends are the same host. */
static inline uint32_t onebeat__crc32c(uint32_t crc, const uint32_t *words, size_t n)
{
	crc = ~crc;
	for (size_t i = onebeat__crc32c_fast(&crc, words, n); i < n; i++)
		crc = onebeat__crc32c_word(crc, words[i]);
	return ~crc;
}

#endif
