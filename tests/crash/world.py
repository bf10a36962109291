# SPDX-License-Identifier: Apache-2.0
"""The world of one kill: a registry, a keeper with its agent, a process to look at and one that stands by

What must hold afterwards, whoever was killed and wherever, is here, once:

 - the process died by SIGKILL at that point: it says so itself (crashpoint.h) before it sends the signal
 - the registry is told what a process has written, byte for byte, and nothing else
 - what is registered is what living processes want, within SETTLE_S, and each living one is told so
 - a living instance is never deregistered, and registered once for each version, but where the table says
   "again"; one that died is deregistered if anybody ever registered it, and silent from then on
 - slots are granted to those who live, and to nobody once all are gone
"""

import contextlib
import json
import os
import pathlib
import re
import signal

from client import Client, key_of, posted, shown_host
from host import BIN, Host, Onebeatd, alive, until

SETTLE_S = 20.0  # on a machine that does much else; the figures printed say what it takes
KEEPER_GONE_S = 5.0  # the agent has 1 s to end by itself
PATIENCE_S = float(os.environ.get("ONEBEAT_CRASH_PATIENCE", "20"))


class World:
    def __init__(self, folder, role):
        self.folder = pathlib.Path(folder)
        self.host = Host(folder)
        self.role = role
        self.plan = self.folder / "plan"
        self.done = self.folder / "plan.done"
        self.clients = []
        self.subject = self.bystander = None
        self.manager = None  # a service manager, in stories that have one
        self.victim = None
        self.gone = set()  # agents that were killed
        self.strangers = []  # processes without a puppet
        self.estranged = []  # clients that have become strangers
        self.died_at = {}  # key -> boottime of its process's death
        self.registry = self.host.start_registry()

    # who there is

    def env(self, role):
        """Only the victim's role gets a plan; the point's name tells keeper from agent."""
        armed = (self.role == "lib") == (role == "lib")
        return {"ONEBEAT_CRASH_AT": str(self.plan)} if armed else {}  # without a plan nobody looks there

    def start_agent(self, conf=None):
        file = self.folder / "onebeatd.conf"
        if conf:
            file.write_text(conf)
        start = self.manager.start if self.manager else self.host.start_agent
        start(env=dict(os.environ, **self.env("agent")), **({"options": ["-c", file]} if file.exists() else {}))

    @property
    def agent(self):
        return self.host.agent

    def client(self, service, env=None, opened=True):
        runtime_dir = self.folder / "run"
        client = Client(self.folder, runtime_dir, service, env)
        self.host.keep(client.puppet)
        self.clients.append(client)
        if opened:
            client.do("open")
        return client

    def add_bystander(self):
        self.bystander = self.client("bystander")
        self.bystander.register(port=7000)
        self.bystander.wait_up()

    def add_subject(self, opened=True, env=None):
        self.subject = self.client("subject", env or self.env("lib"), opened)

    def forked_child(self, client):
        """A child that holds its parent's lease and does nothing; gone with the world."""
        pid = int(client.do("fork").removeprefix("pid="))
        self.strangers.append(pid)
        return pid

    def estrange(self, client):
        """What runs in that process is none of ours any more."""
        client.wants.clear()
        self.clients.remove(client)
        self.strangers.append(client.pid)
        self.estranged.append(client)

    def subject_is_watched(self):
        done = self.agent.ctl("list", "-o", "json", check=False)
        shown = [i for i in json.loads(done.stdout)["instances"] if i["service"] == self.subject.service] \
            if done.returncode == 0 else []
        return shown and shown[0]["holders"][0]["state"] == "watched"

    def attach(self, client):
        """As an event loop does, until the agent is there or somebody is dead. The library pauses in between."""
        until(lambda: not client.listens() or client.attend() or self.fired(), "attached")

    @contextlib.contextmanager
    def unreachable(self):
        """Who opens a handle meanwhile finds no agent."""
        socket = self.folder / "run" / "client.sock"
        hidden = socket.with_name("hidden.sock")
        socket.rename(hidden)
        yield
        hidden.rename(socket)

    def living(self):
        return [c for c in self.clients if c.lives()]

    # the kill

    def arm(self, point, nth=1):
        if self.agent:
            self.agent.list()  # the watcher answers: it has come to the end of what the story's beginning brought
        fresh = self.folder / "plan.new"
        fresh.write_text(f"{point}:{nth}")
        fresh.rename(self.plan)

    def fired(self):
        """The pid of who died of the plan."""
        if not self.done.exists():
            return None
        match = re.search(r"pid (\d+)\n", self.done.read_text())
        return int(match.group(1)) if match else None

    def attend(self):
        """As event loops do."""
        for client in self.living():
            if client.listens():
                client.attend()

    def victim_replaced(self):
        """Somebody was killed, and is there again if that is the keeper's task."""
        self.gone.add(self.fired())
        return self.fired() and (self.role != "agent" or self.agent_answers())

    def await_kill(self, point):
        self.victim = until(lambda: self.fired() or self.attend(), f"{point} is passed (it never fired)",
                            seconds=PATIENCE_S)
        return self.victim

    # after the kill

    def recover(self):
        """The service is up again."""
        {"lib": self.client_killed, "agent": self.agent_killed, "keeper": self.keeper_killed}[self.role]()

    def client_killed(self):
        assert self.subject.pid == self.victim and self.subject.puppet.wait() == -signal.SIGKILL
        self.subject.wants.clear()

    def kill_agent(self):
        pid = self.agent.agent_pid()
        self.gone.add(pid)
        os.kill(pid, signal.SIGKILL)

    @contextlib.contextmanager
    def without_agent(self):
        """The agent is dead, and the keeper has not noticed."""
        os.kill(self.agent.pid, signal.SIGSTOP)
        pid = self.agent.agent_pid()
        self.kill_agent()
        until(lambda: not alive(pid), "the agent is dead")
        yield
        os.kill(self.agent.pid, signal.SIGCONT)

    def kill_keeper(self):
        """Returns when its agent has gone as well."""
        self.agent.kill()
        self.agent.wait()
        until(lambda: not self.agents(), "its agent ends by itself", seconds=KEEPER_GONE_S)

    def agent_answers(self):
        pid = self.agent.agent_pid()
        return pid is not None and pid not in self.gone

    def agent_killed(self):
        until(lambda: not alive(self.victim), "the agent is dead")
        until(lambda: f"agent.died pid={self.victim} signal=9" in self.agent_log(), "its keeper saw it killed")
        self.gone.add(self.victim)

    def keeper_killed(self):
        if self.agent:
            assert self.agent.pid == self.victim and self.agent.wait() == -signal.SIGKILL
        until(lambda: not alive(self.victim), "the keeper is dead")
        until(lambda: not self.agents(), "its agent ends by itself", seconds=KEEPER_GONE_S)
        self.start_agent()

    def agent_log(self):
        return (self.folder / "onebeatd.log").read_text(errors="replace")

    def agents(self):
        """Every process that is an agent of this folder, whoever started it."""
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes()
                if b"--agent-manifest" in line and str(self.folder / "run").encode() in line and alive(entry.name):
                    found.append(int(entry.name))
        return found

    # what must hold

    def wanted(self):
        return [spec for client in self.living() for spec in client.wants.values()]

    def registered(self):
        services = {c.service for c in self.clients + self.estranged}
        return [shown_host(s, h) for s in services for h in self.registry.hosts(s)]

    def as_wanted(self):
        self.attend()
        return sorted(map(repr, self.registered())) == sorted({repr(s.shown()) for s in self.wanted()})

    def settle(self):
        until(self.agent_answers, "an agent answers", seconds=SETTLE_S)
        until(self.as_wanted, "what is registered is what the living want", seconds=SETTLE_S, step=0.02)
        for client in self.living():
            for name in client.wants if client.listens() else ():
                client.wait_up(name)

    def check_truth(self):
        written = [repr(spec.shown()) for client in self.clients + self.estranged for spec in client.written]
        for request in self.registry.registers():
            assert repr(posted(request)) in written, f"nobody wrote this: {request.target}"
        known = {spec.key for client in self.clients + self.estranged for spec in client.written}
        for request in self.registry.requests():
            assert key_of(request) in known, f"nobody wrote this: {request.target}"

    def check_living(self, again=False, story=None):
        """Registered once for each version, never deregistered."""
        for spec in self.wanted():
            mine = [r for r in self.registry.requests() if key_of(r) == spec.key]
            if spec.key.service in story.may_leave:
                continue
            assert not [r for r in mine if r.method == "DELETE"], f"{spec.key} lives and was deregistered"
            posts = [posted(r)[1] for r in mine if r.method == "POST"]
            twice = sorted(v for v in set(posts) if posts.count(v) > 1)
            again_at_most = 2 if story.forgets or (again and spec.key.service == "subject") else 1
            assert all(posts.count(v) <= again_at_most for v in twice), f"{spec.key}: needless registers: {posts}"

    def check_dead(self):
        """Deregistered if it was ever registered, and nothing is said for it afterwards."""
        living = {spec.key for spec in self.wanted()}
        requests = self.registry.requests()
        for key in {key_of(r) for r in requests} - living:
            mine = [r.method for r in requests if key_of(r) == key]
            assert "DELETE" in mine, f"{key} was registered, is dead, and was never deregistered: {mine}"
            rest = mine[len(mine) - mine[::-1].index("DELETE"):]
            # A DELETE overtakes a beat that is on its way: that one creates nothing, and is the last.
            assert rest in ([], ["PUT"]), f"{key} is dead and deregistered, then: {rest}"

    def slots(self):
        status = self.agent.status()
        return status["leases"], status["slots"]

    def check_slots(self, story, at_rest):
        """
        As without the kill, or without whom it killed. Who lost a segment has lost with it what was kept for a
        writer that might come back; nobody has more than before.
        """
        if self.role == "lib":
            self.await_slots(story.others)
            return
        leases, slots = at_rest
        least = sum(len(c.wants) + 1 for c in self.living() if c.wants)
        slots += story.kept * leases
        until(lambda: self.slots()[0] == leases and least <= self.slots()[1] <= slots,
              lambda: f"leases are {leases} and slots {least} to {slots}, not {self.slots()}", seconds=SETTLE_S)

    def await_slots(self, expected):
        until(lambda: self.slots() == expected, lambda: f"leases and slots are {expected}, not {self.slots()}",
              seconds=SETTLE_S)

    def end(self):
        """Everybody goes: nothing is left of them."""
        for client in self.living():
            client.kill()
        for client in self.estranged:
            client.kill()
        for pid in self.strangers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: self.registered() == [], "nothing is registered", seconds=SETTLE_S)
        until(lambda: self.agent.status()["dom2BeatSize"] == 0, "nothing is beaten", seconds=SETTLE_S)
        self.await_slots((0, 0))
        self.check_dead()

    def stop(self):
        for pid in self.strangers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.host.stop()
