/* SPDX-License-Identifier: Apache-2.0 */
/* expect: agent/metrics/page\.c:1: agent/metrics is no room */
#include <stdint.h>
