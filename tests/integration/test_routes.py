# SPDX-License-Identifier: Apache-2.0
"""Which node of a cluster an instance's requests go to, and who waits for whom when one falls.

The embedded cluster plays what was seen of 2.5.1 servers: a node hands on what is another's, and waits for seconds
when that one is frozen.
"""

import collections
import json

import pytest

from host import boottime_ms, until

N = 3
WORKERS = 48  # beaten every second
Beat = collections.namedtuple("Beat", "boottime_ms node forwarded_to target status")


def java_hash(text):
    value = 0
    for char in text:
        value = (value * 31 + ord(char)) & 0xffffffff
    return value - (1 << 32) if value >> 31 else value


class Cluster:
    def __init__(self, host, route, mode="2", scale=1):
        self.registry = host.start_registry(nodes=N, mode=mode, options=["--time-scale", str(scale)])
        conf = host.folder / "routes.conf"
        conf.write_text(f"[registry main]\nroute = {route}\n" +
                        "".join(f"url = {address}\n" for address in self.registry.addresses))
        self.agent = host.start_agent(urls=(), options=["-c", conf])
        puppets = [host.puppet() for _ in range(WORKERS // 8)]
        for i in range(WORKERS):
            puppets[i // 8].do(f"register w{i} service=crew ip=10.0.0.1 port={8080 + i} "
                               "md.preserved.heart.beat.interval=1000")
        for i in range(WORKERS):
            puppets[i // 8].do(f"wait w{i} UP 20000")

    def owner(self, target):
        """The index of the node that owns the instance that a request is about."""
        port = target.split("&port=")[1].split("&")[0]
        seen = sorted(f"127.0.0.1:{p}" for p in self.registry.ports)
        return self.registry.ports.index(int(seen[abs(java_hash(f"10.0.0.1:{port}")) % 2147483647 % N][10:]))

    def beats(self, since):
        """What the agent sent: not what nodes have sent each other."""
        found = []
        for line in self.registry.requests_path.read_text().splitlines():
            r = json.loads(line)
            if r["method"] == "PUT" and r["boottime_ms"] > since and r["ua"].startswith("onebeat"):
                found.append(Beat(*map(r.get, Beat._fields)))
        return found

    def gaps_ms(self, since, owners):
        """The longest time that each instance of these owners has waited for a beat, until now."""
        times = collections.defaultdict(lambda: [since])
        for beat in self.beats(since):
            if self.owner(beat.target) in owners and beat.status == 200:
                times[beat.target].append(beat.boottime_ms)
        assert len(times) == sum(self.owner(f"&port={8080 + i}") in owners for i in range(WORKERS))
        return [max(b - a for a, b in zip(seen, seen[1:] + [boottime_ms()])) for seen in times.values()]

    def passes(self, seconds):
        since = boottime_ms()
        until(lambda: boottime_ms() - since > seconds * 1000, "time passes", seconds + 10)

    def known(self):
        until(lambda: f"event=registry.members registry=main owners={N}" in self.agent.log.read_text(),
              "the members are known")


def test_beats_go_to_the_owner(empty_host):
    cluster = Cluster(empty_host, "responsible")
    cluster.known()
    since = boottime_ms()
    until(lambda: len(cluster.beats(since)) > 2 * WORKERS, "beaten on")
    settled = [b for b in cluster.beats(since) if b.boottime_ms > since + 1000]
    assert settled and all(b.node == cluster.owner(b.target) and b.forwarded_to is None for b in settled)
    assert {b.node for b in settled} == {0, 1, 2}


def test_any_node_does_when_that_is_wished(empty_host):
    cluster = Cluster(empty_host, "any")
    since = boottime_ms()
    until(lambda: len(cluster.beats(since)) > 2 * WORKERS, "beaten on")
    assert any(b.forwarded_to is not None for b in cluster.beats(since))
    assert "registry.members" not in cluster.agent.log.read_text()


@pytest.mark.parametrize("route", ["auto", "any"])
def test_a_frozen_owner_makes_nobody_late_but_its_own(empty_host, route):
    """Its beats take two to seven seconds each, wherever they go; there are enough to fill every connection."""
    cluster = Cluster(empty_host, route)
    if route == "auto":
        cluster.known()
    since = boottime_ms()
    cluster.registry.node(2, "freeze")
    cluster.passes(7)
    assert max(cluster.gaps_ms(since, {0, 1})) < 5000
    cluster.registry.node(2, "thaw")
    since = boottime_ms()
    until(lambda: len(cluster.registry.hosts("crew")) == WORKERS and
          all(h["healthy"] for h in cluster.registry.hosts("crew")), "all well", 30)


def test_a_killed_owner_s_beats_go_elsewhere_at_once(empty_host):
    cluster = Cluster(empty_host, "auto", scale=3)
    cluster.known()
    since = boottime_ms()
    cluster.registry.node(2, "kill")
    until(lambda: any(cluster.owner(b.target) == 2 and b.node != 2 for b in cluster.beats(since)), "asked elsewhere", 5)
    cluster.passes(2)
    assert max(cluster.gaps_ms(since, {0, 1})) < 4000
    until(lambda: "registry.members registry=main owners=2" in cluster.agent.log.read_text(), "the others notice", 20)
    since = boottime_ms()
    until(lambda: len([b for b in cluster.beats(since) if b.status == 200]) > 2 * WORKERS, "all are beaten")
    assert len(cluster.registry.hosts("crew")) == WORKERS


def test_v3_hands_nothing_on_and_an_instance_stays_with_its_node(empty_host):
    cluster = Cluster(empty_host, "any", mode="3.2")
    cluster.passes(2)
    nodes = collections.defaultdict(set)
    for line in cluster.registry.requests_path.read_text().splitlines():
        r = json.loads(line)
        if r["method"] == "POST" and "heartBeat=true" in r["target"]:
            nodes[r["target"]].add(r["node"])
    assert len(nodes) == WORKERS and all(len(seen) == 1 for seen in nodes.values())
    assert {n for seen in nodes.values() for n in seen} == {0, 1, 2}
