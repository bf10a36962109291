/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hand-over: a lease outlives its agent, and leaves nothing behind when it ends
 *
 * One process says HELLO, is welcomed, changes or withdraws what it registered, may be killed; when its socket ends,
 * it comes again with another one. Agent and keeper are killed too, each between any two of its steps.
 *
 *   client    libclient/attach.c: onebeat__attach(), onebeat__detach(); libclient/messages.c: on_welcome(), which
 *             takes one WELCOME a lease; libclient/publish.c, as one step
 *   new       agent/segment/accept.c; agent/segment/handshake.c: hold(), handshake_held()
 *   welcome   handshake.c: welcome() with answered() and publish(), TAKE in handshake_read(); agent/segment/grant.c:
 *             grant_slot(); agent/segment/hold.c: hold_accept() with supersede()
 *   ended     agent/segment/lease.c: lease_ended(), close_socket(), lease_delete(), watch_on(), lease_died()
 *   adopt     agent/segment/adopt.c: adopt_lease(), adopt_slot(), close_untaken(), look_at_all()
 *   keeper    agent/keeper/child.c: on_message(), child_died() with read_rest(), child_start(), which makes the
 *             manifest; agent/keeper/holdings.c. When it is killed, the agent ends (watcher.c: keeper_gone()), and
 *             another keeper begins with nothing but the journal
 *
 * A socket lives for its client while somebody holds its other end: the backlog, the agent, the keeper, or a message
 * on its way to the keeper. What nothing can save: a withdrawal that the agent had not seen yet when keeper and agent
 * went, and with them the memory that it was written in. It is left out of the claims. Closing a descriptor while another one of the same socket lives leaves it in epoll.
 *
 * bad: WELCOME_FIRST expect: !(broken)
 *      the client is welcomed before the keeper has said that it holds the lease
 * bad: TAKEN_FIRST expect: !(stranded)
 *      HELLO is taken from the socket before it is answered
 * bad: JOURNAL_LATE expect: !(broken)
 *      the lease is journalled after the client is welcomed: a successor gives up what it does not know
 * bad: BY_DESCRIPTOR expect: !(stale)
 *      an answered question is known by what it says, which its client may have changed
 * bad: CLOSED_FIRST expect: !(ghost)
 *      the socket is closed before it is out of epoll and the keeper has dropped it
 * bad: NEVER_DROPPED expect: !(leaked)
 *      the keeper is not told of the end
 * bad: LEFT_BEHIND expect: !(doubled)
 *      what the process held with a lost lease stays beside what it says with the new one
 * bad: CUT_SHORT expect: !(doubled)
 *      the same, only when the new one is accepted: an agent may be killed in between
 * reach: ADOPTED expect: !(was_adopted)
 * reach: ASKED_TWICE expect: !(was_asked_twice)
 * reach: CAME_AGAIN expect: !(came_again)
 * reach: BOTH_KILLED expect: !(both_killed)
 * reach: ALL_GONE expect: !(all_gone)
 */

#define N 3 /* sockets that the client may need, and slots */
#define WITHDRAWN 9
#if defined(BAD_WELCOME_FIRST) || defined(BAD_JOURNAL_LATE)
#define MAX_FAULTS 1 /* these are about the lease alone, and are found by it */
#else
#define MAX_FAULTS 2
#endif

mtype = { NONE, NEW, HOLDING, OPEN, WATCHED }  /* leases */
mtype = { HOLD, DROP, HELD }                   /* messages */

/* the kernel's */
bool backlog[N], a_fd[N], k_fd[N], watch[N];
byte flying[N];       /* HOLDs that the keeper has not read */
bool hello[N];        /* unread */
byte wants[N];        /* what HELLO says */
byte welcome[N];      /* unread: a slot's number, from 1; 0: none */
bool hung_up[N];      /* the client's end is closed */
bool dead;
chan to_keeper = [4] of { mtype, byte };
chan to_agent = [2] of { mtype, byte };
bool crash, k_crash, crashed, k_crashed, k_fresh;
bool agent_runs;
byte n_faults; /* at most two, and a death: more need more sockets than there are here */

/* shared memory, which is lost with the keeper */
byte says[N];
bool lost[N];

/* the journal */
mtype j_lease[N] = NONE;
byte j_cookie[N]; /* the question that a slot answers: its socket's number, from 1 */
byte j_live[N];   /* what the slot is accepted with; 0: nothing */
bool j_granted[N]; /* nothing accepted yet */

/* the agent's truth about slots, and the client's own */
byte live[N], cookie[N];
bool granted[N];
byte want = 1, mine, at;
bool welcomed, updated;
bool cut_off; /* it has withdrawn, and memory and agent went before the agent saw it */

bool broken, stranded, doubled, stale, ghost, leaked;
bool was_adopted, was_asked_twice, came_again, both_killed, all_gone;

#ifdef BAD_BY_DESCRIPTOR
#define answers(k, s) (says[k] == wants[s] && live[k] != 0)
#else
#define answers(k, s) true
#endif

#define is_served(s) (backlog[s] || a_fd[s] || k_fd[s] || flying[s] > 0)

/* An earlier socket's end came before this one's beginning: epoll has reported it by the time HELLO is answered. */
#define ends_are_known(s) (!(s > 0 && watch[0] && hung_up[0]) && !(s > 1 && watch[1] && hung_up[1]))
#define has_work(s) (backlog[s] && lease[s] == NONE || lease[s] == NEW && hello[s] && !hung_up[s] || \
		     lease[s] == OPEN && hello[s] && ends_are_known(s) || watch[s] && hung_up[s] && (!hello[s] || lease[s] != OPEN) || \
		     lease[s] == WATCHED && dead)
#define has_news(k) (!lost[k] && cookie[k] != 0 && (live[k] != 0 || granted[k] && says[k] != 0) && says[k] != live[k])

inline connects()
{
	d_step { backlog[at] = true; hello[at] = true; wants[at] = want }
}

proctype client()
{
	{
		connects();
enduse:		do
		:: atomic {
			welcome[at] != 0 ->
			if
			:: !welcomed -> welcomed = true; mine = welcome[at]
			:: else -> skip
			fi;
			welcome[at] = 0
		   }
		:: atomic { welcomed && want == 1 && !updated -> want = 2; updated = true; says[mine - 1] = 2 }
		/* libclient/instance.c: leave() looks first whether the socket has ended. */
		:: atomic { welcomed && want != 0 && at == 0 && is_served(at) -> want = 0; says[mine - 1] = WITHDRAWN }
		:: atomic {
			!is_served(at) && at < N - 1 ->
			broken = welcomed && !k_crashed;
			came_again = true
		   };
		   assert(!(broken));
		   goto ends
		/* Its own code has closed the descriptor. */
		:: atomic { welcomed && at == 0 && n_faults < MAX_FAULTS -> n_faults++ };
ends:		   hung_up[at] = true;
		   d_step { welcomed = false; mine = 0; at++ };
		   if
		   :: want != 0 -> connects()
		   :: else -> goto over
		   fi
		od
	} unless {
		atomic { dead -> hung_up[at] = true }
	};
over:	skip
}

/* close_socket() */
inline close_socket()
{
#ifdef BAD_CLOSED_FIRST
	a_fd[s] = false;
	/* epoll_ctl() knows no closed descriptor; the kernel forgets it with its last duplicate. */
	watch[s] = watch[s] && (k_fd[s] || flying[s] > 0);
	if
	:: lease[s] != NEW -> to_keeper ! DROP, s
	:: else -> skip
	fi
#else
	watch[s] = false;
#ifndef BAD_NEVER_DROPPED
	if
	:: lease[s] != NEW -> to_keeper ! DROP, s
	:: else -> skip
	fi;
#endif
	a_fd[s] = false
#endif
}

/* HELLO is there: welcome(), with grant_inherit() */
inline answer()
{
	i = 0;
	do
	:: i < N ->
		d_step {
			if
			:: granted[i] && cookie[i] != s + 1 -> granted[i] = false; j_granted[i] = false
			:: else -> skip
			fi;
			i++
		}
	:: else -> i = 0; break
	od;
	k = 0;
	do
	:: k < N && !(cookie[k] == s + 1 && !lost[k] && answers(k, s)) -> k++
	:: else -> break
	od;
	if
	:: k < N -> was_asked_twice = true
	:: else ->
		k = 0;
		do
		:: k < N && cookie[k] != 0 -> k++
		:: else -> break
		od;
		skip;
		d_step {
			cookie[k] = s + 1; granted[k] = true; lost[k] = false;
			j_cookie[k] = s + 1; j_granted[k] = true
		}
	fi;
	if
	:: granted[k] && says[k] == 0 -> says[k] = wants[s]; accept()
	:: else -> skip
	fi;
	welcome[s] = (hung_up[s] -> 0 : k + 1);
	j_lease[s] = OPEN;
	hello[s] = false;
	k = 0
}

/*
 * supersede(), hold_supersede_all(): what the process held with a lost lease gives way to what it holds with another.
 * Done when the other is accepted, and again by a successor, who may find both.
 */
#define is_open(n) (live[n] != 0 && lease[cookie[n] - 1] == OPEN)
inline leave_behind()
{
	i = 0;
	do
	:: i < N ->
		d_step {
			if
			:: live[i] != 0 && lease[cookie[i] - 1] == WATCHED && (is_open(0) || is_open(1) || is_open(2)) ->
				live[i] = 0; j_live[i] = 0
			:: else -> skip
			fi;
			i++
		}
	:: else -> i = 0; break
	od
}

/* hold_accept() */
inline accept()
{
	d_step {
		live[k] = (says[k] == WITHDRAWN -> 0 : says[k]);
		granted[k] = false;
		j_live[k] = live[k]; j_granted[k] = false
	};
#ifndef BAD_LEFT_BEHIND
	leave_behind()
#endif
}

/* Its process is dead: the lease's slots are free. */
inline drop_slots()
{
	i = 0;
	do
	:: i < N -> d_step {
		if
		:: cookie[i] == s + 1 -> live[i] = 0; j_live[i] = 0
		:: else -> skip
		fi;
		i++
	   }
	:: else -> break
	od;
	i = 0
}

inline ended()
{
	if
	:: lease[s] == OPEN && !dead ->
		/* watch_on(): its process lives without it */
		j_lease[s] = WATCHED;
		close_socket();
		lease[s] = WATCHED
	:: else ->
		close_socket();
		drop_slots();
		d_step { lease[s] = NONE; j_lease[s] = NONE }
	fi
}

inline adopt_lease()
{
	if
	:: j_lease[s] != NONE && a_fd[s] -> lease[s] = OPEN; watch[s] = true; was_adopted = true
	:: j_lease[s] != NONE && !a_fd[s] -> lease[s] = WATCHED; j_lease[s] = WATCHED
	/* close_untaken(). What is held was journalled first, and its DROP is read before a successor begins. */
	:: j_lease[s] == NONE && a_fd[s] -> to_keeper ! DROP, s; a_fd[s] = false /* unreached: it does not happen */
	:: else -> skip
	fi
}

inline serve()
{
	if
	:: backlog[s] && lease[s] == NONE ->
		d_step { backlog[s] = false; a_fd[s] = true; watch[s] = true; lease[s] = NEW }
	:: lease[s] == NEW && hello[s] && !hung_up[s] ->
		/* hold() */
#ifndef BAD_JOURNAL_LATE
		j_lease[s] = HOLDING;
#endif
#ifdef BAD_WELCOME_FIRST
		lease[s] = OPEN;
		answer();
		to_keeper ! HOLD, s;
		flying[s]++
#else
		lease[s] = HOLDING;
		atomic { to_keeper ! HOLD, s; flying[s]++ }
#endif
	:: lease[s] == OPEN && hello[s] && ends_are_known(s) ->
#ifdef BAD_TAKEN_FIRST
		hello[s] = false;
#endif
		answer()
	:: watch[s] && hung_up[s] && a_fd[s] && (!hello[s] || lease[s] != OPEN) -> ended()
	:: lease[s] == WATCHED && dead -> drop_slots(); d_step { lease[s] = NONE; j_lease[s] = NONE }
	/* An event for a lease that is not there any more. */
	:: watch[s] && hung_up[s] && !a_fd[s] -> ghost = true; assert(!(ghost)) /* unreached: the claim */
	fi
}

#define has_any_news (has_news(0) || has_news(1) || has_news(2))

proctype agent()
{
	mtype lease[N] = NONE;
	byte i, k, s;
	bool adopting;

again:	{
		agent_runs;
		/* The journal's slots, and a look at what was published meanwhile. */
		d_step {
			live[0] = j_live[0]; live[1] = j_live[1]; live[2] = j_live[2];
			cookie[0] = j_cookie[0]; cookie[1] = j_cookie[1]; cookie[2] = j_cookie[2];
			granted[0] = j_granted[0]; granted[1] = j_granted[1]; granted[2] = j_granted[2]
		};
		do
		:: s < N -> adopt_lease(); s++
		:: else -> break
		od;
		s = 0;
#ifndef BAD_CUT_SHORT
		leave_behind(); /* hold_supersede_all() */
#endif
		adopting = true;
endturn:	do
		/* look_at_all() comes before anything else. */
		:: adopting && !has_any_news -> adopting = false
		:: !adopting && (has_work(0) || has_work(1) || has_work(2)) ->
			if
			:: has_work(0) -> s = 0
			:: has_work(1) -> s = 1
			:: has_work(2) -> s = 2
			fi;
			serve();
			s = 0
		:: atomic {
			to_agent ? HELD, s ->
			if
			:: lease[s] == HOLDING -> lease[s] = OPEN
			:: else -> skip
			fi;
			s = 0
		   }
		/* hold_look() */
		:: has_any_news ->
			if
			:: has_news(0) -> k = 0
			:: has_news(1) -> k = 1
			:: has_news(2) -> k = 2
			fi;
			accept();
			k = 0
		od
	} unless {
		d_step {
			crash -> crash = false; agent_runs = false;
			cut_off = cut_off || k_crashed && want == 0 && (j_live[0] != 0 || j_live[1] != 0 || j_live[2] != 0);
			lease[0] = NONE; lease[1] = NONE; lease[2] = NONE;
			live[0] = 0; live[1] = 0; live[2] = 0; cookie[0] = 0; cookie[1] = 0; cookie[2] = 0;
			granted[0] = false; granted[1] = false; granted[2] = false;
			a_fd[0] = false; a_fd[1] = false; a_fd[2] = false;
			watch[0] = false; watch[1] = false; watch[2] = false;
			i = 0; k = 0; s = 0; adopting = false
		}
		goto again
	}
}

/* Nothing of this keeper is left but the journal and its folder. Who waits in its backlog sees the end. */
inline keeper_ends()
{
	k_fd[0] = false; k_fd[1] = false; k_fd[2] = false;
	flying[0] = 0; flying[1] = 0; flying[2] = 0;
	backlog[0] = false; backlog[1] = false; backlog[2] = false;
	lost[0] = j_cookie[0] != 0;
	lost[1] = j_cookie[1] != 0;
	lost[2] = j_cookie[2] != 0
}

proctype keeper()
{
	byte s;

again:	{
		s = 0;
endturn:	do
		:: atomic {
			to_keeper ? HOLD, s -> k_fd[s] = true; flying[s]--
		   };
		   to_agent ! HELD, s;
		   s = 0
		:: atomic { to_keeper ? DROP, s -> k_fd[s] = false; s = 0 }
		/* child_died(), all that it had sent being read; child_start(): what is held is inherited. */
		:: atomic {
			!agent_runs && empty(to_keeper) && !crash ->
			do
			:: to_agent ? HELD, _
			:: empty(to_agent) -> break
			od;
			a_fd[0] = k_fd[0]; a_fd[1] = k_fd[1]; a_fd[2] = k_fd[2];
			agent_runs = true
		   }
		od
	} unless {
		/* The agent sees the end and ends too; then another keeper begins. */
		atomic {
			k_crash -> k_crash = false; crash = true;
			do
			:: to_keeper ? _, _
			:: empty(to_keeper) -> break
			od;
			do
			:: to_agent ? _, _
			:: empty(to_agent) -> break
			od;
			keeper_ends();
			s = 0
		}
		goto again
	}
}

proctype kills_client()
{
	if
	:: dead = true
	:: skip
	fi
}

proctype kills_agent()
{
	if
	:: d_step { n_faults < MAX_FAULTS -> n_faults++; crash = true; crashed = true }
	:: skip
	fi
}

proctype kills_keeper()
{
	if
	:: d_step { n_faults < MAX_FAULTS -> n_faults++; k_crashed = true; k_crash = true }
	:: skip
	fi
}

#define held(n) (live[n] != 0)

proctype monitor()
{
	timeout ->
	d_step {
		stranded = !dead && want != 0 && !welcomed;
		doubled = held(0) + held(1) + held(2) > 1;
		stale = !dead && (want != 0 -> welcomed && live[mine - 1] != want :
				  !cut_off && (held(0) || held(1) || held(2)));
		leaked = dead && (k_fd[0] || k_fd[1] || k_fd[2] || held(0) || held(1) || held(2) ||
				  j_lease[0] != NONE || j_lease[1] != NONE || j_lease[2] != NONE);
		both_killed = crashed && k_crashed && welcomed && at > 0;
		all_gone = dead && crashed && k_crashed && at > 0 && !leaked
	}
#if !defined(BAD_WELCOME_FIRST) && !defined(BAD_JOURNAL_LATE)
	assert(!(stranded));
	assert(!(stale));
	assert(!(doubled));
	assert(!(leaked));
#endif
#ifdef REACH_ADOPTED
	assert(!(was_adopted));
#endif
#ifdef REACH_ASKED_TWICE
	assert(!(was_asked_twice));
#endif
#ifdef REACH_CAME_AGAIN
	assert(!(came_again));
#endif
#ifdef REACH_BOTH_KILLED
	assert(!(both_killed));
#endif
#ifdef REACH_ALL_GONE
	assert(!(all_gone));
#endif
	skip
}

init
{
	atomic {
		agent_runs = true;
		run client();
		run agent();
		run keeper();
		run kills_client();
		run kills_agent();
		run kills_keeper();
		run monitor()
	}
}
