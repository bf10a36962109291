/* SPDX-License-Identifier: Apache-2.0 */
/* expect: not ok - test_tsan_race: reported by a checker */
#include <criterion/criterion.h>
#include <pthread.h>

static int shared;

static void *count(void *arg)
{
	for (int i = 0; i < 1000; i++)
		shared++;
	return arg;
}

Test(bad, race)
{
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, count, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}
