/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mutable side of an instance
 *
 * A dom2Beat node never changes; what does change of an instance is here, and outlives the nodes
 * that replace each other. Readers of any registered thread reach a beat through its node and may
 * hold it until rcu_read_unlock(), so beat and note are freed after a grace period.
 */
#include "beat/beat.h"

#include <stdlib.h>

#include "base/clock.h"
#include "beat/container.h"

struct beat *beat_new(uint32_t id, uint32_t key_hash)
{
	struct beat *beat = calloc(1, sizeof(*beat));

	if (!beat)
		return NULL;
	beat->id = id;
	beat->key_hash = key_hash;
	beat->noted_due_ms = CLOCK_NEVER;
	machine_init(&beat->machine, key_hash ^ id);
	return beat;
}

static void free_rcu(struct rcu_head *head)
{
	struct beat *beat = container_of(head, struct beat, rcu);

	free(beat->note); /* the last one: nobody can publish another */
	free(beat->request);
	free(beat);
}

void beat_free(struct beat *beat)
{
	call_rcu(&beat->rcu, free_rcu);
}

static void note_free_rcu(struct rcu_head *head)
{
	free(container_of(head, struct beat_note, rcu));
}

void beat_set_note(struct beat *beat, struct beat_note *note)
{
	struct beat_note *old = beat->note;

	rcu_assign_pointer(beat->note, note);
	if (old)
		call_rcu(&old->rcu, note_free_rcu);
}
