# SPDX-License-Identifier: Apache-2.0
"""A cluster of embedded registries, and what befalls its members in a long run

One is killed and comes back empty, one answers every request late, one is wrong for 5 s about who belongs to the
cluster: as long as was seen of a real one, whose members agree again by then. A list is asked of every member that
runs. One that has come back is asked again when it has heard from the others what there is, for which it has a
time-out of its clock.
"""

import functools
import time

from host import Registry
from target import Target, Unfit

SLOW_MS = 50
WRONG_S = 5


class Cluster(Target):
    """Members of one mode, whose clock runs scale times as fast."""

    def __init__(self, mode, folder, members, scale):
        if members < 3:
            raise Unfit(f"a cluster of {members} cannot lose one and slow another down: wanted are 3 or more")
        super().__init__("http://unknown", None, f"embedded {mode}, {members} members")
        self.mode, self.folder, self.members, self.scale, self.registry = mode, folder, members, scale, None

    @property
    def urls(self):
        return self.registry.addresses

    def start(self):
        self.registry = Registry(self.folder, mode=self.mode, nodes=self.members, options=["--time-scale", self.scale])
        self.url = self.registry.address

    def stop(self):
        if self.registry:
            self.registry.stop()

    def troubles(self, seconds, watchers):
        """[(after so many seconds, what, do)] of a run of that many, in their order; one at a time."""
        last, slow = self.members - 1, self.members - 2
        node, view = self.registry.node, functools.partial(self.registry.admin, "view", node=0)

        def kill():
            watchers[last].excused.set()
            node(last, "kill")

        def bring_back():
            node(last, "restart")
            watchers[last].excuse_until_well(self.seconds(15))
        found = [(0.1 * seconds, f"member {last} killed", kill),
                 (0.3 * seconds, f"member {last} back, empty", bring_back),
                 (0.4 * seconds, f"member {slow} takes {SLOW_MS} ms", lambda: node(slow, "slow", ms=SLOW_MS)),
                 (0.6 * seconds, f"member {slow} swift again", lambda: node(slow, "slow", ms=0))]
        wrong_s = min(WRONG_S / self.scale, 0.02 * seconds)
        for part in (0.65, 0.75, 0.85, 0.95):
            found += [(part * seconds, "member 0 is wrong about the others", lambda: view(members="0,1")),
                      (part * seconds + wrong_s, "member 0 is right again", lambda: view(members="auto"))]
        return found


class Schedule:
    """Carries troubles out when their time has come."""

    def __init__(self, troubles):
        self.troubles, self.start, self.told = list(troubles), time.monotonic(), []

    def go_on(self):
        passed = time.monotonic() - self.start
        while self.troubles and self.troubles[0][0] <= passed:
            _, what, do = self.troubles.pop(0)
            do()
            self.told.append(f"{passed:.0f} s: {what}")
