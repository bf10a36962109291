# SPDX-License-Identifier: Apache-2.0
"""Many instances: how soon they are adopted, what they take, what they cost while nothing happens"""

import datetime
import os
import pathlib
import re
import signal
import time

from figures import Figure
from host import Host, boottime_ms, until

PER_PROCESS = 50
EXPECTED = ("killed agent to adopted and ready, most instances", "agent memory per instance, beyond the segment",
            "agent memory per instance, segment and journal", "agent memory per lease",
            "idle watcher, share of a core", "agent with its beats, share of a core")


def crowded(folder, processes, instances):
    folder.mkdir()
    host = Host(folder)
    try:
        conf = folder / "onebeatd.conf"
        conf.write_text("[agent]\nslots = 65536\n")
        host.start_registry()
        host.start_agent(options=["-c", conf])
        before = memory(host.agent.agent_pid())
        crowd = host.crowd(processes, instances)
        crowd.up(280)
    except BaseException:
        host.stop()
        raise
    return host, crowd, before


def memory(pid):
    """(anonymous, of files and shared) resident bytes."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    kib = {name: int(value) for name, value in re.findall(r"^(Rss\w+):\s+(\d+) kB", status, re.MULTILINE)}
    return kib["RssAnon"] * 1024, (kib["RssFile"] + kib["RssShmem"]) * 1024


def cpu_s(pid, thread=None):
    """Seconds that a process, or a thread of it, has run."""
    tasks = [thread] if thread else os.listdir(f"/proc/{pid}/task")
    return sum(int(pathlib.Path(f"/proc/{pid}/task/{t}/schedstat").read_text().split()[0]) for t in tasks) / 1e9


def wall_ms(line):
    """When a line of the log was written."""
    stamp = datetime.datetime.strptime(line.split()[0], "%Y-%m-%dT%H:%M:%S.%fZ")
    return stamp.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000


def adoption_ms(host, n):
    """From the kill to "ready", when the threads run; and the longest that a beat was away over it, in ms."""
    registry = host.registry
    until(lambda: len({b.target for b in registry.beats()}) == n, "all are beaten", seconds=90, step=0.3)
    killed, killed_wall = boottime_ms(), time.time() * 1000
    os.kill(host.agent.agent_pid(), signal.SIGKILL)
    until(lambda: len({b.target for b in registry.beats() if b.boottime_ms > killed}) == n, "all are beaten again",
          seconds=90, step=0.3)
    assert len(registry.registers()) == n and registry.deregisters() == []
    before = {b.target: b.boottime_ms for b in registry.beats() if b.boottime_ms <= killed}
    after = {b.target: b.boottime_ms for b in reversed(registry.beats()) if b.boottime_ms > killed}
    (ready,) = [line for line in host.agent.log.read_text().splitlines()
                if "event=agent.ready" in line and wall_ms(line) > killed_wall - 1]
    return wall_ms(ready) - killed_wall, max(at - before[target] for target, at in after.items())


def adoptions(folder, short):
    sizes = (1000, 5000) if short else (1000, 5000, 10000, 20000, 50000)
    figures = []
    for n in sizes:
        host, _, before = crowded(folder / f"adopt-{n}", n // PER_PROCESS, PER_PROCESS)
        try:
            after = memory(host.agent.agent_pid())
            took, gap = adoption_ms(host, n)
        finally:
            host.stop()
        figures.append(Figure(f"killed agent to adopted and ready, {n} instances", took, "ms", 1, 60000,
                              1000 if n == 50000 else None))
    figures.append(Figure("killed agent to adopted and ready, most instances", took, "ms", 1, 60000, 1000, f"n={n}"))
    figures.append(Figure("longest time between two beats over that", gap, "ms", 900, 90000, None, "period 5000 ms"))
    per = [(a - b) / n for a, b in zip(after, before)]
    return figures + [
        Figure("agent memory per instance, beyond the segment", per[0], "B", 100, 20000, 1024,
               f"anonymous; n={n}, {PER_PROCESS} a lease"),
        Figure("agent memory per instance, segment and journal", per[1], "B", 100, 50000)]


def leases(folder, short):
    n = 300 if short else 1000
    taken = []
    for name, processes, instances in (("one", 1, n), ("many", n, 1)):
        host, _, _ = crowded(folder / f"lease-{name}", processes, instances)
        taken.append(memory(host.agent.agent_pid())[0])
        host.stop()
    return [Figure("agent memory per lease", (taken[1] - taken[0]) / (n - 1), "B", -5000, 50000, None,
                   f"{n} processes of one instance against one of {n}")]


def idle(folder, short):
    n, seconds = (2000, 5) if short else (10000, 20)
    host, _, _ = crowded(folder / "idle", n // PER_PROCESS, PER_PROCESS)
    try:
        pid = host.agent.agent_pid()
        until(lambda: len({b.target for b in host.registry.beats()}) == n, "all are beaten", seconds=90, step=0.3)
        before = cpu_s(pid), cpu_s(pid, pid), time.monotonic()
        deadline = before[2] + seconds
        until(lambda: time.monotonic() > deadline, "the time is over", seconds + 10, 0.1)
        passed = time.monotonic() - before[2]
        whole, watcher = ((cpu_s(pid, t) - b) / passed * 100 for t, b in ((None, before[0]), (pid, before[1])))
    finally:
        host.stop()
    return [Figure("idle watcher, share of a core", watcher, "%", 0, 50, 0.1, f"n={n}"),
            Figure("agent with its beats, share of a core", whole, "%", 0.01, 100, 0.3 * n / 1000,
                   f"n={n} every 5 s; bound: 0.3 % a thousand")]


def measure(folder, short):
    return adoptions(folder, short) + leases(folder, short) + idle(folder, short)
