# SPDX-License-Identifier: Apache-2.0
"""What the registry shows of processes that onebeatd speaks for

The programs are the real ones: a keeper with its agent, and a process that uses libonebeat as it is told
(tests/lib/programs/puppet.c). What is looked at is the registry's list alone, and now and then a beat of our own
that asks whether an instance is known.
"""

import contextlib
import functools
import os
import pathlib
import signal
import socket
import tempfile
import time
import urllib.parse

from case import LIST_S, case
from host import Host, Onebeatd, PuppetError, alive, until
from protocol import ODD

PATIENCE_S = 15  # of a busy machine
BEAT_MS = 500  # well within 15 s of a clock that runs five times as fast


class AgentHost(Host):
    """Host with an agent that is configured for the target of a story."""

    def __init__(self, folder, s, urls=None, namespace=None):
        super().__init__(folder)
        self.s = s
        conf = self.folder / "onebeatd.conf"
        lines = [f"[registry]\nurl = {','.join(urls or [s.target.url])}\nnamespace = {namespace or s.ns}\n"]
        if s.target.user:
            secret = self.folder / "password"
            secret.touch(0o600)
            secret.write_text(s.target.password)
            lines.append(f"username = {s.target.user}\npassword_file = {secret}\n")
        conf.write_text("".join(lines))
        self.conf = conf
        self.launch()

    def launch(self):
        self.agent = self.keep(Onebeatd(self.folder, [], options=["-c", self.conf]))

    def kill_all(self):
        """Keeper and agent at once, as a crash of both."""
        pid = self.agent.agent_pid()
        self.agent.kill()
        os.kill(pid, signal.SIGKILL)
        self.agent.wait()
        until(lambda: not alive(pid), "the agent is gone too")

    def register(self, puppet, i, name="a", **more):
        """By a process; returns the words that it was given, for `update`."""
        spec = {"service": i.service, "group": i.group, "cluster": i.cluster, "ns": i.ns, "ip": i.ip, "port": i.port,
                "weight": i.weight, "ephemeral": int(i.ephemeral), "md.preserved.heart.beat.interval": BEAT_MS,
                **{f"md.{k}": v for k, v in i.metadata.items()}, **more}
        words = " ".join(f"{escape(k)}={escape(v)}" for k, v in spec.items())
        self.s.did = f"a process registers by onebeatd: {words}"
        puppet.do(f"register {name} {words}")
        return words

    def up(self, puppet, i, name="a", **more):
        words = self.register(puppet, i, name, **more)
        try:
            puppet.do(f"wait {name} UP {PATIENCE_S * 1000}", seconds=PATIENCE_S + 10)
        except PuppetError:
            self.s.expect(False, f"its instance is UP within {PATIENCE_S} s", puppet.status(name))
        return words


def escape(value):
    """%XX for what the puppet's words cannot hold."""
    return urllib.parse.quote(str(value), safe=".-_:@")


@contextlib.contextmanager
def running(s, **kwargs):
    with tempfile.TemporaryDirectory(prefix="onebeat-conformance-") as folder:
        host = None
        try:
            host = AgentHost(folder, s, **kwargs)
            yield host
        except Exception as fault:
            log = pathlib.Path(folder, "onebeatd.log")
            if log.exists():
                fault.add_note("the agent's log:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-25:]))
            raise
        finally:
            if host:
                if host.agent.process.poll() is None:
                    host.agent.ctl("leave", check=False)
                host.stop()


def agent_case(title, **kwargs):
    """A case that is given a host with an agent as well."""
    def keep(function):
        @functools.wraps(function)
        def told(s):
            with running(s) as host:
                function(s, host)
        return case("agent: " + title, agent=True, **kwargs)(told)
    return keep


def healthy(s, i):
    return (h := s.host(i)) and h.get("healthy")


def soon(s):
    """Before the server would have removed it by itself."""
    return min(PATIENCE_S, s.target.seconds(14))


def with_interval(metadata):
    return {**metadata, "preserved.heart.beat.interval": str(BEAT_MS)}


@agent_case("what a process registers is listed, with all that it said")
def agent_registers(s, host):
    i = s.instance(weight=2.5, metadata={"zone": "a"}, group="G1", cluster="C-1")
    host.up(host.puppet(), i)
    s.listed(i, weight=2.5, enabled=True, healthy=True, ephemeral=True, clusterName="C-1",
             metadata=with_interval({"zone": "a"}))


@agent_case("metadata of whatever characters arrives byte for byte")
def agent_sends_odd_characters(s, host):
    odd = {k: v for k, v in ODD.items() if k.isalnum()}  # of its keys the puppet takes words only
    i = s.instance(metadata=odd)
    host.up(host.puppet(), i)
    s.listed(i, metadata=with_interval(odd))


@agent_case("its instance is listed and healthy at every look, longer than any time-out")
def agent_beats(s, host):
    i = s.instance()
    s.keep(s.instance(ip="10.9.0.200"))
    host.up(host.puppet(), i)
    s.listed(i)
    s.stays(lambda: healthy(s, i), "listed and healthy", s.target.seconds(40))


@agent_case("weight and metadata follow the process")
def agent_updates(s, host):
    i = s.instance(metadata={"zone": "a"})
    puppet = host.puppet()
    host.up(puppet, i)
    s.listed(i, metadata=with_interval({"zone": "a"}))
    s.did = "the process updates: weight=7.25 md.zone=b"
    puppet.do("update a weight=7.25 md.zone=b")
    s.listed(i, weight=7.25, metadata=with_interval({"zone": "b"}))


@agent_case("DOWN takes an instance out of the list, beaten all the same; UP brings it back")
def agent_sets_down(s, host):
    i = s.instance()
    puppet = host.puppet()
    host.up(puppet, i)
    s.listed(i)
    s.did = "the process sets its instance DOWN"
    puppet.do("set a DOWN")
    s.unlisted(i)
    s.stays(lambda: not s.host(i), "not listed while DOWN", s.target.seconds(38))
    s.renewed(i)
    s.did = "the process sets its instance UP"
    puppet.do("set a UP")
    s.listed(i, enabled=True, healthy=True)


@agent_case("an instance goes when its process says so, and when its process dies")
def agent_deregisters(s, host):
    i, j = s.instance(), s.instance(ip="10.9.0.2")
    first, second = host.puppet(), host.puppet()
    host.up(first, i)
    host.up(second, j)
    s.listed(i)
    s.listed(j)
    s.did = "the first process deregisters"
    first.do("deregister a")
    s.unlisted(i, PATIENCE_S)
    s.expect(s.host(j), "the other's stays")
    s.did = "the second process is SIGKILLed"
    second.kill()
    s.unlisted(j, soon(s))


@agent_case("what is removed behind its back is registered again, as it was")
def agent_registers_again(s, host):
    i = s.instance(weight=3.0, metadata={"zone": "ä"})
    host.up(host.puppet(), i)
    s.listed(i)
    s.did = "the instance is deregistered behind the agent's back"
    s.deregistered(i)
    s.listed(i.but(), weight=3.0, metadata=with_interval({"zone": "ä"}), enabled=True, healthy=True)


@agent_case("the agent is SIGKILLed, and no list tells of it")
def agent_killed(s, host):
    i = s.instance()
    s.keep(s.instance(ip="10.9.0.200"))
    host.up(host.puppet(), i)
    s.listed(i)
    for _ in range(3):
        host.agent.kill_agent()
        s.did = "the agent was SIGKILLed"
        s.stays(lambda: healthy(s, i), "listed and healthy", s.target.seconds(8))
    s.stays(lambda: healthy(s, i), "listed and healthy", s.target.seconds(25))


@agent_case("agent and keeper killed and started again take over what the process holds")
def agent_adopts(s, host):
    i = s.instance()
    s.keep(s.instance(ip="10.9.0.200"))
    puppet = host.puppet()
    host.up(puppet, i)
    s.listed(i)
    host.kill_all()
    host.launch()
    s.did = "agent and keeper were SIGKILLed and started again"
    s.stays(lambda: healthy(s, i), "listed and healthy", s.target.seconds(38))
    s.did = "after that the process deregisters"
    puppet.attach()
    puppet.do("deregister a")
    s.unlisted(i, PATIENCE_S)


@agent_case("nobody left to beat: unhealthy and removed by the server's own clock")
def agent_gone(s, host):
    i = s.instance()
    s.keep(s.instance(ip="10.9.0.200"))
    host.up(host.puppet(), i)
    s.listed(i)
    host.kill_all()
    s.did = "agent and keeper were SIGKILLed and not started again"
    s.until(lambda: (h := s.host(i)) and h.get("healthy") is False, "listed and unhealthy",
            s.target.seconds(20) + LIST_S + 2)
    s.unlisted(i, s.target.seconds(20) + LIST_S + 2)


@agent_case("onebeatctl leave takes all instances away")
def agent_leaves(s, host):
    i, j = s.instance(), s.instance(ip="10.9.0.2", group="G2")
    puppet = host.puppet()
    host.up(puppet, i)
    host.up(puppet, j, name="b")
    s.listed(i)
    s.listed(j)
    host.agent.ctl("leave")
    s.did = "onebeatctl leave"
    s.unlisted(i, soon(s))
    s.unlisted(j, soon(s))


@agent_case("groups, namespaces and clusters are those that the process names")
def agent_groups_and_namespaces(s, host):
    puppet = host.puppet()
    several = [s.instance(ip="10.9.0.1"), s.instance(ip="10.9.0.2", group="g.1:a-b_c"),
               s.instance(ip="10.9.0.3", ns=s.ns + "-b"), s.instance(ip="10.9.0.4", cluster="C-4")]
    for n, i in enumerate(several):
        host.up(puppet, i, name=f"n{n}")
    for i in several:
        s.listed(i, clusterName=i.cluster)
    s.expect(several[1].address not in s.hosts(several[0]), "groups apart")
    s.expect(several[2].address not in s.hosts(several[0]), "namespaces apart")


@agent_case("a persistent instance is registered as one, needs no beat, and goes when its process says so",
            needs=lambda t: t.persistent_by_agent)
def agent_persistent(s, host):
    i = s.instance(ephemeral=False)
    puppet = host.puppet()
    host.up(puppet, i)
    s.listed(i, ephemeral=False)
    s.stays(lambda: s.host(i), "listed", s.target.seconds(36))
    s.did = "the process deregisters its persistent instance"
    puppet.do("deregister a")
    s.unlisted(i, PATIENCE_S)


@agent_case("what the registry refuses is told to the process, with the status", generations=("2", "3"))
def agent_is_refused(s, host):
    s.registered(s.instance(ephemeral=False))
    s.listed(s.instance(ephemeral=False))
    puppet = host.puppet()
    host.register(puppet, s.instance(ip="10.9.0.2"))

    end = time.monotonic() + 5
    while (status := puppet.status("a"))["state"] != "REFUSED":
        s.expect(time.monotonic() < end, "the process is told REFUSED within 5 s", status)
        s.pause()
    s.expect(status["code"] in ("400", "21004", "20002", "21000"), "REFUSED with the registry's status or code", status)
    s.expect(s.host(s.instance(ip="10.9.0.2")) is None, "not listed")


@case("agent: an address that nobody listens on does not matter beside one that works", agent=True)
def agent_passes_the_dead_by(s):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: refused
        dead = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with running(s, urls=[dead, s.target.url]) as host:
            i = s.instance()
            s.keep(s.instance(ip="10.9.0.200"))
            host.up(host.puppet(), i)
            s.listed(i)
            s.stays(lambda: healthy(s, i), "listed and healthy", s.target.seconds(36))


@agent_case("two hundred instances of several processes are all listed, and gone when these die")
def agent_many(s, host):
    each, names = 50, [f"{s.service}-{p}" for p in range(4)]
    puppets = [host.puppet(opened=False) for _ in names]
    for puppet in puppets:
        puppet.do(f"open instances={each}")
    everybody = [s.instance(service=name, ip=f"10.9.{p + 1}.{n}") for p, name in enumerate(names) for n in range(each)]
    for n, i in enumerate(everybody):
        host.register(puppets[n // each], i, name=f"n{n}")
    s.did = f"{len(puppets)} processes registered {each} instances each"

    def all_healthy():
        return all(len([h for h in s.hosts(i).values() if h.get("healthy")]) == each for i in everybody[::each])
    s.until(all_healthy, f"{each} healthy instances of each of {len(names)} services", PATIENCE_S)
    s.stays(all_healthy, f"{each} healthy instances of each of {len(names)} services", s.target.seconds(36))
    for puppet in puppets:
        puppet.kill()
    s.did = "all processes were SIGKILLed"
    s.until(lambda: not any(s.hosts(i) for i in everybody[::each]), "none of them listed", soon(s))


@case("agent: the registry restarts empty, and everybody is back within a period", agent=True,
      needs=lambda t: t.restarts_alone)
def agent_after_a_restart(s):
    with s.target.another() as other, running(s, urls=[other.url]) as host:
        s.wire.close()
        s.wire = other.wire()
        i = s.instance(weight=3.0)
        host.up(host.puppet(), i)
        s.listed(i)
        other.stop()
        other.start()
        other.session = None  # its old tokens died with it
        s.did = "the registry was stopped and started again"
        # With a login, beats are refused first, then comes the login, then the registration.
        s.until(lambda: (h := s.host(i)) and (h["weight"], h["healthy"]) == (3.0, True),
                "listed again, healthy and with weight 3.0", PATIENCE_S)
