/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEGMENT_LISTEN_H
#define SEGMENT_LISTEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Which TCP ports listen, in the network namespaces of clients. One view a namespace, shared by its
 * clients, kept open by /proc/PID/net/tcp descriptors, so that it stays readable after the
 * process's death. Watcher only.
 */
struct listen_views;
struct listen_view;

int listen_views_new(struct listen_views **out);
/* Every view must have been put. */
struct listen_views *listen_views_free(struct listen_views *views);

/*
 * The view of pid's network namespace, one reference more. NULL with errno when it cannot be read.
 */
struct listen_view *listen_view_get(struct listen_views *views, pid_t pid);
/* Takes NULL, returns NULL. */
struct listen_view *listen_view_put(struct listen_views *views, struct listen_view *view);
/* The agent's own network namespace? */
bool listen_view_is_ours(const struct listen_view *view);

/*
 * 1 or 0: does any local address listen on port? Tables are read at most once a round: call
 * listen_round() to make the next question read again. -errno when the table cannot be read
 * (unreadable: keep what was believed).
 */
void listen_round(struct listen_views *views);
int listen_on(struct listen_view *view, uint16_t port);

#endif
