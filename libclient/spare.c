/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grants at hand
 *
 * A small slot is granted ahead, so that registering is a memory write, and using it brings the next one unasked.
 * That one is worth a short wait before an ASK is sent.
 *
 * The agent answers an ASK with a slot that it has granted ahead, if there is one, although its grant may be in our
 * socket or here already. Therefore none of a class is used while an ASK of that class is unanswered; the answer
 * tells which slot went. The agent keeps to the same rule from the other side: it looks whether we have published
 * in the slot. What is dropped here is not lost: an ASK gets it again.
 */
#include "spare.h"

#include "clock.h"

#define EXPECT_MS 20u

void onebeat__spare_keep(struct onebeat *ob, const struct onebeat_grant *g)
{
	if (g->class == ONEBEAT_CLASS_SMALL)
		ob->ahead_due_ms = 0;
	if (ob->n_spares < HANDLE_N_SPARES)
		ob->spares[ob->n_spares++] = *g;
}

bool onebeat__spare_take(struct onebeat *ob, uint32_t class, struct onebeat_grant *out)
{
	if (ob->n_asked[class] > 0)
		return false;
	for (uint32_t i = 0; i < ob->n_spares; i++) {
		if (ob->spares[i].class == class) {
			*out = ob->spares[i];
			onebeat__spare_drop_slot(ob, out->slot);
			return true;
		}
	}
	return false;
}

void onebeat__spare_drop_slot(struct onebeat *ob, uint32_t slot)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < ob->n_spares; i++) {
		if (ob->spares[i].slot != slot)
			ob->spares[n++] = ob->spares[i];
	}
	ob->n_spares = n;
}

void onebeat__spare_drop_class(struct onebeat *ob, uint32_t class)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < ob->n_spares; i++) {
		if (ob->spares[i].class != class)
			ob->spares[n++] = ob->spares[i];
	}
	ob->n_spares = n;
}

void onebeat__spare_drop_all(struct onebeat *ob)
{
	ob->n_spares = 0;
	ob->ahead_due_ms = 0;
}

void onebeat__spare_expect(struct onebeat *ob)
{
	ob->ahead_due_ms = ob->timeout_ms > EXPECT_MS ? clock_now_ms() + EXPECT_MS : 0;
}

bool onebeat__spare_is_expected(struct onebeat *ob, uint64_t now_ms)
{
	if (now_ms >= ob->ahead_due_ms)
		ob->ahead_due_ms = 0;
	return ob->ahead_due_ms != 0;
}
