/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_CURL_MEMORY_H
#define HTTP_CURL_MEMORY_H

#include <curl/curl.h>

/* curl_global_init(), for memory that is wiped before it is given back. */
CURLcode curl_memory_init(void);

#endif
