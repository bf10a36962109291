# SPDX-License-Identifier: Apache-2.0
"""Slow, stopped, dumping, huge, or on a kernel that tells less: who is alive, and from when on not."""

import contextlib
import ctypes
import json
import os
import resource
import signal
import socket
import time
import urllib.parse

import pytest

from host import BIN, alive, boottime_ms, children_of, configured, restart_both, until
from namespaces import Entry, Namespaces

# As many beats and as short time-outs as the registry takes: three seconds of silence and it is out.
QUICK = {"md.preserved.heart.beat.interval": 1000, "md.preserved.heart.beat.timeout": 2000,
         "md.preserved.ip.delete.timeout": 3000}


def up(puppet, name="a"):
    puppet.do(f"wait {name} UP 15000")


def register(puppet, service="orders", **spec):
    puppet.register("a", **{"service": service, "ip": "10.0.0.1", "port": 8080, **spec})
    up(puppet)
    return puppet


def gone(host, service="orders"):
    (delete,) = until(lambda: host.registry.deregisters(f"%40%40{service}&"), f"{service} is deregistered", seconds=20)
    until(lambda: host.instance(service) is None, f"{service} is out of dom2Beat")
    return delete


def watched(host, service="orders"):
    until(lambda: host.instance(service)["holders"][0]["state"] == "watched", "its lease has ended, its process lives")


@contextlib.contextmanager
def stopped(puppet):
    os.kill(puppet.pid, signal.SIGSTOP)
    yield
    os.kill(puppet.pid, signal.SIGCONT)


def test_stopped_process_stays_registered_for_longer_than_the_time_out(host):
    """It is not dead; without a progress time-out nobody has asked whether it does anything."""
    puppet = register(host.puppet(), **QUICK)
    with stopped(puppet):
        since = boottime_ms()
        until(lambda: [b for b in host.registry.beats() if b.boottime_ms > since + 4000], "beaten for so long",
              seconds=15)
        assert [h["healthy"] for h in host.registry.hosts("orders")] == [True]
        # And it takes what others do to it: a restart of the agent, for one.
        host.agent.kill_agent()
    puppet.do("update a weight=2")
    up(puppet)
    assert host.registry.deregisters() == [] and {b.code for b in host.registry.beats()} == {10200}
    assert len(host.registry.registers()) == 2


def shown(post):
    return dict(urllib.parse.parse_qsl(post.target.split("?", 1)[1]))["enabled"]


def test_stopped_process_that_promised_progress_is_disabled_then_taken_out_then_back(host):
    puppet = register(host.puppet(), progress_ms=1000)
    since = boottime_ms()
    while boottime_ms() < since + 2500:  # ticks keep it for more than twice the time-out
        puppet.do("tick a")
        assert host.instance("orders")["state"] == "UP"
    with stopped(puppet):
        since = boottime_ms()
        until(lambda: host.instance("orders")["state"] == "DOWN", "disabled", seconds=10)
        (disable,) = host.registry.registers()[1:]
        assert shown(disable) == "false" and disable.boottime_ms - since > 900
        assert host.registry.hosts("orders") == []
        (delete,) = until(host.registry.deregisters, "taken out", seconds=10)
        assert delete.boottime_ms - since > 1900
        assert host.instance("orders")["holders"][0]["pid"] == puppet.pid  # remembered all the same
    puppet.do("tick a")
    until(lambda: host.instance("orders")["state"] == "UP", "back with the first tick", seconds=10)
    assert shown(host.registry.registers()[-1]) == "true" and len(host.registry.registers()) == 3
    puppet.kill()
    until(lambda: len(host.registry.deregisters()) == 2, "and gone with its process")


def test_agent_that_looks_late_takes_one_step_at_a_time(host):
    """Stopped, or starved of time, for longer than it takes to fall twice: what it finds is disabled first."""
    puppet = register(host.puppet(), progress_ms=1000)
    agent = host.agent.agent_pid()
    since = boottime_ms()
    os.kill(agent, signal.SIGSTOP)
    until(lambda: boottime_ms() > since + 2500, "two time-outs and a half are over")
    os.kill(agent, signal.SIGCONT)
    (delete,) = until(host.registry.deregisters, "taken out", seconds=10)
    (disable,) = host.registry.registers()[1:]
    assert shown(disable) == "false" and delete.boottime_ms - disable.boottime_ms > 900
    host.agent.kill_agent()
    until(lambda: host.instance("orders")["state"] == "WAITING", "and stays out over a restart")
    puppet.do("tick a")
    until(lambda: host.instance("orders")["state"] == "UP", "back with the first tick", seconds=10)
    assert len(host.registry.registers()) == 3 and len(host.registry.deregisters()) == 1


def test_one_holder_that_goes_on_is_progress_enough(host):
    goes, stops = register(host.puppet(), progress_ms=1000), register(host.puppet(), progress_ms=1000)
    with stopped(stops):
        since = boottime_ms()
        while boottime_ms() < since + 3500:
            goes.do("tick a")
            assert host.instance("orders")["state"] == "UP"
    assert len(host.registry.registers()) == 1 and host.registry.deregisters() == []


@pytest.mark.parametrize("policy", ("any", "owner"))
def test_process_that_dumps_core_leaves_when_it_is_dead_and_not_torn_before(host, policy, monkeypatch):
    """The dump comes before the end of socket and process; another thread may be publishing when it begins."""
    with open("/proc/sys/kernel/core_pattern", encoding="ascii") as pattern:
        if pattern.read().strip() != "core":
            pytest.skip("core_pattern is not 'core': where a dump would go is not this test's affair")
    folder = host.folder / "dump"
    folder.mkdir()
    monkeypatch.chdir(folder)
    puppet = register(host.puppet(), policy=policy, weight=1, md__v=1)
    puppet.do("core")
    puppet.do("touch 400")
    puppet.do("publish 1")
    puppet.do("end segv")
    until(lambda: any(f.stat().st_size > 1 << 20 for f in folder.iterdir()), "the dump has begun", step=0.001)
    deletes, over = host.registry.deregisters(), not alive(puppet.pid)
    assert over or deletes == []
    (delete,) = until(host.registry.deregisters, "deregistered")
    assert puppet.process.poll() is not None or not alive(puppet.pid)
    (core,) = folder.iterdir()
    assert core.stat().st_mtime_ns // 1000000 <= wall_ms(delete) + 20, "the dump went on after the DELETE"
    assert core.stat().st_size > 400 << 20
    core.unlink()
    gone(host)
    for post in host.registry.registers():
        asked = dict(urllib.parse.parse_qsl(post.target.split("?", 1)[1]))
        assert float(asked["weight"]) == int(json.loads(asked["metadata"])["v"]), post.target
    assert puppet.wait() == -signal.SIGSEGV


def wall_ms(request):
    return request.boottime_ms - boottime_ms() + time.time() * 1000


def test_process_of_two_gigabytes_is_gone_after_its_memory_is(host, record_property):
    """The kernel frees memory before it closes anything: some 35 us a MiB."""
    with open("/proc/meminfo", encoding="ascii") as meminfo:
        available = next(int(line.split()[1]) for line in meminfo if line.startswith("MemAvailable"))
    if available < 4 << 20:
        pytest.skip(f"needs 4 GiB of memory to be sure of 2, there are {available >> 10} MiB")
    puppet = register(host.puppet())
    puppet.do("touch 2048", seconds=60)
    killed = boottime_ms()
    puppet.kill()
    took = gone(host).boottime_ms - killed
    record_property("sigkill_to_delete_ms", took)
    assert took < 2048 * 0.035 + 2000, f"{took:.0f} ms"


# Kernels that tell less. "deny" makes the calls fail as they do there.

KERNELS = {
    "today's": (),
    "6.1": ("peerpidfd",),
    "5.10": ("peerpidfd", "netns_cookie"),
    "5.2": ("peerpidfd", "netns_cookie", "pidfd_open"),
    "sandboxed": ("pidfd_open",),
}


def kernel(name):
    return Entry([BIN / "tests" / "deny", *KERNELS[name], "--"], depth=0)


@pytest.mark.parametrize("name", KERNELS)
def test_life_and_death_on(empty_host, name):
    """Closed is not dead, dead is dead, also unreaped, also for owners, also over restarts."""
    host = empty_host
    host.start_registry()
    host.start_agent(within=kernel(name))
    closes, dies, owner, zombie, stays = (register(host.puppet(), service, policy=policy) for service, policy in (
        ("closes", "any"), ("dies", "any"), ("owner", "owner"), ("zombie", "any"), ("stays", "any")))
    owned = int(owner.values("fork")["pid"])
    closes.do("closeall")
    dies.kill()
    dies.wait()
    gone(host, "dies")
    os.kill(zombie.pid, signal.SIGKILL)  # nobody waits for it
    gone(host, "zombie")
    watched(host, "closes")
    owner.kill()
    owner.wait()
    gone(host, "owner")
    assert alive(owned)
    os.kill(owned, signal.SIGKILL)
    host.agent.kill_agent()
    watched(host, "closes")
    restart_both(host, within=kernel(name))
    for service in ("closes", "stays"):
        until(lambda s=service: (i := host.instance(s)) and i["state"] == "UP", "found by number and start time")
    closes.kill()
    closes.wait()
    gone(host, "closes")
    os.kill(stays.pid, signal.SIGKILL)
    gone(host, "stays")
    assert len(host.registry.registers()) == len(host.registry.deregisters()) == 5
    said = "identity.proc" in host.agent.log.read_text()
    assert said == (name == "5.2"), "what is worse than it could be is told, and nothing else"


@pytest.mark.parametrize("name", ("6.1", "5.2"))
def test_client_without_a_number_on(empty_host, name):
    """Nothing leads to its process there but its socket: its end is the end, as is written down."""
    host = empty_host
    host.start_registry()
    inner = kernel(name)
    within = host.keep(Namespaces(("pid",)))
    host.start_agent(within=Entry([*within.enter, *inner.enter], depth=1))
    puppet = register(host.puppet())
    assert host.instance("orders")["holders"][0]["pid"] == 0
    host.agent.kill_agent()
    puppet.do("update a weight=2")
    up(puppet)
    assert host.registry.deregisters() == []
    puppet.do("closeall")
    gone(host)
    puppet.attach()
    up(puppet)
    puppet.kill()
    until(lambda: len(host.registry.deregisters()) == 2, "and again")


@contextlib.contextmanager
def no_descriptor_left(pid):
    """Not one more than it has: the next number is over its limit."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    taken = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    first_free = next(n for n in range(len(taken) + 1) if n not in taken)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (first_free, hard))
    yield
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def logged(host, event, n):
    """Tools cannot ask either, as long as there is no descriptor."""
    until(lambda: host.agent.log.read_text().count(f"event={event} ") == n, f"{n} times {event}")


@pytest.mark.parametrize("identity", ("auto", "pidfd_open"))
def test_no_descriptor_for_a_pidfd_is_neither_life_nor_death(empty_host, identity):
    """EMFILE in the very moment in which life is to be told from death."""
    host = empty_host
    configured(host, f"[agent]\nidentity = {identity}\n")
    agent = host.agent.agent_pid()
    puppet = register(host.puppet())
    with no_descriptor_left(agent):
        puppet.do("closeall")
        logged(host, "lease.detached", 1)
    watched(host)
    puppet.kill()
    gone(host)
    assert len(host.registry.deregisters()) == 1


def test_no_descriptor_for_the_pidfd_of_a_client_without_a_number(empty_host):
    """The ended socket is kept: it alone leads to the process, once there is a descriptor again."""
    host = empty_host
    host.start_registry()
    host.start_agent(within=host.keep(Namespaces(("pid",))))
    agent = host.agent.agent_pid()
    lives, dies = register(host.puppet(), "lives"), register(host.puppet(), "dies")
    before = fds(agent)
    with no_descriptor_left(agent):
        lives.do("closeall")
        dies.do("closeall")
        logged(host, "lease.detached", 2)
        logged(host, "lease.unwatched", 2)
        dies.kill()
        dies.wait()
        assert host.registry.deregisters() == []
    gone(host, "dies")
    assert host.instance("lives")["state"] == "UP"
    lives.kill()
    gone(host, "lives")
    until(lambda: fds(agent) == before - 2, "nothing is left of them")
    assert host.agent.log.read_text().count("lease.unwatched") == 2, "once for each, however long it takes"


def test_client_that_comes_when_only_its_socket_finds_room_is_served(host):
    """Without a pidfd at accept its name is not known; all else is."""
    agent = host.agent.agent_pid()
    register(host.puppet(), "first")
    taken = {int(name) for name in os.listdir(f"/proc/{agent}/fd")}
    free = [n for n in range(len(taken) + 2) if n not in taken]
    soft, hard = resource.prlimit(agent, resource.RLIMIT_NOFILE)
    resource.prlimit(agent, resource.RLIMIT_NOFILE, (free[0] + 1, hard))
    puppet = register(host.puppet())
    resource.prlimit(agent, resource.RLIMIT_NOFILE, (soft, hard))
    (holder,) = host.instance("orders")["holders"]
    assert (holder["pid"], holder["program"]) == (puppet.pid, "")
    puppet.do("closeall")
    watched(host)
    puppet.attach()
    up(puppet)
    puppet.do("deregister a")
    gone(host)


# The agent's own close, while the keeper still holds the duplicate.


def test_socket_that_the_agent_closed_and_the_keeper_still_holds_speaks_for_nobody(host):
    """
    The keeper is stopped, so the client of a lease that the agent has thrown out sees no end and goes on ringing.
    The agent's number and table entry are another's by then: not one event may reach that one.
    """
    agent = host.agent.agent_pid()
    bad, good = register(host.puppet(), "bad"), register(host.puppet(), "good")
    lease = int(bad.values("fd")["fd"])
    os.kill(host.agent.pid, signal.SIGSTOP)
    before = fds(agent)
    pidfd = os.pidfd_open(bad.pid)
    libc = ctypes.CDLL(None, use_errno=True)
    stolen = libc.syscall(438, pidfd, lease, 0)  # pidfd_getfd: the client's own end
    os.close(pidfd)
    assert stolen >= 0, os.strerror(ctypes.get_errno())
    with socket.socket(fileno=stolen) as end:
        end.send(b"nonsense")
        watched(host, "bad")  # thrown out: its process lives
        assert fds(agent) == before  # a pidfd in the socket's place
        heirs = [host.puppet(opened=False) for _ in range(3)]
        for i, heir in enumerate(heirs):
            heir.do("open timeout=10")  # takes the number over; the keeper's word is awaited
            heir.register("a", service=f"heir{i}", ip="10.0.0.1", port=8080)
        for _ in range(200):
            with contextlib.suppress(BlockingIOError):  # nobody reads it
                end.send(b"!", socket.MSG_DONTWAIT)
                end.send(b"more nonsense", socket.MSG_DONTWAIT)
        good.do("update a weight=2")
        up(good)
        os.kill(host.agent.pid, signal.SIGCONT)
        for heir in heirs:
            up(heir)
    assert host.agent.agent_pid() == agent
    assert {(i["service"], i["state"]) for i in host.list()["instances"]} == \
        {(s, "UP") for s in ("bad", "good", "heir0", "heir1", "heir2")}
    assert host.registry.deregisters() == []
    for heir in heirs:
        heir.kill()
    for i in range(3):
        gone(host, f"heir{i}")
    bad.kill()
    gone(host, "bad")
    assert good.status("a")["state"] == "UP"


def test_children_of_the_agents_own_are_none(host):
    """What a lease's life hangs on must not be inherited by accident: the agent forks nothing."""
    register(host.puppet()).kill()
    gone(host)
    assert children_of(host.agent.agent_pid()) == [] and children_of(host.agent.pid) == [host.agent.agent_pid()]
