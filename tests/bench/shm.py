# SPDX-License-Identifier: Apache-2.0
"""Shared memory: what the library's calls cost, and how soon the agent knows"""

import os
import signal
import subprocess
import time

import first
from figures import Figure, percentile, spread
from host import BIN, Host, Program
from wire import Wire

STOPWATCH = BIN / "tests" / "stopwatch"
GIB2 = 2048

EXPECTED = ("onebeat_update, agent awake", "onebeat_tick", "system calls of an update and a tick, agent awake",
            "publish to agent has it, asleep p50", "publish to agent has it, asleep p99.9",
            "publish to agent has it, awake p50", "publish to agent has it, awake p99.9",
            "onebeat_open p50", "SIGKILL to DELETE, small p50", "SIGKILL to DELETE, small p99",
            "SIGKILL to DELETE, 2 GiB p50", "SIGKILL to DELETE, 2 GiB p99")


def stopwatch(runtime_dir, *words):
    env = dict(os.environ, ONEBEAT_RUNTIME_DIR=str(runtime_dir))
    done = subprocess.run([STOPWATCH, *map(str, words)], env=env, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise AssertionError(f"stopwatch {words}: {done.returncode}: {done.stderr}")
    return [line.split() for line in done.stdout.splitlines()]


def library_alone(folder, short):
    """An agent that is awake and does nothing meanwhile: the library's own time."""
    agent = first.FirstAgent(folder / "awake", stays_awake=True)
    try:
        lines = stopwatch(folder / "awake", "calls", 2000 if short else 20000)
    finally:
        agent.stop()
    said = {name: [float(v) for n, v in lines if n == name] for name in ("update", "tick", "calls", "counted")}
    if said["counted"] != [1]:
        raise AssertionError("the counter of system calls does not count")
    return [Figure("onebeat_update, agent awake", min(said["update"]), "ns", 10, 100000, 150,
                   "with 3 pairs of metadata checked, encoded, copied; the best of 20 rounds"),
            Figure("onebeat_tick", min(said["tick"]), "ns", 0.2, 10000, 150),
            Figure("system calls of an update and a tick, agent awake", said["calls"][0], "", 0, 0, 0)]


def knowing(host, short):
    n = 300 if short else 3000
    asleep = [int(v) / 1000 for (v,) in stopwatch(host.agent.runtime_dir, "seen", n, 3, 0)]
    awake = [int(v) / 1000 for (v,) in stopwatch(host.agent.runtime_dir, "seen", n, 3, 7)]
    opened = [int(v) / 1000 for (v,) in stopwatch(host.agent.runtime_dir, "open", 50 if short else 500)]
    percentiles = (50, 99, 99.9)
    return spread("publish to agent has it, asleep", asleep, "us", 0.5, 5e6, percentiles, {50: 10, 99: 100}) + \
        spread("publish to agent has it, awake", awake, "us", 0.1, 5e6, percentiles) + \
        spread("onebeat_open", opened, "us", 5, 5e6, (50, 99))


def death(folder, host, wire, mib):
    """One process registers, is killed; how long until its DELETE is read, in ms."""
    env = dict(os.environ, ONEBEAT_RUNTIME_DIR=str(host.agent.runtime_dir))
    victim = Program([STOPWATCH, "stay", mib], folder / "stopwatch.log", env, first_line=False)
    try:
        victim.read_line(60, "it is registered")
        service = f"stopwatch-{victim.pid}&"
        since = len(wire.requests)
        killed = time.monotonic_ns()
        os.kill(victim.pid, signal.SIGKILL)
        at = wire.wait("DELETE", service)
        assert not [r for r in wire.requests[:since] if r[0] == "DELETE" and service in r[1]]
    finally:
        victim.stop()
    del wire.requests[:]
    return (at - killed) / 1e6


def deaths(folder, host, wire, short):
    small = [death(folder, host, wire, 0) for _ in range(40 if short else 300)]
    large = [death(folder, host, wire, GIB2) for _ in range(3 if short else 20)]
    return spread("SIGKILL to DELETE, small", small, "ms", 0.01, 10000, (50, 99), {50: 1, 99: 10}) + \
        spread("SIGKILL to DELETE, 2 GiB", large, "ms", 0.01, 30000, (50, 99))


def measure(folder, short):
    figures = library_alone(folder, short)
    host = Host(folder)
    wire = Wire()
    try:
        host.start_agent(urls=[wire.address])
        figures += knowing(host, short)
        figures += deaths(folder, host, wire, short)
    finally:
        host.stop()
        wire.stop()
    assert percentile([1, 2, 3], 50) == 2
    return figures
