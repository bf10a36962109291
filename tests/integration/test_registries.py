# SPDX-License-Identifier: Apache-2.0
"""Several registries from one agent: each has its own, and none waits for another."""

import signal
import socket

import pytest

from host import PuppetError, Registry, boottime_ms, until

QUICK = {"md.preserved.heart.beat.interval": 1000}


def configured(host, **sections):
    """An agent with these registries, each a dictionary of its keys, in their order."""
    conf = host.folder / "several.conf"
    with open(conf, "w", encoding="ascii") as out:
        for name, keys in sections.items():
            print(f"[registry {name}]", file=out)
            for key, value in keys.items():
                print(f"{key} = {value}", file=out)
    return host.start_agent(urls=(), options=["-c", conf])


@pytest.fixture
def two(empty_host):
    """A host whose agent has the registries east and west."""
    folders = [empty_host.folder / name for name in ("east", "west")]
    for folder in folders:
        folder.mkdir()
    empty_host.east, empty_host.west = [empty_host.keep(Registry(folder)) for folder in folders]
    configured(empty_host, east={"url": empty_host.east.address, "namespace": "public"},
               west={"url": empty_host.west.address, "namespace": "blue"})
    return empty_host


def up(puppet, *names):
    for name in names:
        puppet.do(f"wait {name} UP 10000")


def test_an_instance_goes_to_the_registry_that_it_names(two):
    puppet = two.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    puppet.register("b", service="orders", ip="10.0.0.1", port=8080, registry="west")
    puppet.register("c", service="orders", ip="10.0.0.1", port=8081, registry="west", ns="red")
    puppet.register("d", service="orders", ip="10.0.0.1", port=8082, registry="east")
    up(puppet, "a", "b", "c", "d")
    assert sorted(h["port"] for h in two.east.hosts("orders")) == [8080, 8082]
    assert [h["port"] for h in two.west.hosts("orders", namespace="blue")] == [8080]
    assert [h["port"] for h in two.west.hosts("orders", namespace="red")] == [8081]
    assert two.west.hosts("orders") == []
    shown = {(i["registry"], i["namespace"], i["port"]) for i in two.list()["instances"]}
    assert shown == {("east", "public", 8080), ("east", "public", 8082), ("west", "blue", 8080), ("west", "red", 8081)}
    counts = {r["name"]: r["requests"]["register"] for r in two.status()["registries"]}
    assert counts == {"east": 2, "west": 2}
    puppet.do("deregister b")
    until(lambda: two.west.hosts("orders", namespace="blue") == [], "gone where it was")
    assert len(two.east.hosts("orders")) == 2 and two.east.deregisters() == []


def test_a_registry_that_is_not_configured_is_refused_with_those_that_are(two):
    puppet = two.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080, registry="north")
    until(lambda: puppet.status("a")["state"] == "REFUSED", "refused")
    assert puppet.status("a")["text"] == "registry 'north' is not configured in the agent; it has 'east', 'west'"
    with pytest.raises(PuppetError):
        puppet.do("wait a UP 100")


def test_the_next_agent_knows_which_registry_was_whose(two):
    puppet = two.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080, **QUICK)
    puppet.register("b", service="orders", ip="10.0.0.1", port=8080, registry="west", **QUICK)
    up(puppet, "a", "b")
    two.agent.kill_agent()
    since = boottime_ms()
    until(lambda: all(any(b.boottime_ms > since for b in r.beats()) for r in (two.east, two.west)), "both are beaten")
    puppet.do("deregister b")
    until(lambda: two.west.hosts("orders", namespace="blue") == [], "gone where it was")
    assert len(two.east.registers()) == len(two.west.registers()) == 1
    assert len(two.east.hosts("orders")) == 1


def beats_since(registry, since):
    times = {}
    for beat in registry.beats():
        if beat.boottime_ms > since:
            times.setdefault(beat.target, [since]).append(beat.boottime_ms)
    return times


def longest_gap_ms(registry, since, n):
    """The longest time that one of n instances waited for a beat, until now; each has had two."""
    until(lambda: sum(len(seen) > 2 for seen in beats_since(registry, since).values()) == n, "all are beaten twice")
    times = beats_since(registry, since)
    return max(b - a for seen in times.values() for a, b in zip(seen, seen[1:] + [boottime_ms()]))


@pytest.mark.parametrize("trouble", ["frozen", "dead", "black hole"])
def test_one_registrys_outage_makes_no_beat_of_another_late(two, trouble):
    """Two dozen instances of west wait for time-outs of seconds; those of east are beaten every second."""
    puppets = [two.puppet() for _ in range(6)]
    for i in range(24):
        for registry in ("east", "west"):
            puppets[i % 6].register(f"{registry}{i}", service="orders", ip="10.0.0.1", port=8000 + i,
                                    registry=registry, **QUICK)
    for i in range(24):
        up(puppets[i % 6], f"east{i}", f"west{i}")
    blackhole = None
    if trouble == "frozen":
        two.west.kill(signal.SIGSTOP)
    else:
        two.west.kill()
        two.west.wait()
    if trouble == "black hole":  # a listener whose queue is full: nobody answers a SYN
        blackhole = [socket.socket()]
        blackhole[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        blackhole[0].bind(("127.0.0.1", two.west.port))
        blackhole[0].listen(0)
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", two.west.port))
            blackhole.append(filler)
    since = boottime_ms()
    until(lambda: west(two)["beats"]["failed"] > 0 and node_of(west(two))["state"] == "failing", "its outage is noticed",
          seconds=15)
    assert longest_gap_ms(two.east, since, 24) < 3500
    assert len(two.east.hosts("orders")) == 24
    assert node_of(two.status()["registries"][0])["state"] == "healthy"
    text = until(lambda: puppets[0].status("west0")["text"], "the reason is told")
    assert text.startswith((two.west.address, "registry 'west': ")), text
    assert puppets[0].status("east0")["text"] == ""
    for each in blackhole or ():
        each.close()


def west(host):
    return host.status()["registries"][1]


def node_of(registry):
    return registry["nodes"][0]
