/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_CRASHPOINT_H
#define MODEL_CRASHPOINT_H

/* In the place of <onebeat/crashpoint.h>. */

#include "machine.h"

#define ONEBEAT_CRASH_POINT(name) machine_crash_point(name)

#endif
