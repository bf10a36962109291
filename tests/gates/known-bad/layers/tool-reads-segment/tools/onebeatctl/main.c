/* SPDX-License-Identifier: Apache-2.0 */
/* expect: tools/onebeatctl/main\.c:3: .*tools -> include/onebeat/segment\.h */
#include <onebeat/segment.h>
