# SPDX-License-Identifier: Apache-2.0
"""A registry that comes back empty: how soon it knows everybody again, and at what rate it is told

The registry is killed and started on its port with nothing in it. Its time-out runs from the first registration on, so
all instances have to be back within one of them, 15 s, while no more than reregister_rate are told a second.
"""

import collections
import time

from adopt import PER_PROCESS, crowded
from figures import Figure
from host import Registry, until

RATE = 4000  # the default of reregister_rate
TIME_OUT_S = 15
EXPECTED = ("registry up to all known again", "registrations a second", "registrations in the busiest second")


def come_back(host):
    """Kills the registry, starts another; when it was up (boottime ms)."""
    old = host.registry
    old.kill()
    old.wait()
    host.registry = host.keep(Registry(host.folder, port=old.port))
    return time.clock_gettime(time.CLOCK_BOOTTIME) * 1000


def measure(folder, short):
    n = 5000 if short else 50000
    host, crowd, _ = crowded(folder / "comeback", n // PER_PROCESS, PER_PROCESS)
    try:
        up_ms = come_back(host)
        registry = host.registry
        until(lambda: registry.stats()["instances"] == n, lambda: f"{n} are known; now {registry.stats()}", 120, 0.1)
        told = {}
        for post in registry.registers():
            told.setdefault(post.target, post.boottime_ms)
        assert len(told) == n and registry.deregisters() == [], (len(told), registry.deregisters()[:3])
    finally:
        host.stop()
    first_ms, last_ms = min(told.values()), max(told.values())
    busiest = max(collections.Counter(int((at - first_ms) / 1000) for at in told.values()).values())
    return [Figure("registry up to all known again", (last_ms - up_ms) / 1000, "s", n / RATE / 5, 90, TIME_OUT_S, f"n={n}"),
            Figure("registrations a second", (n - 1) / max(last_ms - first_ms, 1) * 1000, "/s", 100, 5 * RATE),
            Figure("registrations in the busiest second", busiest, "/s", 100, 5 * RATE, 1.1 * RATE,
                   f"reregister_rate {RATE}")]
