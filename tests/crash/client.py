# SPDX-License-Identifier: Apache-2.0
"""A process that registers, and what it has ever written

Every descriptor describes itself: its metadata are made from its service, port and version, so that one that was
put together from two, or that nobody wrote, equals none of those in written.
"""

import collections
import contextlib
import hashlib
import json
import os
import signal
import urllib.parse

from host import Puppet, PuppetError, alive

BEAT_MS = 500  # the fastest that the agent takes: the dead must be silent within every story

Key = collections.namedtuple("Key", "service ip port")


class Spec:
    """What one version of an instance says."""

    def __init__(self, service, port, version, large=False, policy="any"):
        self.key = Key(service, "10.0.0.1", port)
        self.version, self.policy = version, policy
        text = hashlib.sha256(f"{service} {port} {version}".encode()).hexdigest()
        self.metadata = {"preserved.heart.beat.interval": str(BEAT_MS), "version": str(version),
                         "body": (text * 10)[:600 if large else 150]}

    def words(self):
        metadata = " ".join(f"md.{k}={v}" for k, v in self.metadata.items())
        return (f"service={self.key.service} ip={self.key.ip} port={self.key.port} weight={self.version} "
                f"policy={self.policy} {metadata}")

    def shown(self):
        """What the registry is to show of it."""
        return self.key, float(self.version), self.metadata


def key_of(request):
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(request.target).query))
    return Key(query["serviceName"].split("@@", 1)[1], query["ip"], int(query["port"]))


def posted(request):
    """A POST as Spec.shown() has it, after a look at what every one of ours has alike."""
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(request.target).query, strict_parsing=True))
    alike = {"namespaceId": "public", "groupName": "DEFAULT_GROUP", "clusterName": "DEFAULT", "enabled": "true",
             "healthy": "true", "ephemeral": "true"}
    for name, value in alike.items():
        assert query.pop(name) == value, request.target
    shown = (key_of(request), float(query.pop("weight")), json.loads(query.pop("metadata")))
    assert sorted(query) == ["ip", "port", "serviceName"], request.target
    return shown


def shown_host(service, host):
    return Key(service, host["ip"], host["port"]), host["weight"], host["metadata"]


class Client:
    """wants: what it has asked for last, by name; written: all that it ever asked for."""

    def __init__(self, folder, runtime_dir, service, env=None):
        self.puppet = Puppet(folder, runtime_dir, env=env)
        self.service = service
        self.wants = {}
        self.written = []
        self.versions = {}
        self.heir = None  # a child that goes on holding the lease

    @property
    def pid(self):
        return self.puppet.pid

    def listens(self):
        return self.puppet.process.poll() is None

    def lives(self):
        return self.listens() or (self.heir is not None and alive(self.heir))

    def do(self, command):
        """The answer; None when it died of it. An answer that the library has for an agent's absence is one too."""
        try:
            return self.puppet.do(command)
        except PuppetError as refusal:
            return str(refusal)
        except (AssertionError, BrokenPipeError):
            if self.puppet.process.wait(5) is None:
                raise
            return None

    def join(self, other):
        """Becomes a further holder of what the other one has registered, word for word."""
        spec = other.wants["a"]
        self.wants["joined"] = spec
        self.written.append(spec)
        return self.do(f"register joined {spec.words()}")

    def _say(self, verb, name, port, large, policy):
        self.versions[name] = self.versions.get(name, 0) + 1
        spec = Spec(self.service, port, self.versions[name], large, policy)
        self.wants[name] = spec  # before it is said: whoever hears of it hears the truth
        self.written.append(spec)
        return self.do(f"{verb} {name} {spec.words()}")

    def register(self, name="a", port=8080, large=False, policy="any"):
        return self._say("register", name, port, large, policy)

    def update(self, name="a", large=False):
        return self._say("update", name, self.wants[name].key.port, large, self.wants[name].policy)

    def deregister(self, name="a"):
        self.wants.pop(name)
        return self.do(f"deregister {name}")

    def close(self):
        self.wants.clear()
        return self.do("close")

    def wait_up(self, name="a"):
        self.puppet.do(f"wait {name} UP 20000", seconds=30)

    def attend(self):
        return self.do("attend") == ""

    def kill(self):
        """Returns when nothing of it is left."""
        self.puppet.kill()
        self.puppet.wait()
        if self.heir:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.heir, signal.SIGKILL)
        self.wants.clear()
