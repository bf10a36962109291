# SPDX-License-Identifier: Apache-2.0
"""Judges every request that the registry got against what the driver did

The driver tells, before it acts, what may follow: a process starts, registers, withdraws, ends. The registry's
log says what did follow. Each registration must be one whole version (payload.py), of a process that had that
instance then, and not older than what the same process showed before; each deregistration must have a reason;
nothing is beaten once its end has reached the registry. Broken rules are collected, never raised: one run shows all.

Times are CLOCK_BOOTTIME in ms, the driver's and the registry's alike.
"""

import collections
import json

import payload

AFTERGLOW_MS = 3000  # requests that were under way when their process ended, or its DELETE was answered
NEVER = float("inf")


class Owner:
    """One process, and the workers that it forked, as far as the registry may hear of it."""

    def __init__(self, number, lane, born_ms):
        self.number = number
        self.lane = lane
        self.born_ms = born_ms
        self.ended_ms = NEVER
        self.shown = {}  # key -> sequence number that the registry was shown last

    def ended(self, now_ms):
        self.ended_ms = min(self.ended_ms, now_ms)


class Instance:
    """What the registry knows of one key, and what may happen to it."""

    def __init__(self):
        self.version = None     # registered; None: not
        self.may_leave = True   # a DELETE has a reason
        self.left_ms = None     # when a DELETE took it out


class Checker:
    def __init__(self):
        self.owners = {}
        self.instances = {}
        self.faults = []
        self.n = {"registrations": 0, "beats": 0, "deregistrations": 0}
        self.n_beats = collections.Counter()
        self.restarted_ms = 0  # the youngest agent began its work; NEVER while there is none

    def fault(self, kind, text):
        self.faults.append(f"{kind}: {text}")

    def instance(self, key):
        return self.instances.setdefault(key, Instance())

    # What the driver says before it acts.

    def starts(self, number, lane, now_ms):
        self.owners[number] = Owner(number, lane, now_ms)

    def ends(self, number, now_ms):
        """The last process that may speak for it is being ended."""
        self.owners[number].ended(now_ms)

    def may_come(self, key):
        """From here on a beat may ask whether a registration arrived whose answer was lost with an agent."""
        self.instance(key).left_ms = None

    def may_leave(self, key):
        self.instance(key).may_leave = True

    def must_stay(self, key):
        """All is quiet and it is registered: the reasons of the past are used up."""
        self.instance(key).may_leave = False

    def agent_gone(self):
        self.restarted_ms = NEVER

    def agent_restarted(self, now_ms):
        self.restarted_ms = now_ms

    # What the registry's log says.

    def line(self, text):
        request = json.loads(text)
        method = request["method"]
        if method == "GET" or not 200 <= request["status"] < 300:
            return
        parameters = payload.parameters(request["target"])
        now_ms = request["boottime_ms"]
        try:
            if method == "POST":
                self.registered(payload.decode(parameters), now_ms)
            elif method == "DELETE":
                self.deregistered(payload.key_of(parameters), now_ms)
            elif method == "PUT":
                self.beaten(payload.key_of(parameters), now_ms, request["code"])
        except payload.Torn as torn:
            self.fault("torn", f"{torn} in {method} {request['target'][:120]}")

    def late(self, since_ms, now_ms):
        """Too late for something that was over at since_ms? An agent that starts first has to find that out."""
        return now_ms > max(since_ms, self.restarted_ms) + AFTERGLOW_MS

    def registered(self, version, now_ms):
        self.n["registrations"] += 1
        instance = self.instance(version.key)
        owner = self.owners.get(version.owner)
        if owner is None or owner.lane != version.key // 8 or owner.born_ms > now_ms:
            self.fault("foreign", f"{version} is of a process that never had this instance")
            return
        if self.late(owner.ended_ms, now_ms):
            self.fault("foreign", f"{version} was shown {now_ms - owner.ended_ms:.0f} ms after its process's end")
        before = instance.version
        if before and before.owner > version.owner and self.late(owner.ended_ms, now_ms):
            self.fault("foreign", f"{version} took the place of {before}")
        if owner.shown.get(version.key, 0) > version.seq:
            self.fault("backwards", f"{version} after {owner.shown[version.key]}")
        owner.shown[version.key] = version.seq
        instance.version = version
        instance.left_ms = None

    def deregistered(self, key, now_ms):
        self.n["deregistrations"] += 1
        instance = self.instance(key)
        if instance.version and not instance.may_leave:
            self.fault("deregistered", f"{instance.version} while it lives")
        if instance.version:
            instance.left_ms = now_ms
        instance.version = None

    def beaten(self, key, now_ms, code):
        self.n["beats"] += 1
        self.n_beats[key] += 1
        instance = self.instance(key)
        if instance.version is None and instance.left_ms is not None and \
                now_ms > instance.left_ms + AFTERGLOW_MS:
            self.fault("beaten", f"soak.{key} {now_ms - instance.left_ms:.0f} ms after it was deregistered")
        if instance.version is not None and code == 20404:
            self.fault("lost", f"the registry has no {instance.version} any more")

    # What is asked when all is quiet.

    def differences(self, expected, unknown=()):
        """{key: (owner, seq or None)} of what must be registered, against what is."""
        found = []
        for key, instance in self.instances.items():
            if key not in expected and key not in unknown and instance.version:
                found.append(f"ghost: {instance.version} is registered and lives no more")
        for key, (owner, seq) in expected.items():
            version = self.instance(key).version
            if version is None:
                found.append(f"missing: soak.{key} of owner {owner} is not registered")
            elif version.owner != owner or seq not in (None, version.seq):
                found.append(f"stale: {version}, not {payload.Version(key, owner, seq)}")
        return found
