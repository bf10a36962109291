# SPDX-License-Identifier: Apache-2.0
"""One instance that names several registries: one thing for its program, and nothing that one registry does
touches the others."""

import os
import signal

import pytest

from host import PuppetError, until

SPEC = "service=orders ip=10.0.0.1 port=8080 md.preserved.heart.beat.interval=1000"


@pytest.fixture
def both(empty_host):
    """A host with registries east and west, and a program."""
    empty_host.east, empty_host.west = empty_host.start_registry(), empty_host.start_registry(mode="1.4")
    conf = empty_host.folder / "onebeatd.conf"
    conf.write_text(f"[registry east]\nurl = {empty_host.east.address}\n"
                    f"[registry west]\nurl = {empty_host.west.address}\nconnect_timeout = 200\nrequest_timeout = 400\n")
    empty_host.start_agent(urls=[], options=["-c", conf])
    empty_host.program = empty_host.puppet()
    return empty_host


def registered(host, registry="east,west"):
    host.program.do(f"register a {SPEC} registry={registry}")
    host.program.do("wait a UP 10000")
    return host.program


def test_registered_and_beaten_in_each(both):
    registered(both)
    for registry in (both.east, both.west):
        (seen,) = registry.hosts("orders")
        assert (seen["ip"], seen["port"]) == ("10.0.0.1", 8080)
        until(lambda registry=registry: len(registry.beats("orders")) >= 2, "beaten")
        assert len(registry.registers("orders")) == 1
    status = both.program.status("a")
    assert (status["state"], status["confirmed"], status["text"]) == ("UP", "1", "")
    assert both.status()["dom2BeatSize"] == 2


def test_each_change_reaches_each(both):
    program = registered(both)
    program.do(f"update a {SPEC} registry=east,west weight=7 md.v=2")
    program.do("wait a UP 10000")
    for registry in (both.east, both.west):
        assert (registry.hosts("orders")[0]["weight"], registry.hosts("orders")[0]["metadata"]["v"]) == (7.0, "2")
    program.do("set a DOWN")
    program.do("wait a UP 10000")
    assert program.status("a")["state"] == "DOWN"
    assert both.east.hosts("orders") == both.west.hosts("orders") == []
    program.do("deregister a")
    until(lambda: both.east.deregisters("orders") and both.west.deregisters("orders"), "a DELETE each")
    until(lambda: both.status()["dom2BeatSize"] == 0, "gone")


def test_a_killed_program_is_gone_from_each_at_once(both):
    registered(both).kill()
    until(lambda: both.east.hosts("orders") == both.west.hosts("orders") == [], "gone from both", seconds=5)


def test_an_outage_of_one_is_told_and_does_not_touch_the_other(both):
    """West answers nothing: east is registered, beaten on time, and the status line says which one has trouble."""
    both.west.kill(signal.SIGSTOP)
    both.program.do(f"register a {SPEC} registry=east,west")
    until(lambda: both.east.hosts("orders"), "registered in east")
    n = len(both.east.beats("orders"))
    until(lambda: len(both.east.beats("orders")) >= n + 4, "beaten in east", seconds=20)
    gaps = [b.boottime_ms - a.boottime_ms for a, b in zip(both.east.beats("orders"), both.east.beats("orders")[1:])]
    assert max(gaps) < 3000, gaps
    status = until(lambda: (s := both.program.status("a"))["text"] and s, "a reason")
    assert status["state"] == "REGISTERING" and status["confirmed"] == "0"
    assert status["text"].startswith("west: "), status
    with pytest.raises(PuppetError) as late:
        both.program.do("wait a UP 200")
    assert late.value.code == -42
    both.west.kill(signal.SIGCONT)
    both.program.do("wait a UP 20000")
    assert both.program.status("a")["state"] == "UP" and len(both.west.hosts("orders")) == 1


def test_the_agents_death_is_noticed_by_neither(both):
    registered(both)
    both.agent.kill_agent()
    n = {r: len(r.beats("orders")) for r in (both.east, both.west)}
    until(lambda: all(len(r.beats("orders")) >= n[r] + 2 for r in n), "beaten on", seconds=20)
    for registry in (both.east, both.west):
        assert len(registry.registers("orders")) == 1 and registry.deregisters("orders") == []


def test_a_forked_worker_holds_it_in_each(both):
    program = registered(both)
    worker = int(program.values("fork")["pid"])
    program.kill()
    n = {r: len(r.beats("orders")) for r in (both.east, both.west)}
    until(lambda: all(len(r.beats("orders")) >= n[r] + 2 for r in n), "beaten on", seconds=20)
    assert both.east.deregisters("orders") == both.west.deregisters("orders") == []
    os.kill(worker, signal.SIGKILL)
    until(lambda: both.east.deregisters("orders") and both.west.deregisters("orders"), "a DELETE each")


def test_one_unknown_name_refuses_the_whole(both):
    """Nothing of it stays, and what was registered before does."""
    both.program.do(f"register a {SPEC} registry=east,north")
    with pytest.raises(PuppetError) as refused:
        both.program.do("wait a UP 10000")
    assert refused.value.code == -41
    status = both.program.status("a")
    assert status["state"] == "REFUSED"
    assert status["text"].startswith("north: registry 'north' is not configured"), status
    both.program.do("deregister a")
    until(lambda: both.east.hosts("orders") == [] and both.status()["dom2BeatSize"] == 0, "nothing stays")


@pytest.mark.parametrize("registry", ("east", "west", "west,east", "east,west,north", "east,north"))
def test_other_registries_are_another_instance(both, registry):
    """While it is registered as east,west, the same under another list is refused: which of them would it be?"""
    program = registered(both)
    with pytest.raises(PuppetError, match="deregister and register instead") as refused:
        program.do(f"register b {SPEC} registry={registry}")
    assert refused.value.code == -35
    program.do(f"register c {SPEC} registry=east,west")  # one more reference
    program.do("deregister c")
    assert len(both.east.hosts("orders")) == len(both.west.hosts("orders")) == 1
    program.do("deregister a")
    program.do(f"register b {SPEC} registry=west")
    program.do("wait b UP 10000")
    until(lambda: both.east.hosts("orders") == [], "gone from the one that is named no more")
    assert len(both.west.hosts("orders")) == 1


@pytest.mark.parametrize("registry, code", ((",", -47), ("east,", -47), ("east,,west", -47), ("east,east", -47),
                                            (",".join("abcdefghi"), -47), ("east, west", -14), ("east,w@st", -14),
                                            ("east," + "w" * 33, -13)))
def test_a_bad_list_is_refused(both, registry, code):
    with pytest.raises(PuppetError) as refused:
        both.program.do(f"register a {SPEC} registry={registry.replace(' ', '%20')}")
    assert refused.value.code == code
    assert both.east.registers() == both.west.registers() == []


def test_each_takes_a_place_of_the_handle(both):
    program = both.puppet(opened=False)
    program.do("open instances=2")
    program.do("register a service=one ip=10.0.0.1 port=1")
    with pytest.raises(PuppetError) as full:
        program.do(f"register b {SPEC} registry=east,west")
    assert full.value.code == -36
    program.do("deregister a")
    program.do(f"register b {SPEC} registry=east,west")
    program.do("wait b UP 10000")
    assert len(both.east.hosts("orders")) == len(both.west.hosts("orders")) == 1
    until(lambda: both.east.hosts("one") == [], "gone")


def test_a_wrapped_command_is_registered_in_each(both):
    wrapped = both.run(["--service", "orders", "--port", "8080", "--ip", "10.0.0.1", "--registry", "east,west",
                        "--no-listen-check"], ["sleep", "1000"])
    until(lambda: both.east.hosts("orders") and both.west.hosts("orders"), "registered in both")
    os.kill(wrapped.pid, signal.SIGKILL)
    until(lambda: both.east.hosts("orders") == both.west.hosts("orders") == [], "gone from both", seconds=5)
