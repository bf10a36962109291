# SPDX-License-Identifier: Apache-2.0
"""The embedded registry's v2 and v3 calls, and what each mode does not have.

Statuses, codes and texts are those of official 2.5.1 and 3.0.3 servers.
"""

import json
import time
import urllib.parse

import pytest

from wire import ALL_MODES, KEY, NS, pause, target

V3_MODES = ("3", "3-no-v1", "3.2")
V2 = "/nacos/v2/ns/instance"
V3 = "/nacos/v3/client/ns/instance"
ADMIN = "/nacos/v3/admin/ns"
PLAIN = {"serviceName": "orders", "ip": "10.0.0.1", "port": "8080"}
OK = {"code": 0, "message": "success", "data": "ok"}
UNKNOWN = {"code": 21003, "message": "instance not found", "data": None}


def to(path, **params):
    pairs = {k: v for k, v in {**PLAIN, **params}.items() if v is not None}
    return f"{path}?{urllib.parse.urlencode(pairs)}"


def say(registry, method, where, status=200, **kwargs):
    reply = registry.ask(method, where, **kwargs)
    assert reply.status == status, reply
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["transfer-encoding"] == "chunked"
    return json.loads(reply.body)


def listed(registry, path=f"{V3}/list", **params):
    return {(h["ip"], h["port"]): h
            for h in say(registry, "GET", to(path, ip=None, port=None, **params))["data"]}


# --- what exists where --------------------------------------------------------------------------

def v1_says(mode):
    return {"3-no-v1": 410, "3.2": 404}.get(mode, 200)


@pytest.mark.parametrize("mode", ALL_MODES)
def test_which_calls_a_mode_has(start, mode):
    registry = start("--mode", mode)
    v3 = 200 if mode in V3_MODES else 404
    old = mode in ("1.4", "2")
    admin = 200 if old else 404 if mode == "3.2" else 410
    for method, where, status in (
            ("POST", target("instance"), v1_says(mode)),
            ("PUT", target("instance/beat"), v1_says(mode)),
            ("GET", target("instance/list"), v1_says(mode)),
            ("GET", target("instance"), admin),
            ("DELETE", target("instance"), v1_says(mode)),
            ("GET", f"{NS}/service/list?pageNo=1&pageSize=1", v1_says(mode)),
            ("GET", f"{NS}/operator/metrics", v1_says(mode)),
            ("GET", "/nacos/v1/console/health/readiness", 200 if old else 404),
            ("GET", "/nacos/v1/console/server/state", 200 if old else 404),
            ("POST", to(V2), {"1.4": 404, "2": 200, "3.2": 404}.get(mode, 410)),
            ("GET", f"{NS}/nope", 404 if mode == "3.2" else 501),
            ("POST", to(V3), v3),
            ("POST", to(V3, heartBeat="true"), v3),
            ("GET", to(f"{V3}/list"), v3),
            ("GET", to(f"{ADMIN}/instance"), v3),
            ("GET", to(f"{ADMIN}/instance/list"), v3),
            ("GET", f"{ADMIN}/ops/metrics", v3),
            ("GET", f"{ADMIN}/service/list", v3),
            ("DELETE", to(V3), v3),
            ("PUT", to(V3), 405 if v3 == 200 else 404),
            ("GET", f"{V3}/below", 404),
            ("GET", "/nacos/v3/admin/core/state", v3),
            ("GET", "/nacos/v3/admin/core/state/readiness", v3)):
        connection = registry.connect()
        reply = connection.ask(method, where)
        assert reply.status == status, (method, where)
        # Of refusals these alone close the connection.
        assert ("connection" in reply.headers) == (status == 501), (method, where)
        if status >= 400:
            page = json.loads(reply.body)
            assert page["status"] == status and page["path"] == where.split("?")[0]
            if status == 410:
                assert json.loads(page["message"])["code"] == 40000
        connection.close()


def test_the_texts_of_what_is_not_there(start):
    def message(mode, method, where):
        return json.loads(start("--mode", mode).ask(method, where).body)["message"]
    setting = "application.properties.\"}"
    assert message("3", "PUT", target("instance")) == (
        '{"code":40000,"message":"Current API will be deprecated, please use API(s) '
        '`PUT ${contextPath:nacos}/v3/admin/ns/instance` instead, or set '
        '`nacos.core.api.compatibility.admin.enabled=true` in ' + setting)
    assert message("3", "PUT", to(f"{V2}/beat")) == (
        '{"code":40000,"message":"Current API will be deprecated, If wanted continue to use, '
        'please set `nacos.core.api.compatibility.admin.enabled=true` in ' + setting)
    assert "compatibility.client.enabled" in message("3-no-v1", "POST", target("instance"))
    assert message("3.2", "POST", target("instance")) == "No endpoint POST /nacos/v1/ns/instance."
    reply = start("--mode", "3").ask("PUT", to(V3))
    assert reply.headers["allow"] == "POST, DELETE"
    assert json.loads(reply.body)["message"] == "Method 'PUT' is not supported."


def test_versions_name_themselves(start):
    for mode, where, version in (("1.4", "/nacos/v1/console/server/state", "1.4.8"),
                                 ("2", "/nacos/v1/console/server/state", "2.5.1")):
        assert json.loads(start("--mode", mode).ask("GET", where).body)["version"] == version
    for mode, version in (("3", "3.0.3"), ("3.2", "3.2.0")):
        state = say(start("--mode", mode), "GET", "/nacos/v3/admin/core/state")
        assert state["data"]["version"] == version


# --- the life of an instance --------------------------------------------------------------------

@pytest.mark.parametrize("mode", V3_MODES)
def test_life_by_v3(start, mode):
    registry = start("--mode", mode)
    assert say(registry, "POST", to(V3, heartBeat="true")) == UNKNOWN
    assert listed(registry) == {}, "a renewal never registers"
    assert say(registry, "POST", to(V3, weight="2.5", metadata='{"zone":"a"}')) == OK
    assert say(registry, "POST", to(V3, heartBeat="true", clusterName="OTHER")) == OK
    assert listed(registry) == {("10.0.0.1", 8080): {
        "ip": "10.0.0.1", "port": 8080, "weight": 2.5, "healthy": True, "enabled": True,
        "ephemeral": True, "clusterName": "DEFAULT", "serviceName": "DEFAULT_GROUP@@orders",
        "metadata": {"zone": "a"}, "instanceHeartBeatInterval": 5000,
        "instanceHeartBeatTimeOut": 15000, "ipDeleteTimeout": 30000}}
    assert say(registry, "DELETE", to(V3)) == OK
    assert listed(registry) == {} and say(registry, "DELETE", to(V3)) == OK
    assert say(registry, "POST", to(V3, heartBeat="true")) == UNKNOWN


def test_v1_and_v3_share_a_store(start):
    registry = start("--mode", "3")
    registry.register()
    assert say(registry, "POST", to(V3, heartBeat="true")) == OK
    assert say(registry, "POST", to(V3, ip="10.0.0.2")) == OK
    assert registry.beat(ip="10.0.0.2")["code"] == 10200
    assert set(listed(registry)) == set(registry.hosts()) == {("10.0.0.1", 8080), ("10.0.0.2", 8080)}


def test_a_renewal_keeps_an_instance_and_silence_loses_it(start):
    registry = start("--mode", "3.2", "--time-scale", "20")
    say(registry, "POST", to(V3, ip="10.0.0.2"))
    say(registry, "POST", to(V3))

    def gone():
        assert say(registry, "POST", to(V3, heartBeat="true")) == OK
        return set(listed(registry)) == {("10.0.0.1", 8080)}
    end = time.monotonic() + 20
    while not gone():
        assert time.monotonic() < end
        pause(0.05)
    assert listed(registry)[("10.0.0.1", 8080)]["healthy"]


def test_v3_persistent_instances_and_kinds(start):
    registry = start("--mode", "3")
    assert say(registry, "POST", to(V3, ephemeral="false")) == OK
    assert say(registry, "POST", to(V3, heartBeat="true", ephemeral="false")) == UNKNOWN
    assert say(registry, "POST", to(V3, ip="10.0.0.2"), status=400)["code"] == 21004
    say(registry, "DELETE", to(V3))
    assert not listed(registry)[("10.0.0.1", 8080)]["ephemeral"]
    say(registry, "DELETE", to(V3, ephemeral="false"))
    assert listed(registry) == {}


def test_v3_lists(start):
    registry = start("--mode", "3")
    for ip, more in (("10.0.0.1", {}), ("10.0.0.2", {"enabled": "false"}),
                     ("10.0.0.3", {"clusterName": "A"}), ("10.0.0.4", {"healthy": "false"})):
        say(registry, "POST", to(V3, ip=ip, **more))

    def ips(path=f"{V3}/list", **params):
        return {ip for ip, _ in listed(registry, path, **params)}
    assert ips() == {"10.0.0.1", "10.0.0.4"}, "the default cluster alone"
    assert ips(healthyOnly="true") == ips()
    assert ips(clusterName="A") == {"10.0.0.3"}
    assert ips(serviceName="none") == set()
    admin = f"{ADMIN}/instance/list"
    assert ips(admin) == {"10.0.0.1", "10.0.0.3", "10.0.0.4"}
    assert ips(admin, healthyOnly="true") == {"10.0.0.1", "10.0.0.3"}
    detail = say(registry, "GET", to(f"{ADMIN}/instance", ip="10.0.0.2"))["data"]
    assert not detail["enabled"] and detail["instanceId"].startswith("10.0.0.2#8080#")
    assert say(registry, "GET", to(f"{ADMIN}/instance", ip="9.9.9.9"), status=404)["code"] == 20004
    services = say(registry, "GET", f"{ADMIN}/service/list?pageNo=1&pageSize=9")["data"]
    assert services["totalCount"] == 1 and services["pageItems"] == [
        {"name": "orders", "groupName": "DEFAULT_GROUP", "clusterCount": 1, "ipCount": 4,
         "healthyInstanceCount": 3, "triggerFlag": "false"}]


def test_names_are_plain(start):
    registry = start("--mode", "3")
    assert say(registry, "POST", to(V3, serviceName="G@@orders")) == OK
    assert listed(registry, groupName="G") == {}
    assert set(listed(registry, serviceName="G@@orders")) == {("10.0.0.1", 8080)}
    assert say(registry, "POST", to(V3, groupName="G")) == OK
    assert set(registry.hosts(serviceName="G@@orders")) == {("10.0.0.1", 8080)}


# --- refusals -----------------------------------------------------------------------------------

MISSING = "Required parameter '{}' type {} is not present"


@pytest.mark.parametrize("mode, path", [("2", V2), ("3", V3)])
@pytest.mark.parametrize("params, status, code, data", [
    ({"serviceName": None}, 400, 10000, MISSING.format("serviceName", "String")),
    ({"ip": None}, 400, 10000, MISSING.format("ip", "String")),
    ({"port": None}, 400, 10000, MISSING.format("port", "Integer")),
    ({"weight": "-1"}, 400, 21001, "instance format invalid: The weights range from 0.0 to 10000.0"),
    ({"metadata": '{"preserved.heart.beat.interval":"5001","preserved.heart.beat.timeout":"5000"}'},
     400, 21004, "Instance 'heart beat interval' must less than 'heart beat timeout' and "
     "'ip delete timeout'."),
    ({"clusterName": "a_b"}, 400, 21004,
     "Instance 'clusterName' should be characters with only 0-9a-zA-Z-. (current: a_b)"),
    ({"enabled": "maybe"}, 500, 30000, None),
    ({"weight": "x"}, 500, 30000, None),
])
def test_what_v2_and_v3_refuse_with_a_code(start, mode, path, params, status, code, data):
    said = say(start("--mode", mode), "POST", to(path, **params), status=status)
    assert (said["code"], said["data"]) == (code, data) and said["message"]


def test_what_the_layers_before_refuse(start):
    registry = start("--mode", "3")
    for params, words in (({"port": "x"}, "between 0 and 65535"), ({"port": "65536"}, "between"),
                          ({"serviceName": "a b"}, "'serviceName' is illegal"),
                          ({"metadata": '{"k":"' + "a" * 1024 + '"}'}, "should not exceed 1024.")):
        reply = registry.ask("POST", to(V3, **params))
        assert reply.status == 400 and "content-type" not in reply.headers and words in reply.body
    page = say(registry, "POST", to(V3, metadata="{bad"), status=500)
    assert page["message"] == "ErrCode:400, ErrMsg:metadata format incorrect:{bad"
    assert page["path"] == V3


def test_parameters_of_v3_may_stand_in_a_form(start):
    registry = start("--mode", "3")
    form = urllib.parse.urlencode({**PLAIN, "metadata": '{"zone":"ä"}'}).encode()
    assert say(registry, "POST", V3, body=form) == OK
    assert listed(registry)[("10.0.0.1", 8080)]["metadata"] == {"zone": "ä"}


# --- v2 -----------------------------------------------------------------------------------------

def test_life_by_v2(start):
    registry = start("--mode", "2")
    assert say(registry, "POST", to(V2, metadata='{"zone":"a"}')) == OK
    grouped = to(f"{V2}/beat", serviceName="DEFAULT_GROUP@@orders")
    assert say(registry, "PUT", grouped) == {"clientBeatInterval": 5000, "code": 10200,
                                             "lightBeatEnabled": True}
    refused = say(registry, "PUT", to(f"{V2}/beat"), status=400)
    assert refused == {"code": 20002, "message": "parameter validate error",
                       "data": "Param 'serviceName' is illegal, it should be format as "
                               "'groupName@@serviceName'"}
    detail = say(registry, "GET", to(V2))["data"]
    assert detail["metadata"] == {"zone": "a"} and detail["clusterName"] == "DEFAULT"
    data = say(registry, "GET", to(f"{V2}/list"))["data"]
    assert data["name"] == "DEFAULT_GROUP@@orders" and len(data["hosts"]) == 1
    assert set(registry.hosts()) == {(KEY["ip"], int(KEY["port"]))}
    assert say(registry, "DELETE", to(V2)) == OK
    assert say(registry, "PUT", grouped)["code"] == 20404
    assert say(registry, "GET", to(V2), status=404)["code"] == 20004


def test_metadata_that_breaks_the_lists_of_2(start):
    registry = start("--mode", "2")
    registry.register(ip="10.0.0.2")
    registry.register(metadata='{"publishInstanceWeight":"1"}')
    assert registry.ask("GET", target("instance/list", ip=None, port=None)).status == 500
    assert say(registry, "GET", to(f"{V2}/list", ip=None, port=None), status=500)["code"] == 30000
    assert registry.beat()["code"] == 10200
    registry.register()
    assert len(registry.hosts()) == 2
