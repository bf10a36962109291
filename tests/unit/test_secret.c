/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "lib/memory_search.h"

static char folder[] = "/tmp/onebeat-secret-XXXXXX";
static char path[128];
static char why[SECRET_WHY_MAX];

static void make_folder(void)
{
	cr_assert(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/password", folder);
}

static void drop_folder(void)
{
	unlink(path);
	rmdir(path);
	rmdir(folder);
	unsetenv("CREDENTIALS_DIRECTORY");
}

static void write_bytes(const void *bytes, size_t n, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
	cr_assert_eq(fchmod(fd, mode), 0);
	close(fd);
}

static void write_text(const char *text, mode_t mode)
{
	write_bytes(text, strlen(text), mode);
}

TestSuite(secret, .init = make_folder, .fini = drop_folder);

/* One line; how it ends is the editor's business. */
Test(secret, is_the_file_without_the_end_of_its_line)
{
	static const char *const texts[] = { "geheim", "geheim\n", "geheim\r\n" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct secret s = SECRET_NULL;

		write_text(texts[i], 0400);
		cr_assert_eq(secret_read(&s, SECRET_FILE, path, why), 0, "%s", why);
		cr_expect_str_eq(secret_text(&s), "geheim");
		cr_expect_eq(s.n, 6);
		secret_wipe(&s);
	}
}

/* Blanks at its edges and bytes of any alphabet belong to a password. */
Test(secret, keeps_blanks_and_utf8)
{
	struct secret s = SECRET_NULL;

	write_text("  gr\xc3\xbc\xc3\x9f dich \n", 0600);
	cr_assert_eq(secret_read(&s, SECRET_FILE, path, why), 0, "%s", why);
	cr_expect_str_eq(secret_text(&s), "  gr\xc3\xbc\xc3\x9f dich ");
	secret_wipe(&s);
}

/* What others can read or write is refused by name, mode and rule; what was held stays. */
Test(secret, file_open_to_others_is_refused)
{
	static const mode_t modes[] = { 0640, 0604, 0620, 0602, 0610, 0644, 0666 };
	struct secret s = SECRET_NULL;

	cr_assert_eq(secret_set(&s, "old", 3), 0);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		char mode[8];

		write_text("geheim\n", modes[i]);
		snprintf(mode, sizeof(mode), "%04o", (unsigned int)modes[i]);
		cr_expect_eq(secret_read(&s, SECRET_FILE, path, why), -EACCES, "%s", mode);
		cr_expect(strstr(why, path) && strstr(why, mode), "%s", why);
		cr_expect(strstr(why, "no bits for group and others"), "%s", why);
		cr_expect_not(strstr(why, "geheim"));
		cr_expect_str_eq(secret_text(&s), "old");
	}
	secret_wipe(&s);
}

/* Another user's file may be exchanged by him. Only root can make one to see it. */
Test(secret, file_of_another_user_is_refused)
{
	struct secret s = SECRET_NULL;

	write_text("geheim\n", 0600);
	if (chown(path, 12345, (gid_t)-1) < 0)
		cr_skip("needs root");
	cr_expect_eq(secret_read(&s, SECRET_FILE, path, why), -EACCES);
	cr_expect(strstr(why, path) && strstr(why, "0600") && strstr(why, "12345"), "%s", why);
	cr_expect(strstr(why, "the owner must be root"), "%s", why);
	cr_expect_not(secret_given(&s));
}

Test(secret, what_is_no_secret_is_refused)
{
	static char long_one[SECRET_MAX + 1];
	struct secret s = SECRET_NULL;

	cr_expect_eq(secret_read(&s, SECRET_FILE, path, why), -ENOENT);
	cr_expect(strstr(why, path), "%s", why);
	write_text("\n", 0600);
	cr_expect_eq(secret_read(&s, SECRET_FILE, path, why), -EINVAL);
	cr_expect(strstr(why, "is empty"), "%s", why);
	write_text("one\ntwo\n", 0600);
	cr_expect_eq(secret_read(&s, SECRET_FILE, path, why), -EINVAL);
	cr_expect(strstr(why, "one line"), "%s", why);
	write_bytes("a\0b", 3, 0600);
	cr_expect_eq(secret_read(&s, SECRET_FILE, path, why), -EINVAL);
	memset(long_one, 'x', sizeof(long_one));
	write_bytes(long_one, sizeof(long_one), 0600);
	cr_expect_eq(secret_read(&s, SECRET_FILE, path, why), -E2BIG);
	cr_expect(strstr(why, "4095"), "%s", why);
	write_bytes(long_one, SECRET_MAX, 0600);
	cr_expect_eq(secret_read(&s, SECRET_FILE, path, why), 0, "%s", why);
	cr_expect_eq(s.n, SECRET_MAX);
	secret_wipe(&s);
}

/* A folder, or a FIFO at which a reader would hang. */
Test(secret, no_regular_file_is_refused)
{
	struct secret s = SECRET_NULL;

	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_expect_eq(secret_read(&s, SECRET_FILE, path, why), -EINVAL);
	cr_expect(strstr(why, "no regular file"), "%s", why);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_expect_eq(secret_read(&s, SECRET_FILE, path, why), -EINVAL);
}

/* systemd lets the service's user in by an ACL: it shows as 0440. */
Test(secret, credential_is_looked_up_in_its_folder)
{
	struct secret s = SECRET_NULL;

	cr_expect_eq(secret_read(&s, SECRET_CREDENTIAL, "password", why), -ENOENT);
	cr_expect(strstr(why, "CREDENTIALS_DIRECTORY"), "%s", why);
	setenv("CREDENTIALS_DIRECTORY", folder, 1);
	write_text("geheim\n", 0440);
	cr_expect_eq(secret_read(&s, SECRET_CREDENTIAL, "password", why), 0, "%s", why);
	cr_expect_str_eq(secret_text(&s), "geheim");
	write_text("other\n", 0444);
	cr_expect_eq(secret_read(&s, SECRET_CREDENTIAL, "password", why), -EACCES);
	cr_expect(strstr(why, "0444"), "%s", why);
	cr_expect_eq(secret_read(&s, SECRET_CREDENTIAL, "../etc/shadow", why), -EINVAL);
	cr_expect_eq(secret_read(&s, SECRET_CREDENTIAL, "..", why), -EINVAL);
	cr_expect_eq(secret_read(&s, SECRET_CREDENTIAL, "", why), -EINVAL);
	cr_expect_str_eq(secret_text(&s), "geheim");
	secret_wipe(&s);
}

Test(secret, environment_variable)
{
	struct secret s = SECRET_NULL;

	unsetenv("ONEBEAT_TEST_SECRET");
	cr_expect_eq(secret_read(&s, SECRET_ENVIRONMENT, "ONEBEAT_TEST_SECRET", why), -ENOENT);
	cr_expect(strstr(why, "ONEBEAT_TEST_SECRET"), "%s", why);
	setenv("ONEBEAT_TEST_SECRET", "", 1);
	cr_expect_eq(secret_read(&s, SECRET_ENVIRONMENT, "ONEBEAT_TEST_SECRET", why), -EINVAL);
	setenv("ONEBEAT_TEST_SECRET", "geheim", 1);
	cr_expect_eq(secret_read(&s, SECRET_ENVIRONMENT, "ONEBEAT_TEST_SECRET", why), 0);
	cr_expect_str_eq(secret_text(&s), "geheim");
	unsetenv("ONEBEAT_TEST_SECRET");
	secret_wipe(&s);
}

/* Kept out of core dumps: the kernel says so of the mapping (dd in smaps). */
static bool left_out_of_dumps(const char *text)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	bool ours = false;
	bool found = false;

	cr_assert(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long from;
		unsigned long to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			ours = (unsigned long)text >= from && (unsigned long)text < to;
		else if (ours && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, " dd") != NULL;
	}
	fclose(f);
	return found;
}

Test(secret, is_left_out_of_core_dumps)
{
	struct secret s = SECRET_NULL;

	cr_assert_eq(secret_set(&s, "geheim", 6), 0);
	cr_expect(left_out_of_dumps(s.text));
	secret_wipe(&s);
}

/* The end of a secret is the end of its bytes in this process. */
Test(secret, is_gone_from_memory_when_replaced_or_wiped, .timeout = 60)
{
	struct secret s = SECRET_NULL;
	char text[32];
	size_t n = (size_t)snprintf(text, sizeof(text), "%s%s", "Zq7-first", "-Secret\n");

	write_bytes(text, n, 0600);
	explicit_bzero(text, sizeof(text));
	cr_assert_eq(secret_read(&s, SECRET_FILE, path, why), 0, "%s", why);
	cr_expect_eq(memory_search("Zq7-first", "-Secret"), 1);
	write_text("next\n", 0600);
	cr_assert_eq(secret_read(&s, SECRET_FILE, path, why), 0, "%s", why);
	cr_expect_eq(memory_search("Zq7-first", "-Secret"), 0);
	secret_wipe(&s);
	secret_wipe(&s);
	cr_expect_not(secret_given(&s));
	cr_expect_str_eq(secret_text(&s), "");
}

Test(secret, equality_and_moving)
{
	struct secret a = SECRET_NULL;
	struct secret b = SECRET_NULL;

	cr_expect(secret_equal(&a, &b));
	cr_assert_eq(secret_set(&a, "one", 3), 0);
	cr_expect_not(secret_equal(&a, &b));
	cr_assert_eq(secret_set(&b, "two", 3), 0);
	cr_expect_not(secret_equal(&a, &b));
	secret_move(&a, &b);
	cr_expect_str_eq(secret_text(&a), "two");
	cr_expect_not(secret_given(&b));
	cr_expect_eq(secret_set(&a, "", SECRET_MAX + 1), -E2BIG);
	cr_expect_str_eq(secret_text(&a), "two");
	secret_wipe(&a);
}
