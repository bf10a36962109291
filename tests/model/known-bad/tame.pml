/* SPDX-License-Identifier: Apache-2.0 */
/* No variant of it is bad.
 *
 * reach: END expect: !(ended)
 */

byte n;
bool over, ended;

active proctype counter()
{
	do
	:: n < 5 ->
		n++
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
