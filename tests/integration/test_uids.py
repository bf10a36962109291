# SPDX-License-Identifier: Apache-2.0
"""Several users at once: a segment each, and no way to another's"""

import os
import pathlib

import pytest

from host import PuppetError, until
from siege import ALICE, BOB, MALLORY, SiegeHost, as_user, needs_root

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
