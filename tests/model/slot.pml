/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a slot: what is accepted is whole, is its holder's, and no two living processes have it
 *
 * One slot and two processes. The first may be killed between any two steps, may lose its socket and go on writing
 * without knowing, may come back with a second lease; the other one asks for the same slot all the time. The agent
 * may be killed between any two steps, and its successor adopts from the journal.
 *
 *   client    libclient/publish.c: onebeat__publish() P1 to P4, a store a step; with no payload it withdraws.
 *             libclient/messages.c: on_welcome(), which takes one WELCOME a lease; libclient/attach.c:
 *             onebeat__detach(), which forgets the place before anything else is sent
 *   hello     agent/segment/handshake.c: hold() journals the lease, welcome() grants and answers, and only then is
 *             HELLO taken from the socket; agent/segment/grant.c: grant_slot() with grant_waiting(), grant_inherit()
 *   grant     agent/segment/domain.c: open_slot(), domain_regrant(); agent/segment/memory.c: memory_slot_open();
 *             hold_journal() of agent/segment/hold.c comes before the message
 *   look      agent/segment/drain.c: drain_read(), a load a step; hold_look(), take_version() of hold.c
 *   ended     agent/segment/lease.c: lease_ended(), watch_on(), lease_died(); grant_reclaim() of grant.c
 *   adopt     agent/segment/adopt.c: adopt_lease(), adopt_slot()
 *
 * A block is three words: the version and the generation of its head, and a payload that says whose and which
 * version it is. There is no checksum: nothing here leans on one. Registry and keeper are left out; sockets and the
 * journal outlive the agent.
 *
 * bad: NO_REREAD expect: !(torn)
 *      what was copied is taken without a second look at pub
 * bad: IN_PLACE expect: !(refused)
 *      the writer fills the block that is published
 * bad: PUB_FIRST expect: !(refused)
 *      the version is stored before its block
 * bad: EOF_IS_DEATH expect: !(foreign)
 *      a slot is granted to another when its lease's socket ends, although the process lives
 * bad: PUB_KEPT expect: !(refused)
 *      the next holder gets the slot with the last one's version in it
 * bad: SENT_FIRST expect: !(foreign)
 *      the grant is sent before it is journalled
 * bad: SECOND_WELCOME expect: !(torn)
 *      a client that has given its slot back takes a repeated WELCOME for a new grant of it
 * bad: UNUSED_IS_FREE expect: !(refused)
 *      adoption takes a granted slot in which nothing was published for a free one
 * bad: TAKEN_FIRST expect: !(stranded)
 *      HELLO is taken out of the socket before it is answered
 * reach: BOTH expect: !(both)
 * reach: UNAWARE expect: !(unaware)
 * reach: CAUGHT expect: !(caught)
 * reach: CAME_BACK expect: !(came_back)
 * reach: ADOPTED_LIVE expect: !(adopted_live)
 */

#define A 0
#define B 1
#define A2 2 /* A's second lease */
#define process_of(lease) ((lease) == B -> B : A)
#define NOBODY 3
#define payload(p, version) ((p) * 8 + (version))
#define WITHDRAWS 64 /* added to the payload of a last version */
#if defined(BAD_NO_REREAD) || defined(BAD_EOF_IS_DEATH)
#define ONLY_ACCEPTED /* the harm is what is taken for good, not what is refused */
#endif
#define N_VERSIONS 2 /* that a process publishes in one place */

mtype = { FREE, GRANTED, LIVE, SPARE }    /* slots */
mtype = { NONE, OPEN, WATCHED }           /* leases */

/* shared memory */
byte pub, seq[2], gen[2], said[2];

/* the kernel's: sockets and processes */
bool hello[3];     /* in the lease's socket, unread */
byte answer[3];    /* a grant's generation, unread */
bool eof[3];
bool dead;         /* A */
bool crash;

/* the journal */
mtype j_state = FREE, j_lease[3] = NONE;
byte j_gen, j_owner = NOBODY, j_version;

/* of the clients, for the claims */
byte place[2]; /* the generation under which a process writes; 0: it has no slot */
bool tired[2]; /* it asks for nothing more */

bool torn, foreign, refused, shared, stranded;
bool was_accepted[2], both, unaware, caught, came_back, adopted_live;

inline publish(value)
{
#ifdef BAD_IN_PLACE
	b = version & 1;
#else
	b = (version + 1) & 1;
#endif
#ifdef BAD_PUB_FIRST
	pub = version + 1;
#endif
	seq[b] = version + 1;
	gen[b] = place[me];
	atomic { said[b] = value; b = 0 };
	atomic {
#ifndef BAD_PUB_FIRST
		pub = version + 1;
#endif
		version++
	}
}

/* on_welcome(): a second one is not for us. An agent that was killed before it took HELLO has sent the first. */
inline take_grant()
{
	atomic {
		answer[lease] != 0 ->
		if
#ifdef BAD_SECOND_WELCOME
		:: place[me] == 0 -> place[me] = answer[lease]; version = 0; welcomed = true
#else
		:: !welcomed -> place[me] = answer[lease]; version = 0; welcomed = true
#endif
		:: else -> skip
		fi;
		answer[lease] = 0;
		shared = !dead && place[A] != 0 && place[B] != 0
	};
#ifndef ONLY_ACCEPTED
	assert(!(shared))
#endif
}

proctype client(byte me)
{
	byte lease, version, b;
	bool withdrawn, welcomed;

	{
		lease = me;
		hello[lease] = true;
endasks:	do
		:: take_grant()
		:: place[me] != 0 && version < N_VERSIONS -> publish(payload(me, version + 1))
		:: place[me] != 0 && version >= 1 && me == A && !withdrawn ->
			publish(payload(me, version + 1) + WITHDRAWS);
			atomic { place[me] = 0; withdrawn = true; version = 0 }
		/* Some of its code closes the descriptor. */
		:: me == A && lease == A && !eof[A] -> eof[A] = true
		/* It sees that, and comes back. */
		:: me == A && lease == A && eof[A] ->
			d_step { place[me] = 0; version = 0; answer[A] = 0; lease = A2; withdrawn = true; welcomed = false }
			hello[A2] = true
		:: place[me] != 0 && version >= N_VERSIONS && (me == B || lease == A2 || !eof[A]) && !tired[me] ->
			tired[me] = true
		od
	} unless {
		atomic { dead && me == A -> place[A] = 0 }
	}
}

inline journal_slot()
{
	d_step { j_state = state; j_gen = generation; j_owner = owner; j_version = last }
}

/* domain_grant() or domain_regrant(): the slot is opened under a new generation. */
inline grant(l)
{
	/* memory_slot_open() */
	seq[0] = 0; said[0] = 0;
	seq[1] = 0; said[1] = 0;
#ifndef BAD_PUB_KEPT
	pub = 0;
#endif
	d_step { generation++; state = GRANTED; owner = l; last = 0 }
#ifdef BAD_SENT_FIRST
	answer[l] = (eof[l] -> 0 : generation);
#endif
	journal_slot()
}

/* The lease is known to successors before anything is granted to it. */
inline on_hello(l)
{
	d_step { leases[l] = OPEN; j_lease[l] = OPEN };
#ifdef BAD_TAKEN_FIRST
	hello[l] = false
#endif
}

inline send_grant(l)
{
	/* A client that has gone reads nothing. */
#ifdef BAD_SENT_FIRST
	skip
#else
	answer[l] = (eof[l] -> 0 : generation)
#endif
}

/* The first time, or again after a successor has found HELLO where it was. */
inline welcome(l)
{
	on_hello(l);
	if
	:: owner == NOBODY -> grant(l)
	:: else -> skip
	fi;
	if
	:: owner == l && state == GRANTED && pub == 0 -> send_grant(l); hello[l] = false
	:: owner == l && !(state == GRANTED && pub == 0) -> hello[l] = false /* it writes there already */
	:: else -> skip
	fi
}

/* grant_inherit() first: what the process has left behind is this lease's. What it holds, it holds on. */
inline welcome_back()
{
	on_hello(A2);
	if
	:: owner == A && leases[A] == WATCHED && (state == SPARE || state == GRANTED) ->
		d_step { owner = A2; state = SPARE }
		journal_slot()
	:: else -> skip
	fi;
	if
	:: owner == NOBODY || (owner == A2 && state == SPARE) -> grant(A2)
	:: else -> skip
	fi;
	if
	:: owner == A2 && state == GRANTED -> send_grant(A2); hello[A2] = false
	:: else -> skip
	fi
}

/* lease_died(), grant_reclaim(): free for the next one. */
inline reclaim(l)
{
	if
	:: owner == l ->
		d_step { j_state = FREE; j_owner = NOBODY; j_gen = 0; j_version = 0 } /* journal_drop_slot() */
		d_step { state = FREE; owner = NOBODY; last = 0 }
	:: else -> skip
	fi;
	d_step { leases[l] = NONE; j_lease[l] = NONE }
}

inline on_end(l)
{
	if
	:: dead -> reclaim(l)
	:: else ->
#ifdef BAD_EOF_IS_DEATH
		reclaim(l)
#else
		d_step { leases[l] = WATCHED; j_lease[l] = WATCHED }
#endif
	fi
}

inline accept()
{
	d_step {
		torn = c_said % 8 != v;
		foreign = c_said % WITHDRAWS / 8 != process_of(owner);
		last = v;
		state = (c_said >= WITHDRAWS -> SPARE : LIVE);
		unaware = unaware || leases[owner] == WATCHED;
		came_back = came_back || owner == A2;
		was_accepted[process_of(owner)] = true;
		both = was_accepted[A] && was_accepted[B]
	}
	assert(!(foreign));
	assert(!(torn));
#ifdef REACH_BOTH
	assert(!(both));
#endif
#ifdef REACH_UNAWARE
	assert(!(unaware));
#endif
#ifdef REACH_CAME_BACK
	assert(!(came_back));
#endif
	journal_slot()
}

inline look()
{
	v = pub;                                  /* D4 */
	if
	:: v != last && v != 0 ->
		c_seq = seq[v & 1];                   /* D5 */
		c_gen = gen[v & 1];
		c_said = said[v & 1];
#ifndef BAD_NO_REREAD
		if
		:: pub != v -> caught = c_said % 8 != v; v = 0 /* D6 */
		:: else -> skip
		fi;
#ifdef REACH_CAUGHT
		assert(!(caught));
#endif
#endif
		refused = v != 0 && (c_seq != v || c_gen != generation);
#ifndef ONLY_ACCEPTED
		/* Of writers who do as they should nothing is refused. */
		assert(!(refused));
#endif
		if
		:: v == 0 || refused -> skip
		:: else -> accept() /* D7 */
		fi
	:: else -> skip
	fi;
	d_step { v = 0; c_seq = 0; c_gen = 0; c_said = 0 }
}

inline adopt()
{
	d_step {
		leases[A] = j_lease[A]; leases[B] = j_lease[B]; leases[A2] = j_lease[A2];
		state = j_state; generation = j_gen; owner = j_owner; last = j_version;
		adopted_live = state == LIVE;
#ifdef BAD_UNUSED_IS_FREE
		if
		:: state == GRANTED && pub == 0 -> state = FREE; owner = NOBODY
		:: else -> skip
		fi
#endif
		adopts = false
	}
#ifdef REACH_ADOPTED_LIVE
	assert(!(adopted_live));
#endif
}

proctype agent()
{
	mtype state = FREE, leases[3] = NONE;
	byte generation, owner = NOBODY, last;
	byte v, c_seq, c_gen, c_said;
	bool adopts;

again:	{
		if
		:: adopts -> adopt()
		:: else -> skip
		fi;
endturn:	do
		:: (state == GRANTED || state == LIVE) && pub != last && pub != 0 -> look()
		:: hello[A] && !eof[A] && !dead -> welcome(A)
		:: hello[A2] && !dead && (leases[A2] == NONE || owner != B) -> welcome_back()
		:: hello[B] && (leases[B] == NONE || owner == NOBODY || owner == B) -> welcome(B)
		:: leases[A] == OPEN && (eof[A] || dead) -> on_end(A)
		:: leases[A2] == OPEN && dead -> reclaim(A2)
		:: leases[A] == WATCHED && dead -> reclaim(A)
		od
	} unless {
		d_step {
			crash -> crash = false; adopts = true;
			state = FREE; leases[A] = NONE; leases[B] = NONE; leases[A2] = NONE;
			generation = 0; owner = NOBODY; last = 0; v = 0; c_seq = 0; c_gen = 0; c_said = 0
		}
		goto again
	}
}

proctype killer()
{
	if
	:: dead = true
	:: skip
	fi;
	if
	:: crash = true
	:: skip
	fi
}

proctype monitor()
{
	/* Nothing can move any more. The dead one's slot has come to the other, who has published all. */
	timeout ->
	stranded = dead && !tired[B];
	assert(!(stranded));
	skip
}

init
{
	atomic {
		run client(A);
		run client(B);
		run agent();
		run killer();
		run monitor()
	}
}
