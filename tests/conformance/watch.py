# SPDX-License-Identifier: Apache-2.0
"""The long truth: who watches, who kills, and what is judged (tests/conformance/long tells how)"""

import json
import threading
import time

import rnacos
from by_agent import AgentHost
from case import Story
from host import until
from proxy import Proxy, beat_reply
from suite import say
from target import Embedded, Target, Unfit
from wire import Instance, Reply

PER_PROCESS = 50
TIME_OUT_S = 15  # the server's, after which who is not beaten is unhealthy
SHOWN_MAX = 20


class Watcher:
    """Asks for every service's list, round and round, by connections of its own."""

    def __init__(self, target, services, each, step_s):
        self.target, self.services, self.each, self.step_s = target, services, each, step_s
        self.api = target.apis[0]
        self.moments, self.looks, self.longest_s = [], 0, 0.0
        self.excused = threading.Event()  # the registry is being restarted
        self.ended = threading.Event()
        self.wire = target.wire()
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
            for service in self.services:
                excused = self.excused.is_set()
                wrong = self.look(service)
                self.looks += 1
                if not (excused or self.excused.is_set()):
                    self.moments += [f"at {time.monotonic() - start:.1f} s {w}" for w in wrong]
            now = time.monotonic()
            self.longest_s, last = max(self.longest_s, now - last), now
            self.ended.wait(self.step_s)

    def all_well(self):
        wire = self.target.wire()
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
    what, _, login = given.target.partition(",")
    place = folder / "registry"
    place.mkdir()
    user = "conform:secretword" if login else None
    if what == "rnacos":
        target = rnacos.Rnacos(place, user)
        target.scale = 1.0
        return target
    if not what.startswith("embedded:"):
        return Target(what, given.user)
    target = (Behind if given.lie else Embedded)(what.removeprefix("embedded:"), place, user, 60 if login else None)
    target.lie, target.scale = given.lie, given.scale
    return target


def restart(target, watcher):
    """Stops and starts the registry; returns (seconds that it was away, seconds until all are back and healthy)."""
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


def live_through(given, target, host, watcher, figures):
    """Kills and restarts until the time is over; returns what was wrong."""
    start = time.monotonic()
    end = start + given.minutes * 60
    half, next_kill = (start + end) / 2, start + given.kill_every
    faults, restarted = [], not target.restarts_alone or bool(given.lie)
    while (now := time.monotonic()) < end:
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
    return faults


def run_on(given, target, folder):
    target.start()
    figures, faults = [], []
    try:
        target.detect()
        processes = max(1, given.instances // PER_PROCESS)
        each = min(given.instances, PER_PROCESS)
        story = Story(target, target.apis[0])
        host = AgentHost(folder, story)
        host.killed = []
        try:
            crowd = host.crowd(processes, each)
            crowd.up()
            services = [Instance(service=f"crowd-{p}", ns=story.ns) for p in range(processes)]
            watcher = Watcher(target, services, each, min(1.0, given.minutes))
            until(watcher.all_well, "all are listed and healthy", 30, step=0.2)
            watcher.thread.start()
            try:
                faults = live_through(given, target, host, watcher, figures)
            finally:
                watcher.stop()
            figures += [f"{processes * each} instances of {processes} processes for {given.minutes * 60:.0f} s",
                        f"{watcher.looks} lists were looked at, the longest round took {watcher.longest_s:.1f} s",
                        f"{len(host.killed)} kills of the agent, the slowest answered again after "
                        f"{max(host.killed, default=0):.2f} s",
                        f"{len(watcher.moments)} moments with somebody absent or unhealthy"]
            faults += watcher.moments[:SHOWN_MAX]
            states = crowd.states()
            if states != {"UP": processes * each}:
                faults.append(f"at the end the processes are told {states}")
            host.agent.ctl("leave", check=False)
            until(lambda: not any(watcher.api.hosts(watcher.api.list(story.wire, s)) for s in services),
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
