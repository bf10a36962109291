# SPDX-License-Identifier: Apache-2.0
"""The long truth: who watches, who kills, and what is judged (tests/conformance/long tells how)"""

import json
import threading
import time

import rnacos
from by_agent import AgentHost
from case import Story
from cluster import Cluster, Schedule
from host import until
from proxy import Proxy, beat_reply
from suite import say
from target import Embedded, Target, Unfit
from wire import Instance, Reply

PER_PROCESS = 50
PERIOD_MS = 5000  # of a beat, by the server's clock
TIME_OUT_S = 15  # the server's, after which who is not beaten is unhealthy
SHOWN_MAX = 20


class Watcher:
    """Asks one server for every service's list, round and round, by connections of its own."""

    def __init__(self, target, url, services, each, step_s):
        self.target, self.url, self.services, self.each, self.step_s = target, url, services, each, step_s
        self.api = target.apis[0]
        self.moments, self.looks, self.longest_s = [], 0, 0.0
        self.excused = threading.Event()  # the server is being restarted
        self.bound_s = None  # or it is back, and has so long until the looks count again
        self.ended = threading.Event()
        self.wire = target.wire(url)
        self.thread = threading.Thread(target=self.go_round)

    def look(self, service):
        """What is wrong with this service now; a list of words."""
        reply = self.api.list(self.wire, service)
        hosts = self.api.hosts(reply)
        if hosts is None:
            return [f"{service.service}: no list: {reply}"]
        wrong = [f"{service.service}: {h['ip']}:{h['port']} is unhealthy" for h in hosts if not h.get("healthy")]
        if len(hosts) != self.each:
            there = {h["port"] for h in hosts}
            absent = [str(port) for port in range(1000, 1000 + self.each) if port not in there]
            wrong.append(f"{service.service}: {len(hosts)} of {self.each} are listed; absent: {' '.join(absent[:9])}")
        return wrong

    def go_round(self):
        start = last = time.monotonic()
        while not self.ended.is_set():
            if self.excused.is_set() and not self.is_well_again():
                self.ended.wait(0.1)
                continue
            for service in self.services:
                excused = self.excused.is_set()
                wrong = self.look(service)
                self.looks += 1
                if not (excused or self.excused.is_set()):
                    self.moments += [f"at {time.monotonic() - start:.1f} s {w}" for w in wrong]
            now = time.monotonic()
            self.longest_s, last = max(self.longest_s, now - last), now
            self.ended.wait(self.step_s)

    def excuse_until_well(self, bound_s):
        self.bound_s, self.back_s = bound_s, time.monotonic()

    def is_well_again(self):
        """Of one that is excused: whether its looks count from now on. Not while nobody says that it is back."""
        if self.bound_s is None:
            return False
        over = time.monotonic() - self.back_s
        if not self.all_well() and over < self.bound_s:
            return False
        self.bound_s = None
        self.excused.clear()
        return True

    def all_well(self):
        wire = self.target.wire(self.url)
        try:
            for service in self.services:
                hosts = self.api.hosts(self.api.list(wire, service))
                if hosts is None or len(hosts) != self.each or not all(h.get("healthy") for h in hosts):
                    return False
            return True
        finally:
            wire.close()

    def stop(self):
        self.ended.set()
        self.thread.join()
        self.wire.close()


def blinks():
    """One instance is left out of one list, once, after fifty lists that were right."""
    seen = [0]

    def lie(request, ask):
        reply = ask(request)
        if request.call == "list" and reply.json.get("hosts"):
            seen[0] += 1
            if seen[0] == 50:
                said = reply.json
                return Reply(200, reply.headers, json.dumps({**said, "hosts": said["hosts"][1:]}))
        return reply
    return lie


def forgets():
    """The beats of one instance are not passed on."""
    return lambda request, ask: beat_reply(10200) if request.call == "beat" and request.params.get("port") == "1007" \
        and "crowd-0" in request.params["serviceName"] else ask(request)


LIES = {"blinks": blinks, "forgets": forgets}


class Behind(Embedded):
    """An embedded registry with a liar before it; it is not restarted."""

    def start(self):
        super().start()
        self.proxy = Proxy(self.url, LIES[self.lie]())
        self.url = self.proxy.url

    def stop(self):
        self.proxy.stop()
        super().stop()


def target_of(given, folder):
    what, _, more = given.target.partition(",")
    nodes = int(more.removeprefix("nodes=")) if more.startswith("nodes=") else 1
    login = more == "login"
    if more and nodes == 1 and not login:
        raise Unfit(f"target '{given.target}': behind the comma stands login, or nodes= and a number above 1")
    place = folder / "registry"
    place.mkdir()
    user = "conform:secretword" if login else None
    if what == "rnacos":
        target = rnacos.Rnacos(place, user)
        target.scale = 1.0
        return target
    if not what.startswith("embedded:"):
        return Target(what, given.user)
    if nodes > 1:
        return Cluster(what.removeprefix("embedded:"), place, nodes, given.scale)
    target = (Behind if given.lie else Embedded)(what.removeprefix("embedded:"), place, user, 60 if login else None)
    target.lie, target.scale = given.lie, given.scale
    return target


def restart(target, watcher):
    """Stops and starts the registry; returns (seconds that it was away, and until all are back and healthy; bound)."""
    watcher.excused.set()
    stopped = time.monotonic()
    target.stop()
    target.start()
    up = time.monotonic()
    bound = target.seconds(TIME_OUT_S) + 1
    deadline = up + bound * 4  # looks on, to tell how late it was
    while not watcher.all_well() and time.monotonic() < deadline:
        watcher.ended.wait(0.1)
    back = time.monotonic()
    watcher.excused.clear()
    return up - stopped, back - up, bound


def live_through(given, target, host, watchers, figures):
    """Kills, restarts and whatever else befalls it until the time is over; returns what was wrong."""
    watcher = watchers[0]
    schedule = Schedule(target.troubles(given.minutes * 60, watchers) if isinstance(target, Cluster) else [])
    start = time.monotonic()
    end = start + given.minutes * 60
    half, next_kill = (start + end) / 2, start + given.kill_every
    faults, restarted = [], not target.restarts_alone or bool(given.lie)
    while (now := time.monotonic()) < end:
        schedule.go_on()
        if not restarted and now >= half:
            restarted = True
            away, back, bound = restart(target, watcher)
            figures.append(f"the registry was away for {away:.1f} s; all are back {back:.1f} s after it answered")
            if back > bound:
                faults.append(f"all are back {back:.1f} s after the registry answered, wanted within {bound:.1f} s")
            next_kill = time.monotonic() + given.kill_every
        elif now >= next_kill:
            host.agent.kill_agent()
            host.killed.append(time.monotonic() - now)
            next_kill = now + given.kill_every
        watcher.ended.wait(0.1)
    figures += schedule.told
    if schedule.troubles:
        faults.append(f"the time was over before: {', '.join(what for _, what, _ in schedule.troubles)}")
    return faults


def run_on(given, target, folder):
    target.start()
    figures, faults = [], []
    try:
        target.detect()
        processes = max(1, given.instances // PER_PROCESS)
        each = min(given.instances, PER_PROCESS)
        story = Story(target, target.apis[0])
        host = AgentHost(folder, story, target.urls)
        host.killed = []
        try:
            crowd = host.crowd(processes, each, int(PERIOD_MS / given.scale))
            crowd.up()
            services = [Instance(service=f"crowd-{p}", ns=story.ns) for p in range(processes)]
            watchers = [Watcher(target, url, services, each, min(1.0, given.minutes)) for url in target.urls]
            until(lambda: all(w.all_well() for w in watchers), "all are listed and healthy", 30, step=0.2)
            try:
                for watcher in watchers:
                    watcher.thread.start()
                faults = live_through(given, target, host, watchers, figures)
            finally:
                for watcher in watchers:
                    watcher.stop()
            moments = [f"server {i}: {moment}" for i, w in enumerate(watchers) for moment in w.moments] \
                if len(watchers) > 1 else watchers[0].moments
            figures += [f"{processes * each} instances of {processes} processes for {given.minutes * 60:.0f} s",
                        f"{sum(w.looks for w in watchers)} lists were looked at, the longest round took "
                        f"{max(w.longest_s for w in watchers):.1f} s",
                        f"{len(host.killed)} kills of the agent, the slowest answered again after "
                        f"{max(host.killed, default=0):.2f} s",
                        f"{len(moments)} moments with somebody absent or unhealthy"]
            faults += moments[:SHOWN_MAX]
            states = crowd.states()
            if states != {"UP": processes * each}:
                faults.append(f"at the end the processes are told {states}")
            host.agent.ctl("leave", check=False)
            until(lambda: not any(story.api.hosts(story.api.list(story.wire, s)) for s in services),
                  "all are gone after onebeatctl leave", 30, step=0.2)
        finally:
            host.stop()
        return figures, faults
    finally:
        target.stop()


def run(given, folder):
    name = f"long, {given.target}{' that ' + given.lie if given.lie else ''}: nobody is absent or unhealthy at any look"
    if given.target.startswith("rnacos") and rnacos.missing():
        return int(say(name, skipped=rnacos.missing()))
    try:
        target = target_of(given, folder)
        (folder / "agent").mkdir()
        figures, faults = run_on(given, target, folder / "agent")
    except (Unfit, AssertionError, OSError) as fault:
        return int(say(name, str(fault)))
    failed = say(name, "\n".join(faults))
    print(*(f"    {line}" for line in figures), sep="\n", flush=True)
    return int(failed)
