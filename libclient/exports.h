/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Put in front of every file of the library by the build: what onebeat.h declares is exported, everything
 * else is hidden. So neither the public header nor a function needs a mark; onebeat.map adds the version.
 */
#ifndef ONEBEAT_EXPORTS_H
#define ONEBEAT_EXPORTS_H

#pragma GCC visibility push(default)
#include <onebeat/onebeat.h>
#pragma GCC visibility pop

#endif
