/* SPDX-License-Identifier: Apache-2.0 */
/* expect: agent/http/reply\.c:3: .*<http_parser\.h> belongs to one file, agent/http/framing\.c:2 */
#include <http_parser.h>
