/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets in memory
 *
 * Each is in pages of its own: they are left out of core dumps, kept off the swap where the limit
 * allows it, and overwritten before they are given back. Bytes go from read(2) straight to where
 * they stay; stdio and malloc would leave copies that nobody wipes.
 *
 * A secret comes from one of three places, never from the configuration's own text, so that the
 * configuration can be shown, kept in a repository and read by a whole team. A file that others may
 * read, or that another user may have written, is refused: it is the one mistake with such files,
 * and it is only seen when somebody looks. systemd guards its credentials by the folder and may let
 * the service's user in by an ACL, which shows as a group's right to read. The environment is the
 * weakest of the three: every child inherits it and /proc shows it to the same user.
 */
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define MAPPING (SECRET_MAX + 1)

static const char *const kinds[] = {
	[SECRET_FILE] = "secret file",
	[SECRET_CREDENTIAL] = "credential",
	[SECRET_ENVIRONMENT] = "environment variable",
};

/* 0 or -ENOMEM. What cannot be locked or kept out of dumps is still wiped. */
static int map(struct secret *secret)
{
	char *text = mmap(NULL, MAPPING, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);

	if (text == MAP_FAILED)
		return -ENOMEM;
	(void)madvise(text, MAPPING, MADV_DONTDUMP);
	(void)mlock(text, MAPPING);
	*secret = (struct secret){ .text = text };
	return 0;
}

void secret_wipe(struct secret *secret)
{
	if (secret->text) {
		explicit_bzero(secret->text, MAPPING);
		munmap(secret->text, MAPPING); /* unlocks */
	}
	*secret = (struct secret)SECRET_NULL;
}

void secret_wipe_text(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
}

void secret_move(struct secret *secret, struct secret *from)
{
	struct secret moved = *from;

	*from = (struct secret)SECRET_NULL;
	secret_wipe(secret);
	*secret = moved;
}

int secret_set(struct secret *secret, const char *text, size_t n)
{
	struct secret made = SECRET_NULL;
	int r = n > SECRET_MAX ? -E2BIG : map(&made);

	if (r < 0)
		return r;
	memcpy(made.text, text, n);
	made.n = n;
	secret_move(secret, &made);
	return 0;
}

/* In the time that the length takes, whatever differs. */
bool secret_equal(const struct secret *a, const struct secret *b)
{
	unsigned char differs = 0;

	if (a->n != b->n || secret_given(a) != secret_given(b))
		return false;
	for (size_t i = 0; i < a->n; i++)
		differs |= (unsigned char)(a->text[i] ^ b->text[i]);
	return differs == 0;
}

/* Takes the line's end off, and judges the rest. NULL: fine. */
static const char *line_fault(struct secret *secret)
{
	if (secret->n > 0 && secret->text[secret->n - 1] == '\n')
		secret->text[--secret->n] = '\0';
	if (secret->n > 0 && secret->text[secret->n - 1] == '\r')
		secret->text[--secret->n] = '\0';
	if (secret->n == 0)
		return "is empty: it must hold the secret, in one line";
	if (memchr(secret->text, '\0', secret->n) || strpbrk(secret->text, "\r\n"))
		return "holds several lines or a NUL: the secret must be one line of text";
	return NULL;
}

/* All of the file. 0; -E2BIG or a negative errno. */
static int read_whole(int fd, struct secret *secret)
{
	char one_more;
	ssize_t n;

	do {
		n = secret->n < SECRET_MAX
			    ? read(fd, secret->text + secret->n, SECRET_MAX - secret->n)
			    : read(fd, &one_more, 1);
		if (n > 0 && secret->n == SECRET_MAX)
			return -E2BIG;
		if (n > 0)
			secret->n += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

/* Who owns the open file and who may use it. 0 or a negative errno with the sentence. */
static int check_guard(int fd, enum secret_source source, const char *path,
		       char why[SECRET_WHY_MAX])
{
	const mode_t forbidden = source == SECRET_FILE ? 077 : 027;
	const uid_t self = geteuid();
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode)) {
		snprintf(why, SECRET_WHY_MAX, "%s %s: is no regular file", kinds[source], path);
		return -EINVAL;
	}
	if (st.st_uid != 0 && st.st_uid != self) {
		snprintf(why, SECRET_WHY_MAX,
			 "%s %s: mode %04o, owned by uid %u: the owner must be root or uid %u",
			 kinds[source], path, (unsigned int)(st.st_mode & 07777),
			 (unsigned int)st.st_uid, (unsigned int)self);
		return -EACCES;
	}
	if (st.st_mode & forbidden) {
		snprintf(why, SECRET_WHY_MAX,
			 "%s %s: mode %04o is open to others: it must have %s (chmod 600)",
			 kinds[source], path, (unsigned int)(st.st_mode & 07777),
			 source == SECRET_FILE ? "no bits for group and others"
					       : "no bits for others and none to write for group");
		return -EACCES;
	}
	return 0;
}

static int read_file(struct secret *secret, enum secret_source source, const char *path,
		     char why[SECRET_WHY_MAX])
{
	/* Not to hang at a FIFO. */
	CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r = fd < 0 ? -errno : check_guard(fd, source, path, why);

	if (r == 0)
		r = read_whole(fd, secret);
	if (r == -E2BIG)
		snprintf(why, SECRET_WHY_MAX, "%s %s: is longer than %u bytes", kinds[source], path,
			 SECRET_MAX);
	else if (r < 0 && !why[0])
		snprintf(why, SECRET_WHY_MAX, "%s %s: cannot be read: %s", kinds[source], path,
			 strerror(-r));
	return r;
}

static int read_credential(struct secret *secret, const char *name, char why[SECRET_WHY_MAX])
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	char path[PATH_MAX];

	if (!folder || folder[0] != '/') {
		snprintf(why, SECRET_WHY_MAX,
			 "credential %s: CREDENTIALS_DIRECTORY is not set: the service needs "
			 "LoadCredential=%s:... in its unit",
			 name, name);
		return -ENOENT;
	}
	if (!name[0] || strchr(name, '/') || name[0] == '.') {
		snprintf(
			why, SECRET_WHY_MAX,
			"credential %s: must be the name of a file, without a slash and no dot first",
			name);
		return -EINVAL;
	}
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) >= sizeof(path)) {
		snprintf(why, SECRET_WHY_MAX, "credential %s: its path is too long", name);
		return -ENAMETOOLONG;
	}
	return read_file(secret, SECRET_CREDENTIAL, path, why);
}

static int read_environment(struct secret *secret, const char *name, char why[SECRET_WHY_MAX])
{
	const char *value = getenv(name);
	size_t n = value ? strlen(value) : 0;

	if (!value) {
		snprintf(why, SECRET_WHY_MAX, "environment variable %s: is not set", name);
		return -ENOENT;
	}
	if (n > SECRET_MAX) {
		snprintf(why, SECRET_WHY_MAX, "environment variable %s: is longer than %u bytes",
			 name, SECRET_MAX);
		return -E2BIG;
	}
	memcpy(secret->text, value, n);
	secret->n = n;
	return 0;
}

int secret_read(struct secret *secret, enum secret_source source, const char *name,
		char why[SECRET_WHY_MAX])
{
	CLEANUP(secret_wipe) struct secret made = SECRET_NULL;
	const char *fault;
	int r = map(&made);

	why[0] = '\0';
	if (r < 0) {
		snprintf(why, SECRET_WHY_MAX, "%s %s: no memory for it", kinds[source], name);
		return r;
	}
	if (source == SECRET_FILE)
		r = read_file(&made, source, name, why);
	else if (source == SECRET_CREDENTIAL)
		r = read_credential(&made, name, why);
	else
		r = read_environment(&made, name, why);
	if (r < 0)
		return r;
	fault = line_fault(&made);
	if (fault) {
		snprintf(why, SECRET_WHY_MAX, "%s %s: %s", kinds[source], name, fault);
		return -EINVAL;
	}
	secret_move(secret, &made);
	return 0;
}
