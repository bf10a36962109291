# SPDX-License-Identifier: Apache-2.0
"""One host in a temporary folder: a registry, an agent, processes; for the integration tests

Everything runs the built programs over loopback on ports that the kernel chose, and is stopped by pid.
Waiting is asking again until it is so (until), never a sleep that hopes.
"""

import collections
import contextlib
import json
import os
import pathlib
import re
import select
import shlex
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

BUILD = pathlib.Path(os.environ.get("ONEBEAT_BUILD",
                                    pathlib.Path(__file__).resolve().parents[2] / "build"))
BIN = BUILD / "bin"

# Never through a proxy: the programs must not ask one either.
# Nor are the tests' own questions what TLS is tried with: they take any certificate.
UNVERIFIED = ssl.create_default_context()
UNVERIFIED.check_hostname = False
UNVERIFIED.verify_mode = ssl.CERT_NONE
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                     urllib.request.HTTPSHandler(context=UNVERIFIED))


def until(true, what, seconds=10.0, step=0.01):
    """Asks until true() is so, and returns what it said."""
    deadline = time.monotonic() + seconds
    while True:
        answer = true()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {seconds} s: {what() if callable(what) else what}")
        time.sleep(step)


def boottime_ms():
    return time.clock_gettime(time.CLOCK_BOOTTIME) * 1000


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def sockets_of(pid):
    """The numbers of a process's descriptors that are sockets, apart from stdio."""
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:") and int(name) > 2:
                found.append(int(name))
    return found


def children_of(pid):
    """The pids of a process's children."""
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as children:
            found += map(int, children.read().split())
    return found


class Program:
    """A program that says on stdout, in one line, that it is up; within: namespaces to start it in."""

    def __init__(self, argv, log, env=None, first_line=True, stdin=None, within=None):
        self.log = pathlib.Path(log)
        argv = [*within.enter, *argv] if within else argv
        with open(self.log, "ab") as err:
            self.process = subprocess.Popen([str(a) for a in argv], stdin=stdin or subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=err, env=env)
        self.within = within
        self.pid = self.process.pid
        for _ in range(within.depth if within else 0):  # what stays in between
            self.pid = until(lambda: children_of(self.pid), "entered")[0]
        self.first_line = self.read_line(10, f"{argv[0]} says that it is up") if first_line else ""

    def read_line(self, seconds, what):
        line = b""
        deadline = time.monotonic() + seconds
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise AssertionError(f"not so within {seconds} s: {what}; got {line!r}; log:\n{self.tail()}")
            byte = os.read(self.process.stdout.fileno(), 1)
            if not byte:
                raise AssertionError(f"ended with {self.process.wait(5)} before: {what}; log:\n{self.tail()}")
            line += byte
        return line.decode().rstrip("\n")

    def tail(self, n=40):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-n:])

    def kill(self, number=signal.SIGKILL):
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, seconds=15):
        return self.process.wait(seconds)

    def stop(self):
        """Ends it if it is still there; returns its exit status."""
        if self.process.poll() is None:
            self.kill(signal.SIGCONT)
            self.kill(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
                self.process.wait(5)
        for pipe in (self.process.stdout, self.process.stdin):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        return self.process.returncode


Request = collections.namedtuple("Request", "t boottime_ms conn n method target status code ua")


class AdminError(Exception):
    """What the admin page refused, and why."""


class Registry(Program):
    """onebeat-registry; port 0 the first time, the same port when it is started again."""

    def __init__(self, folder, port=0, mode="2", options=(), nodes=1, ip="127.0.0.1"):
        self.requests_path = pathlib.Path(folder) / f"requests-{time.monotonic_ns()}.jsonl"
        self.asked, self.n_read = [], 0
        super().__init__([BIN / "onebeat-registry", "--listen", f"{ip}:{port}", "--mode", mode,
                          "--log", self.requests_path, "--nodes", nodes, *options], pathlib.Path(folder) / "registry.log")
        scheme = "https" if " https:" in self.first_line else "http"
        self.ports = [int(port) for port in re.findall(r":(\d+)/nacos", self.first_line)]
        self.port = self.ports[0]
        self.addresses = [f"{scheme}://{ip}:{port}" for port in self.ports]
        self.address = self.addresses[0]
        self.down = set()  # nodes that do not answer, by what the admin page was told

    def get(self, path, node=0):
        with OPENER.open(self.addresses[node] + path, timeout=10) as reply:
            return reply.read().decode()

    def hosts(self, service, namespace="public", group="DEFAULT_GROUP", node=0):
        query = urllib.parse.urlencode({"serviceName": f"{group}@@{service}", "namespaceId": namespace})
        return json.loads(self.get(f"/nacos/v1/ns/instance/list?{query}", node))["hosts"]

    def requests(self, method=None, contains=""):
        """What clients asked, oldest first, without the tests' own questions."""
        self.read_log()
        return [r for r in self.asked if (method is None or r.method == method) and contains in r.target]

    def read_log(self):
        """Reads on where it stopped: logs of long stories have a million lines."""
        with open(self.requests_path, "rb") as log:
            log.seek(self.n_read)
            for line in log:
                if not line.endswith(b"\n"):
                    return
                self.n_read += len(line)
                request = json.loads(line)
                if request["method"] != "GET":
                    self.asked.append(Request(*map(request.get, Request._fields)))

    def registers(self, contains=""):
        return self.requests("POST", contains)

    def beats(self, contains=""):
        return self.requests("PUT", contains)

    def deregisters(self, contains=""):
        return self.requests("DELETE", contains)

    def stats(self):
        return json.loads(self.get("/onebeat/stats"))

    def node(self, index, do, **params):
        """kill, freeze, thaw, restart or slow, by way of another node."""
        asked = next(i for i in range(len(self.ports)) if i not in self.down | {index} or do == "slow")
        shown = self.admin(f"node/{index}", address=self.addresses[asked], do=do, **params)
        self.down = {i for i, node in enumerate(shown["nodes"]) if node["state"] != "runs"}
        return shown

    def admin(self, verb="", body=None, address=None, **params):
        """POST to the admin page, GET without a verb; returns what it shows, raises what it refuses."""
        if not address:
            address = next(a for i, a in enumerate(self.addresses) if i not in self.down)
        request = urllib.request.Request(f"{address}/registry/admin/{verb}?{urllib.parse.urlencode(params)}",
                                         data=(body or "").encode() if verb else None,
                                         headers={"Content-Type": "text/plain"})
        try:
            with OPENER.open(request, timeout=10) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as refused:
            raise AdminError(f"{refused.code}: {refused.read().decode().strip()}") from None


class Onebeatd(Program):
    def __init__(self, folder, urls, runtime_dir=None, options=(), env=None, within=None,
                 program=BIN / "onebeatd"):
        self.runtime_dir = pathlib.Path(runtime_dir or pathlib.Path(folder) / "run")
        argv = [program, "--runtime-dir", self.runtime_dir, *options]
        for url in urls:
            argv += ["--registry", url]
        super().__init__(argv, pathlib.Path(folder) / "onebeatd.log", env, within=within)

    def ctl(self, *words, check=True):
        done = subprocess.run([BIN / "onebeatctl", "--runtime-dir", self.runtime_dir, *words],
                              capture_output=True, text=True, timeout=30)
        if check and done.returncode != 0:
            raise AssertionError(f"onebeatctl {words}: {done.returncode}: {done.stderr}\n{self.tail()}")
        return done

    def list(self):
        return json.loads(self.ctl("list", "-o", "json").stdout)

    def instance(self, service):
        found = [i for i in self.list()["instances"] if i["service"] == service]
        return found[0] if found else None

    def status(self):
        return json.loads(self.ctl("status", "-o", "json").stdout)

    def agent_pid(self):
        done = self.ctl("ping", "-o", "json", check=False)
        if done.returncode != 0:
            return None
        # In a pid namespace it knows another number of itself than we do.
        return children_of(self.pid)[0] if self.within else json.loads(done.stdout.splitlines()[0])["pid"]

    def kill_agent(self):
        """SIGKILLs the agent; returns the pid of the next one once it answers."""
        old = self.agent_pid()
        os.kill(old, signal.SIGKILL)
        return until(lambda: (pid := self.agent_pid()) != old and pid, "another agent answers")


class PuppetError(Exception):
    """An answer that begins with error; code is onebeat's."""

    def __init__(self, answer):
        super().__init__(answer)
        self.code = int(answer.split()[1])


class Puppet(Program):
    """A process that uses libonebeat as it is told (tests/lib/programs/puppet.c)."""

    def __init__(self, folder, runtime_dir, argv=(BIN / "tests" / "puppet",), env=None, within=None):
        env = dict(os.environ, ONEBEAT_RUNTIME_DIR=str(runtime_dir), **(env or {}))
        super().__init__(argv, pathlib.Path(folder) / "puppet.log", env, first_line=False, stdin=subprocess.PIPE,
                         within=within)

    def send(self, command):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()

    def answer(self, command, seconds=20):
        answer = self.read_line(seconds, f"the puppet answers '{command}'")
        if not answer.startswith("ok"):
            raise PuppetError(answer)
        return answer[2:].strip()

    def do(self, command, seconds=20):
        self.send(command)
        return self.answer(command, seconds)

    def values(self, command):
        """An answer of NAME=VALUE words as a dictionary."""
        return dict(word.split("=", 1) for word in shlex.split(self.do(command)))

    def attach(self):
        """As an event loop does: attends until the agent has answered."""
        def attended():
            try:
                self.do("attend")
            except PuppetError:
                return False
            return True
        until(attended, "attached")

    def register(self, name, **spec):
        self.do(f"register {name} " + " ".join(f"{k.replace('__', '.')}={v}" for k, v in spec.items()))

    def status(self, name):
        return self.values(f"status {name}")


class Crowd(Program):
    """Many small processes that register many instances (tests/lib/programs/crowd.c)."""

    def __init__(self, folder, runtime_dir, processes, instances, beat_ms=0):
        env = dict(os.environ, ONEBEAT_RUNTIME_DIR=str(runtime_dir))
        super().__init__([BIN / "tests" / "crowd", processes, instances, beat_ms],
                         pathlib.Path(folder) / "crowd.log", env, stdin=subprocess.PIPE)

    def do(self, command, seconds=60):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        answer = self.read_line(seconds, f"the crowd answers '{command}'")
        if not answer.startswith("ok"):
            raise AssertionError(f"crowd: {command}: {answer}; log:\n{self.tail()}")
        return answer[2:].strip()

    def up(self, seconds=120):
        self.do(f"up {seconds}", seconds + 10)

    def states(self):
        return {name: int(n) for name, n in (word.split("=") for word in self.do("states").split())}

    def kill_some(self, n):
        return [int(word.split("=")[1]) for word in self.do(f"kill {n}").split()]

    def attend(self):
        """How many are attached after one call of each."""
        return int(self.do("attend").split("=")[1])


class Host:
    """Starts things in one folder and stops them all."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.started = []
        self.registry = None
        self.agent = None

    def keep(self, program):
        self.started.append(program)
        return program

    def start_registry(self, **kwargs):
        self.registry = self.keep(Registry(self.folder, **kwargs))
        return self.registry

    def registry_admin(self, verb="", body=None, **params):
        return self.registry.admin(verb, body, **params)

    def start_agent(self, urls=None, **kwargs):
        self.agent = self.keep(Onebeatd(self.folder, [self.registry.address] if urls is None else urls, **kwargs))
        return self.agent

    def puppet(self, opened=True, **kwargs):
        runtime_dir = self.agent.runtime_dir if self.agent else self.folder / "run"
        puppet = self.keep(Puppet(self.folder, runtime_dir, **kwargs))
        if opened:
            puppet.do("open")
        return puppet

    def crowd(self, processes, instances, beat_ms=0):
        return self.keep(Crowd(self.folder, self.agent.runtime_dir, processes, instances, beat_ms))

    def run(self, options, command, **kwargs):
        """onebeat-run OPTIONS -- COMMAND, in a process group of its own."""
        env = dict(os.environ, ONEBEAT_RUNTIME_DIR=str(self.agent.runtime_dir if self.agent else self.folder / "run"))
        process = subprocess.Popen([BIN / "onebeat-run", *options, "--", *command], env=env,
                                   start_new_session=True, **kwargs)
        self.started.append(Group(process))
        return process

    def list(self):
        return self.agent.list()

    def instance(self, service):
        return self.agent.instance(service)

    def status(self):
        return self.agent.status()

    def stop(self):
        for program in reversed(self.started):
            program.stop()
        self.started.clear()


class Group:
    """A process group, ended as a whole."""

    def __init__(self, process):
        self.process = process

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(5)


def configured(host, text, **kwargs):
    """Registry and agent, the agent with this configuration."""
    conf = host.folder / "onebeatd.conf"
    conf.write_text(text)
    host.start_registry()
    return host.start_agent(options=["-c", conf], **kwargs)


def restart_both(host, **kwargs):
    """Keeper and agent killed at once, and started again."""
    agent = host.agent.agent_pid()
    host.agent.kill()
    os.kill(agent, signal.SIGKILL)
    host.agent.wait()
    until(lambda: not alive(agent), "the agent is gone too")
    host.start_agent(**kwargs)
