/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest
 *
 * An agent inherits its descriptors through fork and exec; the manifest tells it which number is
 * what. Descriptors that are inherited, unlike ones that are sent, meet no limit on what may be in
 * flight.
 *
 * The reader takes the file as given input: it is named on a command line.
 */
#include "base/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/memfile.h"

int manifest_write(const struct manifest_head *head, const struct manifest_entry *entries)
{
	struct manifest_head out = *head;

	out.magic = MANIFEST_MAGIC;
	out.version = CHANNEL_VERSION;
	return memfile_write("onebeat-manifest", &out, sizeof(out), entries,
			     out.n_entries * sizeof(*entries));
}

static int check_head(int fd, const struct manifest_head *head)
{
	if (head->magic != MANIFEST_MAGIC)
		return -EBADMSG;
	if (head->version != CHANNEL_VERSION)
		return -EPROTO;
	return memfile_check_size(fd, sizeof(*head) + (uint64_t)head->n_entries *
							      sizeof(struct manifest_entry));
}

static int read_entries(int fd, uint32_t n_entries, struct manifest_entry *entries)
{
	int r = memfile_read(fd, entries, n_entries * sizeof(*entries),
			     sizeof(struct manifest_head));

	for (uint32_t i = 0; r == 0 && i < n_entries; i++) {
		if (entries[i].fd < 0 || entries[i].kind < CHANNEL_LINK ||
		    entries[i].kind > CHANNEL_SETTINGS)
			r = -EBADMSG;
	}
	return r;
}

int manifest_read(int fd, struct manifest_head *head, struct manifest_entry **entries)
{
	CLEANUP(close_fdp) int file = fd;
	struct manifest_entry *list;
	int r;

	*entries = NULL;
	r = memfile_read(file, head, sizeof(*head), 0);
	if (r == 0)
		r = check_head(file, head);
	if (r < 0)
		return r;
	list = calloc((size_t)head->n_entries + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	r = read_entries(file, head->n_entries, list);
	if (r < 0) {
		free(list);
		return r;
	}
	*entries = list;
	return 0;
}
