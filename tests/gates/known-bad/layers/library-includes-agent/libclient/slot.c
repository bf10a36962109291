/* SPDX-License-Identifier: Apache-2.0 */
/* expect: libclient/slot\.c:3: .*libclient -> "base/log\.h" */
#include "base/log.h"
