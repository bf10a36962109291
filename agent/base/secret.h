/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* A password, a key or a token. Print nothing of it but whether there is one. */
struct secret {
	char *text; /* a mapping of its own; NULL: none */
	size_t n;   /* without the NUL */
};

#define SECRET_NULL \
	{           \
		0   \
	}

#define SECRET_MAX 4095u    /* bytes; a token is about 200, the longest key file a few lines */
#define SECRET_WHY_MAX 512u /* room for one sentence with a path */

enum secret_source {
	SECRET_FILE,       /* name: its path */
	SECRET_CREDENTIAL, /* name: a file in $CREDENTIALS_DIRECTORY, which systemd fills */
	SECRET_ENVIRONMENT /* name: the variable */
};

/*
 * Replaces *secret by what is read there: one line, its end not part of it. 0; or a negative errno,
 * *secret as it was and the sentence in why: it names the place, what was found and the rule.
 */
int secret_read(struct secret *secret, enum secret_source source, const char *name,
		char why[SECRET_WHY_MAX]);

/* Replaces *secret by a copy. 0; -ENOMEM or -E2BIG, *secret as it was. */
int secret_set(struct secret *secret, const char *text, size_t n);
/* What was there is wiped; *from is empty afterwards. */
void secret_move(struct secret *secret, struct secret *from);
/* Idempotent. */
void secret_wipe(struct secret *secret);

static inline bool secret_given(const struct secret *secret)
{
	return secret->text != NULL;
}

/* "" when there is none; lives until the secret is replaced or wiped. */
static inline const char *secret_text(const struct secret *secret)
{
	return secret->text ? secret->text : "";
}

bool secret_equal(const struct secret *a, const struct secret *b);

/* For a copy that a request needed, when it is done with. NULL is fine. */
void secret_wipe_text(char *text);

#endif
