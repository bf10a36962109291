/* SPDX-License-Identifier: Apache-2.0 */
/* expect: agent/control/status\.c:3: .*agent/control -> <curl/curl\.h> */
#include <curl/curl.h>
