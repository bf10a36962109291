/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dirty bits: no update of a living process stays behind a cleared bit
 *
 * Three processes update slots whose bits lie in two words, under an upper word of two bits; one may be killed
 * between any two steps. The agent drains whenever an upper bit stands, takes each upper bit by itself, and is not
 * helped by the sweep. What it looks at under a bit is the slot's pub word.
 *
 *   writer   libclient/publish.c: onebeat__publish() P4, mark_dirty() P5 P6
 *   agent    agent/segment/drain.c: drain_dirty() with take_bits() D1, drain_word() D2; drain_read() as one look
 *            at pub, which remembers what it saw
 *   monitor  the writers have ended and the agent finds no upper bit: what drain_pending() says before it sleeps
 *
 * bad: L1_SKIPPED expect: !(lost)
 *      P6 is skipped because a bit of the word stood: its setter was killed before the upper one
 * bad: BOTTOM_UP expect: !(lost)
 *      the agent clears the slots' bits first and the upper bit second
 * bad: BITS_FIRST expect: !(lost)
 *      a writer sets its bits before the version that they speak of
 * bad: L0_PLAIN expect: !(lost)
 *      the slot's bit is set by a load and a store in the place of one operation
 * bad: TAKEN_LATE expect: !(lost)
 *      the agent looks at the slots first and clears their bits afterwards
 * bad: L1_ALL expect: !(lost)
 *      the agent clears the whole upper word and serves one bit of it
 * reach: ALL_SEEN expect: !(all_seen)
 * reach: PARKED expect: !(parked)
 * reach: PASSED_ON expect: !(passed_on)
 */

#define N_WRITERS 3
#define word(w) ((w) / 2)      /* of slot w in L0, and its bit in L1 */
#define mask(w) (1 << (w) % 2) /* of slot w in its word */
#define n_updates(w) (1 + ((w) == 1))

byte pub[4], seen[4]; /* the last slot has no writer */
byte l0[2], l1;
bool killed, done[N_WRITERS];
bool lost, all_seen;
bool parked;    /* the killed one's bit stands without its upper bit */
bool passed_on; /* a living one's upper bit had the killed one's slot looked at */

proctype writer(byte me)
{
	byte before;

	{
		do
		:: pub[me] < n_updates(me) ->
#ifndef BAD_BITS_FIRST
			pub[me] = pub[me] + 1; /* P4 */
#endif
#ifdef BAD_L0_PLAIN
			before = l0[word(me)];
			l0[word(me)] = before | mask(me);
#else
			atomic { before = l0[word(me)]; l0[word(me)] = before | mask(me) }; /* P5 */
#endif
#ifdef BAD_L1_SKIPPED
			before = (before -> 1 << word(me) : 0);
#else
			before = l1;           /* P6 */
#endif
			if
			:: before & (1 << word(me)) -> before = 0
			:: else -> atomic { l1 = l1 | (1 << word(me)); before = 0 }
			fi;
#ifdef BAD_BITS_FIRST
			pub[me] = pub[me] + 1;
#endif
		:: else -> break
		od;
		done[me] = true
	} unless {
		killed && me == 0
	}
}

inline look_at_word(i)
{
	w = 2 * i;
	do
	:: w < 2 * i + 2 ->
		d_step {
			if
			:: y & mask(w) -> seen[w] = pub[w]; passed_on = passed_on || (killed && w == 0)
			:: else -> skip
			fi;
			w++
		}
	:: else -> w = 0; break
	od;
	y = 0
}

inline drain_word(i)
{
	if
	:: x & (1 << i) ->
#ifdef BAD_TAKEN_LATE
		y = l0[i];
		look_at_word(i);
		l0[i] = 0;
#else
		atomic { y = l0[i]; l0[i] = 0; x = x & ~(1 << i) }; /* D2 */
		look_at_word(i);
#endif
#ifdef BAD_BOTTOM_UP
		l1 = l1 & ~(1 << i)
#endif
	:: else -> skip
	fi
}

proctype agent()
{
	byte x, y, w;

endidle:
	do
	:: l1 != 0 ->
#ifdef BAD_BOTTOM_UP
		x = l1;
#else
#ifdef BAD_L1_ALL
		atomic { x = (l1 & 1 -> 1 : l1); l1 = 0 };
#else
		atomic { x = l1; l1 = 0 }; /* D1 */
#endif
#endif
		drain_word(0);
		drain_word(1);
		x = 0
	od
}

proctype killer()
{
	if
	:: killed = !done[0]
	:: skip
	fi
}

#define unseen(w) (done[w] && seen[w] != pub[w])

proctype monitor()
{
	timeout ->
	d_step {
		lost = unseen(0) || unseen(1) || unseen(2);
		all_seen = seen[0] == n_updates(0) && seen[1] == n_updates(1) && seen[2] == n_updates(2);
		parked = killed && (l0[0] & mask(0)) && l1 == 0
	}
	assert(!(lost));
#ifdef REACH_ALL_SEEN
	assert(!(all_seen));
#endif
#ifdef REACH_PARKED
	assert(!(parked));
#endif
#ifdef REACH_PASSED_ON
	assert(!(passed_on));
#endif
	skip
}

init
{
	atomic {
		run writer(0);
		run writer(1);
		run writer(2);
		run agent();
		run killer();
		run monitor()
	}
}
