# SPDX-License-Identifier: Apache-2.0
"""Agent and clients that do not see each other: pid, network and mount namespaces; numbers used again."""

import contextlib
import os
import shutil
import signal
import subprocess

import pytest

from host import BIN, Puppet, alive, children_of, until
from namespaces import Entry, Namespaces, container


def up(puppet, name="a"):
    puppet.do(f"wait {name} UP 15000")


def register(puppet, service="orders", **spec):
    puppet.register("a", **{"service": service, "ip": "10.0.0.1", "port": 8080, **spec})
    up(puppet)
    return puppet


def gone(host, service="orders", n=1):
    until(lambda: len(host.registry.deregisters(f"%40%40{service}&")) == n, f"{service} is deregistered", seconds=20)
    until(lambda: host.instance(service) is None, f"{service} is out of dom2Beat")


def holder(host, service="orders"):
    (only,) = host.instance(service)["holders"]
    return only


def watched(host, service="orders"):
    until(lambda: holder(host, service)["state"] == "watched", "its lease has ended, its process lives")


def configured_within(host, within, setting):
    conf = host.folder / "onebeatd.conf"
    conf.write_text(f"[agent]\n{setting}\n")
    return host.start_agent(options=["-c", conf], within=within)


@pytest.fixture
def pid_ns(empty_host):
    return empty_host.keep(Namespaces(("pid",)))


@pytest.fixture
def agent_within(empty_host, pid_ns):
    """The agent in a pid namespace of its own; its clients, outside, have no number that it knows."""
    empty_host.start_registry()
    empty_host.start_agent(within=pid_ns)
    return empty_host


def test_clients_that_the_agent_has_no_number_for(agent_within):
    """SO_PEERCRED.pid is 0, /proc tells nothing: the pidfd alone does, and it is enough."""
    host = agent_within
    puppet = register(host.puppet(), **{"md.preserved.heart.beat.interval": 1000})
    assert (holder(host)["pid"], holder(host)["program"], holder(host)["state"]) == (0, "", "attached")
    until(host.registry.beats, "beaten", seconds=10)
    host.agent.kill_agent()
    puppet.do("update a weight=2")
    up(puppet)
    puppet.kill()
    gone(host)

    puppet = register(host.puppet(), "closes")
    puppet.do("closeall")
    watched(host, "closes")
    for _ in range(2):  # silent ones are not lost with the agent: what is left of the socket tells of them
        host.agent.kill_agent()
        watched(host, "closes")
    assert "event=lease.unknown" not in host.agent.log.read_text(), "awaited, in the place of being watched"
    assert host.registry.deregisters("closes") == []
    puppet.kill()
    gone(host, "closes")

    owner = register(host.puppet(), "owned", policy="owner")
    child = int(owner.values("fork")["pid"])
    owner.kill()
    gone(host, "owned")
    assert alive(child)
    os.kill(child, signal.SIGKILL)
    assert len(host.registry.deregisters()) == 3


def test_client_without_a_number_that_comes_back_is_the_same_process(agent_within):
    """Known by the inode of its pidfd: what its lost lease held gives way to the new one."""
    host = agent_within
    puppet = register(host.puppet())
    puppet.do("closeall")
    watched(host)
    puppet.attach()
    up(puppet)
    assert holder(host)["state"] == "attached"
    puppet.do("deregister a")
    gone(host)
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    up(puppet)
    host.agent.kill_agent()  # its successor has to find that out anew
    puppet.do("closeall")
    watched(host)
    puppet.attach()
    up(puppet)
    assert holder(host)["state"] == "attached"
    puppet.do("deregister a")
    gone(host, n=2)


def test_program_that_the_agent_cannot_see_is_kept_after_exec(agent_within):
    """Unreadable is not another program; the process's death ends it all the same."""
    host = agent_within
    host.agent.stop()
    configured_within(host, host.agent.within, "exec_grace_ms = 200")
    puppet, witness = register(host.puppet()), register(host.puppet(within=host.agent.within), "witness")
    puppet.do("exec /bin/sleep 60")
    watched(host)
    witness.do("exec /bin/sleep 60")
    gone(host, "witness")
    assert host.instance("orders")["state"] == "UP"
    puppet.kill()
    gone(host)


def test_address_left_out_by_a_client_that_the_agent_cannot_see(agent_within):
    """The socket tells which network namespace its process is in, whatever /proc shows."""
    host = agent_within
    near = register(host.puppet(), "near", ip="")
    assert near.status("a")["ip"] == host.instance("near")["ip"] == "127.0.0.1"
    far = host.puppet(within=host.keep(Namespaces(("pid", "net"))))
    far.register("a", service="far", port=8080)
    far.do("wait a REFUSED 10000")
    assert "--ip" in far.status("a")["text"] and "network namespace" in far.status("a")["text"]
    (refused,) = host.list()["refused"]
    assert "--ip" in refused["refused"]["text"]
    assert host.registry.registers("%40%40far&") == []
    far.do("deregister a")
    register(far, "far")
    host.agent.kill_agent()
    far.do("register b service=farther port=8081")
    far.do("wait b REFUSED 10000")
    assert "--ip" in far.status("b")["text"], "also to a successor"


def test_port_that_the_agent_cannot_look_at(agent_within):
    """What would wait for ever is refused, saying what to do; a port in the agent's own namespace can be seen."""
    host = agent_within
    far = host.puppet(within=host.keep(Namespaces(("pid", "net"))))
    far.register("a", service="far", ip="10.0.0.1", port=8080, when_listening=1)
    far.do("wait a REFUSED 10000")
    assert "--no-listen-check" in far.status("a")["text"]
    (refused,) = host.list()["refused"]
    assert "--no-listen-check" in refused["refused"]["text"]
    near = host.puppet()
    port = near.values("listen 0")["port"]
    near.register("a", service="near", ip="10.0.0.1", port=port, when_listening=1)
    up(near)
    near.do("unlisten")
    until(lambda: host.instance("near")["state"] == "DOWN", "disabled", seconds=15)


def test_first_process_of_a_container(empty_host):
    """onebeatd as pid 1 of a pid namespace of its own: adopts, and stops when it is told to."""
    host = empty_host
    host.start_registry()
    host.start_agent(within=Entry(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"], depth=1))
    assert ns_pid(host.agent.pid) == 1
    puppet = register(host.puppet())
    host.agent.kill_agent()
    puppet.do("update a weight=2")
    up(puppet)
    assert host.agent.stop() == 0
    assert host.registry.deregisters() == []


def test_clients_without_a_number_have_a_grace_to_come_back_in(agent_within):
    """Keeper and agent gone, nothing leads to the process: neither life nor death is known, so it is awaited."""
    host = agent_within
    within, agent = host.agent.within, host.agent.agent_pid()
    comes, silent = register(host.puppet(), "comes"), register(host.puppet(), "silent")
    host.agent.kill()
    os.kill(agent, signal.SIGKILL)
    host.agent.wait()
    configured_within(host, within, "exec_grace_ms = 2000")
    comes.attach()
    comes.do("update a weight=2")
    up(comes)
    gone(host, "silent")
    until(lambda: len(host.instance("comes")["holders"]) == 1, "what it held before is forgotten")
    assert holder(host, "comes")["state"] == "attached" and host.registry.deregisters("comes") == []
    assert len(host.registry.registers("comes")) == 2
    silent.attach()  # it was not dead
    up(silent)
    for puppet, service in ((comes, "comes"), (silent, "silent")):
        puppet.kill()
        gone(host, service, n=2 if service == "silent" else 1)


def test_root_of_a_user_namespace_is_who_it_is_outside(open_host):
    """The kernel translates uids as well: what calls itself root in there is the user who made it."""
    host = open_host
    register(host.puppet())
    program = shutil.copy(BIN / "tests" / "puppet", host.folder / "puppet")
    inside = host.puppet(opened=False, within=Entry(
        ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "unshare", "--user", "--map-root-user",
         "sh", "-c", 'shift; exec "$0" "$@"', program], depth=0))
    try:
        inside.do("open")
    except AssertionError:
        pytest.skip(f"no user namespace to be had here: {inside.tail()}")
    inside.register("a", service="orders", ip="10.0.0.1", port=8080)
    inside.do("wait a REFUSED 10000")
    assert "uid 12345 may not join an instance of uid 0" in inside.status("a")["text"]
    inside.do("deregister a")
    register(inside, "theirs")
    assert (holder(host, "theirs")["uid"], holder(host, "theirs")["pid"]) == (12345, inside.pid)
    inside.kill()
    gone(host, "theirs")


def test_clients_in_a_pid_namespace_below_the_agents(host):
    """The kernel translates: the agent shows, watches and finds again by the number that it knows."""
    within = host.keep(Namespaces(("pid",)))
    puppet = register(host.puppet(within=within))
    assert puppet.values("pid")["pid"] != str(puppet.pid)
    assert (holder(host)["pid"], holder(host)["program"]) == (puppet.pid, "puppet")
    closes = register(host.puppet(within=within), "closes")
    closes.do("closeall")
    watched(host, "closes")
    agent = host.agent.agent_pid()
    host.agent.kill()
    os.kill(agent, signal.SIGKILL)
    until(lambda: not alive(agent), "both are gone")
    host.start_agent()
    for service in ("orders", "closes"):
        until(lambda s=service: (i := host.instance(s)) and i["state"] == "UP", "found again by pid and start time")
    assert host.registry.deregisters() == []
    puppet.kill()
    gone(host)
    closes.kill()
    gone(host, "closes")


def test_end_of_a_pid_namespace_is_the_death_of_all_in_it(host):
    within = host.keep(Namespaces(("pid",)))
    for i in range(5):
        puppet = register(host.puppet(within=within), f"s{i}", policy="owner" if i % 2 else "any")
        puppet.do("fork")
    closed = register(host.puppet(within=within), "closed")
    closed.do("closeall")
    watched(host, "closed")
    outside = register(host.puppet(), "outside")
    os.kill(within.pid, signal.SIGKILL)
    for service in ("s0", "s1", "s2", "s3", "s4", "closed"):
        gone(host, service)
    assert outside.status("a")["state"] == "UP" and len(host.registry.deregisters()) == 6


def test_container_into_which_only_the_socket_is_passed(host):
    """Namespaces and a root of its own, no /proc: all that counts is the socket."""
    within = container(host)
    puppet = Puppet(host.folder, "/run", argv=["/app/tests/puppet"], within=within)
    host.keep(puppet).do("open")
    puppet.register("a", service="orders", port=8080)
    puppet.do("wait a REFUSED 10000")
    assert "--ip" in puppet.status("a")["text"]
    puppet.do("deregister a")
    register(puppet)
    assert holder(host)["pid"] == puppet.pid
    puppet.do("forkmany 3")
    workers = children_of(puppet.pid)
    puppet.kill()
    register(host.puppet(), "other")
    assert host.registry.deregisters() == []
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    gone(host)


def test_wrapped_server_in_a_container_is_seen_to_listen(host):
    """Its port is looked at in its own network namespace, not in the agent's."""
    within = container(host)
    puppet = Puppet(host.folder, "/run", within=within, argv=[
        "/app/onebeat-run", "--service", "orders", "--port", "8080", "--ip", "10.0.0.1", "--", "/app/tests/puppet"])
    host.keep(puppet)
    until(lambda: (i := host.instance("orders")) and i["state"] == "WAITING", "waiting for the port")
    puppet.do("listen 8080")
    until(lambda: host.instance("orders")["state"] == "UP", "it listens in there")
    puppet.kill()
    gone(host)
    assert len(host.registry.registers()) == 1


def test_agent_that_sees_the_proc_of_another_pid_namespace_believes_none_of_it(empty_host):
    """Started in a pid namespace without mounting /proc anew: the same numbers, other processes."""
    within = empty_host.keep(Namespaces(("pid", "mount"), mount_proc=False))
    empty_host.start_registry()
    configured_within(empty_host, within, "exec_grace_ms = 200")
    inside = register(empty_host.puppet(within=within), "inside", ip="")
    assert holder(empty_host, "inside")["program"] == "", "not the name of another process"
    inside.do("closeall")
    watched(empty_host, "inside")
    port = int(inside.values("listen 0")["port"])
    inside.attach()
    inside.do(f"register b service=listens ip=10.0.0.1 port={port} when_listening=1")
    up(inside, "b")
    inside.kill()
    gone(empty_host, "inside")
    gone(empty_host, "listens")


# Numbers used again: the agent lives in the same pid namespace, where each number can be had when it is wanted.

NUMBER = 900


def numbered(host, within, number=NUMBER, **kwargs):
    puppet = host.puppet(within=within.numbered(number), **kwargs)
    assert puppet.values("pid")["pid"] == str(number), "the number is not free"
    return puppet


def dead(puppet):
    puppet.kill()
    puppet.wait()  # the shell has reaped it: its number is free


@contextlib.contextmanager
def agent_stopped(host):
    agent = host.agent.agent_pid()
    os.kill(agent, signal.SIGSTOP)
    yield
    os.kill(agent, signal.SIGCONT)


@pytest.mark.parametrize("identity", ("auto", "pidfd_open"))
@pytest.mark.parametrize("closed", (False, True))
def test_process_that_gets_a_dead_ones_number_gets_nothing_else_of_it(empty_host, pid_ns, identity, closed):
    """All of it while the agent looks away: one dies, the next one has its number and says hello."""
    empty_host.start_registry()
    configured_within(empty_host, pid_ns, f"identity = {identity}")
    first = register(numbered(empty_host, pid_ns), "first", policy="any" if closed else "owner")
    assert holder(empty_host, "first")["pid"] == NUMBER
    if closed:
        first.do("closeall")
        watched(empty_host, "first")
    with agent_stopped(empty_host):
        dead(first)
        second = numbered(empty_host, pid_ns, opened=False)
        second.do("open timeout=10")
        second.register("a", service="second", ip="10.0.0.1", port=8080)
    gone(empty_host, "first")
    up(second)
    assert [i["service"] for i in empty_host.list()["instances"]] == ["second"]
    assert holder(empty_host, "second")["pid"] == NUMBER
    dead(second)
    gone(empty_host, "second")


@pytest.mark.parametrize("identity", ("auto", "pidfd_open"))
def test_number_used_again_while_keeper_and_agent_were_gone(empty_host, pid_ns, identity):
    """The journal knows numbers; with the leases lost, the start time tells who has one now."""
    empty_host.start_registry()
    agent = configured_within(empty_host, pid_ns, f"identity = {identity}")
    first, stays = register(numbered(empty_host, pid_ns), "first"), register(empty_host.puppet(within=pid_ns), "stays")
    inner = agent.agent_pid()
    agent.kill()
    os.kill(inner, signal.SIGKILL)
    agent.wait()
    dead(first)
    second = numbered(empty_host, pid_ns, opened=False)
    configured_within(empty_host, pid_ns, f"identity = {identity}")
    gone(empty_host, "first")
    until(lambda: (i := empty_host.instance("stays")) and i["state"] == "UP", "the living one is found again")
    second.do("open")
    second.register("a", service="second", ip="10.0.0.1", port=8080)
    up(second)
    assert holder(empty_host, "second")["pid"] == NUMBER and len(empty_host.list()["instances"]) == 2
    assert stays.status("a")["state"] == "UP" and empty_host.registry.deregisters("stays") == []


def test_numbers_go_round_many_times(empty_host, pid_ns):
    """A hundred numbers for more processes, each gone as soon as it has registered."""
    if tuple(map(int, os.uname().release.split(".")[:2])) < (6, 14):
        pytest.skip("pid_max is one for the whole host before Linux 6.14")
    empty_host.start_registry()
    configured_within(empty_host, pid_ns, "identity = pidfd_open")
    subprocess.run([*pid_ns.enter, "sh", "-c", "echo 400 >/proc/sys/kernel/pid_max"], check=True, timeout=10)
    subprocess.run([*pid_ns.enter, "sh", "-c", "echo 299 >/proc/sys/kernel/ns_last_pid"], check=True, timeout=10)
    seen = set()
    for i in range(150):
        puppet = empty_host.puppet(within=pid_ns)
        puppet.register("a", service=f"s{i}", ip="10.0.0.1", port=8080, policy="owner" if i % 3 == 0 else "any")
        number = puppet.values("pid")["pid"]
        seen.add(number)
        if i % 3 == 1:
            puppet.do("closeall")
        if i % 3 == 2:
            up(puppet)
        puppet.kill()  # and the next one comes at once
        puppet.wait()
    assert len(seen) <= 100, "no number came twice"
    until(lambda: empty_host.status()["dom2BeatSize"] == 0, "all are gone", seconds=20)
    assert all(empty_host.registry.hosts(f"s{i}") == [] for i in range(150))
    last = register(empty_host.puppet(within=pid_ns), "last")
    assert [h["pid"] for h in empty_host.instance("last")["holders"]] == [ns_pid(last.pid)]


def test_descent_from_whoever_has_a_dead_holders_number_opens_no_door(open_host):
    """Another uid may join what an ancestor holds, not what somebody with the ancestor's number held once."""
    host = open_host
    host.agent.stop()
    pid_ns = host.keep(Namespaces(("pid",)))
    host.start_agent(within=pid_ns)
    holder_puppet = register(numbered(host, pid_ns))
    child = children_after(holder_puppet, "forkby fork")
    dead(holder_puppet)
    assert host.instance("orders")["state"] == "UP" and holder(host)["pid"] == NUMBER
    stranger = host.puppet(opened=False, within=pid_ns.numbered(NUMBER),
                           argv=["sh", "-c", f"{BIN}/tests/puppet; exit"])
    parent, puppet = stranger.pid, until(lambda: children_of(stranger.pid), "its child is there")[0]
    assert ns_pid(parent) == NUMBER and ns_pid(puppet) != NUMBER
    stranger.do("setuid 12345")
    stranger.do("open")
    stranger.register("a", service="orders", ip="10.0.0.1", port=8080)
    stranger.do("wait a REFUSED 10000")
    assert "uid 12345 may not join an instance of uid 0" in stranger.status("a")["text"]
    os.kill(puppet, signal.SIGKILL)
    os.kill(child, signal.SIGKILL)
    gone(host)


def children_after(puppet, command):
    puppet.do(command)
    (child,) = children_of(puppet.pid)
    return child


def ns_pid(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(next(line for line in status if line.startswith("NSpid:")).split()[-1])
