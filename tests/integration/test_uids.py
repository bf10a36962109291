# SPDX-License-Identifier: Apache-2.0
"""Several users at once: a segment each, and no way to another's"""

import os
import pathlib
import socket
import struct

import pytest

from host import PuppetError, until
from siege import ALICE, BOB, MALLORY, SiegeHost, as_user, n_descriptors, needs_root

pytestmark = pytest.mark.skipif(needs_root() is not None, reason=str(needs_root()))


@pytest.fixture(name="host")
def siege_host():
    host = SiegeHost().begin()
    yield host
    host.stop()


def files_of(pid):
    """The segment's files that a process has mapped: name and inode."""
    found = set()
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
        if "memfd:onebeat-" in line:
            found.add((line.split("memfd:")[1].split()[0], line.split()[4]))
    return found


def test_a_segment_each(host):
    """Processes of one user share files, those of two share none."""
    alice, also_alice, bob = (host.puppet_of(uid) for uid in (ALICE, ALICE, BOB))
    assert files_of(alice.pid) == files_of(also_alice.pid)
    assert len(files_of(alice.pid)) == 2
    assert not files_of(alice.pid) & files_of(bob.pid)


def test_no_way_to_anothers_files(host):
    """Neither through the agent's nor the keeper's nor the other client's /proc, memory or descriptors."""
    alice = host.puppet_of(ALICE)
    alice.register("a", service="alice", ip="10.0.0.1", port=1)
    alice.do("wait a UP 10000")
    targets = []
    for pid in (host.agent.agent_pid(), host.agent.pid, alice.pid):
        targets += [f"/proc/{pid}/mem", f"/proc/{pid}/maps"]
        targets += [f"/proc/{pid}/fd/{fd}" for fd in os.listdir(f"/proc/{pid}/fd")]
        targets += [f"/proc/{pid}/map_files/{m}" for m in os.listdir(f"/proc/{pid}/map_files")]
    for name in ("journal", "lock"):
        targets.append(str(host.agent.runtime_dir / name))

    def try_all():
        opened = []
        for target in targets:
            for flags in (os.O_RDONLY, os.O_RDWR):
                try:
                    os.close(os.open(target, flags))
                    opened.append(target)
                except OSError:
                    pass
        return " ".join(opened)
    assert len(targets) > 20
    assert as_user(MALLORY, try_all) == ""
    # The same attempts by root succeed: the story looks at something.
    assert try_all() != ""


HELLO = struct.pack("=IHHHHIIII16sI", 0x4F42454C, 1, 48, 1, 0, 0x01020304, 0, 0, 1, b"test", 0)


def greeted(host):
    """A connection that has said HELLO, and the type of the answer with its text, if it is a refusal."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.settimeout(15)
    client.connect(str(host.agent.runtime_dir / "client.sock"))
    client.send(HELLO)
    message, fds, _, _ = socket.recv_fds(client, 256, 4)
    for fd in fds:
        os.close(fd)
    if struct.unpack_from("=H", message, 4)[0] == 16:
        return client, "welcome"
    return client, message[16:].rstrip(b"\0").decode(errors="replace")


def test_users_who_come_and_go_lock_nobody_out(host):
    """The table of users holds 64: the place of one who is away is given to the next, of one who is there never."""
    alice = host.puppet_of(ALICE)
    alice.register("a", service="alice", ip="10.0.0.1", port=1)
    alice.do("wait a UP 10000")
    agent = host.agent.agent_pid()
    fds = n_descriptors(agent)
    for uid in range(20000, 20150):
        assert as_user(uid, lambda: greeted(host)[1]) == "welcome"
    until(lambda: n_descriptors(agent) <= fds + 64 * 3, "segments of users who are away are given up")
    bob = host.puppet_of(BOB)
    bob.register("a", service="bob", ip="10.0.0.1", port=2)
    bob.do("wait a UP 10000")
    assert host.agent.kill_agent() != agent
    for puppet, name, port in ((alice, "alice", 1), (bob, "bob", 2)):
        puppet.do(f"update a service={name} ip=10.0.0.1 port={port} weight=5")
        puppet.do("wait a UP 10000")
        assert host.registry.hosts(name)[0]["weight"] == 5
    assert host.registry.deregisters() == []


def test_more_users_at_a_time_than_places(host):
    """The 65th is told so; he is let in when one of the others has left."""
    def held(uid):
        ends = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            try:
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
                client, said = greeted(host)
                ends[1].send(said.encode())
                ends[1].recv(1)
                client.close()
            finally:
                os._exit(0)
        ends[1].close()
        return pid, ends[0]
    there = [held(uid) for uid in range(20000, 20064)]
    try:
        assert {end.recv(256) for _, end in there} == {b"welcome"}
        assert as_user(21000, lambda: greeted(host)[1]) == (
            "uid 21000: 64 other users are served, as many as can be")
        pid, end = there.pop()
        end.send(b"go")
        os.waitpid(pid, 0)
        until(lambda: as_user(21000, lambda: greeted(host)[1]) == "welcome", "a place is free")
    finally:
        for pid, end in there:
            end.send(b"go")
            os.waitpid(pid, 0)
            end.close()


def test_status_is_read_only_for_users(host):
    """The attack "bounds" finds nothing that it could do, in its own segment."""
    assert host.attack("bounds", seconds=1).closing_line().startswith("done acts=8")


def test_another_user_neither_joins_nor_changes_nor_removes(host):
    """An instance belongs to the user who registered it."""
    alice, mallory = host.puppet_of(ALICE), host.puppet_of(MALLORY)
    alice.register("a", service="shop", ip="10.0.0.1", port=1)
    alice.do("wait a UP 10000")
    with pytest.raises(PuppetError):
        mallory.register("a", service="shop", ip="10.0.0.1", port=1, weight=99)
        mallory.do("wait a UP 5000")
    assert mallory.status("a")["text"] == f"uid {MALLORY} may not join an instance of uid {ALICE}"
    mallory.do("deregister a")
    mallory.do("close")
    (refused,) = [h for h in host.registry.hosts("shop")]
    assert refused["weight"] == 1
    assert host.registry.deregisters() == []
    alice.do("deregister a")
    until(lambda: host.registry.hosts("shop") == [], "only its owner ends it")


def test_a_user_who_is_gone_leaves_the_others_alone(host):
    """Their leases, slots and instances are their own: one's end is nobody else's."""
    alice, bob = host.puppet_of(ALICE), host.puppet_of(BOB)
    for puppet, port in ((alice, 1), (bob, 2)):
        puppet.register("a", service="both", ip="10.0.0.1", port=port)
        puppet.do("wait a UP 10000")
    alice.do("crash")
    until(lambda: [h["port"] for h in host.registry.hosts("both")] == [2], "the dead one's is gone")
    bob.do("update a service=both ip=10.0.0.1 port=2 weight=5")
    bob.do("wait a UP 10000")
    assert host.registry.hosts("both")[0]["weight"] == 5
