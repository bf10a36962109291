/* SPDX-License-Identifier: Apache-2.0 */
/* It does not hold.
 *
 * bad: MORE expect: !(over)
 * reach: END expect: !(ended)
 */

byte n;
bool over, ended;

active proctype counter()
{
	do
	:: n < 7 ->
		n++
#ifdef BAD_MORE
		n++
#endif
	:: else -> break
	od;
	skip;
	d_step { over = n > 5; ended = n == 5 }
	assert(!(over));
#ifdef REACH_END
	assert(!(ended));
#endif
	skip
}
