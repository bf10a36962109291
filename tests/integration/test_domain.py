# SPDX-License-Identifier: Apache-2.0
"""One name for all servers of a registry, whose address may be another one at any time."""

import pytest

from host import Registry, boottime_ms, until
from namespaces import Entry, Namespaces

NAME = "registry.onebeat.test"
QUICK = {"md.preserved.heart.beat.interval": 1000}


class Hosts:
    """A mount namespace with a file of names of its own."""

    def __init__(self, folder):
        self.file = folder / "hosts"
        self.names("127.0.0.1")
        self.namespace = Namespaces(["mount"], mount_proc=False, script=f"mount --bind {self.file} /etc/hosts\n")
        self.within = Entry(self.namespace.enter, 0)  # a mount namespace is entered without a fork

    def names(self, *addresses):
        """In place: it is this very file that is mounted."""
        with open(self.file, "r+" if self.file.exists() else "w", encoding="ascii") as out:
            out.truncate()
            out.writelines(f"{address} {NAME}\n" for address in addresses)


@pytest.fixture
def hosts(empty_host):
    made = Hosts(empty_host.folder)
    yield made
    made.namespace.stop()


def start_server(host, address, port=0):
    folder = host.folder / address
    folder.mkdir()
    server = host.keep(Registry(folder, options=["--listen", f"{address}:{port}"]))
    server.addresses = [f"http://{address}:{server.port}"]
    return server


def start(host, hosts, server):
    conf = host.folder / "domain.conf"
    conf.write_text(f"[registry main]\ndomain = {NAME}:{server.port}\n")
    host.start_agent(urls=(), options=["-c", conf], within=hosts.within)
    puppet = host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080, **QUICK)
    puppet.do("wait a UP 10000")
    return puppet


def beaten(server, since):
    return any(b.boottime_ms > since for b in server.beats())


def test_the_name_is_looked_up_again_when_its_server_is_gone(empty_host, hosts):
    first = start_server(empty_host, "127.0.0.1")
    second = start_server(empty_host, "127.0.0.2", first.port)
    puppet = start(empty_host, hosts, first)
    nodes = empty_host.status()["registries"][0]["nodes"]
    assert [n["address"] for n in nodes] == [f"{NAME}:{first.port}"]
    hosts.names("127.0.0.2")
    first.kill()
    until(lambda: second.hosts("orders"), "it is registered at the other address", seconds=15)
    puppet.do("wait a UP 10000")
    since = boottime_ms()
    until(lambda: beaten(second, since), "and beaten there")


def test_a_name_that_is_unknown_is_told_and_asked_again(empty_host, hosts):
    server = start_server(empty_host, "127.0.0.1")
    hosts.names()
    conf = empty_host.folder / "domain.conf"
    conf.write_text(f"[registry main]\ndomain = {NAME}:{server.port}\n")
    empty_host.start_agent(urls=(), options=["-c", conf], within=hosts.within)
    puppet = empty_host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080, **QUICK)
    until(lambda: NAME in puppet.status("a")["text"], lambda: puppet.status("a"))
    hosts.names("127.0.0.1")
    puppet.do("wait a UP 20000")
    assert puppet.status("a")["text"] == ""


def test_several_addresses_of_a_name_are_all_tried(empty_host, hosts):
    """Of two the first refuses."""
    server = start_server(empty_host, "127.0.0.2")
    hosts.names("127.0.0.3", "127.0.0.2")
    start(empty_host, hosts, server)
    assert len(server.hosts("orders")) == 1
