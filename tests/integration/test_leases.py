# SPDX-License-Identifier: Apache-2.0
"""Stories of leases that the library would not tell: what is granted to whom, and who one is"""

import os
import pathlib
import shlex
import signal
import subprocess
import sys

import pytest

import host as host_module
from host import until

RAW = pathlib.Path(host_module.__file__).with_name("rawclient.py")
WELCOME, GRANT = "16", "17"
SMALL = 0


class Raw(host_module.Puppet):
    """A process of tests/lib/rawclient.py."""

    def __init__(self, host):  # pylint: disable=super-init-not-called
        host_module.Program.__init__(self, [sys.executable, RAW, host.agent.runtime_dir],
                                     host.folder / "raw.log", first_line=False, stdin=subprocess.PIPE)

    def heard(self, seconds):
        """The next message as a dictionary; None when none comes."""
        answer = self.do(f"heard {seconds}")
        return None if answer == "none" else dict(w.split("=", 1) for w in shlex.split(answer))

    def welcomed(self):
        self.do("hello")
        message = self.heard(20)
        assert message["type"] == WELCOME, message
        return slot_of(message["ahead"])
    def large(self):
        """A slot of the large class, which nobody is granted ahead."""
        self.do("ask 1")
        while True:  # a small one may come unasked before it
            message = self.heard(20)
            assert message["type"] == GRANT, message
            slot, _, size_class, _, _ = message["grant"].split(".")
            if int(size_class) != SMALL:
                return int(slot)


def slot_of(grant):
    """(slot, generation)"""
    slot, generation, size_class, version, _ = (int(n) for n in grant.split("."))
    assert (size_class, version) == (SMALL, 0)
    return slot, generation


@pytest.fixture
def raw(host):
    def start():
        return host.keep(Raw(host))
    return start


def test_slots_of_a_living_process_are_granted_to_nobody_else(host, raw):
    """It has lost its socket, not its mapping: whoever got its slot would be overwritten by it."""
    first = raw()
    slot, generation = first.welcomed()
    first.do("close")
    until(lambda: "lease.detached" in host.agent.tail(200), "the end of the socket is noticed")
    granted = [raw().welcomed()[0] for _ in range(4)]
    assert slot not in granted, "granted again while its process lives"
    # With the proof of its death it is free, and what was given back last is granted first.
    first.kill()
    first.wait()
    until(lambda: "lease.died" in host.agent.tail(200), "its death is noticed")
    again = raw().welcomed()
    assert again[0] == slot
    assert again[1] > generation, "what its former owner wrote would be believed"


def test_grants_outlive_the_agent(host, raw):
    """A grant that its client has seen and never used is in the journal all the same."""
    first, second = raw(), raw()
    for client in (first, second):
        client.welcomed()
    slot = first.large()
    host.agent.kill_agent()
    assert second.large() != slot, "granted again while its process lives"


def test_dead_process_counts_while_it_is_a_zombie(host, raw):
    """kill(pid, 0) and /proc say that a zombie is there; its pidfd says that it is dead."""
    first = raw()
    first.welcomed()
    first.do("close")
    until(lambda: "lease.detached" in host.agent.tail(200), "the end of the socket is noticed")
    first.kill()
    until(lambda: "lease.died" in host.agent.tail(200), "its death is noticed")
    os.kill(first.pid, 0)  # nobody has reaped it yet


def test_identity_is_the_kernels_whatever_a_client_claims(host, raw):
    """Every field of HELLO that is free to say anything says that it is another process of another user."""
    other, liar = host.puppet(), raw()
    liar.do(f"hello cookie={other.pid} feat=65534 library={other.pid}")
    assert liar.heard(20)["type"] == WELCOME
    liar.kill()
    liar.wait()
    died = until(lambda: [l for l in host.agent.tail(200).splitlines() if "lease.died" in l],
                 "its death is noticed")
    assert len(died) == 1
    assert f"pid={liar.pid} uid={os.getuid()} " in died[0]
    assert "uid=65534" not in host.agent.tail(200), "memory of another user was handed out"
    other.register("a", service="honest", port=8080)
    other.do("wait a UP 20000")


def test_nobody_is_welcomed_before_the_keeper_holds_the_lease(host, raw):
    """Else an agent's death in between would end a lease that its client believes in."""
    client = raw()
    os.kill(host.agent.pid, signal.SIGSTOP)
    try:
        client.do("hello")
        until(lambda: host.status()["leases"] == 1, "the connection is accepted")
        for _ in range(3):
            host.status()  # whatever the agent had to do about it is done
        assert client.heard(0.2) is None
    finally:
        os.kill(host.agent.pid, signal.SIGCONT)
    assert client.heard(20)["type"] == WELCOME
