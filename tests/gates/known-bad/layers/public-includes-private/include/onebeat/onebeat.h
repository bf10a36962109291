/* SPDX-License-Identifier: Apache-2.0 */
/* expect: include/onebeat/onebeat\.h:3: .*installed alone */
#include <onebeat/segment.h>
