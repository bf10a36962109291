/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BEAT_MACHINE_H
#define BEAT_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

enum machine_state {
	MACHINE_ABSENT,      /* nothing wanted, nothing ever asked of the registry */
	MACHINE_REGISTERING, /* the wanted version is not acknowledged yet */
	MACHINE_UP,          /* acknowledged, and beaten unless persistent */
	MACHINE_REJECTED,    /* the registry refuses the wanted version; tried again slowly */
	MACHINE_LEAVING,     /* a DELETE is due, in flight or to be repeated */
	MACHINE_GONE         /* deregistered, or given up: the server's time-out finishes it */
};

/* How the registry keeps an instance. */
enum machine_kind {
	MACHINE_PERSISTENT, /* until it is deleted; never beaten */
	MACHINE_LIGHT,      /* while light beats say that it lives */
	MACHINE_FULL /* the same with full beats, which say all of it but whether it is enabled */
};

enum machine_request {
	MACHINE_NONE,
	MACHINE_POST,
	MACHINE_BEAT,
	MACHINE_DELETE,
	MACHINE_FULL_BEAT
};

/* What what is due now would do to a registry if all instances did it at once. */
enum machine_pace {
	MACHINE_AT_ONCE,   /* nothing: it is somebody's wish, or a beat at its time */
	MACHINE_PACE_POST, /* registering again, after the registry lost it or to make sure of it */
	MACHINE_PACE_BEAT  /* a beat that is late by a whole interval: the machine was asleep */
};

/* What became of a request, judged by whoever reads replies. */
enum machine_outcome {
	MACHINE_OK,      /* done */
	MACHINE_UNKNOWN, /* a beat, and the registry does not know the instance */
	MACHINE_REFUSED, /* the instance's own fault: 400, or failing alike on every node */
	MACHINE_FAILED,  /* answered, and transient: 5xx, 403, garbage */
	MACHINE_AGAIN,   /* not carried out, and another way is known by now: to be sent at once */
	MACHINE_LOST     /* not answered: the server may or may not have carried it out */
};

/* One instance towards one registry. All fields private to machine.c. */
struct machine {
	uint32_t want_version; /* 0: absent */
	uint32_t posted;       /* newest version whose POST was attempted; 0: none */
	uint32_t acked;        /* newest version that was acknowledged; 0: none */
	uint32_t rejected;     /* newest version that was refused; 0: none */
	uint32_t lost_version; /* oldest one whose lost POST may still overwrite a newer one */
	uint32_t period_ms;    /* the definition's */
	uint32_t interval_ms;  /* the registry's wish; 0: none */
	uint32_t serial;       /* of the request in flight, or of the last one */
	uint32_t inflight_version;
	uint32_t n_failures; /* in a row */
	uint32_t seed;
	uint8_t state;
	uint8_t inflight;      /* enum machine_request */
	uint8_t kind;          /* enum machine_kind */
	bool out_of_phase;     /* the last beat failed: its due time is a retry's */
	bool again;            /* the POST is one that all instances might send at once */
	bool forget;           /* leaving without a DELETE, with a request in flight */
	bool registered;       /* the registry is believed to know it */
	bool probe;            /* adopted with an unanswered first POST: a light beat decides */
	bool lost_post;        /* a POST may still be on its way: DELETE is repeated once */
	uint8_t n_deletes;     /* that were answered since leaving */
	uint64_t due_ms;       /* when machine_take() has something to do; CLOCK_NEVER: nothing */
	uint64_t write_due_ms; /* the POST, or DELETE when nothing is wanted; CLOCK_NEVER: none */
	uint64_t beat_due_ms;  /* CLOCK_NEVER: none; while it is in flight: when it was due */
	uint64_t hold_ms;      /* a DELETE aside, nothing is sent before; 0: no turn was given */
	uint64_t lost_ms;      /* when a POST was lost last */
	uint64_t refused_ms;   /* since when the acked version is refused; CLOCK_NEVER: it is not */
	uint64_t leave_by_ms;  /* give up leaving at this time */
};

/* seed spreads jitter over instances; any number. */
void machine_init(struct machine *m, uint32_t seed);

/* The instance is wanted in this version (> 0; a higher one replaces a lower one). */
void machine_want(struct machine *m, uint32_t version, uint32_t period_ms, enum machine_kind kind,
		  uint64_t now_ms);

/* Wanted no more: DELETE last, if a POST was ever attempted; else GONE at once. */
void machine_leave(struct machine *m, uint64_t now_ms);

/*
 * Nobody's any more, and left as it is at the registry: GONE as soon as nothing is in flight. A
 * DELETE that was asked for before goes on.
 */
void machine_forget(struct machine *m);

struct machine_past { /* what the journal says of an instance */
	uint32_t posted;
	uint32_t acked;
	bool delete_attempted;
	uint64_t beat_due_ms; /* when its next beat was to be; CLOCK_NEVER: unknown */
};
/* In place of the first machine_want(). A first beat whose time is not known, or makes no sense, falls due at
 * random within spread_ms. */
void machine_adopt(struct machine *m, const struct machine_past *past, uint32_t want_version,
		   uint32_t period_ms, enum machine_kind kind, uint32_t spread_ms, uint64_t now_ms);

/*
 * Before machine_take(): must what is due now wait for its turn? Then machine_hold() says when that
 * comes, now or later. A turn that was missed by more than a second is void, and asked for again.
 */
enum machine_pace machine_pace(const struct machine *m, uint64_t now_ms);
void machine_hold(struct machine *m, uint64_t until_ms);

/*
 * What is to be sent now, or MACHINE_NONE. It is in flight until machine_reply() with its serial;
 * one at a time, but for a light beat that a DELETE overtakes, whose reply is then stale.
 */
enum machine_request machine_take(struct machine *m, uint64_t now_ms, uint32_t *serial);

/* interval_ms: clientBeatInterval, 0 for none. A reply with a stale serial changes nothing. */
void machine_reply(struct machine *m, uint32_t serial, enum machine_outcome outcome,
		   uint32_t interval_ms, uint64_t now_ms);

/*
 * Before machine_reply() to a POST that was answered at last, after a node that got it first had not
 * answered: that node may yet carry it out.
 */
void machine_lost_copy(struct machine *m, uint32_t serial, uint64_t now_ms);

/* The next beat; CLOCK_NEVER: none; while it is in flight: when it was due. */
static inline uint64_t machine_beat_due_ms(const struct machine *m)
{
	return m->beat_due_ms;
}

static inline bool machine_ephemeral(const struct machine *m)
{
	return m->kind != MACHINE_PERSISTENT;
}

static inline uint64_t machine_due_ms(const struct machine *m)
{
	return m->due_ms;
}

static inline enum machine_state machine_state(const struct machine *m)
{
	return (enum machine_state)m->state;
}

#endif
