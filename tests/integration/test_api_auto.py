# SPDX-License-Identifier: Apache-2.0
"""api = auto: v1 while the server speaks it, v3 where it does not, and back, with no instance lost."""

import pytest

from host import until

BEATEN = "heartBeat=true"


def start(host, mode, api=None):
    registry = host.start_registry(mode=mode)
    conf = host.folder / "onebeatd.conf"
    conf.write_text(f"[registry main]\nurl = {registry.address}\n" + (f"api = {api}\n" if api else ""))
    host.start_agent(urls=(), options=["-c", conf])
    return registry


def register(host, n=3):
    puppet = host.puppet()
    for i in range(n):
        puppet.do(f"register i{i} service=orders ip=10.0.0.1 port={8080 + i} md.preserved.heart.beat.interval=1000")
    for i in range(n):
        puppet.do(f"wait i{i} UP 10000")
    return puppet


def targets(registry, method, contains):
    return [r for r in registry.requests(method) if contains in r.target]


def v1_beats(registry, since=0):
    return targets(registry, "PUT", "/v1/ns/instance/beat")[since:]


def v3_beats(registry, since=0):
    return targets(registry, "POST", BEATEN)[since:]


def good(requests):
    return [r for r in requests if r.status == 200]


@pytest.mark.parametrize("mode", ("1.4", "3"))
def test_it_begins_with_v1_and_stays_there(empty_host, mode):
    registry = start(empty_host, mode)
    register(empty_host)
    until(lambda: len(good(v1_beats(registry))) >= 6, "beaten by v1")
    assert targets(registry, None, "/v3/") == []


@pytest.mark.parametrize("mode", ("3-no-v1", "3.2"))
def test_it_moves_to_v3_where_v1_is_gone(empty_host, mode):
    """One move for all; and what is registered, beaten, changed and deregistered goes by v3."""
    registry = start(empty_host, mode)
    puppet = register(empty_host)
    until(lambda: len(good(v3_beats(registry))) >= 6, "beaten by v3")
    assert len(targets(registry, None, "/v1/")) <= 3
    assert empty_host.agent.log.read_text().count("registry.api") == 1
    puppet.do("update i0 service=orders ip=10.0.0.1 port=8080 weight=4 md.preserved.heart.beat.interval=1000")
    puppet.do("wait i0 UP 10000")
    puppet.do("set i1 DOWN")
    puppet.do("wait i1 UP 10000")
    puppet.do("deregister i2")
    until(lambda: good(targets(registry, "DELETE", "/v3/client/ns/instance")), "a DELETE by v3")
    until(lambda: empty_host.status()["dom2BeatSize"] == 2, "it is gone")


def test_it_follows_the_server_there_and_back(empty_host):
    """Replaced by one without v1, and by one without v3. Nothing is deregistered, no beat is late."""
    registry = start(empty_host, "2")
    register(empty_host)
    until(lambda: len(good(v1_beats(registry))) >= 3, "beaten by v1")
    registry.admin("mode", mode="3.2")
    until(lambda: len(good(v3_beats(registry))) >= 6, "beaten by v3")
    n = len(v1_beats(registry))
    registry.admin("mode", mode="2")
    until(lambda: len(good(v1_beats(registry, n))) >= 6, "beaten by v1 again")
    assert registry.deregisters() == []
    assert empty_host.agent.log.read_text().count("registry.api") == 2
    for port in range(8080, 8083):
        times = [r.boottime_ms for r in registry.requests()
                 if f"port={port}&" in r.target + "&" and r.status == 200 and ("beat" in r.target.lower())]
        assert all(b - a < 5000 for a, b in zip(times, times[1:])), times


def test_what_the_new_server_does_not_know_is_registered_there(empty_host):
    registry = start(empty_host, "2")
    register(empty_host)
    until(lambda: len(good(v1_beats(registry))) >= 3, "beaten by v1")
    registry.admin("mode", mode="3.2")
    registry.admin("clear")
    until(lambda: len({r.target for r in good(targets(registry, "POST", "/v3/")) if BEATEN not in r.target}) == 3,
          "registered by v3")
    until(lambda: [i["state"] for i in empty_host.list()["instances"]] == ["UP"] * 3, empty_host.list)
    assert registry.deregisters() == []


@pytest.mark.parametrize("api, mode, other", (("v1", "3.2", "/v3/"), ("v3", "2", "/v1/")))
def test_a_configured_api_is_kept_and_the_status_line_says_what_is_wrong(empty_host, api, mode, other):
    registry = start(empty_host, mode, api)
    puppet = empty_host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    until(lambda: f"no API {api}" in puppet.status("a").get("text", ""), lambda: puppet.status("a"))
    assert targets(registry, None, other) == []


def test_where_neither_is_spoken_it_asks_with_pauses_and_says_so(empty_host):
    """A gateway that has lost its servers answers 404; when they are back, so is the instance."""
    registry = start(empty_host, "2")
    registry.admin("fault", kind="reply", status=404, path="/nacos/")
    puppet = empty_host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    until(lambda: "neither API v1 nor v3" in puppet.status("a").get("text", ""), lambda: puppet.status("a"))
    until(lambda: len(registry.requests()) >= 4, "asked on")
    asked_ms = [r.boottime_ms for r in registry.requests()]
    assert asked_ms[3] - asked_ms[0] > 700
    registry.admin("faults-clear")
    puppet.do("wait a UP 15000")
