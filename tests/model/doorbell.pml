/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The doorbell: no update of a living process is slept over
 *
 * Two processes update a slot each, and the agent drains, says that it sleeps, looks once more and sleeps until a
 * bell rings. A process may be killed between any two steps, and so may the agent, whose successor adopts. The
 * claim needs neither the sweep once a second nor the end of a lease to wake the agent: both are left out.
 *
 *   writer    libclient/publish.c: onebeat__publish() P4, mark_dirty() P5 P6, ring() P7 P8; a step a line
 *   drain     agent/segment/drain.c: take_bits() D1, drain_word() D2, drain_read() as one look at pub
 *   agent     agent/segment/watcher.c: watcher_run(), with drain_set_sleeping() and drain_pending() of drain.c;
 *             loop_turn() reads the bells, which are sticky: bytes in a lease's socket, in
 *             agent/segment/handshake.c: handshake_read(). The socket outlives the agent: its keeper has it too
 *   adoption  agent/segment/memory.c: memory_adopt() clears the sleeping word; agent/segment/adopt.c: look_at_all()
 *
 * Spin's memory is sequentially consistent. What a fence forbids is said by a variant that does two steps in the
 * other order; relacy/ beside this file has the orders themselves.
 *
 * bad: NO_FENCE expect: !(lost)
 *      the load of the sleeping word overtakes the dirty bits, which is what P7 forbids
 * bad: NO_LOOK expect: !(lost)
 *      no look at the bits between "I sleep" and sleeping
 * bad: LOOK_FIRST expect: !(lost)
 *      the look comes before "I sleep": the agent's side without its fence
 * bad: L1_SKIPPED expect: !(lost)
 *      the upper bit is skipped because the lower one stood: its setter was killed before the upper one
 * bad: BELL_SKIPPED expect: !(lost)
 *      no bell because the bits stood: their setter was killed before it rang
 * bad: BELL_CLAIMED expect: !(lost)
 *      a ringer takes the sleeping word back, so that one pays for all, and is killed before it rings
 * bad: SLEEPS_ON expect: !(lost)
 *      a successor takes its predecessor's bells for its own and looks at nothing when it adopts
 * reach: RUNG_AWAKE expect: !(woken)
 * reach: ALL_SEEN expect: !(all_seen)
 * reach: KILLED_HALFWAY expect: !(parked)
 */

#define n_updates(w) (1 + (w)) /* of the one that may be killed: one */

byte pub[2], seen[2];
bool l0[2], l1;
bool sleeping;
bool bell[2];
bool killed[2], done[2];
bool crash, crashed;
bool blocked;      /* the agent waits in epoll */
bool woken;        /* it waited in vain no more */
bool lost, all_seen, parked;

proctype writer(byte me)
{
	bool look, stood, sleeps;

	{
		do
		:: pub[me] < n_updates(me) ->
#ifdef BAD_NO_FENCE
			sleeps = sleeping;
#endif
			pub[me] = pub[me] + 1;                    /* P4 */
			atomic { stood = l0[me]; l0[me] = true }; /* P5 */
#ifdef BAD_L1_SKIPPED
			look = stood;
#else
			look = l1;                                /* P6 */
#endif
			if
			:: look -> look = false
			:: else -> l1 = true
			fi;
#ifdef BAD_BELL_CLAIMED
			atomic { sleeps = sleeping; sleeping = false };
#else
#ifndef BAD_NO_FENCE
			sleeps = sleeping;                        /* P7, P8 */
#endif
#endif
#ifdef BAD_BELL_SKIPPED
			sleeps = sleeps && !stood;
#endif
			if
			:: sleeps -> atomic { bell[me] = true; sleeps = false; stood = false }
			:: else -> stood = false
			fi
		:: else -> break
		od;
		done[me] = true
	} unless {
		killed[me]
	}
}

inline drain()
{
	atomic { x = l1; l1 = false };                                             /* D1 */
	if
	:: x ->
		atomic { y0 = l0[0]; y1 = l0[1]; l0[0] = false; l0[1] = false; x = false }; /* D2 */
		if
		:: y0 -> atomic { seen[0] = pub[0]; y0 = false }
		:: else -> skip
		fi;
		if
		:: y1 -> atomic { seen[1] = pub[1]; y1 = false }
		:: else -> skip
		fi
	:: else -> skip
	fi
}

/* Level-triggered: a bell that rang before the wait is seen in it. */
inline turn()
{
	if
	:: more -> more = false
	:: else ->
		blocked = true;
endwait:	atomic { bell[0] || bell[1] -> blocked = false; woken = true }
	fi;
	bell[0] = false;
	bell[1] = false
}

inline adopt()
{
	sleeping = false; /* memory_adopt() */
#ifdef BAD_SLEEPS_ON
	bell[0] = false;
	bell[1] = false
#else
	seen[0] = pub[0]; /* look_at_all() */
	seen[1] = pub[1]
#endif
}

proctype agent()
{
	bool x, y0, y1, more, adopts;

again:	{
		if
		:: adopts -> adopt()
		:: else -> skip
		fi;
		do
		:: drain();
#ifdef BAD_LOOK_FIRST
			more = l1;
			sleeping = true;
#else
			sleeping = true; /* drain_set_sleeping(), with its fence */
			more = l1;       /* drain_pending() */
#endif
#ifdef BAD_NO_LOOK
			more = false;
#endif
			turn();
			sleeping = false
		od
	} unless {
		/* Its memory is gone; the next one begins. */
		d_step {
			crash -> crash = false; crashed = true; adopts = true;
			x = false; y0 = false; y1 = false; more = false; blocked = false;
			seen[0] = 0; seen[1] = 0
		}
		goto again
	}
}

/* Kills one of the writers and the agent, whenever it likes, or not at all. */
proctype killer()
{
	if
	:: killed[0] = !done[0]
	:: skip
	fi;
	if
	:: crash = true
	:: skip
	fi
}

#define unseen(w) (done[w] && seen[w] != pub[w])

proctype monitor()
{
	/* Nothing can move any more. */
	timeout ->
	d_step {
		lost = blocked && (unseen(0) || unseen(1));
		all_seen = blocked && crashed && seen[0] == n_updates(0) && seen[1] == n_updates(1);
		parked = blocked && killed[0] && l0[0] && !l1
	}
	assert(!(lost));
#ifdef REACH_ALL_SEEN
	assert(!(all_seen));
#endif
#ifdef REACH_KILLED_HALFWAY
	assert(!(parked));
#endif
#ifdef REACH_RUNG_AWAKE
	assert(!(woken));
#endif
	skip
}

init
{
	atomic {
		run writer(0);
		run writer(1);
		run agent();
		run killer();
		run monitor()
	}
}
