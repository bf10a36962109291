# SPDX-License-Identifier: Apache-2.0
"""Agent or keeper dies while a thousand processes hold fifty instances each: the registry must not notice."""

import os
import signal

from host import boottime_ms, until

PROCESSES, PER_PROCESS = 1000, 50
N = PROCESSES * PER_PROCESS
PERIOD_MS = 5000
SERVER_TIMEOUT_MS = 15000  # without a beat for so long an instance is shown unhealthy


def start_crowded(host, processes=PROCESSES):
    """A registry, an agent with room for all, and everybody registered and beaten twice."""
    conf = host.folder / "onebeatd.conf"
    conf.write_text("[agent]\nslots = 65536\n")
    host.start_registry()
    host.start_agent(options=["-c", conf])
    crowd = host.crowd(processes, PER_PROCESS)
    crowd.up()
    until(lambda: len(gaps(beats(host))) == processes * PER_PROCESS, "all are beaten twice", seconds=90, step=0.5)
    return crowd


def beats(host):
    return [b for b in host.registry.beats() if b.code == 10200]


def beaten(host, since):
    return {b.target for b in beats(host) if b.boottime_ms > since}


def gaps(all_beats):
    """Per instance the longest time between two beats."""
    last, longest = {}, {}
    for beat in all_beats:
        if beat.target in last:
            longest[beat.target] = max(longest.get(beat.target, 0), beat.boottime_ms - last[beat.target])
        last[beat.target] = beat.boottime_ms
    return longest


def median(numbers):
    return sorted(numbers)[len(numbers) // 2]


def test_agent_killed_with_50000_instances_and_the_registry_does_not_notice(empty_host):
    crowd = start_crowded(empty_host)
    killed = boottime_ms()
    empty_host.agent.kill_agent()
    # The new one answers: it has adopted, and nobody was told anything else in between.
    assert crowd.states() == {"UP": N}
    until(lambda: len(gaps(b for b in beats(empty_host) if b.boottime_ms > killed)) == N, "all are beaten twice again",
          seconds=90, step=0.5)
    status = empty_host.status()
    assert (status["dom2BeatSize"], status["leases"], status["states"]) == (N, PROCESSES, {"UP": N})
    registry = empty_host.registry
    assert len(registry.registers()) == N and registry.deregisters() == []
    assert not [r for r in registry.requests() if r.code not in (200, 10200) and r.status != 200]
    every = beats(empty_host)
    # The server would have noticed nothing; unless this machine is too slow for so many beats even without a death.
    paces = [gaps(b for b in every if (b.boottime_ms > killed) == later).values() for later in (False, True)]
    if max(map(max, paces)) < 1.5 * PERIOD_MS:
        assert max(gaps(every).values()) < SERVER_TIMEOUT_MS
    # Who was due first comes first: a restart shifts nobody's beat.
    before = {b.target: b.boottime_ms for b in every if b.boottime_ms <= killed}
    after = {b.target: b.boottime_ms for b in reversed(every) if b.boottime_ms > killed}
    order = sorted(before, key=before.get)
    oldest, newest = order[:N // 10], order[-N // 10:]
    assert median([after[t] for t in oldest]) < median([after[t] for t in newest])
    # And who dies now is noticed as ever.
    crowd.kill_some(20)
    until(lambda: len(registry.deregisters()) == 20 * PER_PROCESS, "the dead are deregistered", seconds=30)
    assert len(registry.registers()) == N
