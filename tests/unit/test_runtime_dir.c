/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime folder: safe modes, one owner, and what is refused. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "keeper/runtime_dir.h"

/* What no service manager has given. */
static struct activation nothing = ACTIVATION_NULL;

static char base[64];
static char path[128];
static char why[RUNTIME_DIR_WHY_MAX];
static struct runtime_dir rd;
static pid_t holder;

static void make_base(void)
{
	snprintf(base, sizeof(base), "/tmp/onebeat-dir-XXXXXX");
	cr_assert(mkdtemp(base));
	snprintf(path, sizeof(path), "%s/run", base);
}

static int remove_entry(const char *at, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(at);
}

static void clear_base(void)
{
	nftw(base, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(runtime_dir, .init = make_base, .fini = clear_base, .timeout = 20);

static const char *in_dir(const char *name)
{
	static char full[256];

	snprintf(full, sizeof(full), "%s/%s", path, name);
	return full;
}

static mode_t mode_of(const char *at)
{
	struct stat st;

	cr_assert_eq(lstat(at, &st), 0, "%s: %s", at, strerror(errno));
	return st.st_mode;
}

static int take(void)
{
	return runtime_dir_take(&rd, path, &holder, why);
}

/* Whatever the umask: neither wider nor narrower than said. */
Test(runtime_dir, has_safe_modes)
{
	const mode_t masks[] = { 0, 022, 0777 };

	for (size_t i = 0; i < 3; i++) {
		umask(masks[i]);
		cr_assert_eq(take(), 0, "%s", why);
		cr_assert_eq(runtime_dir_bind(&rd, &nothing, why), 0, "%s", why);
		cr_assert_eq(umask(masks[i]), masks[i], "not given back");
		cr_assert_eq(mode_of(path), S_IFDIR | 0755);
		cr_assert_eq(mode_of(in_dir("client.sock")), S_IFSOCK | 0666);
		cr_assert_eq(mode_of(in_dir("control.sock")), S_IFSOCK | 0660);
		cr_assert_eq(mode_of(in_dir("lock")), S_IFREG | 0600);
		runtime_dir_deinit(&rd);
		umask(022);
		clear_base();
		cr_assert_eq(mkdir(base, 0700), 0);
	}
}

static int connect_to(const char *name, int type)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%.107s", in_dir(name));
	return connect(sock, (const struct sockaddr *)&to, sizeof(to)) == 0 ? sock : -errno;
}

static void check_flags(int fd, int type)
{
	int got;
	socklen_t n = sizeof(got);

	cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_TYPE, &got, &n), 0);
	cr_assert_eq(got, type);
	cr_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

Test(runtime_dir, has_sockets_that_listen)
{
	cr_assert_eq(take(), 0, "%s", why);
	cr_assert_eq(runtime_dir_bind(&rd, &nothing, why), 0, "%s", why);
	check_flags(rd.clients_fd, SOCK_SEQPACKET);
	check_flags(rd.control_fd, SOCK_STREAM);
	cr_assert(fcntl(rd.lock_fd, F_GETFD) & FD_CLOEXEC);
	cr_assert(connect_to("client.sock", SOCK_SEQPACKET) >= 0);
	cr_assert(connect_to("control.sock", SOCK_STREAM) >= 0);
	runtime_dir_deinit(&rd);
	cr_assert_eq(connect_to("client.sock", SOCK_SEQPACKET), -ENOENT);
	runtime_dir_deinit(&rd);
}

/*
 * What a killed predecessor left, and what somebody put there, is replaced; other files are not
 * touched.
 */
Test(runtime_dir, replaces_stale_sockets)
{
	FILE *f;

	cr_assert_eq(take(), 0);
	cr_assert_eq(runtime_dir_bind(&rd, &nothing, why), 0);
	close(rd.clients_fd);
	close(rd.control_fd);
	close(rd.lock_fd);
	cr_assert_eq(connect_to("client.sock", SOCK_SEQPACKET), -ECONNREFUSED);
	unlink(in_dir("control.sock"));
	cr_assert_eq(symlink("/etc/passwd", in_dir("control.sock")), 0);
	f = fopen(in_dir("journal"), "we");
	cr_assert(f);
	fclose(f);

	cr_assert_eq(take(), 0, "%s", why);
	cr_assert_eq(runtime_dir_bind(&rd, &nothing, why), 0, "%s", why);
	cr_assert(connect_to("client.sock", SOCK_SEQPACKET) >= 0);
	cr_assert(connect_to("control.sock", SOCK_STREAM) >= 0);
	cr_assert_eq(mode_of("/etc/passwd") & S_IFMT, S_IFREG);
	runtime_dir_deinit(&rd);
	cr_assert_eq(access(in_dir("journal"), F_OK), 0);
}

Test(runtime_dir, is_taken_by_one_only)
{
	struct runtime_dir second;

	cr_assert_eq(take(), 0);
	cr_assert_eq(runtime_dir_take(&second, path, &holder, why), RUNTIME_DIR_LOCKED);
	cr_assert_eq(holder, getpid());
	runtime_dir_deinit(&second);
	cr_assert_eq(runtime_dir_take(&second, path, &holder, why), RUNTIME_DIR_LOCKED,
		     "the loser took the lock away");
	runtime_dir_deinit(&second);
	runtime_dir_deinit(&rd);
	cr_assert_eq(runtime_dir_take(&second, path, &holder, why), 0);
	runtime_dir_deinit(&second);
}

/* Between lock and first word, a predecessor's pid must not be told. */
Test(runtime_dir, names_nobody_before_the_holder_has)
{
	struct runtime_dir second;
	int fd;

	cr_assert_eq(take(), 0);
	runtime_dir_deinit(&rd);
	fd = open(in_dir("lock"), O_RDWR | O_CLOEXEC);
	cr_assert(fd >= 0);
	cr_assert_eq(flock(fd, LOCK_EX), 0);
	cr_assert_eq(runtime_dir_take(&second, path, &holder, why), RUNTIME_DIR_LOCKED);
	cr_assert_eq(holder, 0);
}

Test(runtime_dir, is_refused_when_others_may_write)
{
	const mode_t modes[] = { 0775, 0757, 01777 };

	for (size_t i = 0; i < 3; i++) {
		char wanted[16];

		cr_assert(mkdir(path, 0700) == 0 || errno == EEXIST);
		cr_assert_eq(chmod(path, modes[i]), 0);
		cr_assert_eq(take(), -EPERM);
		snprintf(wanted, sizeof(wanted), "mode %04o", modes[i]);
		cr_assert(strstr(why, path) && strstr(why, wanted), "%s", why);
		cr_assert_eq(access(in_dir("lock"), F_OK), -1, "touched all the same");
		runtime_dir_deinit(&rd);
	}
	cr_assert_eq(chmod(path, 0700), 0);
	cr_assert_eq(take(), 0, "narrower than ours is fine: %s", why);
}

Test(runtime_dir, is_refused_when_it_is_anothers)
{
	if (geteuid() != 0)
		cr_skip_test("only root can make a folder that belongs to somebody else");
	cr_assert_eq(mkdir(path, 0755), 0);
	cr_assert_eq(chown(path, 12345, 12345), 0);
	cr_assert_eq(take(), -EPERM);
	cr_assert(strstr(why, path) && strstr(why, "12345"), "%s", why);
}

Test(runtime_dir, is_refused_when_it_is_no_folder)
{
	FILE *f = fopen(path, "we");
	char target[128];

	cr_assert(f);
	fclose(f);
	cr_assert_eq(take(), -ENOTDIR);
	cr_assert(strstr(why, path), "%s", why);
	unlink(path);
	snprintf(target, sizeof(target), "%s/real", base);
	cr_assert_eq(mkdir(target, 0755), 0);
	cr_assert_eq(symlink(target, path), 0);
	cr_assert(take() < 0, "a link was followed");
	unlink(path);
	snprintf(path, sizeof(path), "%s/no/parent", base);
	cr_assert_eq(take(), -ENOENT);
	cr_assert(strstr(why, path), "%s", why);
}

/* A socket's name must fit into its address, and is not cut to another one. */
Test(runtime_dir, is_refused_when_its_name_is_too_long)
{
	memset(path, 'x', 91);
	memcpy(path, "/tmp/", 5);
	path[91] = '\0';
	cr_assert_eq(take(), -ENAMETOOLONG);
	cr_assert(strstr(why, path) && strstr(why, "90"), "%s", why);
	path[90] = '\0';
	cr_assert_eq(take(), 0, "%s", why);
	cr_assert_eq(runtime_dir_bind(&rd, &nothing, why), 0, "%s", why);
	cr_assert(connect_to("control.sock", SOCK_STREAM) >= 0);
	runtime_dir_deinit(&rd);
	unlink(in_dir("lock"));
	rmdir(path);
}
