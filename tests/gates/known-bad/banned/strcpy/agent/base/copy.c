/* SPDX-License-Identifier: Apache-2.0 */
/* expect: copy\.c:7: banned call: strcpy */
#include <string.h>

void copy(char *to, const char *from)
{
	strcpy(to, from); /* a sprintf() in a comment is none */
}
