# SPDX-License-Identifier: Apache-2.0
"""A library of 32-bit words talks to this agent; ONEBEAT_PUPPET32 is the puppet that has it (tests/abi/puppet32)."""

import os
import pathlib

import pytest

import host as host_module
from host import Puppet, PuppetError, until

SPEC = "service=orders ip=10.0.0.1 port=8080"


@pytest.fixture
def host(tmp_path):
    started = host_module.Host(tmp_path)
    try:
        started.start_registry()
        started.start_agent()
        yield started
    finally:
        started.stop()


def narrow(host):
    """A puppet of 32-bit words, open."""
    puppet = host.keep(Puppet(host.folder, host.agent.runtime_dir, [os.environ["ONEBEAT_PUPPET32"]]))
    assert pathlib.Path(f"/proc/{puppet.pid}/exe").read_bytes()[4] == 1, "not an ELF of 32 bits"
    puppet.do("open")
    return puppet


def up(puppet, name="a"):
    puppet.do(f"wait {name} UP 10000")


def test_a_whole_life(host):
    """Registered, changed, disabled, shown in full, deregistered: each crosses the word sizes."""
    puppet = narrow(host)
    puppet.do(f"register a {SPEC} weight=2.5 cluster=C1 md.zone=a md.preserved.heart.beat.interval=1000")
    up(puppet)
    (seen,) = host.registry.hosts("orders")
    assert (seen["ip"], seen["port"], seen["weight"], seen["clusterName"]) == ("10.0.0.1", 8080, 2.5, "C1")
    until(lambda: len(host.registry.beats()) >= 2, "two beats")
    status = puppet.status("a")
    assert (status["state"], status["code"], status["ip"], status["holders"]) == ("UP", "10200", "10.0.0.1", "1")
    assert status["confirmed"] == "1" and int(status["beat_age_ms"]) < 5000

    puppet.do(f"update a {SPEC} weight=9999.99 cluster=C1 md.zone=b")
    up(puppet)
    (seen,) = host.registry.hosts("orders")
    assert (seen["metadata"]["zone"], seen["weight"]) == ("b", 9999.99)
    puppet.do("set a DOWN")
    up(puppet)
    assert puppet.status("a")["state"] == "DOWN" and host.registry.hosts("orders") == []

    puppet.do("deregister a")
    until(lambda: host.registry.hosts("orders") == [], "gone")
    assert len(host.registry.deregisters()) == 1


def test_from_a_small_slot_into_a_large_one(host):
    puppet = narrow(host)
    puppet.do(f"register a {SPEC} md.k=v")
    up(puppet)
    puppet.do(f"update a {SPEC} md.k={'x' * 900}")
    up(puppet)
    (seen,) = host.registry.hosts("orders")
    assert seen["metadata"] == {"k": "x" * 900} and host.registry.deregisters() == []


def test_refusals_are_read(host):
    puppet = narrow(host)
    puppet.do(f"register a {SPEC} registry=nowhere")
    with pytest.raises(PuppetError):
        up(puppet)
    status = puppet.status("a")
    assert status["state"] == "REFUSED" and "'nowhere' is not configured" in status["text"]


def test_the_agent_is_killed(host):
    """The next agent adopts the lease: what is said later reaches it, and the registry saw no gap."""
    puppet = narrow(host)
    puppet.do(f"register a {SPEC} md.v=1")
    up(puppet)
    host.agent.kill_agent()
    puppet.do(f"update a {SPEC} md.v=2")
    up(puppet)
    (seen,) = host.registry.hosts("orders")
    assert seen["metadata"] == {"v": "2"}
    assert len(host.registry.registers()) == 2 and host.registry.deregisters() == []


def test_both_word_sizes_hold_one_instance(host):
    puppets = narrow(host), host.puppet()
    for puppet in puppets:
        puppet.do(f"register a {SPEC}")
        up(puppet)
    until(lambda: puppets[0].status("a")["holders"] == "2", "two holders")
    puppets[0].kill()
    until(lambda: puppets[1].status("a")["holders"] == "1", "one holder")
    assert host.registry.deregisters() == []
    puppets[1].kill()
    until(host.registry.deregisters, "a DELETE")


def test_ticks_are_counted(host):
    """The progress watchdog withholds an instance that stands still, and shows it again once it ticks."""
    puppet = narrow(host)
    puppet.do(f"register a {SPEC} progress_ms=1000")
    up(puppet)
    until(lambda: host.registry.hosts("orders") == [], "withheld")

    def shown():
        puppet.do("tick a")
        return host.registry.hosts("orders")
    until(shown, "shown again")
