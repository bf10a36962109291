/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ONEBEAT_LAYOUT_H
#define ONEBEAT_LAYOUT_H

/*
 * Where every field lies that two processes share (private, not installed)
 *
 * Library and agent may be of different builds and word sizes, and a running client does not change when its agent
 * does. So size, offset and alignment of each struct of segment.h, lease.h and control.h are written down here and
 * hold on every machine, or nothing compiles. A line that has to change is a change of the protocol.
 *
 * The lines are written by tests/abi/layout --write, which also refuses a field that has none.
 */

#include <stddef.h>
#include <stdint.h>

#include <onebeat/control.h>
#include <onebeat/lease.h>
#include <onebeat/segment.h>

#define LAYOUT_WIDE _Alignof(uint64_t) /* 8, but 4 on i386 */
#define LAYOUT_PADDED(size, align) (((size) + (align)-1) / (align) * (align))

/* size: up to the end of the last field. What is padded behind it depends on the alignment. */
#define LAYOUT_STRUCT(name, size, align)                                    \
	_Static_assert(sizeof(struct name) == LAYOUT_PADDED(size, align) && \
			       _Alignof(struct name) == (align),            \
		       "struct " #name " is " #size " bytes, aligned to " #align);
#define LAYOUT_FIELD(name, field, offset, size)                             \
	_Static_assert(offsetof(struct name, field) == (offset) &&          \
			       sizeof(((struct name *)0)->field) == (size), \
		       "struct " #name ": " #field " is " #size " bytes at " #offset);
/* What follows the struct. */
#define LAYOUT_TAIL(name, field, offset)                         \
	_Static_assert(offsetof(struct name, field) == (offset), \
		       "struct " #name ": " #field " begins at " #offset);

/* clang-format off */
/* layout: begin */
LAYOUT_STRUCT(onebeat_block, 64, 4)
LAYOUT_FIELD(onebeat_block, seq, 0, 4)
LAYOUT_FIELD(onebeat_block, generation, 4, 4)
LAYOUT_FIELD(onebeat_block, length, 8, 4)
LAYOUT_FIELD(onebeat_block, encoding_op, 12, 4)
LAYOUT_FIELD(onebeat_block, slot, 16, 4)
LAYOUT_FIELD(onebeat_block, flags, 20, 4)
LAYOUT_FIELD(onebeat_block, check, 24, 16)
LAYOUT_FIELD(onebeat_block, reserved, 40, 24)
LAYOUT_TAIL(onebeat_block, payload, 64)
LAYOUT_STRUCT(onebeat_status_header, 4096, 4)
LAYOUT_FIELD(onebeat_status_header, magic, 0, 8)
LAYOUT_FIELD(onebeat_status_header, byte_order, 8, 4)
LAYOUT_FIELD(onebeat_status_header, major, 12, 2)
LAYOUT_FIELD(onebeat_status_header, minor, 14, 2)
LAYOUT_FIELD(onebeat_status_header, header_size, 16, 4)
LAYOUT_FIELD(onebeat_status_header, feat_incompat, 20, 4)
LAYOUT_FIELD(onebeat_status_header, feat_compat, 24, 4)
LAYOUT_FIELD(onebeat_status_header, line_size, 28, 4)
LAYOUT_FIELD(onebeat_status_header, uuid, 32, 16)
LAYOUT_FIELD(onebeat_status_header, n_small, 48, 4)
LAYOUT_FIELD(onebeat_status_header, n_large, 52, 4)
LAYOUT_FIELD(onebeat_status_header, small_offset, 56, 4)
LAYOUT_FIELD(onebeat_status_header, large_offset, 60, 4)
LAYOUT_FIELD(onebeat_status_header, data_size, 64, 4)
LAYOUT_FIELD(onebeat_status_header, status_size, 68, 4)
LAYOUT_FIELD(onebeat_status_header, reserved0, 72, 56)
LAYOUT_FIELD(onebeat_status_header, ready, 128, 4)
LAYOUT_FIELD(onebeat_status_header, reserved1, 132, 124)
LAYOUT_FIELD(onebeat_status_header, sleeping, 256, 4)
LAYOUT_FIELD(onebeat_status_header, reserved2, 260, 124)
LAYOUT_FIELD(onebeat_status_header, epoch, 384, 4)
LAYOUT_FIELD(onebeat_status_header, reserved3, 388, 3708)
LAYOUT_STRUCT(onebeat_status_line, 256, 4)
LAYOUT_FIELD(onebeat_status_line, version, 0, 4)
LAYOUT_FIELD(onebeat_status_line, generation, 4, 4)
LAYOUT_FIELD(onebeat_status_line, state_code, 8, 4)
LAYOUT_FIELD(onebeat_status_line, judged, 12, 4)
LAYOUT_FIELD(onebeat_status_line, confirmed, 16, 4)
LAYOUT_FIELD(onebeat_status_line, beat_ms, 20, 4)
LAYOUT_FIELD(onebeat_status_line, since_ms, 24, 4)
LAYOUT_FIELD(onebeat_status_line, holders, 28, 4)
LAYOUT_FIELD(onebeat_status_line, ip, 32, 48)
LAYOUT_FIELD(onebeat_status_line, text, 80, 128)
LAYOUT_FIELD(onebeat_status_line, reserved, 208, 48)
LAYOUT_STRUCT(onebeat_numbers, 28, 4)
LAYOUT_FIELD(onebeat_numbers, port, 0, 4)
LAYOUT_FIELD(onebeat_numbers, flags, 4, 4)
LAYOUT_FIELD(onebeat_numbers, policy, 8, 4)
LAYOUT_FIELD(onebeat_numbers, beat_ms, 12, 4)
LAYOUT_FIELD(onebeat_numbers, progress_timeout_ms, 16, 4)
LAYOUT_FIELD(onebeat_numbers, weight_lo, 20, 4)
LAYOUT_FIELD(onebeat_numbers, weight_hi, 24, 4)
LAYOUT_STRUCT(onebeat_msg, 8, 4)
LAYOUT_FIELD(onebeat_msg, magic, 0, 4)
LAYOUT_FIELD(onebeat_msg, type, 4, 2)
LAYOUT_FIELD(onebeat_msg, size, 6, 2)
LAYOUT_STRUCT(onebeat_hello, 48, 4)
LAYOUT_FIELD(onebeat_hello, msg, 0, 8)
LAYOUT_FIELD(onebeat_hello, major, 8, 2)
LAYOUT_FIELD(onebeat_hello, minor, 10, 2)
LAYOUT_FIELD(onebeat_hello, byte_order, 12, 4)
LAYOUT_FIELD(onebeat_hello, flags, 16, 4)
LAYOUT_FIELD(onebeat_hello, feat, 20, 4)
LAYOUT_FIELD(onebeat_hello, cookie, 24, 4)
LAYOUT_FIELD(onebeat_hello, library, 28, 16)
LAYOUT_FIELD(onebeat_hello, length, 44, 4)
LAYOUT_TAIL(onebeat_hello, descriptor, 48)
LAYOUT_STRUCT(onebeat_ask, 20, 4)
LAYOUT_FIELD(onebeat_ask, msg, 0, 8)
LAYOUT_FIELD(onebeat_ask, class, 8, 4)
LAYOUT_FIELD(onebeat_ask, cookie, 12, 4)
LAYOUT_FIELD(onebeat_ask, length, 16, 4)
LAYOUT_TAIL(onebeat_ask, descriptor, 20)
LAYOUT_STRUCT(onebeat_grant, 20, 4)
LAYOUT_FIELD(onebeat_grant, slot, 0, 4)
LAYOUT_FIELD(onebeat_grant, generation, 4, 4)
LAYOUT_FIELD(onebeat_grant, class, 8, 4)
LAYOUT_FIELD(onebeat_grant, version, 12, 4)
LAYOUT_FIELD(onebeat_grant, cookie, 16, 4)
LAYOUT_STRUCT(onebeat_welcome, 56, 4)
LAYOUT_FIELD(onebeat_welcome, msg, 0, 8)
LAYOUT_FIELD(onebeat_welcome, major, 8, 2)
LAYOUT_FIELD(onebeat_welcome, minor, 10, 2)
LAYOUT_FIELD(onebeat_welcome, epoch, 12, 4)
LAYOUT_FIELD(onebeat_welcome, grants, 16, 40)
LAYOUT_STRUCT(onebeat_granted, 28, 4)
LAYOUT_FIELD(onebeat_granted, msg, 0, 8)
LAYOUT_FIELD(onebeat_granted, grant, 8, 20)
LAYOUT_STRUCT(onebeat_refused, 144, 4)
LAYOUT_FIELD(onebeat_refused, msg, 0, 8)
LAYOUT_FIELD(onebeat_refused, cookie, 8, 4)
LAYOUT_FIELD(onebeat_refused, reason, 12, 4)
LAYOUT_FIELD(onebeat_refused, text, 16, 128)
LAYOUT_STRUCT(onebeat_control_request, 12, 4)
LAYOUT_FIELD(onebeat_control_request, magic, 0, 4)
LAYOUT_FIELD(onebeat_control_request, version, 4, 2)
LAYOUT_FIELD(onebeat_control_request, verb, 6, 2)
LAYOUT_FIELD(onebeat_control_request, flags, 8, 4)
/* layout: end */
/* clang-format on */

#endif
