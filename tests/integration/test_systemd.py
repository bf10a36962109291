# SPDX-License-Identifier: Apache-2.0
"""onebeatd as a service, under a stand-in for systemd: descriptors kept through a restart, sockets, watchdog"""

import os
import pathlib
import signal
import socket
import subprocess
import tempfile

import pytest

from host import BIN, alive, boottime_ms, sockets_of, until
from manager import Manager
from rawclient import RawClient

SPEC = {"service": "orders", "ip": "10.0.0.1", "md.preserved.heart.beat.interval": 1000}


@pytest.fixture
def managed(empty_host):
    """Makes a manager with a service that runs."""
    def make(**kwargs):
        manager = Manager(empty_host, **kwargs)
        manager.start()
        return manager
    empty_host.start_registry()
    return make


def registered(host, port=8080):
    puppet = host.puppet()
    puppet.register("a", **SPEC, port=port)
    puppet.do("wait a UP 10000")
    return puppet


def holders(host):
    return sorted((h["pid"], h["state"]) for i in host.list()["instances"] for h in i["holders"])


def beaten(host):
    since = boottime_ms()
    until(lambda: any(b.boottime_ms > since and b.code == 10200 for b in host.registry.beats()), "beaten", seconds=15)


def unheard(host, n=1):
    """The registry has heard of each once, and of no end."""
    assert len(host.registry.registers()) == n and host.registry.deregisters() == []


@pytest.mark.parametrize("abstract", (False, True))
def test_ready_and_stopping_are_said_once(managed, empty_host, abstract):
    manager = managed(abstract=abstract)
    until(lambda: manager.heard("STATUS"), "a status for people")
    assert manager.heard("READY") == ["1"] and manager.heard("MAINPID") == [str(empty_host.agent.pid)]
    assert f"agent {empty_host.agent.agent_pid()} works" in manager.heard("STATUS")[-1]
    old = empty_host.agent.kill_agent
    new = old()
    until(lambda: any(f"agent {new} works" in s for s in manager.heard("STATUS")), "the status follows")
    empty_host.agent.ctl("upgrade")
    empty_host.agent.ctl("stop")
    assert empty_host.agent.wait() == 0
    assert manager.heard("READY") == ["1"] and manager.heard("STOPPING") == ["1"]
    assert manager.heard("IGNORED") == []


def test_a_restart_breaks_no_lease(managed, empty_host):
    manager = managed()
    puppets = [registered(empty_host, 8000 + i) for i in range(3)]
    leases = [sockets_of(p.pid) for p in puppets]
    for _ in range(3):
        manager.restart()
        until(lambda: manager.stored() == [], "the manager forgets what is held again")
        assert holders(empty_host) == sorted((p.pid, "attached") for p in puppets)
    beaten(empty_host)
    assert [sockets_of(p.pid) for p in puppets] == leases
    assert {p.status("a")["state"] for p in puppets} == {"UP"}
    unheard(empty_host, 3)
    # The ties work: a change without a word to the agent's socket, a new process, a death.
    puppets[0].do("update a service=orders ip=10.0.0.1 port=8000 weight=4 md.preserved.heart.beat.interval=1000")
    until(lambda: 4 in (h["weight"] for h in empty_host.registry.hosts("orders")), "a change arrives")
    registered(empty_host, 8100)
    puppets[1].kill()
    until(lambda: empty_host.registry.deregisters("port=8001"), "an end is noticed at once")


def test_who_dies_while_nobody_is_there_is_found(managed, empty_host):
    manager = managed()
    stays, goes = registered(empty_host, 8080), registered(empty_host, 8081)
    empty_host.agent.kill(signal.SIGTERM)
    assert empty_host.agent.wait() == 0
    assert sorted(manager.stored()) == ["data.0", "lease", "lease", "status.0"]
    goes.kill()
    goes.wait()
    manager.start()
    until(lambda: empty_host.registry.deregisters("port=8081"), "the dead one is deregistered")
    assert empty_host.registry.deregisters("port=8080") == [] and holders(empty_host) == [(stays.pid, "attached")]


def test_a_store_that_is_too_small_takes_what_goes(managed, empty_host):
    manager = managed(store=4)
    puppets = [registered(empty_host, 8000 + i) for i in range(4)]
    manager.restart()
    assert manager.refused == 0, "no more is offered than there is room"
    assert "fdstore.partial stored=4 of=6" in empty_host.agent.log.read_text()
    states = sorted(state for _, state in holders(empty_host))
    assert states == ["attached", "attached", "watched", "watched"]
    beaten(empty_host)
    unheard(empty_host, 4)
    for puppet in puppets:
        puppet.attach()
    until(lambda: {s for _, s in holders(empty_host)} == {"attached"}, "the others come back at their next call")
    unheard(empty_host, 4)


def test_without_a_store_nothing_is_offered(managed, empty_host):
    manager = managed(store=0)
    puppet = registered(empty_host)
    manager.restart()
    assert manager.refused == 0 and holders(empty_host) == [(puppet.pid, "watched")]
    beaten(empty_host)
    unheard(empty_host)


def test_more_leases_than_fit_one_message(managed, empty_host):
    """253 descriptors are the kernel's bound; 400 leases come back as they were."""
    manager = managed()
    clients = [RawClient(empty_host.agent.runtime_dir) for _ in range(400)]
    for client in clients:
        client.hello()
        assert client.heard(10).startswith("type=16 ")
        while client.files:
            os.close(client.files.pop())
    until(lambda: empty_host.status()["leases"] == 400, "all are open")
    empty_host.agent.kill(signal.SIGTERM)
    assert empty_host.agent.wait() == 0
    assert manager.stored().count("lease") == 400
    manager.start()
    assert empty_host.status()["leases"] == 400
    assert {client.heard(0) for client in clients} == {"none"}
    for client in clients:
        client.close()
    until(lambda: empty_host.status()["leases"] == 0, "an end is an end: the manager has let go")


def test_foreign_and_stale_descriptors_are_dropped_and_forgotten(managed, empty_host):
    manager = managed()
    puppet = registered(empty_host)
    empty_host.agent.kill(signal.SIGTERM)
    assert empty_host.agent.wait() == 0
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with tempfile.TemporaryFile() as file:
        foreign = {"data.7": file.fileno(), "status.x": file.fileno(), "lease": file.fileno(), "data.": file.fileno(),
                   "somebody-else": ours.fileno(), "x" * 255: file.fileno()}
        manager.store += [(name, os.dup(fd)) for name, fd in foreign.items()]
        manager.store.append(("lease", os.dup(ours.fileno())))  # of a process that no journal knows
        ours.close()
        manager.start()
    until(lambda: manager.stored() == [], "all is forgotten")
    theirs.settimeout(10)
    assert theirs.recv(1) == b"", "nobody holds the stale one any more"
    theirs.close()
    log = empty_host.agent.log.read_text()
    assert log.count("fdstore.foreign") == len(foreign)
    assert holders(empty_host) == [(puppet.pid, "attached")]
    beaten(empty_host)
    unheard(empty_host)


def test_sockets_of_the_manager(empty_host):
    """Clients may connect before the service is there, and while it is away; the files are the manager's."""
    empty_host.start_registry()
    manager = Manager(empty_host)
    run = empty_host.folder / "run"
    manager.listen("control.sock", socket.SOCK_STREAM, run / "control.sock")
    manager.listen("client.sock", socket.SOCK_SEQPACKET, run / "client.sock")
    inodes = [(run / name).stat().st_ino for name in ("client.sock", "control.sock")]
    early = empty_host.puppet(opened=False)
    early.send("open timeout=20000")
    manager.start()
    early.answer("open timeout=20000")
    early.register("a", **SPEC, port=8080)
    early.do("wait a UP 10000")
    for step in (manager.restart, lambda: empty_host.agent.ctl("upgrade"), manager.restart):
        step()
        assert [(run / name).stat().st_ino for name in ("client.sock", "control.sock")] == inodes
        assert holders(empty_host) == [(early.pid, "attached")]
    empty_host.agent.ctl("stop")
    empty_host.agent.wait()
    assert [(run / name).stat().st_ino for name in ("client.sock", "control.sock")] == inodes
    beaten_before = len(empty_host.registry.beats())
    early.do("update a service=orders ip=10.0.0.1 port=8080 weight=2 md.preserved.heart.beat.interval=1000")
    manager.start()
    until(lambda: empty_host.registry.hosts("orders")[0]["weight"] == 2, "what was written meanwhile is read")
    until(lambda: len(empty_host.registry.beats()) > beaten_before, "beaten again")


@pytest.mark.parametrize("only", ("client.sock", "control.sock"))
def test_one_socket_of_the_manager_the_other_our_own(empty_host, only):
    empty_host.start_registry()
    manager = Manager(empty_host)
    run = empty_host.folder / "run"
    manager.listen(only, socket.SOCK_STREAM if only == "control.sock" else socket.SOCK_SEQPACKET, run / only)
    manager.start()
    registered(empty_host)
    assert empty_host.agent.stop() == 0
    assert [name for name in ("client.sock", "control.sock") if (run / name).exists()] == [only]


@pytest.mark.parametrize("name,kind,place,backlog,why", (
    ("client.sock", socket.SOCK_STREAM, "client.sock", 8, "not of type SOCK_SEQPACKET"),
    ("control.sock", socket.SOCK_SEQPACKET, "control.sock", 8, "not of type SOCK_STREAM"),
    ("control.sock", socket.SOCK_STREAM, "control.sock", None, "does not listen"),
    ("client.sock", socket.SOCK_SEQPACKET, "elsewhere.sock", 8, "bound somewhere else"),
    ("onebeatd.socket", socket.SOCK_SEQPACKET, "client.sock", 8, "FileDescriptorName="),
))
def test_a_socket_that_will_not_do_is_refused_by_name(empty_host, name, kind, place, backlog, why):
    manager = Manager(empty_host)
    manager.listen(name, kind, empty_host.folder / "run" / place, backlog)
    with pytest.raises(AssertionError, match="ended with 1"):
        manager.start(urls=["http://127.0.0.1:1"])
    log = (empty_host.folder / "onebeatd.log").read_text()
    assert why in log and f"socket {name} " in log


def test_descriptors_for_somebody_else_are_left_alone(empty_host):
    """LISTEN_PID is another process's: the variables were inherited."""
    empty_host.start_registry()
    env = dict(os.environ, LISTEN_PID="1", LISTEN_FDS="1", LISTEN_FDNAMES="client.sock")
    empty_host.start_agent(env=env)
    registered(empty_host)


def test_the_watchdog_is_petted_in_time(managed, empty_host):
    manager = managed(watchdog_s=3)
    registered(empty_host)
    until(lambda: len(manager.heard("WATCHDOG", "1")) >= 2, "petted again and again")
    empty_host.agent.ctl("upgrade")
    n = len(manager.heard("WATCHDOG", "1"))
    until(lambda: len(manager.heard("WATCHDOG", "1")) >= n + 2, "also after an upgrade")
    assert manager.bites == 0


def test_an_agent_that_hangs_is_replaced_before_the_manager_bites(managed, empty_host):
    manager = managed(watchdog_s=4)
    puppet = registered(empty_host)
    hung = empty_host.agent.agent_pid()
    os.kill(hung, signal.SIGSTOP)
    until(lambda: not alive(hung), "it is killed", seconds=12)
    until(lambda: empty_host.agent.agent_pid() not in (hung, None), "another one works")
    beaten(empty_host)
    unheard(empty_host)
    assert holders(empty_host) == [(puppet.pid, "attached")]
    assert manager.bites == 0 and f"agent.hung pid={hung}" in empty_host.agent.log.read_text()


def test_a_thread_that_hangs_is_found_too(managed, empty_host):
    """The sender alone is stopped, by a debugger's means: beats hang on it, and the watcher cannot speak for it."""
    managed(watchdog_s=4)
    registered(empty_host)
    hung = empty_host.agent.agent_pid()
    sender = next(t.name for t in pathlib.Path(f"/proc/{hung}/task").iterdir()
                  if (t / "comm").read_text() == "onebeat-sender\n")
    stopper = subprocess.Popen(["strace", "-qq", "-p", sender, "-e", "trace=epoll_wait,epoll_pwait,epoll_pwait2",
                                "-e", "inject=epoll_wait,epoll_pwait,epoll_pwait2:delay_enter=60000000", "-o", "/dev/null"])
    try:
        until(lambda: not alive(hung), "it is killed", seconds=20)
    finally:
        stopper.kill()
        stopper.wait()
    until(lambda: empty_host.agent.agent_pid() not in (hung, None), "another one works")
    beaten(empty_host)
    unheard(empty_host)


def test_without_a_watchdog_nobody_is_asked(managed, empty_host):
    """Who stops an agent to look at it may do so."""
    managed()
    registered(empty_host)
    agent = empty_host.agent.agent_pid()
    os.kill(agent, signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([BIN / "onebeatctl", "--runtime-dir", empty_host.agent.runtime_dir, "ping"], timeout=3,
                       capture_output=True)
    assert alive(agent)
    os.kill(agent, signal.SIGCONT)
    assert empty_host.agent.agent_pid() == agent


def test_a_keeper_that_hangs_is_the_managers_to_restart(managed, empty_host):
    manager = managed(watchdog_s=3, watchdog_signal=signal.SIGKILL)
    puppet = registered(empty_host)
    keeper = empty_host.agent
    os.kill(keeper.pid, signal.SIGSTOP)
    until(lambda: manager.bites == 1, "the manager hears nothing")
    assert keeper.wait() == -signal.SIGKILL
    manager.start()
    beaten(empty_host)
    puppet.attach()
    unheard(empty_host)


def test_a_host_whose_agent_will_not_work_is_the_managers_too(empty_host):
    """Until then it hears that all is well; and the descriptors go to the store, so that the next start has them."""
    empty_host.start_registry()
    manager = Manager(empty_host, watchdog_s=2)
    program = empty_host.folder / "onebeatd"
    program.symlink_to(BIN / "onebeatd")
    manager.start(program=program)
    puppet = registered(empty_host)
    program.unlink()
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    os.kill(empty_host.agent.agent_pid(), signal.SIGKILL)
    until(lambda: manager.bites == 1, "the manager hears nothing", seconds=30)
    assert empty_host.agent.wait() == 0 and "lease" in manager.stored()
    manager.start()
    assert holders(empty_host) == [(puppet.pid, "attached")]
    beaten(empty_host)
    unheard(empty_host)
