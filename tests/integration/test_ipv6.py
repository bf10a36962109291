# SPDX-License-Identifier: Apache-2.0
"""Registries and instances that have IPv6 addresses."""

import socket

import pytest

from host import until


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


@pytest.fixture
def registry(empty_host):
    return empty_host.start_registry(ip="[::1]")


def live(host, registry, ip):
    """Registered, beaten, listed as the server shows such addresses, withdrawn."""
    puppet = host.puppet()
    puppet.register("a", service="orders", ip=ip, port=8080, **{"md__preserved.heart.beat.interval": 1000})
    puppet.do("wait a UP 10000")
    (listed,) = until(lambda: registry.hosts("orders"), "listed")
    until(lambda: registry.beats("orders"), "beaten")
    puppet.do("deregister a")
    until(lambda: registry.deregisters("orders"), "withdrawn")
    return listed["ip"]


def addresses(name):
    try:
        return {found[4][0] for found in socket.getaddrinfo(name, 80)}
    except OSError:
        return set()


def test_a_server_by_its_address_and_an_instance_with_one(empty_host, registry):
    empty_host.start_agent()
    assert live(empty_host, registry, "fd00::1") == "[fd00::1]"
    (node,) = empty_host.status()["registries"][0]["nodes"]
    assert node["address"] == f"[::1]:{registry.port}" and node["state"] == "healthy"


def test_the_address_of_the_route_to_it_is_the_instance_s(empty_host, registry):
    empty_host.start_agent()
    puppet = empty_host.puppet()
    puppet.register("a", service="orders", port=8080)
    puppet.do("wait a UP 10000")
    (listed,) = until(lambda: registry.hosts("orders"), "listed")
    assert listed["ip"] == "[::1]"


def test_one_name_that_has_such_addresses_only(empty_host, registry):
    """ip6-localhost is what Debian's /etc/hosts calls ::1; where no name does, the address stands for one."""
    names = [name for name in ("ip6-localhost", "ip6-loopback") if addresses(name) == {"::1"}] + ["[::1]"]
    conf = empty_host.folder / "onebeatd.conf"
    conf.write_text(f"[registry a]\ndomain = http://{names[0]}:{registry.port}\n")
    empty_host.start_agent(urls=[], options=["-c", conf])
    assert live(empty_host, registry, "10.0.0.1") == "10.0.0.1"


def test_a_list_of_both_kinds_of_which_one_is_dead(empty_host, registry):
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        empty_host.start_agent([f"http://127.0.0.1:{dead.getsockname()[1]}", registry.address])
        assert live(empty_host, registry, "10.0.0.1") == "10.0.0.1"
