/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is at the other end of a lease, alive, as a zombie, and reaped
 *
 * Every test of a lease runs both ways: with SO_PEERPIDFD where this kernel has it, and as on
 * kernels that do not.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "segment/identity.h"
#include "segment/proc.h"

#define BOTH_WAYS(name)                                           \
	static bool ways_##name[] = { false, true };              \
	ParameterizedTestParameters(identity, name)               \
	{                                                         \
		return cr_make_param_array(bool, ways_##name, 2); \
	}                                                         \
	ParameterizedTest(bool *force, identity, name, .timeout = 30)

/* A child that connects, does what it is told by bytes on its order pipe, and ends with it. */
struct peer {
	pid_t pid;
	int order;
	int sock; /* our end */
	struct identity id;
	int pidfd;
};

static int listener = -1;
static struct sockaddr_un address;

static void listen_here(void)
{
	socklen_t n = sizeof(sa_family_t);

	address.sun_family = AF_UNIX;
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	/* An abstract name of the kernel's choice. */
	cr_assert_eq(bind(listener, (const struct sockaddr *)&address, n), 0);
	cr_assert_eq(listen(listener, 8), 0);
}

TestSuite(identity, .init = listen_here, .timeout = 30);

static int connect_here(void)
{
	struct sockaddr_un to;
	socklen_t n = sizeof(to);
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (getsockname(listener, (struct sockaddr *)&to, &n) < 0 ||
	    connect(sock, (const struct sockaddr *)&to, n) < 0)
		_exit(9);
	return sock;
}

/* The child's life. */
static void be_peer(int order)
{
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)connect_here();
	prctl(PR_SET_NAME, "peer (x) S 1");
	if (read(order, &c, 1) == 1 && c == 'x') {
		execl("/bin/sleep", "sleep", "1000", (char *)NULL);
		_exit(9);
	}
	if (c == 'd') /* daemonises as they do: closes whatever it finds */
		close_range(3, ~0u, 0);
	pause();
	_exit(0);
}

static void start_peer(struct peer *p)
{
	int order[2];

	*p = (struct peer){ .sock = -1, .pidfd = -1 };
	cr_assert_eq(pipe2(order, O_CLOEXEC), 0);
	p->pid = fork();
	if (p->pid == 0)
		be_peer(order[0]);
	close(order[0]);
	p->order = order[1];
}

static int accept_peer(struct peer *p)
{
	p->sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	cr_assert(p->sock >= 0);
	return identity_of_peer(p->sock, &p->id, &p->pidfd);
}

static bool accept_would_wait(void)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };

	return poll(&p, 1, 10) == 0;
}

static void tell(const struct peer *p, char what)
{
	cr_assert_eq(write(p->order, &what, 1), 1);
}

static void make_zombie(const struct peer *p)
{
	siginfo_t info;

	kill(p->pid, SIGKILL);
	cr_assert_eq(waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOWAIT), 0);
}

static void reap(const struct peer *p)
{
	make_zombie(p);
	cr_assert_eq(waitpid(p->pid, NULL, 0), p->pid);
}

/* Alive, dead, as the agent would find out at the end of the lease. */
static enum identity_life life_of(const struct peer *p)
{
	int pidfd = p->pidfd >= 0 ? dup(p->pidfd) : identity_peer_pidfd(p->sock);
	enum identity_life life;

	if (pidfd == -ESRCH)
		return IDENTITY_DEAD;
	cr_assert(pidfd >= 0, "%s", strerror(-pidfd));
	life = identity_life(pidfd);
	close(pidfd);
	return life;
}

BOTH_WAYS(is_the_kernels_word)
{
	struct peer p;
	uint64_t cookie = 0;
	socklen_t n = sizeof(cookie);
	struct stat exe;
	bool found = identity_probe(*force);

	cr_assert(!*force || !found);
	start_peer(&p);
	cr_assert_eq(accept_peer(&p), 0);
	cr_assert_eq(p.id.pid, p.pid);
	cr_assert_eq(p.id.uid, getuid());
	cr_assert_eq(p.id.gid, getgid());
	cr_assert_eq(getsockopt(p.sock, SOL_SOCKET, SO_COOKIE, &cookie, &n), 0);
	cr_assert(cookie != 0 && p.id.cookie == cookie);
	cr_assert(p.id.start_ticks > 0);
	cr_assert_eq(stat("/proc/self/exe", &exe), 0);
	cr_assert(p.id.exe_dev == exe.st_dev && p.id.exe_ino == exe.st_ino);
	cr_assert(strlen(p.id.program) > 0);
	cr_assert_eq(p.pidfd >= 0, !found, "a descriptor more than is needed, or one too few");
	cr_assert_eq(life_of(&p), IDENTITY_ALIVE);
	reap(&p);
}

BOTH_WAYS(knows_death_from_closed_descriptors)
{
	struct peer p;
	char c;

	identity_probe(*force);
	start_peer(&p);
	cr_assert_eq(accept_peer(&p), 0);
	tell(&p, 'd');
	cr_assert_eq(recv(p.sock, &c, 1, 0), 0, "the lease has not ended");
	cr_assert_eq(life_of(&p), IDENTITY_ALIVE);
	make_zombie(&p);
	cr_assert_eq(kill(p.pid, 0), 0, "what a zombie passes");
	cr_assert_eq(life_of(&p), IDENTITY_DEAD);
	cr_assert_eq(waitpid(p.pid, NULL, 0), p.pid);
	cr_assert_eq(life_of(&p), IDENTITY_DEAD);
}

/* First asked for when the peer is long reaped: SO_PEERPIDFD answers in one of several ways. */
BOTH_WAYS(knows_death_when_asked_late)
{
	struct peer p;

	identity_probe(*force);
	start_peer(&p);
	cr_assert_eq(accept_peer(&p), 0);
	reap(&p);
	cr_assert_eq(life_of(&p), IDENTITY_DEAD);
}

/* Connected, gone, and only then accepted: credentials are known, what /proc would say is not. */
BOTH_WAYS(knows_who_had_died_before_accept)
{
	struct peer p = { .pidfd = -1 };

	identity_probe(*force);
	p.pid = fork();
	if (p.pid == 0) {
		(void)connect_here();
		_exit(0);
	}
	cr_assert_eq(waitpid(p.pid, NULL, 0), p.pid);
	cr_assert_eq(accept_peer(&p), IDENTITY_GONE);
	cr_assert_eq(p.id.pid, p.pid);
	cr_assert_eq(p.id.uid, getuid());
	cr_assert(p.id.cookie != 0);
	cr_assert_eq(p.id.start_ticks, 0);
	cr_assert_str_eq(p.id.program, "");
	cr_assert_eq(identity_pidfd_of(p.id.pid, p.id.start_ticks), -ESRCH);
}

/* A zombie at accept is dead as well, though its pid is not free. */
BOTH_WAYS(knows_a_zombie_at_accept)
{
	struct peer p = { .pidfd = -1 };
	siginfo_t info;

	identity_probe(*force);
	p.pid = fork();
	if (p.pid == 0) {
		(void)connect_here();
		_exit(0);
	}
	cr_assert_eq(waitid(P_PID, (id_t)p.pid, &info, WEXITED | WNOWAIT), 0);
	cr_assert_eq(accept_peer(&p), IDENTITY_GONE);
	cr_assert_eq(p.id.pid, p.pid);
	cr_assert_eq(p.id.start_ticks, 0, "/proc was believed");
	cr_assert_eq(life_of(&p), IDENTITY_DEAD);
	waitpid(p.pid, NULL, 0);
}

Test(identity, unsupported_is_never_dead)
{
	struct peer p;

	identity_probe(true);
	start_peer(&p);
	cr_assert_eq(accept_peer(&p), 0);
	cr_assert_eq(identity_peer_pidfd(p.sock), -ENOPROTOOPT);
	cr_assert_eq(identity_life(-1), IDENTITY_UNKNOWN);
	cr_assert_eq(identity_life(9999), IDENTITY_UNKNOWN);
	reap(&p);
}

Test(identity, refuses_what_is_no_peer)
{
	struct identity id;
	int pidfd;
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC);

	identity_probe(false);
	cr_assert_eq(identity_of_peer(file, &id, &pidfd), -ENOTSOCK);
	cr_assert_eq(pidfd, -1);
}

Test(identity, finds_a_process_by_pid_and_start_time)
{
	struct peer p;
	int pidfd;

	identity_probe(false);
	start_peer(&p);
	cr_assert_eq(accept_peer(&p), 0);
	pidfd = identity_pidfd_of(p.pid, p.id.start_ticks);
	cr_assert(pidfd >= 0);
	cr_assert(fcntl(pidfd, F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(identity_life(pidfd), IDENTITY_ALIVE);
	/* The number is another's now: it did not start when ours did. */
	cr_assert_eq(identity_pidfd_of(p.pid, p.id.start_ticks + 1), -ESRCH);
	cr_assert_eq(identity_pidfd_of(p.pid, p.id.start_ticks - 1), -ESRCH);
	cr_assert_eq(identity_pidfd_of(0, p.id.start_ticks), -ESRCH);
	reap(&p);
	cr_assert_eq(identity_life(pidfd), IDENTITY_DEAD);
	cr_assert_eq(identity_pidfd_of(p.pid, p.id.start_ticks), -ESRCH);
}

/* Waits until the process runs that program, as the kernel tells by its name. */
static void await_program(struct identity *id, const char *program)
{
	do {
		cr_assert(identity_refresh(id));
	} while (strcmp(id->program, program) != 0);
}

Test(identity, tells_exec_of_another_program)
{
	struct identity before, after;
	struct peer p;
	char c;

	identity_probe(false);
	start_peer(&p);
	cr_assert_eq(accept_peer(&p), 0);
	after = before = p.id;
	await_program(&after, "peer (x) S 1");
	cr_assert_eq(after.start_ticks, before.start_ticks);
	cr_assert_eq(identity_same_program(&before), IDENTITY_ALIVE);
	tell(&p, 'x');
	cr_assert_eq(recv(p.sock, &c, 1, 0), 0, "CLOEXEC ends the lease");
	await_program(&after, "sleep");
	cr_assert_eq(after.start_ticks, before.start_ticks, "exec is no new process");
	cr_assert_eq(identity_same_program(&before), IDENTITY_DEAD);
	cr_assert_eq(identity_same_program(&after), IDENTITY_ALIVE);
	cr_assert_eq(life_of(&p), IDENTITY_ALIVE);
	before.exe_dev = before.exe_ino = 0;
	cr_assert_eq(identity_same_program(&before), IDENTITY_UNKNOWN);
	reap(&p);
	cr_assert_eq(identity_same_program(&after), IDENTITY_UNKNOWN);
}

Test(identity, does_not_describe_another_process)
{
	struct identity other = { .pid = getpid(), .start_ticks = 1 };

	cr_assert_eq(identity_refresh(&other), false);
	cr_assert_str_eq(other.program, "");
	cr_assert_eq(identity_same_program(&other), IDENTITY_UNKNOWN);
	other.start_ticks = 0;
	cr_assert(identity_refresh(&other));
	cr_assert(other.start_ticks > 1);
}

/* Births decide where both are known, whatever the numbers say; never known is never the same. */
Test(identity, tells_processes_apart_that_share_a_number)
{
	const struct identity a = { .pid = 7, .start_ticks = 9, .birth = 100 };
	struct identity b = a;

	cr_assert(identity_same(&a, &b));
	b.birth = 101;
	cr_assert_eq(identity_same(&a, &b), false, "the number was used again within a tick");
	b = (struct identity){ .pid = 0, .birth = 100 };
	cr_assert(identity_same(&a, &b), "it has no number here");
	b = (struct identity){ .pid = 7, .start_ticks = 9 };
	cr_assert(identity_same(&a, &b), "before Linux 6.9");
	b.start_ticks = 10;
	cr_assert_eq(identity_same(&a, &b), false);
	b = (struct identity){ .pid = 0 };
	cr_assert_eq(identity_same(&b, &b), false);
}

Test(identity, birth_is_the_process)
{
	struct peer p, q;
	int late;

	if (!identity_probe(false))
		cr_skip_test("no SO_PEERPIDFD");
	start_peer(&p);
	cr_assert_eq(accept_peer(&p), 0);
	start_peer(&q);
	cr_assert_eq(accept_peer(&q), 0);
	if (p.id.birth == 0)
		cr_skip_test("pidfds have no inodes of their own before Linux 6.9");
	cr_assert_neq(p.id.birth, q.id.birth);
	late = identity_pidfd_of(p.pid, p.id.start_ticks);
	cr_assert_eq(identity_birth(late), p.id.birth, "however the pidfd was got");
	close(late);
	reap(&p);
	late = identity_peer_pidfd(p.sock);
	if (late >= 0)
		cr_assert_eq(identity_birth(late), p.id.birth, "also after its death");
	reap(&q);
}

/* In place of the abstract name, which is of one network namespace alone. */
static void listen_in_a_folder(char dir[])
{
	socklen_t n = sizeof(address);

	cr_assert_not_null(mkdtemp(dir));
	close(listener);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", dir);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(listener, (const struct sockaddr *)&address, n), 0);
	cr_assert_eq(listen(listener, 8), 0);
}

static void leave_folder(const char *dir)
{
	unlink(address.sun_path);
	rmdir(dir);
}

/* A child in a network namespace of its own connects. */
Test(identity, knows_the_network_namespace_from_the_socket)
{
	char dir[] = "/tmp/onebeat-identity-XXXXXX";
	struct peer p = { .pidfd = -1 };
	int status;

	identity_probe(false);
	start_peer(&p);
	cr_assert_eq(accept_peer(&p), 0);
	if (p.id.netns == IDENTITY_NETNS_UNKNOWN)
		cr_skip_test("no SO_NETNS_COOKIE before Linux 5.14");
	cr_assert_eq(p.id.netns, IDENTITY_NETNS_OURS);
	reap(&p);
	p = (struct peer){ .pidfd = -1 };
	listen_in_a_folder(dir);
	p.pid = fork();
	if (p.pid == 0) {
		if (unshare(CLONE_NEWNET) < 0)
			_exit(1);
		(void)connect_here();
		pause();
	}
	while (accept_would_wait()) {
		if (waitpid(p.pid, &status, WNOHANG) != p.pid)
			continue;
		leave_folder(dir);
		cr_assert_eq(status, 1 << 8, "it could not connect");
		cr_skip_test("no network namespace to be had");
	}
	(void)accept_peer(&p);
	leave_folder(dir);
	cr_assert_eq(p.id.netns, IDENTITY_NETNS_OTHER);
	cr_assert(identity_shown(&p.id));
	p.id.start_ticks++;
	cr_assert_eq(identity_shown(&p.id), false, "another has the number");
	reap(&p);
	p.id.start_ticks--;
	cr_assert_eq(identity_shown(&p.id), false);
}
