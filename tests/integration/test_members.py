# SPDX-License-Identifier: Apache-2.0
"""How a client learns whom to talk to: the members' calls of each version, and the address server's page."""

import json

import pytest

from host import AdminError, until
from wire import Connection, target

N = 3


@pytest.fixture
def cluster(empty_host):
    def start(mode="2", options=("--time-scale", "20")):
        return empty_host.start_registry(mode=mode, nodes=N, options=options)
    return start


def get(registry, path, node=0):
    connection = Connection(registry.ports[node])
    try:
        return connection.ask("GET", path)
    finally:
        connection.close()


def names(registry):
    return [f"127.0.0.1:{port}" for port in registry.ports]


@pytest.mark.parametrize("mode, path, key, code", [
    ("1.4", "/nacos/v1/ns/operator/servers", "servers", None),
    ("1.4", "/nacos/v1/core/cluster/nodes", "data", 200),
    ("2", "/nacos/v1/core/cluster/nodes", "data", 200),
    ("2", "/nacos/v2/core/cluster/node/list", "data", 0),
    ("3", "/nacos/v3/admin/core/cluster/node/list", "data", 0),
    ("3.2", "/nacos/v3/admin/core/cluster/node/list", "data", 0),
])
def test_members_are_listed(cluster, mode, path, key, code):
    """All, with their state, in no order."""
    registry = cluster(mode)
    for node in range(N):
        reply = get(registry, path, node)
        assert (reply.status, reply.headers["transfer-encoding"]) == (200, "chunked")
        shown = json.loads(reply.body)
        assert shown.get("code") == code
        assert sorted(m["address"] for m in shown[key]) == sorted(names(registry))
        assert [m["address"] for m in shown[key]][0] == names(registry)[node]
        assert all(m["state"] == "UP" and m["address"] == f"{m['ip']}:{m['port']}" for m in shown[key])


def test_members_by_address_alone(cluster):
    registry = cluster()
    shown = json.loads(get(registry, "/nacos/v1/core/cluster/simple/nodes").body)
    assert sorted(shown["data"]) == sorted(names(registry))


@pytest.mark.parametrize("mode, path, status", [
    ("2", "/nacos/v1/ns/operator/servers", 501),
    ("1.4", "/nacos/v2/core/cluster/node/list", 404),
    ("3", "/nacos/v1/core/cluster/nodes", 410),
    ("3", "/nacos/v1/ns/operator/distro/client?ip=10.0.0.1&port=8080", 410),
    ("3", "/nacos/v2/core/cluster/node/list", 410),
    ("3.2", "/nacos/v1/core/cluster/nodes", 404),
    ("2", "/nacos/v3/admin/core/cluster/node/list", 404),
])
def test_members_calls_that_a_mode_does_not_have(cluster, mode, path, status):
    assert get(cluster(mode), path).status == status


def test_members_that_fall_are_suspicious_then_down(cluster):
    """Each node says what it believes."""
    registry = cluster()

    def state(node=0):
        shown = json.loads(get(registry, "/nacos/v1/core/cluster/nodes", node).body)["data"]
        return {m["address"]: m["state"] for m in shown}[names(registry)[2]]

    registry.node(2, "freeze")
    until(lambda: state() == "SUSPICIOUS", "suspicious")
    until(lambda: state() == "DOWN", "down")
    registry.node(2, "thaw")
    until(lambda: state() == "UP", "up again")
    registry.admin("view", node=0, members="0,1")
    assert (state(0), state(1)) == ("DOWN", "UP")


def test_the_owner_is_told(cluster):
    """By ip and port, and in 1.4 by a service that must be there; it is where a write is not forwarded."""
    registry = cluster()
    for port in range(8080, 8090):
        owner = json.loads(get(registry, f"/nacos/v1/ns/operator/distro/client?ip=10.0.0.1&port={port}")
                           .body)["responsibleServer"]
        connection = Connection(registry.ports[names(registry).index(owner)])
        assert connection.ask("POST", target("instance", port=port)).headers["content-type"].startswith("text/plain")
        connection.close()
    registry.admin("clear")
    registry.admin("mode", mode="1.4")
    path = "/nacos/v1/ns/operator/distro/server?serviceName=DEFAULT_GROUP%40%40orders"
    assert get(registry, path).status == 400
    connection = Connection(registry.port)
    connection.ask("POST", target("instance"))
    connection.close()
    assert len({json.loads(get(registry, path, node).body)["responsibleServer"] for node in range(N)}) == 1


def test_the_address_servers_page_lists_the_nodes(cluster):
    registry = cluster()
    reply = get(registry, "/nacos/serverlist?namespace=public", node=1)
    assert (reply.status, reply.body.split()) == (200, names(registry))


@pytest.mark.parametrize("text", ["10.0.0.1\n10.0.0.2:8849\n", "10.0.0.1\r\n\r\n  \r\n10.0.0.2:8849", "", "<html>no"])
def test_the_address_servers_page_says_what_it_is_told(cluster, text):
    """To the byte; an empty one needs a status, since no body at all goes back to the nodes."""
    registry = cluster()
    registry.admin("endpoint", body=text, **({} if text else {"status": 200}))
    reply = get(registry, "/nacos/serverlist")
    assert (reply.status, reply.body) == (200, text)
    registry.admin("endpoint", body="gone", status=404)
    assert (get(registry, "/nacos/serverlist").status, get(registry, "/nacos/serverlist").body) == (404, "gone")
    registry.admin("endpoint")
    assert get(registry, "/nacos/serverlist").body.split() == names(registry)
    with pytest.raises(AdminError, match='status: "1" is not a status from 200 to 599'):
        registry.admin("endpoint", status=1)


def test_the_address_servers_page_meets_faults(cluster):
    registry = cluster()
    registry.admin("fault", kind="garbage", path="/nacos/serverlist", count=1)
    assert "garbage" in get(registry, "/nacos/serverlist").body
    assert [r["target"] for r in map(json.loads, registry.requests_path.read_text().splitlines())] == \
        ["/nacos/serverlist"]
