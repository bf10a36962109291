/* SPDX-License-Identifier: Apache-2.0 */
/* expect: test_wait\.c:7: banned call: sleep */
#include <unistd.h>

void wait_for_it(void)
{
	sleep(1);
}
