/* SPDX-License-Identifier: Apache-2.0 */
/* expect: agent/beat/wheel\.c:5: .*agent/beat -> agent/http */
#include <stdint.h>

#include "http/beat_lane.h"
