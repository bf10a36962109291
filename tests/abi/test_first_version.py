# SPDX-License-Identifier: Apache-2.0
"""The first version's library with today's agent, and today's library with the first version's agent."""

import pytest

import first
import host as host_module
from host import PuppetError, until

SPEC = "service=orders ip=10.0.0.1 port=8080"
AGENT_VERSION = -40  # ONEBEAT_E_AGENT_VERSION


@pytest.fixture
def empty_host(tmp_path):
    started = host_module.Host(tmp_path)
    yield started
    started.stop()


@pytest.fixture
def host(empty_host):
    empty_host.start_registry()
    empty_host.start_agent()
    return empty_host


@pytest.fixture
def connect(host):
    clients = []

    def make():
        clients.append(first.FirstClient(host.agent.runtime_dir))
        return clients[-1]
    yield make
    for client in clients:
        client.close()


@pytest.fixture
def old_agent(tmp_path):
    agents = []

    def make(**options):
        agents.append(first.FirstAgent(tmp_path / "run", **options))
        return agents[-1]
    yield make
    for agent in agents:
        agent.stop()


# The old library


def test_old_library_lives_a_whole_life_over_a_death_of_the_agent(host, connect):
    client = connect()
    client.hello(first.descriptor("orders", 8080))
    (slot, generation, size_class, version, cookie), ahead = client.welcomed()
    assert (size_class, version, cookie) == (first.SMALL, 1, 7)
    until(lambda: client.state(slot, generation) == (first.UP, 1), "registered with HELLO")

    client.publish(slot, generation, 2, first.LIVE, first.descriptor("orders", 8080, weight=3.0))
    until(lambda: client.state(slot, generation) == (first.UP, 2), "updated")
    assert host.registry.hosts("orders")[0]["weight"] == 3.0

    client.publish(*ahead[:2], 1, first.LIVE, first.descriptor("second", 8081))
    until(lambda: client.state(*ahead[:2]) == (first.UP, 1), "registered by memory alone")
    assert client.granted()[2:] == (first.SMALL, 0, 0), "and the next grant comes unasked"

    host.agent.kill_agent()
    assert first.word(client.segment.status, first.EPOCH) == 1
    assert client.state(slot, generation) == (first.UP, 2), "nothing else was said in between"
    client.publish(slot, generation, 3, first.LIVE, first.descriptor("orders", 8080, weight=4.0))
    until(lambda: client.state(slot, generation) == (first.UP, 3), "updated over the same lease")
    assert host.registry.hosts("orders")[0]["weight"] == 4.0
    assert len(host.registry.registers()) == 4 and host.registry.deregisters() == []

    client.publish(slot, generation, 4, first.WITHDRAW)
    until(lambda: len(host.registry.deregisters("orders")) == 1, "withdrawn")
    client.goodbye()
    client.close()
    # A process that says goodbye and lives is no longer there for what it held.
    assert len(host.registry.registers()) == 4


def test_old_library_asks_for_large_slots(host, connect):
    client = connect()
    client.hello()
    (none, *_), _ = client.welcomed()
    assert none == first.NO_SLOT
    client.ask(first.LARGE, first.descriptor("large", 8080))
    slot, generation, size_class, version, cookie = client.granted()
    assert (size_class, version, cookie) == (first.LARGE, 1, 9) and slot >= client.segment.n_small
    until(lambda: client.state(slot, generation) == (first.UP, 1), "registered")


def test_refusals_reach_an_old_library(host, connect):
    client = connect()
    client.hello(first.descriptor("orders", 8080))
    (slot, generation, *_), _ = client.welcomed()
    until(lambda: client.state(slot, generation) == (first.UP, 1), "registered")
    client.publish(slot, generation, 2, first.LIVE, first.descriptor("others", 8080))
    until(lambda: client.state(slot, generation) == (first.REFUSED_STATE, 0), "an update may not rename")
    assert client.segment.line(slot)[9].split(b"\0")[0].decode().startswith("an update may not change")


@pytest.mark.parametrize("greeting", ({"minor": 9}, {"feat": 0x80000000}))
def test_newer_minor_and_unknown_features_are_taken(host, connect, greeting):
    client = connect()
    client.hello(first.descriptor("orders", 8080), **greeting)
    (slot, generation, *_), _ = client.welcomed()
    until(lambda: client.state(slot, generation) == (first.UP, 1), "registered")


@pytest.mark.parametrize("greeting, says", (({"major": 2}, "version 2.0 "), ({"major": 0}, "version 0.0 ")))
def test_other_major_is_refused_with_a_sentence(host, connect, greeting, says):
    client = connect()
    client.hello(first.descriptor("orders", 8080), **greeting)
    reason, text = client.refused()
    assert reason == first.REASON_VERSION and says in text and "agent 1." in text
    assert client.receive() is None, "and that is the end"
    assert text in host.agent.log.read_text(), "the operator reads it too"
    assert host.registry.registers() == []


def test_other_byte_order_is_refused(host, connect):
    client = connect()
    client.hello(byte_order=0x04030201)
    assert client.refused()[1] and client.receive() is None


# The old agent


def is_up(puppet, name="a"):
    status = puppet.status(name)
    return (status["state"], status["confirmed"]) == ("UP", "1")


def test_todays_library_lives_a_whole_life_with_an_old_agent(empty_host, old_agent):
    agent = old_agent()
    puppet = empty_host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080, weight=2)
    until(lambda: is_up(puppet), "registered")
    assert agent.services() == [("orders", 8080, 2.0)] and agent.hellos[0][0] == first.MAJOR
    puppet.do(f"update a {SPEC} weight=5")
    until(lambda: is_up(puppet), "updated")
    assert agent.services() == [("orders", 8080, 5.0)]
    for i in range(5):
        puppet.do(f"register s{i} service=second ip=10.0.0.1 port={9000 + i}")
    until(lambda: len(agent.services()) == 6, "by grants ahead and asked for")
    puppet.do("register l service=large ip=10.0.0.1 port=7000 md.k=" + "v" * 900)
    until(lambda: ("large", 7000, 1.0) in agent.services(), "in a large slot")

    # The agent is away, and its successor knows nobody.
    agent.stop()
    successor = old_agent()
    puppet.attach()

    def told_again():
        """Answers to what it asked for are taken by calls alone: an event loop attends when they come."""
        puppet.do("attend")
        return len(successor.services()) == 7
    until(told_again, "everything is told again")
    assert ("orders", 8080, 5.0) in successor.services()
    until(lambda: is_up(puppet), "and confirmed")
    puppet.do("deregister a")
    until(lambda: len(successor.services()) == 6, "withdrawn")


@pytest.mark.parametrize("header", ({"minor": 7}, {"compat": 0x80000001}))
def test_todays_library_takes_a_newer_minor_and_unknown_compatible_features(empty_host, old_agent, header):
    agent = old_agent(**header)
    puppet = empty_host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    until(lambda: is_up(puppet), "registered")
    assert agent.services() == [("orders", 8080, 1.0)]


@pytest.mark.parametrize("header", ({"incompat": 1}, {"incompat": 0x80000000}, {"major": 2}, {"welcome_major": 2}))
def test_todays_library_refuses_what_it_cannot_know(empty_host, old_agent, header):
    agent = old_agent(**header)
    puppet = empty_host.puppet(opened=False)
    with pytest.raises(PuppetError) as refused:
        puppet.do("open require")
    assert refused.value.code == AGENT_VERSION and "another version" in str(refused.value)
    assert agent.services() == []
