# SPDX-License-Identifier: Apache-2.0
"""The embedded registry's updates of instances: PUT, PATCH and the overlay that they leave."""

import json
import urllib.parse

import pytest

from wire import target

ME = ("10.0.0.1", 8080)


def ask(registry, method, where, status=200, **kwargs):
    reply = registry.ask(method, where, **kwargs)
    assert reply.status == status, reply
    return reply.body


def update(registry, method="PUT", **params):
    return ask(registry, method, target("instance", **params))


def shown(registry, **params):
    host = registry.hosts(**params).get(ME)
    return host and (host["weight"], host["metadata"])


def test_an_overlay_wins_over_every_registration(start):
    registry = start("--mode", "2")
    registry.register(weight="1", metadata='{"a":"1","b":"1"}')
    assert update(registry, weight="3", metadata='{"b":"2"}') == "ok"
    assert shown(registry) == (3.0, {"a": "1", "b": "2"})
    registry.register(weight="5", metadata='{"b":"5","c":"5"}')
    assert shown(registry) == (3.0, {"b": "2", "c": "5"}), "its keys and weight stay"
    update(registry, weight="4", metadata='{"d":"4"}')
    assert shown(registry) == (4.0, {"b": "5", "c": "5", "d": "4"}), "a later one replaces it"
    assert registry.beat()["code"] == 10200


def test_an_overlay_hides_an_instance_that_is_beaten_on(start):
    registry = start("--mode", "2")
    registry.register()
    update(registry, enabled="false")
    registry.register(enabled="true")
    assert registry.hosts() == {} and registry.beat()["code"] == 10200
    update(registry, enabled="true")
    assert set(registry.hosts()) == {ME}


def test_an_overlay_is_one_cluster_s(start):
    registry = start("--mode", "2")
    registry.register()
    update(registry, weight="3")
    registry.register(clusterName="OTHER", weight="1")
    assert shown(registry) == (1.0, {})
    registry.register(weight="1")
    assert shown(registry) == (3.0, {})


def test_time_outs_are_read_from_the_overlay(start):
    # At this scale the usual time-out is six seconds away, the tick a second.
    registry = start("--mode", "2", "--time-scale", "5")
    registry.register()
    update(registry, metadata='{"preserved.heart.beat.interval":"1","preserved.ip.delete.timeout":"1"}')
    assert registry.wait(lambda: registry.hosts() == {}) < 5, "gone at the first tick"


@pytest.mark.parametrize("mode, method, where, status, words", [
    ("2", "PUT", target("instance", serviceName="none"), 400,
     "service not found, namespace: public, service: Service{namespace='public', "
     "group='DEFAULT_GROUP', name='none', ephemeral=true, revision=0}"),
    ("2", "PUT", target("instance", weight="-1"), 400, "The weights range"),
    ("2", "PUT", target("instance", metadata="{bad"), 500, "metadata format incorrect"),
    ("2", "PATCH", target("instance"), 404, "instance not found"),
    ("1.4", "PATCH", target("instance"), 400, "instance not found"),
    ("2", "GET", target("instance/statuses"), 400, "Parameter 'key' is missing"),
    ("2", "GET", target("instance/statuses", key="none"), 404, "service: none not found."),
])
def test_what_is_refused(start, mode, method, where, status, words):
    registry = start("--mode", mode)
    assert words in ask(registry, method, where, status)


def test_patches(start):
    for mode in ("1.4", "2"):
        registry = start("--mode", mode)
        registry.register(weight="2", metadata='{"a":"1"}')
        assert update(registry, "PATCH", weight="7") == "ok"
        assert shown(registry) == (7.0, {"a": "1"})
        update(registry, "PATCH", metadata='{"a":"2"}')
        assert shown(registry) == (7.0, {"a": "2"})
        registry.register(weight="2", metadata='{"a":"1"}')
        assert shown(registry) == ((2.0, {"a": "1"}) if mode == "1.4" else (7.0, {"a": "2"}))


def test_updates_by_v2_and_v3(start):
    query = urllib.parse.urlencode({"serviceName": "orders", "ip": ME[0], "port": ME[1], "weight": "3"})
    ok = {"code": 0, "message": "success", "data": "ok"}
    for mode, path in (("2", "/nacos/v2/ns/instance"), ("3", "/nacos/v3/admin/ns/instance")):
        registry = start("--mode", mode)
        missing = json.loads(ask(registry, "PUT", f"{path}?{query}", 404))
        assert missing["code"] == 21008
        registry.register(weight="1")
        assert json.loads(ask(registry, "PUT", f"{path}?{query}")) == ok
        assert shown(registry) == (3.0, {})
    assert update(start("--mode", "1.4")) == "ok", "1.4 registers what is not there"


def test_statuses(start):
    registry = start("--mode", "2")
    registry.register()
    for key in ("DEFAULT_GROUP@@orders", "public##DEFAULT_GROUP@@orders"):
        assert json.loads(ask(registry, "GET", target("instance/statuses", key=key))) == {
            "ips": ["10.0.0.1:8080_true"]}
