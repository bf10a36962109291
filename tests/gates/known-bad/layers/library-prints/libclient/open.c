/* SPDX-License-Identifier: Apache-2.0 */
/* expect: libclient/open\.c:3: .*libclient -> <stdio\.h> */
#include <stdio.h>
