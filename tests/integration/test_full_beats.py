# SPDX-License-Identifier: Apache-2.0
"""beats = full: every beat says the whole instance, so a registry that lost it has it back with the beat."""

import pytest

from host import until


def start(host, mode):
    registry = host.start_registry(mode=mode)
    conf = host.folder / "onebeatd.conf"
    conf.write_text(f"[registry main]\nurl = {registry.address}\nbeats = full\n")
    host.start_agent(urls=(), options=["-c", conf])
    puppet = host.puppet()
    puppet.do("register a service=orders group=G ip=10.0.0.1 port=8080 weight=2.5 md.zone=a%20b=c&d"
              " md.preserved.heart.beat.interval=1000")
    puppet.do("wait a UP 10000")
    return registry, puppet


def known(registry):
    return registry.hosts("orders", group="G")


@pytest.mark.parametrize("mode", ("1.4", "3"))
def test_a_lost_instance_comes_back_with_its_beat(empty_host, mode):
    registry, _ = start(empty_host, mode)
    (before,) = known(registry)
    until(lambda: len(registry.beats()) >= 2, "beaten")
    assert all(beat.code == 10200 for beat in registry.beats())
    registry.admin("clear")
    (after,) = until(lambda: known(registry), "it is back")
    assert after["metadata"] == before["metadata"] and after["weight"] == 2.5
    assert after["enabled"] and after["healthy"]
    assert len(registry.registers()) == 1


def test_an_instance_that_is_down_is_beaten_light_and_comes_back_down(empty_host):
    registry, puppet = start(empty_host, "2")
    puppet.do("set a DOWN")
    puppet.do("wait a UP 10000")
    until(lambda: registry.beats(), "beaten")
    registry.admin("clear")
    until(lambda: len(registry.registers()) == 3, "registered again")
    n = len(registry.beats())
    until(lambda: len(registry.beats()) > n + 1, "beaten again")
    assert known(registry) == []  # disabled instances are left out
    assert len(registry.registers()) == 3
    puppet.do("set a UP")
    puppet.do("wait a UP 10000")
    assert known(registry)[0]["enabled"]


def test_it_is_gone_when_its_process_dies(empty_host):
    """Whichever beat was on its way, none brings it back."""
    registry, puppet = start(empty_host, "2")
    until(lambda: registry.beats(), "beaten")
    puppet.kill()
    until(registry.deregisters, "a DELETE")
    until(lambda: empty_host.status()["dom2BeatSize"] == 0, "forgotten")
    assert known(registry) == []


def test_where_there_is_no_v1_beats_are_those_of_v3(empty_host):
    registry, _ = start(empty_host, "3.2")
    until(lambda: len([r for r in registry.registers("heartBeat=true") if r.status == 200]) >= 2, "beaten by v3")
