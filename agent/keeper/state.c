/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a keeper leaves to its successor in the same process
 *
 * An upgrade executes the new program in the keeper's place: the pid stays, and with it the lock, the agent
 * as our child, and every descriptor that is not CLOEXEC. Which number is what is told here. The same bytes
 * are shown to the new program beforehand (probe.c), so that one which would not understand them says so
 * while there is still a keeper.
 */
#include "keeper/state.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/memfile.h"

int state_write(const struct state_head *head, const struct manifest_entry *entries)
{
	struct state_head out = *head;

	out.magic = STATE_MAGIC;
	out.version = STATE_VERSION;
	return memfile_write("onebeat-keeper", &out, sizeof(out), entries,
			     out.n_entries * sizeof(*entries));
}

static int check_head(int fd, const struct state_head *head)
{
	if (head->magic != STATE_MAGIC)
		return -EBADMSG;
	if (head->version != STATE_VERSION)
		return -EPROTO;
	if (!memchr(head->from_version, '\0', sizeof(head->from_version)) ||
	    !memchr(head->runtime_dir, '\0', sizeof(head->runtime_dir)))
		return -EBADMSG;
	return memfile_check_size(fd, sizeof(*head) + (uint64_t)head->n_entries *
							      sizeof(struct manifest_entry));
}

static bool kind_known(uint32_t kind)
{
	return (kind >= CHANNEL_CLIENTS && kind <= CHANNEL_SETTINGS) ||
	       (kind >= STATE_LOCK && kind <= STATE_TOOL);
}

int state_read(int fd, struct state_head *head, struct manifest_entry **entries)
{
	CLEANUP(close_fdp) int file = fd;
	CLEANUP(free_p) struct manifest_entry *list = NULL;
	int r = memfile_read(file, head, sizeof(*head), 0);

	*entries = NULL;
	if (r == 0)
		r = check_head(file, head);
	if (r < 0)
		return r;
	list = calloc((size_t)head->n_entries + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	r = memfile_read(file, list, head->n_entries * sizeof(*list), sizeof(*head));
	for (uint32_t i = 0; r == 0 && i < head->n_entries; i++) {
		if (!kind_known(list[i].kind) || list[i].fd < 0)
			r = -EBADMSG;
	}
	if (r < 0)
		return r;
	*entries = list;
	list = NULL;
	return 0;
}
