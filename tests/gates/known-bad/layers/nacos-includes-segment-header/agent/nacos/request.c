/* SPDX-License-Identifier: Apache-2.0 */
/* expect: agent/nacos/request\.c:3: .*agent/nacos -> include */
#include <onebeat/segment.h>
