# SPDX-License-Identifier: Apache-2.0
"""The embedded registry's admin page: faults on command, another mode, an empty restart.

What a client sees is asserted byte-near over raw sockets, since these faults are what other stories throw
at the agent; one story shows the agent meeting them.
"""

import json
import os
import subprocess
import sys

import pytest

from host import AdminError, until
from wire import Connection, PROGRAM, target


@pytest.fixture
def registry(empty_host):
    return empty_host.start_registry()


@pytest.fixture
def wire(registry):
    connections = []

    def connect():
        connections.append(Connection(registry.port))
        return connections[-1]

    yield connect
    for connection in connections:
        connection.close()


def ips(registry, service="orders"):
    return sorted(host["ip"] for host in registry.hosts(service))


@pytest.mark.parametrize("kind, status, part", [
    ("503", 503, "server is STARTINGnow"),
    ("500", 500, "caused: "),
    ("403", 403, '"message":"user not found!"'),
    ("403-html", 403, "<!doctype html>"),
    ("garbage", 200, "<garbage"),
])
def test_faults_answer_in_the_servers_place(registry, wire, kind, status, part):
    """The request is not carried out, and the next one is."""
    registry.admin("fault", kind=kind, count=1)
    reply = wire().ask("POST", target("instance"))
    assert (reply.status, ips(registry)) == (status, []) and part in reply.body
    assert wire().ask("POST", target("instance")).body == "ok"
    assert [r.status for r in registry.requests()] == [status, 200]


def test_faults_can_answer_anything(registry, wire):
    registry.admin("fault", body="slow down\r\n", kind="reply", status=429, type="text/odd")
    reply = wire().ask("POST", target("instance"))
    assert (reply.status, reply.headers["content-type"], reply.body) == (429, "text/odd", "slow down\r\n")
    assert registry.admin("faults-clear")["faults"] == []


@pytest.mark.parametrize("kind, done", [("reset-before", False), ("lost", True)])
def test_faults_reset_without_a_reply(registry, wire, kind, done):
    registry.admin("fault", kind=kind, count=1)
    with pytest.raises(ConnectionResetError):
        wire().ask("POST", target("instance"))
    assert ips(registry) == (["10.0.0.1"] if done else [])


def test_faults_reset_behind_the_reply(registry, wire):
    registry.admin("fault", kind="reset-after", count=1)
    connection = wire()
    assert connection.ask("POST", target("instance")).body == "ok"
    with pytest.raises(ConnectionResetError):
        connection.reply()


@pytest.mark.parametrize("ask", [("POST", "instance"), ("PUT", "instance/beat")])
def test_faults_cut_a_reply_in_half(registry, wire, ask):
    """Of either framing: with a length, and in chunks."""
    registry.admin("fault", kind="half", count=1)
    with pytest.raises((EOFError, ConnectionResetError)):
        wire().ask(ask[0], target(ask[1]))
    assert ips(registry) == (["10.0.0.1"] if ask[0] == "POST" else [])


@pytest.mark.parametrize("ask", [("POST", "instance"), ("PUT", "instance/beat")])
def test_faults_split_a_reply(registry, wire, ask):
    """A chunk for each byte; with a length, pieces that only the wire shows."""
    plain, split = wire(), wire()
    plain.ask("POST", target("instance"))
    expected = plain.ask(ask[0], target(ask[1]))
    registry.admin("fault", kind="split", count=1)
    reply = split.ask(ask[0], target(ask[1]))
    assert (reply.status, reply.body, reply.headers.get("transfer-encoding")) == \
        (200, expected.body, expected.headers.get("transfer-encoding"))


def test_faults_hold_a_reply_back_and_nobody_elses(registry, wire):
    """It is carried out when it comes; what is pipelined behind it waits, another connection does not."""
    registry.admin("fault", kind="delay", ms=60000, query="10.0.0.7")
    slow = wire()
    slow.send(b"".join(f"POST {target('instance', ip=ip)} HTTP/1.1\r\nHost: r\r\nContent-Length: 0\r\n\r\n".encode()
                       for ip in ("10.0.0.7", "10.0.0.8")))
    until(lambda: ips(registry) == ["10.0.0.7"], "carried out")
    assert wire().ask("POST", target("instance", ip="10.0.0.9")).body == "ok"
    assert ips(registry) == ["10.0.0.7", "10.0.0.9"]
    slow.close()
    assert registry.stop() == 0  # with a reply still waiting


def test_faults_come_late_when_told(registry, wire):
    registry.admin("fault", kind="500", ms=300, count=1)
    assert wire().ask("PUT", target("instance/beat")).status == 500


def test_faults_meet_only_what_they_name(registry, wire):
    registry.admin("fault", kind="500", method="PUT", path="/nacos/v1/ns/instance/beat", query="port=8081")
    assert wire().ask("POST", target("instance", port=8081)).status == 200
    assert wire().ask("PUT", target("instance/beat")).status == 200
    assert wire().ask("PUT", target("instance/beat", port=8081)).status == 500
    assert wire().ask("GET", "/onebeat/stats").status == 200


def test_faults_are_taken_in_order_and_counted(registry, wire):
    registry.admin("fault", kind="503", count=2)
    shown = registry.admin("fault", kind="500", count=1)["faults"]
    assert [(f["kind"], f["left"], f["path"]) for f in shown] == [("503", 2, "/nacos/"), ("500", 1, "/nacos/")]
    assert [wire().ask("PUT", target("instance/beat")).status for _ in range(4)] == [503, 503, 500, 200]
    assert registry.admin()["faults"] == []
    lines = [json.loads(line) for line in registry.requests_path.read_text().splitlines()]
    assert [line["fault"] for line in lines] == ["503", "503", "500", None]


@pytest.mark.parametrize("verb, params, reason", [
    ("fault", {}, '400: fault: kind: "" is not one of 503, 500,'),
    ("fault", {"kind": "flood"}, 'kind: "flood" is not one of 503, 500,'),
    ("fault", {"kind": "503", "count": 0}, 'count: "0" is not a number from 1 to'),
    ("fault", {"kind": "503", "ms": "1s"}, 'ms: "1s" is not milliseconds from 0 to 600000'),
    ("fault", {"kind": "delay"}, 'ms: "" is not milliseconds from 1 to 600000'),
    ("fault", {"kind": "reply", "status": 99}, 'status: "99" is not a status from 200 to 599'),
    ("mode", {"mode": "9"}, 'mode: "9" is not one of 1.4,'),
    ("explode", {}, '404: "explode" is not one of the verbs mode, fault,'),
])
def test_faults_refused_say_why(registry, verb, params, reason):
    with pytest.raises(AdminError) as refused:
        registry.admin(verb, **params)
    assert reason in str(refused.value)
    assert registry.admin()["faults"] == []


def test_faults_have_a_limit(registry):
    for _ in range(32):
        registry.admin("fault", kind="503", path="/never")
    with pytest.raises(AdminError, match="32 rules are there"):
        registry.admin("fault", kind="503")


def test_admin_page_is_no_part_of_the_play(registry, wire):
    """No fault meets it, no log shows it, and it takes GET and POST."""
    registry.admin("fault", kind="503", path="/")
    assert registry.admin()["mode"] == "2"
    assert wire().ask("PUT", "/registry/admin/fault?kind=500").status == 405
    assert len(registry.admin()["faults"]) == 1
    assert registry.requests() == []


FROM_AFAR = """
import subprocess, sys, urllib.error, urllib.request
for words in ("link set lo up", "address add 192.0.2.1/32 dev lo"):
    subprocess.run(["ip", *words.split()], check=True)
registry = subprocess.Popen([sys.argv[1], "--listen", "0.0.0.0:0"], stdout=subprocess.PIPE, text=True)
port = registry.stdout.readline().split(":")[3].split("/")[0]
for host in ("127.0.0.1", "192.0.2.1"):
    try:
        print(urllib.request.urlopen(f"http://{host}:{port}/registry/admin", timeout=10).status)
    except urllib.error.HTTPError as error:
        print(error.code)
registry.kill()
registry.wait()
"""


def test_admin_page_is_for_loopback_alone():
    """In a network of its own, where the registry has another address too."""
    enter = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*enter, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no network namespace can be made here")
    done = subprocess.run([*enter, sys.executable, "-c", FROM_AFAR, PROGRAM], capture_output=True,
                          text=True, timeout=60)
    assert done.stdout.split() == ["200", "403"], done.stderr


def test_admin_clear_is_an_empty_restart(registry, wire):
    for ip in ("10.0.0.1", "10.0.0.2"):
        wire().ask("POST", target("instance", ip=ip))
    assert registry.admin()["instances"] == 2
    assert registry.admin("clear")["instances"] == 0
    assert json.loads(wire().ask("PUT", target("instance/beat")).body)["code"] == 20404
    assert wire().ask("POST", target("instance")).body == "ok"
    assert ips(registry) == ["10.0.0.1"]


def test_admin_mode_changes_with_the_instances_kept(registry, wire):
    """A cluster's name is part of the identity in 1.4 alone, so one of two is left in 2."""
    registry.admin("mode", mode="1.4")
    for cluster in ("A", "B"):
        wire().ask("POST", target("instance", clusterName=cluster))
    assert wire().ask("PUT", target("instance/beat", clusterName="C")).body.find("20404") > 0
    assert registry.admin()["instances"] == 2
    assert registry.admin("mode", mode="2")["instances"] == 1
    assert wire().ask("PUT", target("instance/beat", clusterName="C")).body.find("10200") > 0
    assert wire().ask("DELETE", target("instance")).body == "ok"
    assert registry.admin("mode", mode="1.4")["instances"] == 0


def test_agent_outlives_a_lost_reply_and_an_empty_restart(empty_host):
    registry = empty_host.start_registry()
    registry.admin("fault", kind="half", method="POST", count=1)
    empty_host.start_agent()
    puppet = empty_host.puppet()
    puppet.do("register w service=faulty ip=10.0.0.1 port=8080 md.preserved.heart.beat.interval=1000")
    puppet.attach()
    until(lambda: len(registry.registers()) > 1 and ips(registry, "faulty"), "registered, and asked again")
    registry.admin("clear")
    until(lambda: ips(registry, "faulty") == ["10.0.0.1"], "registered again")
