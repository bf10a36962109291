/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_UNTIL_H
#define TESTS_LIB_UNTIL_H

#include <poll.h>

#include "base/clock.h"

/* Generous: a test that waits so long has failed, on a busy machine too. */
#define UNTIL_MS 10000u

/* Looks again and again, until the condition holds or the time is over; tells which. */
#define UNTIL(condition)                                                              \
	({                                                                            \
		const uint64_t until_end_ms_ = clock_now_ms() + UNTIL_MS;             \
		bool until_yes_;                                                      \
		while (!(until_yes_ = (condition)) && clock_now_ms() < until_end_ms_) \
			poll(NULL, 0, 1);                                             \
		until_yes_;                                                           \
	})

#endif
