/* SPDX-License-Identifier: Apache-2.0 */
/* expect: agent/beat/wheel\.c:4: .*written out */
#define HEADER <curl/curl.h>
#include HEADER
