# SPDX-License-Identifier: Apache-2.0
"""A case: what a registry must do, told by one function that is given a Story

    @case("what must be so", generations=..., needs=...)
    def some_name(s): ...

A case that speaks of an API runs once for each that the target has (s.api). It expects in words; when it is
not so, Mismatch carries what was sent, expected and got. Names are the case's own, so all may run at once.
"""

import itertools
import json
import threading
import time

from wire import V1, V3, Instance

LIST_S = 2.5  # a list of 2.x and later is a cache, built anew half a second after a change
STEP_S = 0.05
CASES = []
numbers = itertools.count(1)


class Mismatch(Exception):
    def __init__(self, sent, expected, got):
        super().__init__(f"sent: {sent}\nexpected: {expected}\ngot: {got}")


class Case:
    def __init__(self, function, title, apis, generations, needs, agent):
        self.function, self.title, self.apis = function, title, apis
        self.generations, self.needs, self.agent = generations, needs, agent
        self.name = function.__name__

    def apis_on(self, target):
        """For which of the target's APIs it is to be run; empty: it does not concern this target."""
        if self.generations and target.generation not in self.generations:
            return []
        if self.needs and not self.needs(target):
            return []
        has = [a for a in target.apis if a in self.apis]
        return has[:1] if self.agent else has


def case(title, apis=(V1, V3), generations=None, needs=None, agent=False):
    def keep(function):
        CASES.append(Case(function, title, apis, generations, needs, agent))
        return function
    return keep


class Story:
    """What a case has at hand while it runs against one target through one API."""

    def __init__(self, target, api):
        self.target, self.api = target, api
        self.wire = target.wire()
        self.ns = target.run
        self.n = next(numbers)
        self.service = f"svc-{self.n}"
        self.made, self.kept, self.kept_at = set(), [], 0.0
        self.did = None  # what was done in place of a request: of cases with an agent

    # --- saying what is expected ------------------------------------------------------------------

    def last(self):
        return self.wire.exchanges[-1] if self.wire.exchanges else ("nothing", "nothing")

    def expect(self, so, expected, got=None):
        sent, reply = self.last()
        if not so:
            raise Mismatch(f"{self.did}; then {sent}" if self.did else sent, expected, reply if got is None else got)

    def until(self, look, expected, seconds=LIST_S):
        """Asks until look() is so, and keeps the neighbours beaten meanwhile."""
        end = time.monotonic() + seconds
        while True:
            self.beat_kept()
            if answer := look():
                return answer
            self.expect(time.monotonic() < end, f"{expected}, within {seconds:.1f} s")
            self.pause()

    def stays(self, look, expected, seconds):
        """It is so at every look, so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.beat_kept()
            self.expect(look(), f"{expected}, at every look in {seconds:.1f} s")
            self.pause()

    @staticmethod
    def pause():
        threading.Event().wait(STEP_S)  # a list has no event to wait for

    # --- instances ----------------------------------------------------------------------------------

    def instance(self, **changes):
        i = Instance(service=self.service, ns=self.ns).but(**changes)
        self.may_exist(i)
        return i

    def may_exist(self, i):
        key = (i.service, i.group, i.ns, i.cluster, i.ip, i.port)
        if key not in self.made:
            self.made.add(key)
            self.target.registered.add((i.ns, i.group, i.service, i.cluster))

    def register(self, i, **more):
        self.may_exist(i)
        return self.api.register(self.wire, i, **more)

    def registered(self, i, **more):
        reply = self.register(i, **more)
        self.expect(self.api.is_ok(reply), self.api.OK)

    def deregister(self, i, **more):
        return self.api.deregister(self.wire, i, **more)

    def deregistered(self, i, **more):
        self.expect(self.api.is_ok(self.deregister(i, **more)), self.api.OK)

    def renewed(self, i, **more):
        reply = self.api.beat(self.wire, i, **more)
        # 1.4 applies a registration by a queue: a beat right behind it may come too early.
        if self.target.generation == "1.4" and self.api.beat_outcome(reply) == "unknown":
            self.pause()
            reply = self.api.beat(self.wire, i, **more)
        self.expect(self.api.beat_outcome(reply) == "renewed", self.api.RENEWED)
        return reply

    def unknown(self, i):
        self.expect(self.api.beat_outcome(self.api.beat(self.wire, i)) == "unknown", self.api.UNKNOWN)

    def keep(self, i):
        """Registers a neighbour and keeps it beaten: 1.4 shows no ill health of who is alone."""
        self.registered(i)
        self.kept.append(i)

    def beat_kept(self):
        if self.kept and time.monotonic() - self.kept_at > self.target.seconds(4):
            self.kept_at = time.monotonic()
            for i in self.kept:
                self.renewed(i)

    # --- reading back ---------------------------------------------------------------------------------

    def hosts(self, i, **more):
        """What the list of i's service shows, by (ip, port)."""
        reply = self.api.list(self.wire, i, **more)
        hosts = self.api.hosts(reply)
        self.expect(hosts is not None, "a list of hosts")
        return {(h.get("ip"), h.get("port")): h for h in hosts}

    def host(self, i):
        return self.hosts(i).get(i.address)

    def listed(self, i, **fields):
        """Until the list shows i with these fields; returns what it shows."""
        return self.until(lambda: (h := self.host(i)) and all(h.get(k) == v for k, v in fields.items()) and h,
                          f"{i.ip}:{i.port} is listed{' with ' + words(fields) if fields else ''}")

    def unlisted(self, i, seconds=LIST_S):
        self.until(lambda: not self.host(i), f"{i.ip}:{i.port} is not listed", seconds)

    # --- the end --------------------------------------------------------------------------------------

    def clean_up(self):
        """Takes away whatever the case may have left, of either kind."""
        for service, group, ns, cluster, ip, port in self.made:
            i = Instance(service=service, group=group, ns=ns, cluster=cluster, ip=ip, port=port)
            for ephemeral in (True, False):
                self.api.deregister(self.wire, i.but(ephemeral=ephemeral))
        self.wire.close()


def words(fields):
    return json.dumps(fields, ensure_ascii=False)
