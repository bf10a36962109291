# SPDX-License-Identifier: Apache-2.0
"""The embedded registry as a cluster of three: forwarding, and what the fall of a node does.

The figures are those of a cluster of 2.5.1 servers, made faster by --time-scale.
"""

import json
import time

import pytest

from host import AdminError, until
from wire import Connection, target

SCALE = 20  # of time: a killed node is noticed after 0.4 to 0.5 s, a frozen one after 0.75 to 0.95
N = 3


def java_hash(text):
    value = 0
    for char in text:
        value = (value * 31 + ord(char)) & 0xffffffff
    return value - (1 << 32) if value >> 31 else value


class Cluster:
    def __init__(self, registry):
        self.registry = registry
        self.addresses = [f"127.0.0.1:{port}" for port in registry.ports]
        self.connections = []

    def owner(self, tag, among=range(N)):
        """The index of the node that is responsible."""
        seen = sorted(self.addresses[i] for i in among)
        return self.addresses.index(seen[abs(java_hash(tag)) % 2147483647 % len(seen)])

    def port_of(self, owner, ip="10.0.0.1", among=range(N)):
        """The first port from 8080 on whose instance that node owns."""
        return next(p for p in range(8080, 9000) if self.owner(f"{ip}:{p}", among) == owner)

    def connect(self, node):
        self.connections.append(Connection(self.registry.ports[node]))
        return self.connections[-1]

    def ask(self, node, method, path, headers=(), **params):
        connection = self.connect(node)
        try:
            return connection.ask(method, target(path, **params), headers=headers)
        finally:
            self.connections.remove(connection)
            connection.close()

    def beat(self, node, **params):
        reply = self.ask(node, "PUT", "instance/beat", **params)
        return reply.status, json.loads(reply.body)["code"] if reply.status == 200 else reply.body

    def ips(self, service="orders"):
        """The addresses that each running node lists."""
        return [sorted(f"{h['ip']}:{h['port']}" for h in self.registry.hosts(service, node=i))
                for i in range(N) if i not in self.registry.down]


@pytest.fixture
def start(empty_host):
    started = []

    def start(mode="2", scale=SCALE):
        started.append(Cluster(empty_host.start_registry(mode=mode, nodes=N, options=["--time-scale", str(scale)])))
        return started[-1]

    yield start
    for cluster in started:
        for connection in cluster.connections:
            connection.close()


def log(cluster):
    return [json.loads(line) for line in cluster.registry.requests_path.read_text().splitlines()]


def test_nodes_listen_on_ports_of_their_own(start):
    cluster = start()
    assert len(set(cluster.registry.ports)) == N
    nodes = cluster.registry.admin()["nodes"]
    assert [node["address"] for node in nodes] == cluster.addresses
    assert all((node["state"], node["sees"]) == ("runs", [0, 1, 2]) for node in nodes)


@pytest.mark.parametrize("mode", ["1.4", "2", "3"])
def test_writes_are_forwarded_to_the_owner(start, mode):
    """By ip:port, in 1.4 by service; a forwarded reply has a length and calls itself JSON, an own one not."""
    cluster = start(mode)
    for node in range(N):
        for port in range(8080, 8086):
            tag = "DEFAULT_GROUP@@orders" if mode == "1.4" else f"10.0.0.{node}:{port}"
            forwarded = cluster.owner(tag) != node
            for method, path in (("POST", "instance"), ("PUT", "instance/beat")):
                reply = cluster.ask(node, method, path, ip=f"10.0.0.{node}", port=port)
                assert reply.status == 200
                assert (reply.headers["content-type"] == "application/json;charset=UTF-8") == forwarded
                assert ("content-length" in reply.headers) == (forwarded or method == "POST")
                line = log(cluster)[-1]
                assert (line["node"], line["forwarded_to"]) == (node, cluster.owner(tag) if forwarded else None)
    assert [len(ips) for ips in cluster.ips()] == [18] * N


def test_deregistering_anywhere_removes_everywhere(start):
    cluster = start()
    for node in range(N):
        cluster.ask(0, "POST", "instance")
        assert cluster.ask(node, "DELETE", "instance").body == "ok"
        assert cluster.ips() == [[]] * N


def test_beats_at_a_wrong_node_keep_it_healthy_everywhere(start):
    cluster = start()
    wrong = (cluster.owner("10.0.0.1:8080") + 1) % N
    cluster.ask(wrong, "POST", "instance")
    for _ in range(20):
        assert cluster.beat(wrong) == (200, 10200)
        time_passes(cluster, 1000)
    assert all(cluster.registry.hosts("orders", node=i)[0]["healthy"] for i in range(N))


def time_passes(cluster, registry_ms, scale=SCALE):
    """Until a beat for nobody in the log shows that so much time has passed."""
    def now():
        cluster.registry.get("/onebeat/stats")
        return log(cluster)[-1]["t"]
    begun = now()
    until(lambda: now() - begun >= registry_ms / scale, "time passes")


def test_silence_removes_everywhere(start):
    cluster = start()
    cluster.ask(0, "POST", "instance")
    until(lambda: cluster.ips() == [[]] * N, "expired")


def test_v3_writes_are_not_forwarded(start):
    """At the owner they reach all, elsewhere they stay where they are."""
    cluster = start("3")
    owner = cluster.owner("10.0.0.1:8080")
    for node in (owner, (owner + 1) % N):
        v3 = "/nacos/v3/client/ns/instance?serviceName=orders&ip=10.0.0.1&port=8080"
        assert cluster.connect(node).ask("POST", v3).status == 200
        held = [bool(ips) for ips in cluster.ips()]
        assert held == ([True] * N if node == owner else [i == node for i in range(N)])
        cluster.registry.admin("clear")


def test_a_token_of_one_node_is_good_at_all(start):
    """Where the request arrives and where it is forwarded to; rotated, it is good nowhere."""
    cluster = start()
    cluster.registry.admin("auth", user="agent", password="secret")
    body = b"username=agent&password=secret"
    token = json.loads(cluster.connect(0).ask("POST", "/nacos/v1/auth/users/login", body=body).body)["accessToken"]
    headers = [f"Authorization: Bearer {token}"]
    port = cluster.port_of(2)
    assert [cluster.ask(i, "POST", "instance", port=port).status for i in range(N)] == [403] * N
    assert [cluster.ask(i, "POST", "instance", headers, port=port).status for i in range(N)] == [200] * N
    assert cluster.registry.admin()["nodes"][1]["instances"] == 1
    cluster.registry.admin("rotate")
    assert [cluster.ask(i, "PUT", "instance/beat", headers, port=port).status for i in range(N)] == [403] * N


def test_a_killed_node_is_500_at_once_until_the_others_notice(start):
    cluster = start()
    port = cluster.port_of(2)
    cluster.ask(0, "POST", "instance", port=port)
    cluster.registry.node(2, "kill")
    with pytest.raises(ConnectionRefusedError):
        cluster.connect(2)
    status, body = cluster.beat(0, port=port)
    assert status == 500 and "HttpHostConnectException" in body and "Connection refused" in body
    until(lambda: cluster.beat(0, port=port) == (200, 10200), "noticed by the first")
    until(lambda: cluster.beat(1, port=port) == (200, 10200), "and by the second")
    assert cluster.ips() == [[f"10.0.0.1:{port}"]] * 2


def test_members_that_disagree_refuse_what_is_forwarded(start):
    """The transient 400: the first has noticed and takes the second for the owner, which does not yet."""
    cluster = start()
    port = next(p for p in range(8080, 9000) if cluster.owner(f"10.0.0.1:{p}") == 2
                and cluster.owner(f"10.0.0.1:{p}", (0, 1)) == 1)
    cluster.registry.admin("view", node=0, members="0,1")
    reply = cluster.ask(0, "PUT", "instance/beat", port=port)
    assert reply.status == 400 and reply.headers["connection"] == "close" and "content-length" in reply.headers
    assert json.loads(reply.body)["message"].startswith("receive invalid redirect request from peer")
    cluster.registry.admin("view", node=0, members="auto")
    assert cluster.beat(0, port=port) == (200, 20404)


def test_who_calls_itself_a_server_is_not_forwarded(start):
    cluster = start()
    wrong = (cluster.owner("10.0.0.1:8080") + 1) % N
    assert cluster.ask(wrong, "PUT", "instance/beat", headers=["User-Agent: Nacos-Server:2.5.1"]).status == 400


def test_a_node_that_does_not_see_itself_owns_all(start):
    cluster = start()
    cluster.registry.admin("view", node=0, members="1,2")
    cluster.ask(0, "POST", "instance", port=cluster.port_of(2))
    assert log(cluster)[-1]["forwarded_to"] is None


def test_a_restarted_node_is_back_with_the_full_list(start):
    cluster = start()
    port = cluster.port_of(2)
    cluster.ask(0, "POST", "instance", port=port)
    cluster.registry.node(2, "kill")
    until(lambda: cluster.beat(1, port=port) == (200, 10200), "noticed")
    cluster.registry.node(2, "restart")
    assert cluster.ips() == [[f"10.0.0.1:{port}"]] * N
    assert cluster.beat(2, port=port) == (200, 10200)
    until(lambda: cluster.registry.admin()["nodes"][0]["sees"] == [0, 1, 2], "seen again")
    assert cluster.beat(0, port=port) == (200, 10200)


def test_a_running_node_can_be_restarted_at_once(start):
    cluster = start()
    connection = cluster.connect(1)
    connection.ask("POST", target("instance"))
    cluster.registry.node(1, "restart")
    assert connection.is_closed()
    assert cluster.beat(1)[0] == 200 and cluster.ips() == [["10.0.0.1:8080"]] * N


def test_forwards_to_a_frozen_node_wait_and_fail(start):
    """Two connections from node to node: the third waits for one of them."""
    cluster = start(scale=10)
    port = cluster.port_of(2)
    cluster.registry.node(2, "freeze")
    waiting = [cluster.connect(0) for _ in range(3)]
    begun = time.monotonic()
    for connection in waiting:
        connection.send(f"PUT {target('instance/beat', port=port)} HTTP/1.1\r\nHost: r\r\nContent-Length: 0\r\n\r\n"
                        .encode())
    replies = [connection.reply() for connection in waiting]
    assert time.monotonic() - begun >= 0.4  # 4 s, ten times faster
    assert [reply.status for reply in replies] == [500] * 3
    assert all("SocketTimeoutException: Read timed out" in reply.body for reply in replies)
    until(lambda: cluster.beat(0, port=port)[0] == 200, "noticed by the first")


def test_a_thawed_node_takes_its_instances_from_all(start):
    """Fresh beats elsewhere notwithstanding; what others own stays."""
    cluster = start()
    ports = [cluster.port_of(node) for node in range(N)]
    for port in ports:
        cluster.ask(0, "POST", "instance", port=port)
    cluster.registry.node(2, "freeze")
    begun = time.monotonic()
    while time.monotonic() - begun < 36 / SCALE:
        for port in ports:
            cluster.beat(0, port=port)
    assert cluster.ips() == [sorted(f"10.0.0.1:{port}" for port in ports)] * 2
    cluster.registry.node(2, "thaw")
    assert cluster.ips() == [sorted(f"10.0.0.1:{port}" for port in ports[:2])] * N
    until(lambda: cluster.beat(0, port=ports[2]) == (200, 20404), "its beats find nothing")
    assert cluster.ask(1, "POST", "instance", port=ports[2]).status in (200, 400)


@pytest.mark.parametrize("state", ["runs", "frozen"])
def test_a_node_is_killed_with_replies_waiting(start, state):
    """Its connections end, with what waits on them; another node's replies still wait."""
    cluster = start()
    cluster.registry.admin("fault", kind="delay", ms=60000, path="/nacos/v1/ns/instance/list")
    waiting = [cluster.connect(node) for node in (0, 1)]
    for connection in waiting:
        connection.send(f"GET {target('instance/list')} HTTP/1.1\r\nHost: r\r\n\r\n".encode())
    until(lambda: len(log(cluster)) == 2, "asked")
    if state == "frozen":
        cluster.registry.node(1, "freeze")
        late = cluster.connect(1)
        late.send(f"GET {target('instance/list')} HTTP/1.1\r\nHost: r\r\n\r\n".encode())
    cluster.registry.node(1, "restart" if state == "frozen" else "kill")
    assert waiting[1].is_closed() and not waiting[0].is_closed()
    assert cluster.registry.admin()["nodes"][0]["state"] == "runs"


def test_a_slow_node_makes_forwards_slow(start):
    cluster = start()
    port = cluster.port_of(2)
    cluster.registry.node(2, "slow", ms=50)
    begun = time.monotonic()
    assert cluster.beat(0, port=port) == (200, 20404) and cluster.beat(2, port=port) == (200, 20404)
    assert time.monotonic() - begun >= 0.1
    cluster.registry.node(2, "slow", ms=60000)
    assert cluster.beat(0, port=port)[0] == 500


def test_forwards_can_take_time(start):
    cluster = start()
    cluster.registry.admin("forward", ms=60)
    begun = time.monotonic()
    assert cluster.beat(0, port=cluster.port_of(2)) == (200, 20404)
    assert time.monotonic() - begun >= 0.06


def test_one_node_can_be_cleared(start):
    cluster = start()
    cluster.ask(0, "POST", "instance")
    cluster.registry.admin("clear", node=1)
    assert [len(ips) for ips in cluster.ips()] == [1, 0, 1]


def test_faults_can_be_of_one_node(start):
    cluster = start()
    cluster.registry.admin("fault", kind="503", node=1)
    assert [cluster.ask(i, "GET", "instance/list").status for i in range(N)] == [200, 503, 200]


@pytest.mark.parametrize("verb, params, reason", [
    ("node/3", {"do": "kill"}, 'node: "3" is not a node from 0 to 2'),
    ("node/x", {"do": "kill"}, 'node: "x" is not a node from 0 to 2'),
    ("node/0", {"do": "kill"}, "node: 0 is the one that you ask: ask another"),
    ("node/1", {"do": "thaw"}, 'do: "thaw" is not one of kill, freeze, thaw (a frozen one), restart or slow for '
                               "node 1, which runs"),
    ("node/1", {"do": "slow", "ms": "-1"}, 'ms: "-1" is not milliseconds from 0 to 600000'),
    ("view", {"node": 1, "members": "0,9"}, 'node: "9" is not a node from 0 to 2'),
    ("view", {}, 'node: "" is not a node'),
])
def test_refused_calls_say_why(start, verb, params, reason):
    cluster = start()
    with pytest.raises(AdminError) as refused:
        cluster.registry.admin(verb, **params)
    assert reason in str(refused.value)
    assert all(node["state"] == "runs" for node in cluster.registry.admin()["nodes"])
