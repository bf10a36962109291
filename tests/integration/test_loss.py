# SPDX-License-Identifier: Apache-2.0
"""Keeper, or keeper and agent, are killed: who is found again, by what, and who cannot be."""

import os
import signal

import pytest

from host import alive, boottime_ms, until

PROCESSES, PER_PROCESS = 40, 10
N = PROCESSES * PER_PROCESS
AWAY_MS = 10000


def up(puppet, name="a"):
    puppet.do(f"wait {name} UP 20000")


def kill_keeper(host):
    agent = host.agent.agent_pid()
    host.agent.kill()
    host.agent.wait()
    until(lambda: not alive(agent), "the agent follows")


def kill_both(host):
    agent = host.agent.agent_pid()
    os.kill(host.agent.pid, signal.SIGSTOP)  # so that it starts no other one
    os.kill(agent, signal.SIGKILL)
    host.agent.kill()
    host.agent.wait()
    until(lambda: not alive(agent), "both are gone")


def all_beaten(host, since, n):
    until(lambda: len({b.target for b in host.registry.beats() if b.boottime_ms > since and b.code == 10200}) >= n,
          "all are beaten again", seconds=40, step=0.1)


def all_attached(crowd, n):
    until(lambda: crowd.attend() == n, "all have come back by a call of theirs", seconds=30, step=0.1)


@pytest.mark.parametrize("kill", (kill_keeper, kill_both))
def test_silent_processes_are_found_again_and_calling_ones_come_back(host, kill):
    crowd = host.crowd(PROCESSES, PER_PROCESS)
    crowd.up()
    kill(host)
    started = boottime_ms()
    host.start_agent()
    # Nobody has called yet: pid and start time have found them.
    all_beaten(host, started, N)
    assert host.status()["states"] == {"UP": N}
    crowd.kill_some(2)
    until(lambda: len(host.registry.deregisters()) == 2 * PER_PROCESS, "a silent one's death is seen by its pidfd")
    all_attached(crowd, PROCESSES - 2)
    until(lambda: host.status()["leases"] == PROCESSES - 2, "their leases are there")
    assert crowd.states() == {"UP": N - 2 * PER_PROCESS}
    crowd.kill_some(1)
    until(lambda: len(host.registry.deregisters()) == 3 * PER_PROCESS, "and so is the death of one that came back")
    assert len(host.registry.registers()) == N, "nobody was registered twice"


def test_both_away_for_ten_seconds(host):
    crowd = host.crowd(PROCESSES, PER_PROCESS)
    crowd.up()
    changes, dies = host.puppet(), host.puppet()
    for port, puppet in ((8001, changes), (8002, dies)):
        puppet.register("a", service="away", ip="10.0.0.1", port=port)
        up(puppet)
    kill_both(host)
    gone = boottime_ms()
    dies.kill()
    dies.wait()
    changes.do("update a service=away ip=10.0.0.1 port=8001 weight=7")  # kept, and told later
    until(lambda: boottime_ms() - gone > AWAY_MS, "ten seconds without an agent", seconds=20)
    assert changes.status("a")["state"] == "DETACHED"
    assert host.registry.deregisters() == []

    started = boottime_ms()
    host.start_agent()
    all_beaten(host, started, N + 1)
    until(lambda: host.registry.deregisters("port=8002"), "who died meanwhile is deregistered")
    assert not [b for b in host.registry.beats("port=8002") if b.boottime_ms > started], "and not beaten before that"
    changes.attach()
    up(changes)
    assert [h["weight"] for h in host.registry.hosts("away")] == [7.0]
    all_attached(crowd, PROCESSES)
    assert crowd.states() == {"UP": N}
    assert len(host.registry.registers()) == N + 3 and len(host.registry.deregisters()) == 1


def leave_a_worker(host, **spec):
    """An instance whose registering process is gone: a silent worker holds it, by the inherited lease alone."""
    puppet = host.puppet()
    if "when_listening" in spec:
        spec["port"] = int(puppet.values("listen 0")["port"])
    puppet.register("a", service="orders", ip="10.0.0.1", **spec)
    up(puppet)
    worker = int(puppet.values("fork")["pid"])
    puppet.kill()
    puppet.wait()
    host.agent.kill_agent()
    until(lambda: host.instance("orders")["state"] == "UP", "a death of the agent loses nothing")
    assert host.registry.deregisters() == [] and alive(worker)
    return worker


def test_any_holder_with_its_registering_process_gone_is_lost_with_keeper_and_agent(host):
    """What onebeat.h says of ONEBEAT_ANY_HOLDER, both halves: it is lost, and registering it anew brings it back."""
    worker = leave_a_worker(host, port=8080)
    try:
        kill_both(host)
        host.start_agent()
        until(lambda: host.registry.deregisters(), "nothing is left that tells of the worker")
        until(lambda: host.instance("orders") is None, "it is over")
        assert alive(worker) and host.registry.hosts("orders") == []
        assert len(host.registry.deregisters()) == 1 and len(host.registry.registers()) == 1
    finally:
        os.kill(worker, signal.SIGKILL)
    again = host.puppet()
    again.register("a", service="orders", ip="10.0.0.1", port=8080)
    up(again)


def test_any_holder_that_listens_is_kept_by_its_port(host):
    worker = leave_a_worker(host, when_listening=1)
    try:
        kill_both(host)
        started = boottime_ms()
        host.start_agent()
        all_beaten(host, started, 1)
        assert host.instance("orders")["state"] == "UP" and host.registry.deregisters() == []
    finally:
        os.kill(worker, signal.SIGKILL)
    until(lambda: host.registry.deregisters(), "until it listens no more")
    assert len(host.registry.registers()) == 1
