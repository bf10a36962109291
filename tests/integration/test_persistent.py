# SPDX-License-Identifier: Apache-2.0
"""Persistent instances: registered, kept right, never beaten; what becomes of them when their process dies."""

import pytest

from host import until


def config(address, persistent):
    line = f"persistent = {persistent}\n" if persistent else ""
    return f"[registry main]\nurl = {address}\n{line}"


def start(host, persistent):
    registry = host.start_registry()
    conf = host.folder / "onebeatd.conf"
    conf.write_text(config(registry.address, persistent))
    host.start_agent(urls=(), options=["-c", conf])
    return registry


def register(host, name="a", port=8080):
    puppet = host.puppet()
    puppet.do(f"register {name} service=orders ip=10.0.0.1 port={port} ephemeral=0")
    puppet.do(f"wait {name} UP 10000")
    return puppet


def empty(host):
    return host.status()["dom2BeatSize"] == 0


@pytest.mark.parametrize("persistent", (None, "keep"))
def test_it_stays_when_its_process_dies(empty_host, persistent):
    """And the agent has forgotten it: nothing of it is sent again."""
    registry = start(empty_host, persistent)
    register(empty_host).kill()
    until(lambda: empty(empty_host), "dom2Beat is empty")
    (seen,) = registry.hosts("orders")
    assert not seen["ephemeral"]
    assert len(registry.registers()) == 1 and registry.deregisters() == [] and registry.beats() == []


def test_it_is_removed_when_its_process_dies_if_the_configuration_says_so(empty_host):
    registry = start(empty_host, "remove")
    register(empty_host).kill()
    until(lambda: registry.hosts("orders") == [], "gone")
    (delete,) = registry.deregisters()
    assert "ephemeral=false" in delete.target
    until(lambda: empty(empty_host), "dom2Beat is empty")


@pytest.mark.parametrize("persistent", ("keep", "remove"))
def test_who_deregisters_it_removes_it(empty_host, persistent):
    registry = start(empty_host, persistent)
    puppet = register(empty_host)
    puppet.do("deregister a")
    until(lambda: registry.hosts("orders") == [], "gone")
    (delete,) = registry.deregisters()
    assert "ephemeral=false" in delete.target


def test_who_comes_back_takes_it_over(empty_host):
    """A new process of the same service registers what the old one left, changed, and may remove it."""
    registry = start(empty_host, "keep")
    register(empty_host).kill()
    until(lambda: empty(empty_host), "dom2Beat is empty")
    puppet = empty_host.puppet()
    puppet.do("register a service=orders ip=10.0.0.1 port=8080 ephemeral=0 weight=3")
    puppet.do("wait a UP 10000")
    (seen,) = registry.hosts("orders")
    assert seen["weight"] == 3.0
    puppet.do("deregister a")
    until(lambda: registry.hosts("orders") == [], "gone")


def test_an_update_and_a_restart_of_the_agent_are_one_request_each_and_none(empty_host):
    registry = start(empty_host, "keep")
    puppet = register(empty_host)
    puppet.do("update a service=orders ip=10.0.0.1 port=8080 ephemeral=0 weight=7")
    puppet.do("wait a UP 10000")
    assert [seen["weight"] for seen in registry.hosts("orders")] == [7.0]
    empty_host.agent.kill_agent()
    until(lambda: empty_host.instance("orders")["state"] == "UP", "adopted")
    assert len(registry.registers()) == 2 and registry.deregisters() == [] and registry.beats() == []


def test_it_stays_when_its_process_dies_while_the_agent_is_down(empty_host):
    registry = start(empty_host, "keep")
    puppet = register(empty_host)
    other = empty_host.puppet()
    other.do("register b service=other ip=10.0.0.1 port=8081")
    other.do("wait b UP 10000")
    puppet.kill()
    other.kill()
    empty_host.agent.kill_agent()
    until(lambda: empty(empty_host), "dom2Beat is empty")
    assert len(registry.hosts("orders")) == 1 and registry.hosts("other") == []
    assert all("other" in delete.target for delete in registry.deregisters())


def test_a_deregistration_that_the_registry_does_not_take_goes_on_over_a_restart(empty_host):
    """Nothing else would ever remove it: no death on the way makes it stay."""
    registry = start(empty_host, "keep")
    puppet = register(empty_host)
    registry.admin("fault", kind="503", method="DELETE")
    puppet.do("deregister a")
    until(registry.deregisters, "a DELETE was tried")
    puppet.kill()
    empty_host.agent.kill_agent()
    n = len(registry.deregisters())
    until(lambda: len(registry.deregisters()) > n, "tried again by the next agent")
    registry.admin("faults-clear")
    until(lambda: registry.hosts("orders") == [], "gone")
    until(lambda: empty(empty_host), "dom2Beat is empty")
