/* SPDX-License-Identifier: Apache-2.0 */
/* expect: stop\.c:7: banned call: signal */
#include <signal.h>

void ignore(void)
{
	signal(SIGPIPE, SIG_IGN);
}
