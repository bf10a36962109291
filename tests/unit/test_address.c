/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which address is registered when a client names none
 *
 * What a host with several addresses does is tried in a network namespace of the test's own, whose
 * loopback interface carries them; where making one is not allowed those tests are skipped. The
 * others hold on any host that has a loopback interface.
 */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/address.h"

static char error[CONFIG_ERROR_MAX];
static char ip[CIDR_TEXT_MAX];

static struct config made(const char *url)
{
	struct config cfg;

	unsetenv("ONEBEAT_REGISTRY");
	setenv("ONEBEAT_RUNTIME_DIR", "/run/onebeat", 1);
	cr_assert_eq(config_load(&cfg, "/dev/null", error), 0, "%s", error);
	cr_assert_eq(config_set(&cfg, "registry", "url", url, "test", error), 0, "%s", error);
	return cfg;
}

static void set(struct config *cfg, const char *key, const char *value)
{
	cr_assert_eq(config_set(cfg, "agent", key, value, "test", error), 0, "%s", error);
}

/* What address_choose() writes to stderr on the way. */
static int choose_logged(const struct config *cfg, char *log, size_t size)
{
	int fd = memfd_create("log", MFD_CLOEXEC);
	int saved = dup(STDERR_FILENO);
	ssize_t n;
	int r;

	cr_assert(fd >= 0 && saved >= 0);
	dup2(fd, STDERR_FILENO);
	r = address_choose(cfg, ip, error);
	dup2(saved, STDERR_FILENO);
	n = pread(fd, log, size - 1, 0);
	log[n > 0 ? n : 0] = '\0';
	close(fd);
	close(saved);
	return r;
}

static void expect_chosen(const struct config *cfg, const char *want)
{
	char log[2048];
	int r = choose_logged(cfg, log, sizeof(log));

	cr_assert_eq(r, 0, "%s", error);
	cr_expect_str_eq(ip, want);
	cr_expect_str_eq(error, "");
	cr_expect_eq(strstr(log, "event=address.loopback") != NULL,
		     strncmp(want, "127.", 4) == 0 || strcmp(want, "::1") == 0, "%s", log);
}

static void expect_refused(const struct config *cfg, const char *why)
{
	cr_expect_lt(address_choose(cfg, ip, error), 0);
	cr_expect_str_eq(error, why);
}

/* The operator's word is not questioned, and nothing is looked up. */
Test(address, configured_ip_is_taken)
{
	struct config cfg = made("http://registry.invalid");

	set(&cfg, "ip", "203.0.113.77");
	expect_chosen(&cfg, "203.0.113.77");
	config_deinit(&cfg);
}

/* A registry on loopback is the one case in which a loopback address is of use; the log tells. */
Test(address, loopback_registry_gives_loopback)
{
	struct config cfg = made("http://127.0.0.1:8848");

	expect_chosen(&cfg, "127.0.0.1");
	config_deinit(&cfg);
}

Test(address, registry_by_name_is_resolved)
{
	struct config cfg = made("http://localhost:8848");
	char log[2048];

	cr_assert_eq(choose_logged(&cfg, log, sizeof(log)), 0, "%s", error);
	cr_expect(strcmp(ip, "127.0.0.1") == 0 || strcmp(ip, "::1") == 0, "%s", ip);
	config_deinit(&cfg);
}

Test(address, unknown_interface_is_named)
{
	struct config cfg = made("http://127.0.0.1");

	set(&cfg, "interface", "nosuch9");
	expect_refused(&cfg, "key 'interface': there is no interface 'nosuch9' on this host");
	config_deinit(&cfg);
}

Test(address, loopback_addresses_are_local)
{
	cr_expect(address_is_local("127.0.0.1"));
	cr_expect(address_is_local("127.9.8.7"), "the whole network is");
	cr_expect_not(address_is_local("203.0.113.77"));
	cr_expect_not(address_is_local("no address"));
}

/* Gives the interface, or a label of it, an IPv4 address or flags. */
static void configure(int fd, const char *name, const char *address, short flags)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct ifreq req = { 0 };

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	if (address) {
		cr_assert_eq(inet_pton(AF_INET, address, &sin.sin_addr), 1);
		memcpy(&req.ifr_addr, &sin, sizeof(sin));
		cr_assert_eq(ioctl(fd, SIOCSIFADDR, &req), 0, "%s: %s", address, strerror(errno));
	}
	if (flags) {
		req.ifr_flags = flags;
		cr_assert_eq(ioctl(fd, SIOCSIFFLAGS, &req), 0);
	}
}

/* ioctl() knows nothing of several IPv6 addresses: rtnetlink does. */
static void add_ipv6(const char *address)
{
	struct {
		struct nlmsghdr head;
		struct ifaddrmsg msg;
		struct rtattr attr;
		struct in6_addr address;
	} req = {
		.head = { .nlmsg_len = sizeof(req),
			  .nlmsg_type = RTM_NEWADDR,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE },
		.msg = { .ifa_family = AF_INET6,
			 .ifa_prefixlen = 128,
			 .ifa_flags = IFA_F_NODAD,
			 .ifa_index = if_nametoindex("lo") },
		.attr = { .rta_len = RTA_LENGTH(sizeof(struct in6_addr)), .rta_type = IFA_LOCAL },
	};
	struct {
		struct nlmsghdr head;
		struct nlmsgerr err;
	} reply;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	cr_assert(fd >= 0);
	cr_assert_eq(inet_pton(AF_INET6, address, &req.address), 1);
	cr_assert_eq(send(fd, &req, sizeof(req), 0), (ssize_t)sizeof(req));
	cr_assert(recv(fd, &reply, sizeof(reply), 0) > 0);
	cr_assert_eq(reply.err.error, 0, "%s: %s", address, strerror(-reply.err.error));
	close(fd);
}

/*
 * lo is up and has 127.0.0.1, two more IPv4 addresses under labels, and where there is IPv6 two of
 * that too.
 */
static void enter_namespace(void)
{
	int fd;

	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		cr_skip_test("no network namespace may be made here: %s", strerror(errno));
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert(fd >= 0);
	configure(fd, "lo", NULL, IFF_UP);
	configure(fd, "lo:1", "198.51.100.7", 0);
	configure(fd, "lo:2", "203.0.113.9", 0);
	close(fd);
	if (access("/proc/sys/net/ipv6", F_OK) == 0) {
		add_ipv6("fe80::77");
		add_ipv6("2001:db8::7");
	}
}

/* Loopback addresses are passed over where there are others, labels belong to their interface. */
Test(address, interface_gives_its_first_usable_address)
{
	struct config cfg = made("http://203.0.113.9");

	enter_namespace();
	set(&cfg, "interface", "lo");
	expect_chosen(&cfg, "198.51.100.7");
	config_deinit(&cfg);
}

/* An address stays with an interface that is down, and is of no use there. */
Test(address, interfaces_that_are_down_are_passed_over)
{
	struct config cfg = made("http://203.0.113.9");
	int fd;

	enter_namespace();
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert(fd >= 0);
	configure(fd, "lo", NULL, IFF_RUNNING);
	close(fd);
	cr_assert(address_is_local("198.51.100.7"));
	set(&cfg, "interface", "lo");
	expect_refused(&cfg, "key 'interface': 'lo' has no usable address");
	config_deinit(&cfg);
}

Test(address, cidr_gives_the_address_inside_it)
{
	struct config cfg = made("http://203.0.113.9");

	enter_namespace();
	set(&cfg, "cidr", "203.0.113.0/24");
	expect_chosen(&cfg, "203.0.113.9");
	set(&cfg, "cidr", "192.0.2.0/24");
	expect_refused(&cfg, "key 'cidr': this host has no address in 192.0.2.0/24");
	config_deinit(&cfg);
}

/* Both given, both must hold. */
Test(address, interface_and_cidr_go_together)
{
	struct config cfg = made("http://203.0.113.9");

	enter_namespace();
	set(&cfg, "interface", "lo");
	set(&cfg, "cidr", "203.0.113.0/24");
	expect_chosen(&cfg, "203.0.113.9");
	set(&cfg, "cidr", "192.0.2.0/24");
	expect_refused(&cfg, "key 'interface': 'lo' has no usable address in 192.0.2.0/24");
	config_deinit(&cfg);
}

/* Only a registry that is on loopback itself makes 127.0.0.1 an answer. */
Test(address, loopback_network_needs_a_loopback_registry)
{
	struct config far = made("http://203.0.113.9");
	struct config near = made("http://127.0.0.1");

	enter_namespace();
	set(&far, "cidr", "127.0.0.0/8");
	expect_refused(
		&far,
		"interface 'lo' in 127.0.0.0/8 gives loopback addresses alone, and the registry is on another "
		"host");
	set(&near, "cidr", "127.0.0.0/8");
	expect_chosen(&near, "127.0.0.1");
	config_deinit(&far);
	config_deinit(&near);
}

/* The source address of the route, of either family; IPv6 without brackets. */
Test(address, route_gives_the_source_address)
{
	struct config cfg = made("http://203.0.113.9");

	enter_namespace();
	expect_chosen(&cfg, "203.0.113.9");
	config_deinit(&cfg);
	if (access("/proc/sys/net/ipv6", F_OK) != 0)
		return;
	cfg = made("http://[2001:db8::7]:8848");
	expect_chosen(&cfg, "2001:db8::7");
	config_deinit(&cfg);
}

/*
 * Link-local addresses of IPv6 are useless without their interface; the other one is found behind
 * it.
 */
Test(address, link_local_addresses_are_passed_over)
{
	struct config cfg = made("http://203.0.113.9");

	enter_namespace();
	if (access("/proc/sys/net/ipv6", F_OK) != 0)
		cr_skip_test("no IPv6 here");
	set(&cfg, "cidr", "::/0");
	expect_chosen(&cfg, "2001:db8::7");
	set(&cfg, "cidr", "fe80::/16");
	expect_refused(&cfg, "key 'cidr': this host has no address in fe80::/16");
	config_deinit(&cfg);
}

/* The first address may be unreachable while the second is not. */
Test(address, no_route_is_told_and_the_next_address_tried)
{
	struct config cfg = made("http://192.0.2.1");

	enter_namespace();
	expect_refused(&cfg,
		       "no route to the registry http://192.0.2.1:8848: Network is unreachable");
	config_deinit(&cfg);
	cfg = made("http://192.0.2.1,http://198.51.100.7");
	expect_chosen(&cfg, "198.51.100.7");
	config_deinit(&cfg);
}

Test(address, unresolved_registry_is_told)
{
	static const char why[] = "the registry's host 'registry.invalid' has no address: ";
	struct config cfg = made("http://registry.invalid");

	enter_namespace();
	cr_expect_lt(address_choose(&cfg, ip, error), 0);
	cr_expect_eq(strncmp(error, why, sizeof(why) - 1), 0, "%s", error);
	config_deinit(&cfg);
}

Test(address, addresses_of_interfaces_are_local)
{
	enter_namespace();
	cr_expect(address_is_local("198.51.100.7"));
	cr_expect_not(address_is_local("198.51.100.8"));
	if (access("/proc/sys/net/ipv6", F_OK) == 0) {
		cr_expect(address_is_local("2001:0db8:0::7"), "the same address in another text");
		cr_expect_not(address_is_local("2001:db8::8"));
	}
}
