/* SPDX-License-Identifier: Apache-2.0 */
/* expect: tools/onebeatctl/main\.c:3: .*climbs out */
#include "../../agent/base/log.h"
