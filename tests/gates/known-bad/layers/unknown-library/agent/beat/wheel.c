/* SPDX-License-Identifier: Apache-2.0 */
/* expect: agent/beat/wheel\.c:3: .*<glib\.h>, which is neither */
#include <glib.h>
