# SPDX-License-Identifier: Apache-2.0
"""The agent at a cluster of three whose nodes fall, come back and disagree.

What a fall does was seen on a cluster of 2.5.1; beats every second at SCALE are the usual five seconds of it.
"""

import time

import pytest

from host import until

SCALE = 5
N = 3
WORKERS = 9


@pytest.fixture
def cluster(empty_host):
    registry = empty_host.start_registry(nodes=N, options=["--time-scale", str(SCALE)])
    empty_host.start_agent(registry.addresses)
    puppet = empty_host.puppet()
    for i in range(WORKERS):
        puppet.do(f"register w{i} service=crew ip=10.0.0.1 port={8080 + i} md.preserved.heart.beat.interval=1000")
    puppet.attach()
    until(lambda: listed(registry) == [(WORKERS, WORKERS)] * N, "registered at all nodes", 20)
    return registry


def listed(registry):
    """How many instances each running node lists, and how many of them as healthy."""
    hosts = [registry.hosts("crew", node=i) for i in range(N) if i not in registry.down]
    return [(len(each), sum(host["healthy"] for host in each)) for each in hosts]


def watch_until(registry, so, what, seconds=20):
    """Until it is so, with no instance absent at any moment."""
    def seen():
        assert all(n == WORKERS for n, _ in listed(registry)), (what, listed(registry))
        return so()
    until(seen, what, seconds)


def healthy(registry):
    return all(n_healthy == WORKERS for _, n_healthy in listed(registry))


def asked(registry, status):
    return sum(r.status == status for r in registry.requests())


def test_a_killed_node_costs_no_instance(cluster):
    """Its beats are 500 until the others notice, and none of its instances goes."""
    cluster.node(2, "kill")
    watch_until(cluster, lambda: cluster.admin()["nodes"][1]["sees"] == [0, 1], "noticed")
    n = len(cluster.beats())
    watch_until(cluster, lambda: len(cluster.beats()) > n + 2 * WORKERS and healthy(cluster), "beaten on")
    cluster.node(2, "restart")
    n = len(cluster.beats())
    watch_until(cluster, lambda: len(cluster.beats()) > n + 2 * WORKERS and healthy(cluster), "with all three")


def test_a_thawed_node_s_instances_come_back(cluster):
    """They vanish everywhere by its stale clock; the next beat finds nothing, and registers."""
    cluster.node(2, "freeze")
    frozen = time.monotonic()
    until(lambda: time.monotonic() - frozen > 36 / SCALE, "frozen for longer than the delete time-out", 60)
    cluster.node(2, "thaw")
    assert min(n for n, _ in listed(cluster)) < WORKERS
    until(lambda: listed(cluster) == [(WORKERS, WORKERS)] * N, "all back", 30)


def test_members_that_disagree_cost_no_instance(cluster):
    """A 400 for a while, which is no fault of the instances."""
    cluster.admin("view", node=0, members="0,1")
    cluster.admin("view", node=1, members="1,2")
    watch_until(cluster, lambda: asked(cluster, 400) > 0, "refused")
    for node in (0, 1):
        cluster.admin("view", node=node, members="auto")
    n = len(cluster.beats())
    watch_until(cluster, lambda: len(cluster.beats()) > n + 2 * WORKERS and healthy(cluster), "beaten on")


def test_a_slow_node_costs_no_instance(cluster):
    cluster.node(2, "slow", ms=150)
    n = len(cluster.beats())
    watch_until(cluster, lambda: len(cluster.beats()) > n + 3 * WORKERS and healthy(cluster), "beaten on")
