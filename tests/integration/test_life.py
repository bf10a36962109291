# SPDX-License-Identifier: Apache-2.0
"""An instance's life: registered once, beaten, changed, deregistered at once when nobody holds it."""

import os
import signal
import subprocess

import pytest

from host import BIN, PuppetError, alive, boottime_ms, sockets_of, until

MODES = ("1.4", "2", "3")


def up(puppet, name="a"):
    puppet.do(f"wait {name} UP 10000")


@pytest.mark.parametrize("mode", MODES)
def test_register_update_down_up_deregister(empty_host, mode):
    """The registry shows each change, and each change is one POST."""
    registry = empty_host.start_registry(mode=mode)
    empty_host.start_agent()
    puppet = empty_host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080, weight="2.5", md__zone="a", cluster="C1")
    up(puppet)
    (seen,) = registry.hosts("orders")
    assert (seen["ip"], seen["port"], seen["weight"], seen["clusterName"]) == ("10.0.0.1", 8080, 2.5, "C1")
    assert seen["metadata"] == {"zone": "a"} and seen["healthy"] and seen["enabled"]

    puppet.do("update a service=orders ip=10.0.0.1 port=8080 weight=7 md.zone=b cluster=C1")
    up(puppet)
    (seen,) = registry.hosts("orders")
    assert (seen["weight"], seen["metadata"]) == (7.0, {"zone": "b"})

    puppet.do("set a DOWN")
    up(puppet)
    assert puppet.status("a")["state"] == "DOWN"
    assert registry.hosts("orders") == []  # disabled instances are left out
    puppet.do("set a UP")
    up(puppet)
    assert len(registry.hosts("orders")) == 1
    assert len(registry.registers()) == 4

    puppet.do("deregister a")
    until(lambda: registry.hosts("orders") == [], "gone")
    assert len(registry.deregisters()) == 1


def test_beats_go_on_and_are_reported(host):
    """The registry's beat interval is followed, and the status line tells of each beat."""
    puppet = host.puppet()
    puppet.do("register a service=orders ip=10.0.0.1 port=8080 md.preserved.heart.beat.interval=1000")
    up(puppet)
    until(lambda: len(host.registry.beats()) >= 4, "four beats", seconds=8)
    status = puppet.status("a")
    assert int(status["beat_age_ms"]) < 2500 and status["code"] == "10200"
    gaps = [b.boottime_ms - a.boottime_ms for a, b in zip(host.registry.beats(), host.registry.beats()[1:])]
    assert all(700 <= gap <= 1400 for gap in gaps), gaps
    assert all(beat.status == 200 and beat.code == 10200 for beat in host.registry.beats())


def test_killed_process_is_gone_at_once(host):
    puppet = host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    up(puppet)
    killed_ms = boottime_ms()
    puppet.kill()
    (delete,) = until(host.registry.deregisters, "a DELETE")
    assert delete.boottime_ms - killed_ms < 1000
    until(lambda: host.registry.hosts("orders") == [], "gone")
    until(lambda: host.status()["dom2BeatSize"] == 0, "dom2Beat is empty")


def test_persistent_instance_is_registered_and_never_beaten(host):
    puppet = host.puppet()
    puppet.do("register a service=orders ip=10.0.0.1 port=8080 ephemeral=0")
    puppet.do("register b service=other ip=10.0.0.1 port=8081 md.preserved.heart.beat.interval=1000")
    up(puppet)
    until(lambda: len(host.registry.beats("other")) >= 3, "the other one is beaten", seconds=8)
    assert host.registry.beats("orders") == []
    puppet.do("deregister a")
    (delete,) = until(lambda: host.registry.deregisters("orders"), "a DELETE")
    assert "ephemeral=false" in delete.target


def test_two_hundred_processes_share_the_connections(host):
    """Whatever the number of processes, the registry sees two beat connections and one for requests."""
    puppets = [host.puppet() for _ in range(200)]
    for i, puppet in enumerate(puppets):
        puppet.send(f"register a service=s{i % 7} ip=10.0.0.1 port={9000 + i} md.preserved.heart.beat.interval=1000")
    for puppet in puppets:
        puppet.answer("register")
    for puppet in puppets:
        up(puppet)
    until(lambda: len({b.target for b in host.registry.beats()}) == 200, "each one is beaten", seconds=20)
    for puppet in puppets:
        assert len(sockets_of(puppet.pid)) == 1  # the lease
    open_now = host.registry.stats()["connections_open"]
    assert open_now <= 3 + 1, open_now  # two for beats, one for requests; and this question's own
    assert len(host.registry.registers()) == 200
    status = host.status()
    assert status["dom2BeatSize"] == 200 and status["leases"] == 200


def test_one_instance_from_fifty_processes_is_one_instance(host):
    puppets = [host.puppet() for _ in range(50)]
    for puppet in puppets:
        puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    for puppet in puppets:
        up(puppet)
    assert len(host.registry.registers()) == 1
    assert puppets[0].status("a")["holders"] == "50"
    for puppet in puppets[:-1]:
        puppet.kill()
    until(lambda: puppets[-1].status("a")["holders"] == "1", "one holder is left")
    assert host.registry.deregisters() == [] and len(host.registry.registers()) == 1
    puppets[-1].kill()
    until(host.registry.deregisters, "the last one's death deregisters")


def test_holders_that_disagree_follow_the_newest_living_one(host):
    first, second = host.puppet(), host.puppet()
    first.register("a", service="orders", ip="10.0.0.1", port=8080, weight=1)
    up(first)
    second.register("a", service="orders", ip="10.0.0.1", port=8080, weight=5)
    up(second)
    assert host.registry.hosts("orders")[0]["weight"] == 5.0
    second.do("set a DOWN")
    up(second)
    assert host.registry.hosts("orders") == []
    second.kill()
    until(lambda: [h["weight"] for h in host.registry.hosts("orders")] == [1.0], "the other one's again")
    assert host.registry.deregisters() == []


def test_same_address_in_two_clusters_is_refused_with_the_reason(host):
    first, second = host.puppet(), host.puppet()
    first.register("a", service="orders", ip="10.0.0.1", port=8080, cluster="ONE")
    up(first)
    second.register("a", service="orders", ip="10.0.0.1", port=8080, cluster="TWO")
    second.do("wait a REFUSED 5000")
    text = second.status("a")["text"]
    assert "TWO" in text and "ONE" in text and str(first.pid) in text
    (refused,) = host.list()["refused"]
    assert refused["refused"]["pid"] == second.pid
    assert first.status("a")["state"] == "UP"
    assert len(host.registry.registers()) == 1


def test_register_and_deregister_race_of_one_instance_ends_as_asked(host):
    """Hammered from two processes, the last word wins, and DELETE is never followed by a forgotten POST."""
    first, second = host.puppet(), host.puppet()
    for round_ in range(60):
        for puppet in (first, second):
            puppet.register("a", service="orders", ip="10.0.0.1", port=8080, weight=round_ + 1)
        first.do("deregister a")
        second.do("deregister a")
    first.register("a", service="orders", ip="10.0.0.1", port=8080, weight=99)
    up(first)
    until(lambda: [h["weight"] for h in host.registry.hosts("orders")] == [99.0], "the last wish is in force")
    first.do("deregister a")
    until(lambda: host.status()["dom2BeatSize"] == 0, "nothing is left")
    assert host.registry.hosts("orders") == []
    assert host.registry.requests()[-1].method == "DELETE"


def test_large_descriptor_and_growing_update(host):
    """Metadata up to Nacos's limit; an update that outgrows its slot leaves no gap."""
    puppet = host.puppet()
    puppet.do("register a service=orders ip=10.0.0.1 port=8080 md.k=v")
    up(puppet)
    value = "x" * 1000
    puppet.do(f"update a service=orders ip=10.0.0.1 port=8080 md.k={value}")
    up(puppet)
    assert host.registry.hosts("orders")[0]["metadata"] == {"k": value}
    assert host.registry.deregisters() == []
    until(lambda: puppet.status("a")["holders"] == "1", "the old slot is withdrawn")
    puppet.do("deregister a")
    until(host.registry.deregisters, "gone")


def test_owner_policy_ends_with_the_registering_process(host):
    puppet = host.puppet()
    puppet.do("register a service=orders ip=10.0.0.1 port=8080 policy=owner")
    puppet.do("register b service=shared ip=10.0.0.1 port=8081")
    up(puppet, "a")
    up(puppet, "b")
    child = int(puppet.values("fork")["pid"])
    puppet.kill()
    until(lambda: host.registry.deregisters("orders"), "the owner's instance goes")
    assert len(host.registry.hosts("shared")) == 1 and alive(child)
    assert host.registry.deregisters("shared") == []
    os.kill(child, signal.SIGKILL)
    until(lambda: host.registry.deregisters("shared"), "the last holder's death ends the other")


def test_fork_storm_changes_nothing_until_the_last_one_dies(host):
    puppet = host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    up(puppet)
    children = [int(puppet.values("fork")["pid"]) for _ in range(300)]
    puppet.kill()
    for pid in children[:-1]:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(alive(p) for p in children[:-1]), "all but one are dead")
    assert host.agent.ctl("ping").returncode == 0
    assert host.registry.deregisters() == [] and len(host.registry.hosts("orders")) == 1
    os.kill(children[-1], signal.SIGKILL)
    until(host.registry.deregisters, "the last one is gone")
    assert len(host.registry.registers()) == 1


def test_workers_with_handles_of_their_own_are_further_holders(host):
    puppet = host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    up(puppet)
    workers = [int(puppet.values("forkworker")["pid"]) for _ in range(10)]
    until(lambda: puppet.status("a")["holders"] == "11", "eleven holders")
    assert len(host.registry.registers()) == 1
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    until(lambda: puppet.status("a")["holders"] == "1", "one holder")
    assert host.registry.deregisters() == []


def test_stalled_process_is_withheld_and_comes_back(host):
    """With a progress time-out: disabled, then deregistered, and shown again with the next tick."""
    puppet = host.puppet()
    puppet.do("register a service=orders ip=10.0.0.1 port=8080 progress_ms=1000")
    up(puppet)
    until(lambda: host.instance("orders")["state"] == "DOWN", "disabled", seconds=8)
    assert host.registry.hosts("orders") == []
    until(lambda: host.registry.deregisters(), "deregistered", seconds=8)
    puppet.do("tick a")
    until(lambda: host.instance("orders")["state"] == "UP", "shown again", seconds=5)
    assert len(host.registry.hosts("orders")) == 1


def test_spares_are_used_again_by_a_long_lived_process(host):
    """Thousands of registrations one after the other do not use up the segment."""
    puppet = host.puppet()
    for i in range(500):
        puppet.register("a", service="orders", ip="10.0.0.1", port=1000 + i)
        puppet.do("deregister a")
    until(lambda: host.status()["dom2BeatSize"] == 0, "all gone", seconds=20)
    # On a busy machine many are on their way out at a time; had none been used again, there would be 500.
    assert host.status()["slots"] < 400
    puppet.register("a", service="orders", ip="10.0.0.1", port=80)
    up(puppet)


def test_events_tell_why(host):
    puppet = host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    up(puppet)
    puppet.kill()
    until(lambda: host.status()["dom2BeatSize"] == 0, "gone")
    follower = subprocess.Popen([BIN / "onebeatctl", "--runtime-dir", host.agent.runtime_dir, "events"],
                                stdout=subprocess.PIPE, text=True)
    told = [follower.stdout.readline().split()[1]]
    while told[-1] != "gone":
        told.append(follower.stdout.readline().split()[1])
    follower.kill()
    follower.wait()
    if told[0] == "registering":  # a quick registry is up before the watcher has looked
        told.pop(0)
    assert told == ["up", "leaving", "gone"]


def test_wrong_input_through_the_library_is_refused_and_nothing_is_lost(host):
    puppet = host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    up(puppet)
    for wrong in ("service=bad/name ip=10.0.0.1 port=1", "service=x ip=10.0.0.999 port=1", "service=x port=0",
                  "service=x port=1 weight=nan", "service=x port=1 md.preserved.heart.beat.timeout=15s",
                  "service=x port=1 md.customInstanceId=1"):
        with pytest.raises(PuppetError):
            puppet.do(f"register b {wrong}")
        with pytest.raises(PuppetError):
            puppet.do(f"update a {wrong}")
    puppet.do("register c service=orders ip=10.0.0.1 port=8081 registry=elsewhere")
    puppet.do("wait c REFUSED 5000")
    assert "elsewhere" in puppet.status("c")["text"]
    assert puppet.status("a")["state"] == "UP"
    assert len(host.registry.registers()) == 1


def test_refusals_are_forgotten_with_their_slots(host):
    puppet = host.puppet()
    for _ in range(3):
        puppet.do("register c service=orders ip=10.0.0.1 port=8081 registry=elsewhere")
        puppet.do("wait c REFUSED 5000")
        assert len(host.list()["refused"]) == 1
        puppet.do("deregister c")
        until(lambda: host.list()["refused"] == [], "withdrawn")
    assert host.status()["refused"] == 0
