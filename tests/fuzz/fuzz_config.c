/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration file: agent/control/config*.c, from lines to URLs.
 *
 * What is refused has a sentence. What is accepted is printed as a file that reads to the same: printing that
 * again gives the same text.
 */
#include <err.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "control/config.h"
#include "fuzz/fuzz.h"

#define PRINTED_MAX 262144 /* sixteen registries with every key */

/* A file that config_load() can open by name, again and again. */
struct paper {
	int fd;
	char path[32];
};

static void paper_init(struct paper *p, const char *name)
{
	p->fd = memfd_create(name, MFD_CLOEXEC);
	if (p->fd < 0)
		err(1, "memfd_create");
	snprintf(p->path, sizeof(p->path), "/proc/self/fd/%d", p->fd);
}

static void paper_write(const struct paper *p, const void *text, size_t n)
{
	FUZZ_CHECK(ftruncate(p->fd, 0) == 0);
	FUZZ_CHECK(pwrite(p->fd, text, n, 0) == (ssize_t)n);
}

/* Prints cfg without its first line, which names the file. */
static size_t print(const struct paper *p, const struct config *cfg, char text[PRINTED_MAX])
{
	char *second;
	ssize_t n;

	FUZZ_CHECK(ftruncate(p->fd, 0) == 0 && lseek(p->fd, 0, SEEK_SET) == 0);
	config_print(cfg, p->fd);
	n = pread(p->fd, text, PRINTED_MAX - 1, 0);
	FUZZ_CHECK(n > 0 && n < PRINTED_MAX - 1);
	text[n] = '\0';
	second = strchr(text, '\n');
	FUZZ_CHECK(second);
	memmove(text, second, strlen(second) + 1);
	return strlen(text);
}

static void check_fixed_point(const struct config *cfg, const struct paper *p)
{
	static char first[PRINTED_MAX], second[PRINTED_MAX];
	char error[CONFIG_ERROR_MAX];
	struct config again;
	size_t n = print(p, cfg, first);

	paper_write(p, first, n);
	FUZZ_CHECK(config_load(&again, p->path, error) == 0);
	FUZZ_CHECK(print(p, &again, second) == n && memcmp(first, second, n) == 0);
	config_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct paper given = { .fd = -1 }, printed;
	char error[CONFIG_ERROR_MAX];
	struct config cfg;
	int r;

	if (given.fd < 0) {
		paper_init(&given, "given");
		paper_init(&printed, "printed");
		clearenv();
	}
	paper_write(&given, data, size);
	r = config_load(&cfg, given.path, error);
	FUZZ_CHECK(memchr(error, '\0', sizeof(error)));
	FUZZ_CHECK(fuzz_is_line(error));
	if (r == 0) {
		FUZZ_CHECK(!error[0]);
		check_fixed_point(&cfg, &printed);
		r = config_check(&cfg, error);
		FUZZ_CHECK(r == 0 || (r == -EINVAL && error[0] && fuzz_is_line(error)));
	} else {
		/* It says where. */
		FUZZ_CHECK(r == -EINVAL);
		FUZZ_CHECK(strncmp(error, given.path, strlen(given.path)) == 0);
	}
	config_deinit(&cfg);
	return 0;
}
