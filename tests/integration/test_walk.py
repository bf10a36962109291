# SPDX-License-Identifier: Apache-2.0
"""The seed's walk, call by call: from a listening socket to a beaten instance, and back.

What a Spring Cloud program with a Nacos registry goes through, class by class, done by a C program through
onebeat_auto_*: AbstractAutoServiceRegistration, ServiceRegistry, NacosServiceRegistry, NacosNamingService,
BeatReactor, NamingProxy.
"""

import json
import os
import signal
import socket
import urllib.parse

import pytest

from host import BIN, Program, PuppetError, until

SPEC = "spec service=orders ip=10.0.0.1"


def program(host, options="", spec=SPEC, **kwargs):
    """A program that owns its sockets and has told onebeat_auto_new() of itself."""
    puppet = host.puppet(opened=False, **kwargs)
    puppet.do(f"autonew {options} {spec}")
    return puppet


def listen(puppet):
    """Another socket of the program listens; its port."""
    return int(puppet.values("listen 0")["port"])


def state(puppet):
    return {name: int(n) for name, n in puppet.values("autostate").items()}


def attended(puppet, said):
    """Attends, as an event loop does, until the word has come so often."""
    def heard():
        puppet.do("autoattend")
        return state(puppet)["said"] == said
    until(heard, f"the event has come {said} times")


def query(request):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(request.target).query))


# AbstractAutoServiceRegistration


def test_bind_on_listen_takes_the_first_port_and_starts(host):
    """port.compareAndSet(0, ...) and start(): a second socket changes neither."""
    puppet = program(host)
    first = listen(puppet)
    assert state(puppet)["running"] == 0  # nobody was told of a socket yet
    puppet.do("autobind")
    assert state(puppet)["running"] == 1
    second = listen(puppet)
    puppet.do("autobind")
    attended(puppet, 1)
    (seen,) = host.registry.hosts("orders")
    assert seen["port"] == first != second
    assert len(host.registry.registers()) == 1


def test_a_port_that_is_given_stays(host):
    puppet = program(host, spec=SPEC + " port=8080")
    listen(puppet)
    puppet.do("autobind")
    attended(puppet, 1)
    assert host.registry.hosts("orders")[0]["port"] == 8080


def test_start_without_a_port_is_refused_and_may_come_again(host):
    """The seed: service.port has not been set."""
    puppet = program(host)
    with pytest.raises(PuppetError, match="port is not in 1..65535") as refusal:
        puppet.do("autostart")
    assert refusal.value.code == -16 and state(puppet)["running"] == 0
    listen(puppet)
    puppet.do("autobind")
    assert state(puppet)["running"] == 1


@pytest.mark.parametrize("fd", ("-1", "0", "9999"))
def test_what_does_not_listen_is_refused(host, fd):
    puppet = program(host)
    with pytest.raises(PuppetError, match="not a listening TCP socket"):
        puppet.do(f"autobind fd={fd}")
    assert state(puppet)["running"] == 0


def test_enabled_switch(host):
    """isEnabled(): off by option, off and on by the environment, which decides."""
    off = program(host, "enabled=0")
    off_by_environment = program(host, env={"ONEBEAT_ENABLED": "false"})
    on_by_environment = program(host, "enabled=0", env={"ONEBEAT_ENABLED": "true"})
    for puppet in (off, off_by_environment, on_by_environment):
        listen(puppet)
        puppet.do("autobind")
    attended(on_by_environment, 1)
    assert state(off)["running"] == state(off_by_environment)["running"] == 0
    assert len(host.registry.registers()) == 1 and host.status()["leases"] == 1


@pytest.mark.parametrize("env", ({"ONEBEAT_ENABLED": "maybe"}, {"ONEBEAT_MANAGEMENT_PORT": "80a"},
                                 {"ONEBEAT_MANAGEMENT_PORT": "65536"}))
def test_a_wrong_environment_is_refused(host, env):
    puppet = host.puppet(opened=False, env=env)
    with pytest.raises(PuppetError, match="ONEBEAT_ENABLED is true or false") as refusal:
        puppet.do(f"autonew {SPEC}")
    assert refusal.value.code == -46


def test_running_flag_second_start_does_nothing(host):
    puppet = program(host, spec=SPEC + " port=8080")
    puppet.do("autostart")
    attended(puppet, 1)
    puppet.do("autostart")
    puppet.do("autoattend")
    assert state(puppet) == {"running": 1, "managed": 0, "said": 1}
    assert len(host.registry.registers()) == 1


@pytest.mark.parametrize("by", ("option", "environment"))
def test_management_port_is_registered_beside_it(host, by):
    options, env = ("management=9090", {}) if by == "option" else ("", {"ONEBEAT_MANAGEMENT_PORT": "9090"})
    puppet = program(host, options, SPEC + " port=8080 md.zone=a", env=env)
    puppet.do("autostart")
    attended(puppet, 1)
    (service,) = host.registry.hosts("orders")
    (management,) = host.registry.hosts("orders-management")
    assert service["metadata"] == {"zone": "a", "management.port": "9090"}
    assert (management["port"], management["ip"], management["metadata"]) == (9090, "10.0.0.1", {"zone": "a"})
    puppet.do("autostop")
    until(lambda: not host.registry.hosts("orders") and not host.registry.hosts("orders-management"), "both gone")


def test_management_on_the_same_port_is_no_second_instance(host):
    puppet = program(host, "management=8080", SPEC + " port=8080")
    puppet.do("autostart")
    attended(puppet, 1)
    assert state(puppet)["managed"] == 0 and len(host.registry.registers()) == 1


def test_event_comes_once_and_only_when_the_registry_has_confirmed(empty_host):
    """InstanceRegisteredEvent, and not a moment before the POST is answered."""
    registry = empty_host.start_registry()
    empty_host.start_agent()
    registry.kill(signal.SIGSTOP)
    puppet = program(empty_host, "management=9090", SPEC + " port=8080")
    puppet.do("autostart")
    until(lambda: (puppet.do("autoattend"), empty_host.status()["dom2BeatSize"] == 2)[1], "the agent has both")
    puppet.do("autoattend")
    assert state(puppet) == {"running": 1, "managed": 1, "said": 0}
    registry.kill(signal.SIGCONT)
    attended(puppet, 1)
    puppet.do("autoattend")
    assert state(puppet)["said"] == 1
    puppet.do("autostop")
    puppet.do("autostart")
    attended(puppet, 2)


def test_start_may_wait_for_the_registry(host):
    puppet = program(host, "wait=10000 management=9090", SPEC + " port=8080")
    puppet.do("autostart")
    assert state(puppet) == {"running": 1, "managed": 1, "said": 1}
    assert len(host.registry.hosts("orders")) == 1


def test_wait_that_ends_too_early_leaves_it_running(empty_host):
    registry = empty_host.start_registry()
    empty_host.start_agent()
    registry.kill(signal.SIGSTOP)
    puppet = program(empty_host, "wait=50", SPEC + " port=8080")
    with pytest.raises(PuppetError) as late:
        puppet.do("autostart")
    assert late.value.code == -42 and state(puppet)["running"] == 1
    registry.kill(signal.SIGCONT)
    attended(puppet, 1)


def test_stop_deregisters_and_a_start_brings_it_back(host):
    puppet = program(host)
    port = listen(puppet)
    puppet.do("autobind")
    attended(puppet, 1)
    puppet.do("autostop")
    until(lambda: host.registry.hosts("orders") == [], "gone")
    puppet.do("autostop")
    assert len(host.registry.deregisters()) == 1 and state(puppet)["running"] == 0
    puppet.do("autostart")
    attended(puppet, 2)
    assert host.registry.hosts("orders")[0]["port"] == port


def test_no_agent_is_no_error_and_it_registers_when_one_comes(empty_host):
    empty_host.start_registry()
    puppet = program(empty_host, spec=SPEC + " port=8080")
    puppet.do("autostart")
    with pytest.raises(PuppetError, match="no agent is attached"):
        puppet.do("autoattend")
    empty_host.start_agent()

    def heard():
        try:
            puppet.do("autoattend")
        except PuppetError:
            return False
        return state(puppet)["said"] == 1
    until(heard, "registered")
    assert len(empty_host.registry.hosts("orders")) == 1


def test_a_forked_worker_leaves_the_parents_registration_alone(host):
    puppet = program(host, spec=SPEC + " port=8080")
    puppet.do("autostart")
    attended(puppet, 1)
    puppet.do("fork")
    puppet.kill()
    host.registry.read_log()
    assert host.registry.deregisters() == [] and len(host.registry.hosts("orders")) == 1


# ServiceRegistry


def test_service_registrys_five_calls(host):
    """register, set_status, status, deregister, close; the two in the middle work here."""
    puppet = host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    puppet.do("wait a UP 10000")
    puppet.do("set a DOWN")
    puppet.do("wait a UP 10000")
    assert puppet.status("a")["state"] == "DOWN" and host.registry.hosts("orders") == []
    puppet.do("set a UP")
    puppet.do("wait a UP 10000")
    assert puppet.status("a")["state"] == "UP" and len(host.registry.hosts("orders")) == 1
    with pytest.raises(PuppetError, match="neither ONEBEAT_STATE_UP nor ONEBEAT_STATE_DOWN"):
        puppet.do("set a GONE")
    puppet.do("deregister a")
    puppet.register("b", service="orders", ip="10.0.0.1", port=8081)
    puppet.do("wait b UP 10000")
    puppet.do("close")
    until(lambda: host.registry.hosts("orders") == [], "gone")


def test_status_of_what_was_started_automatically(host):
    puppet = program(host, "management=9090", SPEC + " port=8080")
    puppet.do("autostart")
    attended(puppet, 1)
    puppet.do("autoname a")
    puppet.do("autoname m management")
    puppet.do("set a DOWN")
    puppet.do("wait a UP 10000")
    assert (puppet.status("a")["state"], puppet.status("m")["state"]) == ("DOWN", "UP")


# NacosServiceRegistry


@pytest.mark.parametrize("spec, code, why", (
    ("spec port=8080", -4, "service is empty"),
    ("spec service=a@@b port=8080", -6, "give the group in its own field"),
    ("spec service=orders port=8080 weight=nan", -17, "weight is not a number in 0..10000"),
    ("spec service=orders port=8080 weight=-1", -17, "weight"),
    ("spec service=orders port=8080 cluster=a_b", -10, "cluster has a character"),
    ("spec service=orders port=8080 ip=999.1.1.1", -15, "ip is not a numeric"),
    ("spec service=orders port=65536", -16, "port"),
    ("spec service=orders port=8080 md.customInstanceId=1", -26, "breaks Nacos 2.x"),
    ("spec service=orders port=8080 md.preserved.ip.delete.timeout=30s", -27, "milliseconds in digits"),
    ("spec service=orders port=8080 md.preserved.heart.beat.timeout=5000", -28, "must be below"),
    (f"spec service=orders port=8080 md.k={'v' * 1024}", -23, "longer than 1024"),
))
def test_its_checks_are_refusals_with_a_reason(host, spec, code, why):
    """What the seed only warns of, or leaves to the server's punishment."""
    puppet = host.puppet(opened=False)
    with pytest.raises(PuppetError, match=why) as refusal:
        puppet.do("autonew " + spec)
    assert refusal.value.code == code


def test_service_from_the_environment(host):
    puppet = program(host, spec="spec ip=10.0.0.1 port=8080", env={"ONEBEAT_SERVICE": "named"})
    puppet.do("autostart")
    attended(puppet, 1)
    assert len(host.registry.hosts("named")) == 1


def test_a_management_service_that_is_too_long_is_named(host):
    puppet = host.puppet(opened=False)
    with pytest.raises(PuppetError, match="service is longer than 255 bytes"):
        puppet.do(f"autonew management=9090 spec port=8080 service={'s' * 250}")


# NacosNamingService and BeatReactor


def test_beat_scheduled_then_register_then_first_beat_after_its_answer(empty_host):
    """dom2Beat has the instance while the POST is on its way; no beat overtakes it; one period later it is beaten."""
    registry = empty_host.start_registry()
    agent = empty_host.start_agent()
    registry.kill(signal.SIGSTOP)
    puppet = program(empty_host, spec=SPEC + " port=8080 md.preserved.heart.beat.interval=1000 beat_ms=1000")
    puppet.do("autostart")
    until(lambda: agent.status()["dom2BeatSize"] == 1, "entered in dom2Beat")
    until(lambda: agent.instance("orders")["state"] == "REGISTERING", "registering, and nothing else follows")
    registry.kill(signal.SIGCONT)
    attended(puppet, 1)
    first = until(lambda: registry.beats("orders"), "the first beat")[0]
    register = registry.registers("orders")[0]
    assert first.boottime_ms - register.boottime_ms >= 700
    puppet.do("autostop")
    until(lambda: agent.status()["dom2BeatSize"] == 0, "out of dom2Beat")


def test_persistent_instance_is_registered_and_not_beaten(host):
    puppet = program(host, spec=SPEC + " port=8080 ephemeral=0")
    puppet.do("autostart")
    attended(puppet, 1)
    assert query(host.registry.registers("orders")[0])["ephemeral"] == "false"
    assert host.registry.beats("orders") == []


# NamingProxy


def test_register_service_s_parameters(host):
    """Field for field what the seed's registerService() sends; all of it in the query."""
    puppet = program(host, spec=SPEC + " port=8080 weight=2 group=G cluster=C1 md.zone=a%20b")
    puppet.do("autostart")
    attended(puppet, 1)
    (register,) = host.registry.registers("orders")
    sent = query(register)
    assert json.loads(sent.pop("metadata")) == {"zone": "a b"}
    assert sent == {"namespaceId": "public", "serviceName": "G@@orders", "groupName": "G", "clusterName": "C1",
                    "ip": "10.0.0.1", "port": "8080", "weight": "2.0", "enabled": "true", "healthy": "true",
                    "ephemeral": "true"}
    assert register.target.startswith("/nacos/v1/ns/instance?")


def closed_ports(n):
    """Ports where nobody listens, held by sockets that are bound and do not."""
    held = [socket.socket() for _ in range(n)]
    for s in held:
        s.bind(("127.0.0.1", 0))
    return held


def test_req_api_asks_each_server_once_and_reaches_the_one_that_lives(empty_host):
    """reqAPI: any start, each once, until one answers; the instance does not notice."""
    registry = empty_host.start_registry()
    held = closed_ports(2)
    try:
        dead = [f"http://127.0.0.1:{s.getsockname()[1]}" for s in held]
        empty_host.start_agent(urls=[dead[0], registry.address, dead[1]])
        puppet = program(empty_host, "wait=10000", SPEC + " port=8080")
        puppet.do("autostart")
        assert len(registry.registers("orders")) == 1
    finally:
        for s in held:
            s.close()


def test_req_api_says_which_server_failed_and_why(empty_host):
    """All failed: the status line names the last one asked and what happened to it."""
    held = closed_ports(2)
    try:
        dead = [f"127.0.0.1:{s.getsockname()[1]}" for s in held]
        empty_host.start_agent(urls=["http://" + d for d in dead])
        puppet = program(empty_host, spec=SPEC + " port=8080")
        puppet.do("autostart")
        puppet.do("autoname a")

        def told():
            puppet.do("autoattend")
            return puppet.status("a")["text"]
        text = until(told, "a reason in the status line")
        assert "connect" in text.lower(), text
        assert puppet.status("a")["state"] == "REGISTERING"
    finally:
        for s in held:
            s.close()


def test_the_example_does_the_walk(host):
    """auto-server: registered when it listens, gone when it is told to end."""
    env = dict(os.environ, ONEBEAT_RUNTIME_DIR=str(host.agent.runtime_dir))
    server = host.keep(Program([BIN / "auto-server", "shop"], host.folder / "auto-server.log", env))
    assert server.first_line == "auto-server: 'shop' is registered"
    (seen,) = host.registry.hosts("shop")
    with socket.create_connection(("127.0.0.1", seen["port"]), timeout=10) as asked:
        assert asked.recv(100).startswith(b"HTTP/1.0 200")
    assert server.stop() == 0
    until(lambda: host.registry.hosts("shop") == [], "gone")
