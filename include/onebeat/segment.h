/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_SEGMENT_H
#define ONEBEAT_SEGMENT_H

/*
 * The shared memory between library and agent (private, not installed)
 *
 * Two memfds per trust domain (one uid). The DATA memfd is mapped read-write by clients and agent and is
 * sealed against shrinking and growing. The STATUS memfd is written by the agent alone and passed
 * read-only; the agent never reads it back, because a process of its own uid could reopen it.
 *
 * DATA (offsets are fixed; the file is sparse, blocks are allocated at grant)
 *   0x00000  L1 dirty words   u32[64]      one bit = one L0 word
 *   0x01000  L0 dirty words   u32[2048]    one bit = one slot
 *   0x03000  pub words        u32[65536]   packed on purpose: the sweep reads 16 slots a cache line
 *   0x44000  tick words       u32[65536]   progress counters; the one region forked children keep mapped
 *   0x90000  small slots      n_small x 2 blocks x 512
 *   aligned  large slots      n_large x 2 blocks x 4096   (aligned to 64 KiB)
 *
 * STATUS
 *   0x00000  struct onebeat_status_header (a page)
 *   0x01000  struct onebeat_status_line [n_small + n_large]
 *
 * Publication is RCU with a one-bit pointer. A slot has blocks 0 and 1 and one pub word. The writer fills
 * block (pub + 1) & 1 and release-stores pub + 1; the agent acquire-loads pub, copies block pub & 1, fences,
 * re-reads pub, and validates its copy. A writer killed at any instruction leaves the old version readable.
 *
 * Rules: only 32-bit atomics (wider ones may hide a process-private lock on 32-bit clients); no pointer,
 * offset, list, count, pid or type in DATA; one length, which is clamped; everything the agent knows of
 * identity and geometry is private to it. Any change here is a change of the protocol version.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#error "segment.h is private and C only"
#endif

#include <stdatomic.h>

#include <onebeat/crc32c.h>

#define ONEBEAT_SEGMENT_MAGIC "\x89OBS\r\n\x1a\n" /* 8 bytes, like PNG's: shows text-mode damage */
#define ONEBEAT_SEGMENT_BYTE_ORDER UINT32_C(0x01020304)
#define ONEBEAT_SEGMENT_MAJOR 1
#define ONEBEAT_SEGMENT_MINOR 0

#define ONEBEAT_SLOTS_MAX UINT32_C(65536)
#define ONEBEAT_SLOTS_DEFAULT UINT32_C(16384)
#define ONEBEAT_NO_SLOT UINT32_MAX

#define ONEBEAT_L1_OFFSET UINT32_C(0x0)
#define ONEBEAT_L1_WORDS 64u
#define ONEBEAT_L0_OFFSET UINT32_C(0x1000)
#define ONEBEAT_L0_WORDS 2048u
#define ONEBEAT_PUB_OFFSET UINT32_C(0x3000)
#define ONEBEAT_TICK_OFFSET UINT32_C(0x44000)
#define ONEBEAT_TICK_SIZE UINT32_C(0x40000)
#define ONEBEAT_BLOCKS_OFFSET UINT32_C(0x90000)
#define ONEBEAT_BLOCKS_ALIGN UINT32_C(0x10000)

enum onebeat_class {
	ONEBEAT_CLASS_SMALL = 0,
	ONEBEAT_CLASS_LARGE = 1,
	ONEBEAT_N_CLASSES = 2
};

#define ONEBEAT_BLOCK_HEADER 64u
#define ONEBEAT_SMALL_BLOCK 512u
#define ONEBEAT_LARGE_BLOCK 4096u
#define ONEBEAT_SMALL_PAYLOAD (ONEBEAT_SMALL_BLOCK - ONEBEAT_BLOCK_HEADER)
#define ONEBEAT_LARGE_PAYLOAD (ONEBEAT_LARGE_BLOCK - ONEBEAT_BLOCK_HEADER)

typedef _Atomic uint32_t onebeat_word; /* the one typedef: marks what is shared */

_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "shared words must be lock-free");
_Static_assert(sizeof(onebeat_word) == 4 && _Alignof(onebeat_word) == 4,
	       "a shared word is 4 bytes");

enum onebeat_op {
	ONEBEAT_OP_LIVE = 1,    /* payload is the instance's descriptor */
	ONEBEAT_OP_WITHDRAW = 2 /* no payload; the writer's last act on this grant */
};

#define ONEBEAT_ENCODING 1

/* One block's head; the payload follows, padded with zeros to 4 bytes. */
struct onebeat_block {
	onebeat_word seq;         /* the pub value that publishes this block */
	onebeat_word generation;  /* of the grant that it was written under */
	onebeat_word length;      /* payload bytes, without the padding */
	onebeat_word encoding_op; /* encoding << 16 | enum onebeat_op */
	onebeat_word slot;
	onebeat_word flags; /* 0 */
	onebeat_word check
		[4]; /* [0]: CRC-32C over the six words above and the padded payload; others 0, room for a MAC */
	onebeat_word reserved[6];
	onebeat_word payload[];
};

#define ONEBEAT_BLOCK_CHECKED_WORDS 6u

_Static_assert(sizeof(struct onebeat_block) == ONEBEAT_BLOCK_HEADER,
	       "block header is one cache line");
_Static_assert(offsetof(struct onebeat_block, check) == 24, "check at 24");
_Static_assert(offsetof(struct onebeat_block, payload) == 64, "payload at 64");

/* Geometry and identity; written once, magic last (release). */
struct onebeat_status_header {
	uint8_t magic[8];
	uint32_t byte_order;
	uint16_t major;
	uint16_t minor;
	uint32_t header_size; /* 4096: offset of the first status line */
	uint32_t feat_incompat;
	uint32_t feat_compat;
	uint32_t line_size; /* sizeof(struct onebeat_status_line) */
	uint8_t uuid[16];
	uint32_t n_small;
	uint32_t n_large;
	uint32_t small_offset; /* in DATA */
	uint32_t large_offset; /* in DATA */
	uint32_t data_size;
	uint32_t status_size;
	uint8_t reserved0[0x80 - 0x48];
	onebeat_word ready; /* 1 once the above is complete (release) */
	uint8_t reserved1[0x100 - 0x84];
	onebeat_word sleeping; /* 1: the agent sleeps, ring it */
	uint8_t reserved2[0x180 - 0x104];
	onebeat_word epoch; /* +1 at each agent start that adopts this segment */
	uint8_t reserved3[0x1000 - 0x184];
};

_Static_assert(sizeof(struct onebeat_status_header) == 0x1000, "status header is a page");
_Static_assert(offsetof(struct onebeat_status_header, uuid) == 0x20, "uuid at 0x20");
_Static_assert(offsetof(struct onebeat_status_header, status_size) == 0x44, "status_size at 0x44");
_Static_assert(offsetof(struct onebeat_status_header, ready) == 0x80, "ready on its own line");
_Static_assert(offsetof(struct onebeat_status_header, sleeping) == 0x100,
	       "sleeping on its own lines");
_Static_assert(offsetof(struct onebeat_status_header, epoch) == 0x180, "epoch on its own lines");

#define ONEBEAT_STATUS_IP_WORDS 12u
#define ONEBEAT_STATUS_TEXT_WORDS 32u

/* What the agent says of one slot. Each word is true by itself; version moves after every change. */
struct onebeat_status_line {
	onebeat_word version;    /* futex word */
	onebeat_word generation; /* of the grant that this line speaks of */
	onebeat_word state_code; /* enum onebeat_state << 16 | HTTP status or Nacos code */
	onebeat_word judged;     /* pub value that the agent looked at last */
	onebeat_word confirmed;  /* pub value that the registry has confirmed last; 0: none */
	onebeat_word
		beat_ms; /* CLOCK_BOOTTIME ms, low 32 bits, of the last acknowledged beat; 0: none */
	onebeat_word since_ms; /* same clock: since when the state holds */
	onebeat_word holders;
	onebeat_word ip[ONEBEAT_STATUS_IP_WORDS];     /* NUL-terminated text */
	onebeat_word text[ONEBEAT_STATUS_TEXT_WORDS]; /* NUL-terminated text */
	onebeat_word reserved[12];
};

_Static_assert(sizeof(struct onebeat_status_line) == 256, "status line is 256 bytes");
_Static_assert(offsetof(struct onebeat_status_line, ip) == 32, "ip at 32");
_Static_assert(offsetof(struct onebeat_status_line, text) == 80, "text at 80");

/*
 * Descriptor encoding 1: a sequence of fields, each u16 type, u16 length (of the value, unpadded), value,
 * zero padding to 4 bytes; numbers in the machine's byte order. A field appears at most once. Unknown
 * types are skipped unless ONEBEAT_FIELD_INCOMPAT is set in them. Texts carry no NUL.
 * METADATA's value is a run of pairs: u16 key length, u16 value length, key, value, without padding.
 */
#define ONEBEAT_FIELD_INCOMPAT 0x8000u

enum onebeat_field {
	ONEBEAT_FIELD_NUMBERS = 1, /* struct onebeat_numbers; required */
	ONEBEAT_FIELD_SERVICE = 2, /* required */
	ONEBEAT_FIELD_GROUP = 3,
	ONEBEAT_FIELD_CLUSTER = 4,
	ONEBEAT_FIELD_NAMESPACE = 5,
	ONEBEAT_FIELD_REGISTRY = 6,
	ONEBEAT_FIELD_IP = 7,
	ONEBEAT_FIELD_METADATA = 8
};

enum {
	ONEBEAT_DESC_ENABLED = 1u << 0,
	ONEBEAT_DESC_EPHEMERAL = 1u << 1,
	ONEBEAT_DESC_WHEN_LISTENING = 1u << 2,
	ONEBEAT_DESC_FLAGS = 7u /* all known */
};

struct onebeat_numbers {
	uint32_t port;
	uint32_t flags;  /* ONEBEAT_DESC_... */
	uint32_t policy; /* enum onebeat_policy */
	uint32_t beat_ms;
	uint32_t progress_timeout_ms;
	uint32_t weight_lo; /* IEEE 754 double, low and high half: no 8-byte alignment anywhere */
	uint32_t weight_hi;
};

_Static_assert(sizeof(struct onebeat_numbers) == 28, "numbers are seven words");

#define ONEBEAT_PAD4(n) (((n) + 3u) & ~3u)
#define ONEBEAT_FIELD_SPACE(n) (4u + ONEBEAT_PAD4(n))
/* A UTF-16 unit is at most 3 bytes of UTF-8 (a surrogate pair is 4 for two units). */
#define ONEBEAT_METADATA_SPACE (1024u * 3u + 64u * 4u)
#define ONEBEAT_DESCRIPTOR_SPACE                                                                \
	(ONEBEAT_FIELD_SPACE(sizeof(struct onebeat_numbers)) + ONEBEAT_FIELD_SPACE(255u) +      \
	 ONEBEAT_FIELD_SPACE(128u) + ONEBEAT_FIELD_SPACE(64u) * 2u + ONEBEAT_FIELD_SPACE(32u) + \
	 ONEBEAT_FIELD_SPACE(45u) + ONEBEAT_FIELD_SPACE(ONEBEAT_METADATA_SPACE))

_Static_assert(ONEBEAT_DESCRIPTOR_SPACE <= ONEBEAT_LARGE_PAYLOAD,
	       "the largest legal descriptor fits a large block");

#endif
