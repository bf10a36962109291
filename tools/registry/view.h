/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REGISTRY_VIEW_H
#define REGISTRY_VIEW_H

#include <stdbool.h>

struct sbuf;
struct store_instance;

const char *view_bool(bool flag);
/* A member with a text; `before` is "{" or ",". */
void view_member(struct sbuf *b, const char *before, const char *name, const char *value);
/* The value alone: ip#port#cluster#service. */
void view_instance_id(struct sbuf *b, const struct store_instance *inst);
/* A member with its comma. */
void view_weight(struct sbuf *b, const struct store_instance *inst);

/* An instance as versions 2 and 3 show it; the v3 calls leave the id out. */
void view_instance(struct sbuf *b, const struct store_instance *inst, bool with_id);

#endif
