# SPDX-License-Identifier: Apache-2.0
"""The embedded registry, driven over raw sockets as a client would drive an official server.

It is the oracle of most other tests, so what is asserted here is what official servers were seen to
do: statuses, codes, content types, and when a connection is closed.
"""

import json
import os
import re
import signal
import subprocess
import time
import urllib.parse

import pytest

from wire import Connection, KEY, MODES, NS, PROGRAM, request, target

SCALE = 20  # of time: a tick is 0.25 s, unhealthy after 0.75, removed after 1.5


# --- the command line ---------------------------------------------------------------------------

@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_stops_cleanly_on_a_signal(start, how):
    registry = start()
    assert registry.pid == registry.process.pid and registry.mode == "2"
    connection = registry.connect()
    connection.ask("PUT", target("instance/beat"))
    assert registry.stop(how) == 0
    connection.close()


@pytest.mark.parametrize("arguments, said", [
    (["--mode", "5"], '--mode: "5" is not one of 1.4, 2, 3, 3-no-v1, 3.2'),
    (["--time-scale", "0"], '--time-scale: "0" is not a number from 0.01 to 10000'),
    (["--time-scale", "nan"], '--time-scale: "nan" is not'),
    (["--time-scale", "2x"], '--time-scale: "2x" is not'),
    (["--keepalive-requests", "-1"], '--keepalive-requests: "-1" is not a number'),
    (["--listen", "8848"], '--listen: "8848" is not ADDR:PORT'),
    (["--listen", "localhost:1"], '--listen: "localhost:1" is not ADDR:PORT'),
    (["--listen", "127.0.0.1:65536"], '--listen: "127.0.0.1:65536" is not'),
    (["--listen", "::1:80"], '--listen: "::1:80" is not'),
    (["--listen", ""], '--listen: "" is not'),
    (["--listen"], "--listen: needs a value"),
    (["--auth=", "a:b"], "--auth"),
    (["--help=x"], "--help=x: is not an option, or takes no value"),
    (["stray"], '"stray": takes no arguments'),
])
def test_wrong_usage_names_option_value_and_rule(arguments, said):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("onebeat-registry: ") and said in done.stderr


def test_help_and_version():
    shown = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, timeout=20)
    assert shown.returncode == 0
    for option in ("--listen", "--mode", "--time-scale", "--log", "--keepalive-requests"):
        assert option in shown.stdout
    shown = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, timeout=20)
    assert shown.returncode == 0 and re.fullmatch(r"onebeat-registry \d+\.\d+\.\d+\n", shown.stdout)


def test_a_taken_port_and_an_unwritable_log_are_failures(start, tmp_path):
    taken = f"127.0.0.1:{start().port}"
    done = subprocess.run([PROGRAM, "--listen", taken], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and taken in done.stderr and "in use" in done.stderr
    log = str(tmp_path / "none" / "log")
    done = subprocess.run([PROGRAM, "--listen", "127.0.0.1:0", "--log", log], capture_output=True,
                          text=True, timeout=20)
    assert done.returncode == 1 and log in done.stderr


# --- registering, beating, reading back ---------------------------------------------------------

@pytest.mark.parametrize("mode", MODES)
def test_life_of_an_instance(start, mode):
    registry = start("--mode", mode)
    unknown = registry.ask("PUT", target("instance/beat"))
    assert unknown.headers["content-type"] == "application/json"
    assert unknown.headers["transfer-encoding"] == "chunked"
    expected = {"clientBeatInterval": 5000, "code": 20404}
    if mode != "1.4":
        expected["lightBeatEnabled"] = True
    assert json.loads(unknown.body) == expected

    ok = registry.ask("POST", target("instance", weight="2.5", metadata='{"zone":"ä"}'))
    assert (ok.status, ok.body, ok.headers["content-length"]) == (200, "ok", "2")
    assert ok.headers["content-type"] == "text/plain;charset=UTF-8"
    assert registry.beat() == {"clientBeatInterval": 5000, "code": 10200, "lightBeatEnabled": True}

    host = registry.hosts()[("10.0.0.1", 8080)]
    assert host["instanceId"] == "10.0.0.1#8080#DEFAULT#DEFAULT_GROUP@@orders"
    assert host["metadata"] == {"zone": "ä"} and host["weight"] == 2.5
    assert host["healthy"] and host["enabled"] and host["ephemeral"]
    assert host["clusterName"] == "DEFAULT"

    ok = registry.ask("DELETE", target("instance"))
    assert (ok.status, ok.body) == (200, "ok")
    assert registry.hosts() == {} and registry.beat()["code"] == 20404
    assert registry.ask("DELETE", target("instance")).body == "ok"


LIST_14 = {"hosts", "dom", "name", "cacheMillis", "lastRefTime", "checksum", "useSpecifiedURL",
           "clusters", "env", "metadata"}
LIST_2 = {"name", "groupName", "clusters", "cacheMillis", "hosts", "lastRefTime", "checksum",
          "reachProtectionThreshold", "valid"}
HOST_BOTH = {"ip", "port", "healthy", "instanceId", "metadata", "enabled", "weight", "clusterName",
             "serviceName", "ephemeral"}


@pytest.mark.parametrize("mode, fields, unknown_fields, host_fields, name", [
    ("1.4", LIST_14, {"name", "clusters", "cacheMillis", "hosts"}, {"valid", "marked"}, "orders"),
    ("2", LIST_2 | {"allIPs"}, LIST_2 | {"allIPs"},
     {"instanceHeartBeatInterval", "instanceHeartBeatTimeOut", "ipDeleteTimeout"},
     "DEFAULT_GROUP@@orders"),
    ("3", LIST_2 | {"allIps"}, LIST_2 | {"allIps"},
     {"instanceHeartBeatInterval", "instanceHeartBeatTimeOut", "ipDeleteTimeout"},
     "DEFAULT_GROUP@@orders"),
])
def test_shape_of_lists(start, mode, fields, unknown_fields, host_fields, name):
    registry = start("--mode", mode)
    assert set(registry.listed()) == unknown_fields
    registry.register()
    listed = registry.listed()
    assert set(listed) == fields and listed["name"] == "DEFAULT_GROUP@@orders"
    assert set(listed["hosts"][0]) == HOST_BOTH | host_fields
    assert listed["hosts"][0]["serviceName"] == name


def test_1_4_names_services_in_full_to_java_clients(start):
    registry = start("--mode", "1.4")
    registry.register()
    where = target("instance/list", ip=None, port=None)
    for agent, name in (("Nacos-Java-Client:v1.4.8", "DEFAULT_GROUP@@orders"),
                        ("Nacos-Java-Client:v0.9", "orders"), ("curl/7", "orders")):
        listed = json.loads(registry.ask("GET", where, headers=[f"User-Agent: {agent}"]).body)
        assert listed["dom"] == name and listed["hosts"][0]["serviceName"] == name


def test_groups_clusters_namespaces_and_disabled_ones_in_lists(start):
    registry = start()
    registry.register(serviceName="orders", groupName="G", clusterName="A")
    registry.register(serviceName="G@@orders", groupName="ignored", ip="10.0.0.2", cluster="B")
    registry.register(serviceName="G@@orders", ip="10.0.0.3", namespaceId="dev")
    registry.register(serviceName="G@@orders", ip="10.0.0.4", enabled="false")
    registry.register(serviceName="G@@orders", ip="10.0.0.5", enable="no")

    def ips(**params):
        return {ip for ip, _ in registry.hosts(**{"serviceName": "G@@orders", **params})}
    assert ips() == {"10.0.0.1", "10.0.0.2"}
    assert ips(clusters="A") == {"10.0.0.1"} and ips(clusters="A,B") == {"10.0.0.1", "10.0.0.2"}
    assert ips(clusters="AB") == set()
    assert ips(namespaceId="dev") == {"10.0.0.3"} and ips(namespaceId="") == ips()
    assert registry.beat(serviceName="G@@orders", ip="10.0.0.4")["code"] == 10200
    assert ips(serviceName="orders") == set()

    services = json.loads(registry.ask("GET", f"{NS}/service/list?pageNo=1&pageSize=9&groupName=G").body)
    assert services == {"count": 1, "doms": ["orders"]}
    assert registry.ask("GET", f"{NS}/service/list?pageNo=1").status == 400


@pytest.mark.parametrize("mode, known, status, unknown", [
    ("1.4", 200, 500, "caused: no matched ip found!;"), ("2", 200, 404, "no matched ip found!"),
    ("3", 410, 410, None),
])
def test_detail(start, mode, known, status, unknown):
    registry = start("--mode", mode)
    registry.register(metadata='{"zone":"a"}')
    reply = registry.ask("GET", target("instance"))
    assert reply.status == known
    if known == 200:
        assert json.loads(reply.body) == {
            "service": "DEFAULT_GROUP@@orders", "ip": "10.0.0.1", "port": 8080, "healthy": True,
            "clusterName": "DEFAULT", "weight": 1.0, "metadata": {"zone": "a"},
            "instanceId": "10.0.0.1#8080#DEFAULT#DEFAULT_GROUP@@orders"}
    else:
        assert json.loads(json.loads(reply.body)["message"])["code"] == 40000
    reply = registry.ask("GET", target("instance", port="9"))
    assert reply.status == status and (unknown is None or reply.body == unknown)


@pytest.mark.parametrize("mode", MODES)
def test_identity_and_kinds(start, mode):
    registry = start("--mode", mode)
    registry.register(clusterName="A")
    # Another cluster names another instance on 1.4 alone.
    assert registry.beat(clusterName="B")["code"] == (20404 if mode == "1.4" else 10200)
    registry.ask("DELETE", target("instance", clusterName="B"))
    assert len(registry.hosts()) == (1 if mode == "1.4" else 0)

    registry.register(serviceName="p", ephemeral="false")
    registry.ask("DELETE", target("instance", serviceName="p"))
    assert len(registry.hosts(serviceName="p")) == 1, "the delete named the ephemeral one"
    assert registry.beat(serviceName="p")["code"] == (10200 if mode == "1.4" else 20404)
    mixed = registry.ask("POST", target("instance", serviceName="p", ip="10.0.0.2"))
    assert mixed.status == (200 if mode == "1.4" else 400)
    registry.ask("DELETE", target("instance", serviceName="p", ephemeral="false"))
    assert ("10.0.0.1", 8080) not in registry.hosts(serviceName="p")


# --- full beats ---------------------------------------------------------------------------------

def full_beat(**changes):
    beat = {"ip": "10.0.0.1", "port": 8080, "weight": 3.0, "cluster": "DEFAULT", "scheduled": False,
            "serviceName": "DEFAULT_GROUP@@orders", "metadata": {"zone": "b"}, "stopped": False}
    beat.update(changes)
    return b"beat=" + urllib.parse.quote(json.dumps({k: v for k, v in beat.items() if v is not None})).encode()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("place", ["body", "query"])
def test_a_full_beat_creates_what_is_missing_and_changes_nothing_else(start, mode, place):
    registry = start("--mode", mode)

    def beat():
        if place == "body":
            return registry.ask("PUT", target("instance/beat"), body=full_beat())
        return registry.ask("PUT", target("instance/beat") + "&" + full_beat().decode())
    assert json.loads(beat().body)["code"] == 10200
    host = registry.hosts()[("10.0.0.1", 8080)]
    assert host["weight"] == 3.0 and host["metadata"] == {"zone": "b"}
    registry.register(weight="1", metadata="zone=c")
    assert json.loads(beat().body)["code"] == 10200
    host = registry.hosts()[("10.0.0.1", 8080)]
    assert host["weight"] == 1.0 and host["metadata"] == {"zone": "c"}


@pytest.mark.parametrize("mode, content_type", [
    ("1.4", "text/plain;charset=UTF-8"), ("2", "application/json"), ("3", "application/json")])
def test_a_malformed_full_beat_is_500(start, mode, content_type):
    registry = start("--mode", mode)
    connection = registry.connect()
    reply = connection.ask("PUT", target("instance/beat"), body=b"beat=%7Bbad")
    assert reply.status == 500 and reply.headers["content-type"] == content_type
    assert connection.is_closed()


@pytest.mark.parametrize("mode, renews", [("1.4", True), ("2", False)])
def test_a_full_beat_renews_the_service_that_its_json_names(start, mode, renews):
    """On newer servers a beat whose JSON names no service is answered well and yet renews nothing."""
    registry = start("--mode", mode, "--time-scale", str(SCALE))
    registry.register(serviceName="other", ip="10.0.0.9", ephemeral="false")
    registry.register()

    def gone():
        reply = registry.ask("PUT", target("instance/beat"), body=full_beat(serviceName=None))
        assert json.loads(reply.body)["code"] == 10200
        return not all(h["healthy"] for h in registry.listed()["hosts"])
    if renews:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            assert not gone()
    else:
        registry.wait(gone)


# --- validation ---------------------------------------------------------------------------------

PARAM = None  # the parameter check's texts come without a Content-Type
TEXT, ERROR_JSON = "text/plain;charset=UTF-8", "application/json"
LONG = '{"k":"' + "a" * 1024 + '"}'

REFUSED = [  # what is sent; then (status, content type, words) on 1.4 and on 2 and 3; None is 200
    ({"weight": "-1"}, (500, TEXT, "caused: instance format invalid"), (400, TEXT, "instance format")),
    ({"weight": "10001"}, (500, TEXT, "10000.0;"), (400, TEXT, "10000.0")),
    ({"weight": "Infinity"}, (500, TEXT, ""), (400, TEXT, "")),
    ({"weight": "x"}, (400, TEXT, 'caused: For input string: "x";'), (400, TEXT, 'For input string: "x"')),
    ({"weight": "NaN"}, None, None),
    ({"metadata": "{bad"}, (500, TEXT, "caused: metadata format incorrect:{bad;"),
     (500, ERROR_JSON, "metadata format incorrect:{bad")),
    ({"metadata": '{"a":{"b":1}}'}, (500, TEXT, ""), (500, ERROR_JSON, "")),
    ({"metadata": LONG}, None, (400, PARAM, "should not exceed 1024.\r\n")),
    ({"metadata": "null"}, None, None),
    ({"metadata": '{"preserved.heart.beat.interval":"5001","preserved.heart.beat.timeout":"5000"}'},
     None, (400, TEXT, "must less than")),
    ({"metadata": '{"preserved.heart.beat.interval":"5000","preserved.heart.beat.timeout":"5000"}'},
     None, None),
    ({"metadata": '{"preserved.heart.beat.timeout":"15s"}'}, None, None),
    ({"enabled": "maybe"}, None, None),
    ({"serviceName": None}, (400, TEXT, "caused: Param 'serviceName' is required.;"),
     (400, TEXT, "Param 'serviceName' is required.")),
    ({"serviceName": " "}, (400, TEXT, "serviceName"), (400, TEXT, "serviceName")),
    ({"ip": None}, (400, TEXT, "'ip' is required"), (400, TEXT, "'ip' is required")),
    ({"port": None}, (400, TEXT, "'port' is required"), (400, TEXT, "'port' is required")),
    ({"port": "x"}, (400, TEXT, 'For input string: "x"'), (400, PARAM, "between 0 and 65535")),
    ({"port": "-1"}, None, (400, PARAM, "between 0 and 65535")),
    ({"port": "65536"}, None, (400, PARAM, "between 0 and 65535")),
    ({"ip": "999.1.1.1"}, None, None),
    ({"ip": "10.0 .1"}, None, (400, PARAM, "'ip' is illegal")),
    ({"clusterName": "a_b"}, (400, TEXT, "0-9a-zA-Z-, current: a_b;"), (400, TEXT, "(current: a_b)")),
    ({"clusterName": "a b"}, (400, TEXT, "cluster name"), (400, PARAM, "'cluster' is illegal")),
    ({"serviceName": "DEFAULT_GROUP@@a b"}, (400, TEXT, "dom name"), (400, PARAM, "'serviceName'")),
    ({"serviceName": "DEFAULT_GROUP@@订单"}, (400, TEXT, "dom name"), (400, PARAM, "'serviceName'")),
    ({"serviceName": "A@@B@@C"}, None, (400, PARAM, "'serviceName' is illegal")),
    ({"serviceName": "@@x"}, (400, TEXT, "groupName@@serviceName"), (400, ERROR_JSON, "groupName@@")),
    ({"serviceName": "G@@"}, (400, TEXT, "groupName@@serviceName"), (400, ERROR_JSON, "groupName@@")),
    ({"serviceName": "x", "groupName": "a b"}, (400, TEXT, "dom name"), (400, PARAM, "'group' is")),
    ({"namespaceId": "a.b"}, None, (400, PARAM, "'namespaceId/tenant' is illegal")),
    ({"namespaceId": "n" * 65}, None, (400, PARAM, "should not exceed 64")),
]


@pytest.mark.parametrize("mode", MODES)
def test_what_a_register_is_refused_for(start, mode):
    registry = start("--mode", mode)
    for params, on_14, newer in REFUSED:
        expected = on_14 if mode == "1.4" else newer
        connection = registry.connect()
        reply = connection.ask("POST", target("instance", **params))
        if expected is None:
            assert (reply.status, reply.body) == (200, "ok"), params
        else:
            status, content_type, words = expected
            assert (reply.status, reply.headers.get("content-type")) == (status, content_type), params
            assert words in reply.body, params
            assert reply.headers["connection"] == "close" and connection.is_closed(), params
            if content_type == ERROR_JSON:
                page = json.loads(reply.body)
                assert page["status"] == status and page["path"] == f"{NS}/instance"
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", page["timestamp"])
        connection.close()


@pytest.mark.parametrize("mode, weight", [("1.4", "NaN"), ("2", "NaN"), ("3", 1.0)])
def test_weights_at_the_edges(start, mode, weight):
    registry = start("--mode", mode)
    for given, listed in (("NaN", weight), ("0", 0.0), ("0.001", 0.01), ("10000", 10000.0), ("1e-1", 0.1)):
        registry.register(weight=given)
        assert registry.hosts()[("10.0.0.1", 8080)]["weight"] == listed


@pytest.mark.parametrize("mode", MODES)
def test_where_parameters_are_seen(start, mode):
    registry = start("--mode", mode)
    form = urllib.parse.urlencode(KEY).encode()
    # 1.4.4 and later lose the body of a POST; a PUT's and a DELETE's arrive on all.
    assert registry.ask("POST", f"{NS}/instance", body=form).status == (400 if mode == "1.4" else 200)
    registry.register()
    assert json.loads(registry.ask("PUT", f"{NS}/instance/beat", body=form).body)["code"] == 10200
    plain = request("DELETE", f"{NS}/instance", body=form).replace(b"x-www-form-urlencoded", b"octets")
    connection = registry.connect()
    connection.send(plain)
    assert connection.reply().status == 400
    assert registry.ask("DELETE", f"{NS}/instance", body=form).body == "ok"
    assert registry.hosts() == {}


@pytest.mark.parametrize("mode, method, where, status, closed", [
    ("2", "POST", f"{NS}/instance/beat", 501, True),
    ("2", "GET", f"{NS}/nope", 501, True),
    ("2", "PATCH", f"{NS}/instance/list", 501, True),
    ("3", "GET", f"{NS}/nope", 501, True),
    ("3", "PATCH", f"{NS}/instance", 410, False),
    ("3", "PUT", f"{NS}/instance", 410, False),
    ("3", "GET", f"{NS}/instance/statuses", 410, False),
    ("3", "POST", "/nacos/v2/ns/instance", 410, False),
    ("1.4", "POST", "/nacos/v2/ns/instance", 404, False),
    ("2", "POST", "/nacos/v3/client/ns/instance", 404, False),
    ("3", "GET", "/nacos/v1/console/health/readiness", 404, False),
    ("2", "GET", "/nacos/nope", 404, False),
    ("2", "GET", "/nope", 404, False),
])
def test_calls_that_a_mode_does_not_have(start, mode, method, where, status, closed):
    connection = start("--mode", mode).connect()
    reply = connection.ask(method, where)
    assert reply.status == status and connection.is_closed() == closed
    html = where == "/nope"
    assert reply.headers["content-type"] == ("text/html;charset=utf-8" if html else ERROR_JSON)
    if status == 501:
        assert json.loads(reply.body)["message"] == f"no such api:{method}:{where}"


def test_error_pages_are_html_to_who_prefers_it(start):
    registry = start()
    for accept, content_type in (("text/html,*/*", "text/html;charset=utf-8"), ("*/*", ERROR_JSON),
                                 ("application/json, text/html", ERROR_JSON)):
        reply = registry.ask("GET", f"{NS}/nope", headers=[f"Accept: {accept}"])
        assert (reply.status, reply.headers["content-type"]) == (501, content_type)


@pytest.mark.parametrize("mode", MODES)
def test_health_probes(start, mode):
    registry = start("--mode", mode)
    registry.register()
    metrics = json.loads(registry.ask("GET", f"{NS}/operator/metrics").body)
    assert metrics["status"] == "UP"
    if mode == "1.4":
        assert metrics["instanceCount"] == 1 and metrics["serviceCount"] == 1
    if mode == "3":
        reply = registry.ask("GET", "/nacos/v3/admin/core/state/readiness")
        assert json.loads(reply.body)["code"] == 0
    else:
        assert registry.ask("GET", "/nacos/v1/console/health/readiness").body == "OK"


def test_1_4_put_registers_but_for_java_clients(start):
    registry = start("--mode", "1.4")
    java = ["User-Agent: Nacos-Java-Client:v1.4.8"]
    assert registry.ask("PUT", target("instance"), headers=java).status == 500
    assert registry.ask("PUT", target("instance", weight="2")).body == "ok"
    assert registry.ask("PUT", target("instance", weight="3"), headers=java).body == "ok"
    assert registry.hosts()[("10.0.0.1", 8080)]["weight"] == 3.0


# --- connections --------------------------------------------------------------------------------

@pytest.mark.parametrize("options, limit", [((), 100), (("--keepalive-requests", "3"), 3)])
def test_a_connection_carries_so_many_requests(start, options, limit):
    """What is pipelined past the limit is never answered."""
    registry = start(*options)
    connection = registry.connect()
    connection.send(request("PUT", target("instance/beat")) * (limit + 5))
    replies = [connection.reply() for _ in range(limit)]
    assert ["connection" in r.headers for r in replies] == [False] * (limit - 1) + [True]
    assert replies[-1].headers["connection"] == "close" and connection.is_closed()
    assert registry.stats()["requests"]["beat"] == limit


def test_no_limit_of_requests(start):
    connection = start("--keepalive-requests", "0").connect()
    for _ in range(5):
        connection.send(request("PUT", target("instance/beat")) * 100)
        assert all("connection" not in connection.reply().headers for _ in range(100))
    assert not connection.is_closed()


def test_an_error_reply_drops_the_pipeline_behind_it(start):
    registry = start()
    registry.register()
    good, bad = request("PUT", target("instance/beat")), request("PUT", f"{NS}/instance/beat")
    connection = registry.connect()
    connection.send(good + bad + good * 3)
    assert [connection.reply().status for _ in range(2)] == [200, 400]
    assert connection.is_closed()
    assert registry.stats()["requests"]["beat"] == 2


def test_requests_may_be_cut_anywhere(start):
    registry = start()
    whole = request("POST", target("instance")) + request("PUT", target("instance/beat"),
                                                           body=full_beat())
    for cut in range(1, len(whole), 7):
        connection = registry.connect()
        connection.send(whole[:cut])
        connection.send(whole[cut:])
        assert connection.reply().body == "ok"
        assert json.loads(connection.reply().body)["code"] == 10200
        connection.close()


def test_keep_alive_is_confirmed_to_who_asks(start):
    connection = start().connect()
    assert "keep-alive" not in connection.ask("PUT", target("instance/beat")).headers
    reply = connection.ask("PUT", target("instance/beat"), headers=["Connection: keep-alive"])
    assert reply.headers["keep-alive"] == "timeout=60"
    assert reply.headers["connection"].lower() == "keep-alive"
    reply = connection.ask("PUT", target("instance/beat"), headers=["Connection: close"])
    assert reply.headers["connection"] == "close" and connection.is_closed()


def test_idle_connections_and_half_requests_are_closed(start):
    registry = start("--time-scale", "60")
    idle, half, none = registry.connect(), registry.connect(), registry.connect()
    idle.ask("PUT", target("instance/beat"))
    half.send(request("PUT", target("instance/beat"))[:-10])
    start_s = time.monotonic()
    for connection in (idle, half, none):
        assert connection.sock.recv(1) == b""
    assert 0.5 < time.monotonic() - start_s < 5
    registry.wait(lambda: registry.stats()["connections_open"] == 1)


def test_expect_continue_and_absent_lengths(start):
    connection = start().connect()
    body = urllib.parse.urlencode(KEY).encode()
    head, _ = request("POST", f"{NS}/instance", body=body,
                      headers=["Expect: 100-continue"]).split(b"\r\n\r\n")
    connection.send(head + b"\r\n\r\n")
    assert connection._until(b"\r\n\r\n").startswith(b"HTTP/1.1 100")
    connection.send(body)
    assert connection.reply().body == "ok"
    connection.send(f"PUT {target('instance/beat')} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert json.loads(connection.reply().body)["code"] == 10200
    connection.send(f"PUT {target('instance/beat')} HTTP/1.1\r\nHost: a\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode())
    assert json.loads(connection.reply().body)["code"] == 10200


def test_http_1_0_is_answered_without_length_and_closed(start):
    connection = start().connect()
    connection.send(f"PUT {target('instance/beat')} HTTP/1.0\r\n\r\n".encode())
    data = b""
    while piece := connection.sock.recv(4096):
        data += piece
    head, body = data.split(b"\r\n\r\n")
    assert b"Connection: close" in head and b"chunked" not in head
    assert json.loads(body)["code"] == 20404


@pytest.mark.parametrize("raw", [b"[x]", b"{x}", b"\"x\"", "\u00e4".encode(), b"a\\b", b"a|b"])
def test_raw_bytes_in_a_target_are_400(start, raw):
    connection = start().connect()
    connection.send(b"GET /nacos/v1/ns/instance/list?serviceName=" + raw + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    reply = connection.reply()
    assert reply.status == 400 and reply.headers["content-type"] == "text/html;charset=utf-8"
    assert connection.is_closed()


def test_no_host_is_400_and_a_raw_at_sign_is_fine(start):
    connection = start().connect()
    connection.send(b"GET /nacos/v1/ns/instance/list?serviceName=G@@x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert connection.reply().status == 200
    connection.send(b"GET /nacos/v1/ns/instance/list?serviceName=x HTTP/1.1\r\n\r\n")
    assert connection.reply().status == 400 and connection.is_closed()


@pytest.mark.parametrize("mode, at_9k, at_60k", [("1.4", 200, 200), ("2", 200, 200), ("3", 400, 400)])
def test_long_heads(start, mode, at_9k, at_60k):
    registry = start("--mode", mode)
    for size, status in ((7000, 200), (9000, at_9k), (60000, at_60k)):
        reply = registry.ask("PUT", target("instance/beat", app="a" * size))
        assert reply.status == status, size
    connection = registry.connect()
    connection.send(request("PUT", target("instance/beat", app="a" * 400000)))
    assert 400 <= connection.reply().status < 500
    assert registry.beat()["code"] == 20404, "and goes on serving others"


def test_a_form_beyond_2_mib_is_not_parsed(start):
    registry = start()
    form = urllib.parse.urlencode(KEY).encode() + b"&app="
    assert registry.ask("POST", f"{NS}/instance", body=form + b"a" * 100000).status == 200
    assert registry.ask("POST", f"{NS}/instance", body=form + b"a" * (2 << 20)).status == 400


def test_garbage_is_survived(start):
    registry = start()
    for garbage in (b"\0" * 100, b"GET\r\n\r\n", b"\r\n\r\n\r\n", b"PUT / HTTP/9.9\r\n\r\n",
                    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
                    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                    b"GET /?%&=&%zz=%00 HTTP/1.1\r\nHost: a\r\n\r\n", os.urandom(5000)):
        connection = registry.connect()
        connection.send(garbage)
        connection.is_closed()
        connection.close()
    assert registry.beat()["code"] == 20404


# --- time ---------------------------------------------------------------------------------------



@pytest.mark.parametrize("mode", MODES)
def test_silence_makes_unhealthy_then_removes(start, mode):
    registry = start("--mode", mode, "--time-scale", str(SCALE))
    registry.register(
        ip="10.0.0.2",
        metadata="preserved.heart.beat.timeout=170000,preserved.ip.delete.timeout=170000")
    registry.register()
    since = time.monotonic()
    registry.wait(lambda: not registry.hosts()[("10.0.0.1", 8080)]["healthy"])
    unhealthy_s = time.monotonic() - since
    assert unhealthy_s > 15 / SCALE * 0.9
    registry.wait(lambda: ("10.0.0.1", 8080) not in registry.hosts())
    assert time.monotonic() - since > 30 / SCALE * 0.9
    assert registry.beat()["code"] == 20404
    assert registry.hosts()[("10.0.0.2", 8080)]["healthy"]


def test_healthy_only_leaves_out_the_others(start):
    registry = start()
    registry.register(healthy="false")
    registry.register(ip="10.0.0.2")
    assert len(registry.hosts()) == 2
    assert set(registry.hosts(healthyOnly="true")) == {("10.0.0.2", 8080)}
    assert registry.beat()["code"] == 10200, "ill health lasts until the first beat"
    assert len(registry.hosts(healthyOnly="true")) == 2


def test_beats_keep_healthy_and_heal(start):
    registry = start("--time-scale", str(SCALE))
    registry.register()
    end = time.monotonic() + 2
    while time.monotonic() < end:
        assert registry.beat()["code"] == 10200
        assert registry.hosts()[("10.0.0.1", 8080)]["healthy"]
    registry.wait(lambda: not registry.hosts()[("10.0.0.1", 8080)]["healthy"])
    assert registry.beat()["code"] == 10200
    assert registry.hosts()[("10.0.0.1", 8080)]["healthy"]


def test_1_4_hides_ill_health_of_an_instance_alone_in_its_service(start):
    registry = start("--mode", "1.4", "--time-scale", str(SCALE))
    registry.register()
    seen = []

    def gone():
        hosts = registry.hosts()
        seen.extend(h["healthy"] for h in hosts.values())
        return not hosts
    registry.wait(gone)
    assert seen and all(seen)


@pytest.mark.parametrize("mode", ["2", "3"])
@pytest.mark.parametrize("value", ["15s", "-5", " "])
def test_a_delete_timeout_that_is_no_number_is_zero(start, mode, value):
    registry = start("--mode", mode, "--time-scale", str(SCALE))
    registry.register(metadata=json.dumps({"preserved.ip.delete.timeout": value}))
    assert registry.wait(lambda: not registry.hosts()) < 25 / SCALE


@pytest.mark.parametrize("mode, value, interval", [
    ("1.4", "3000", 3000), ("2", "3000", 3000), ("2", "3s", 0), ("3", "3s", 0), ("1.4", "3s", 5000)])
def test_the_advised_interval_is_the_instance_s_own_and_never_scaled(start, mode, value, interval):
    registry = start("--mode", mode, "--time-scale", "2")
    registry.register(metadata=json.dumps({"preserved.heart.beat.interval": value}))
    assert registry.beat()["clientBeatInterval"] == interval
    registry.register(metadata="{}")
    assert registry.beat()["clientBeatInterval"] == 5000


# --- what is the registry's own -----------------------------------------------------------------

def test_the_log_has_a_line_for_each_request(start, tmp_path):
    log = tmp_path / "log"
    registry = start("--log", str(log))
    connection = registry.connect()
    connection.ask("PUT", target("instance/beat"), headers=["User-Agent: x\"y\\z"])
    # A line is there as soon as its reply is.
    first = json.loads(log.read_text())
    assert first["method"] == "PUT" and first["target"] == target("instance/beat")
    assert (first["status"], first["code"], first["n"], first["ua"]) == (200, 20404, 1, 'x"y\\z')
    connection.ask("POST", target("instance"))
    connection.ask("PUT", target("instance/beat"))
    registry.ask("PUT", f"{NS}/instance/beat")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["n"] for line in lines] == [1, 2, 3, 1]
    assert [line["status"] for line in lines] == [200, 200, 200, 400]
    assert [line["code"] for line in lines] == [20404, None, 10200, None]
    assert lines[1]["ua"] is None
    assert lines[0]["conn"] == lines[2]["conn"] != lines[3]["conn"]
    times = [line["t"] for line in lines]
    assert times == sorted(times)
    assert abs(lines[3]["boottime_ms"] - time.clock_gettime(time.CLOCK_BOOTTIME) * 1000) < 60000
    assert {line["boottime_ms"] - line["t"] for line in lines} == {first["boottime_ms"] - first["t"]}


def test_stats_count_connections_and_requests(start):
    registry = start()
    held = [registry.connect() for _ in range(5)]
    for connection in held:
        connection.ask("POST", target("instance"))
        connection.ask("PUT", target("instance/beat"))
    held[0].ask("GET", target("instance/list"))
    held[0].ask("GET", "/nacos/nope")
    held[0].ask("DELETE", target("instance"))
    registry.register(ip="10.0.0.2")
    stats = registry.stats()
    assert stats["requests"] == {"register": 6, "beat": 5, "list": 1, "other": 1, "deregister": 1}
    assert (stats["instances"], stats["services"]) == (1, 1)
    assert stats["connections_total"] == 7 and 6 <= stats["connections_peak"] <= 7
    for connection in held:
        connection.close()
    registry.wait(lambda: registry.stats()["connections_open"] == 1)
    assert 6 <= registry.stats()["connections_peak"] <= 7


def test_the_page_shows_instances_and_escapes_them(start):
    registry = start("--mode", "1.4")
    registry.register(ip="<script>x</script>", metadata='{"a":"<b>&\\"\'"}', enabled="false")
    reply = registry.ask("GET", "/")
    assert reply.status == 200 and reply.headers["content-type"] == "text/html;charset=utf-8"
    assert '<meta http-equiv="refresh" content="1">' in reply.body
    assert "<script" not in reply.body and "<b>" not in reply.body
    for text in ("&#60;script&#62;", "DEFAULT_GROUP@@orders", ":8080", "disabled", "1 instances"):
        assert text in reply.body


def test_twenty_thousand_instances(start):
    n, per_connection = 20000, 100
    registry = start()
    for first in range(0, n, per_connection):
        connection = registry.connect()
        wheres = [target("instance", ip=f"10.1.{i >> 8}.{i & 255}") for i in range(first, first + per_connection)]
        connection.send(b"".join(request("POST", where) for where in wheres))
        assert all(connection.reply().body == "ok" for _ in wheres)
        connection.close()
    assert registry.stats()["instances"] == n
    assert len(registry.hosts()) == n
    assert registry.beat(ip="10.1.77.77")["code"] == 10200
    page = registry.ask("GET", "/").body
    assert page.count("<tr") == 1001 and "and 19000 more" in page
