# SPDX-License-Identifier: Apache-2.0
"""https: who is believed, and by whom we are; register, beats and login over TLS."""

import os
import ssl

import pytest

import certs
from gatekeeper import Gatekeeper, server_context
from host import until

SPEC = {"ip": "10.0.0.1", "md.preserved.heart.beat.interval": 500}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certs")
    ca = certs.authority(folder)
    return {"ca": ca, "server": certs.signed(folder, ca, "server"),
            "named": certs.signed(folder, ca, "named", "DNS:nacos.internal"),
            "client": certs.signed(folder, ca, "client"), "other": certs.authority(folder, "other")}


def start(host, context, extra, login="username = nacos\npassword_env = SECRET\n"):
    host.start_registry()
    host.keeper = host.keep(Gatekeeper(host.registry.port, password="geheim", tls=context))
    conf = host.folder / "onebeatd.conf"
    conf.write_text(f"[registry default]\nurl = {host.keeper.address}\n{login}{extra}")
    host.start_agent(urls=[], options=["-c", conf], env=dict(os.environ, SECRET="geheim"))
    puppet = host.puppet()
    puppet.register("a", service="orders", port=8000, **SPEC)
    return puppet


def works(host, puppet):
    puppet.do("wait a UP 10000")
    n = len(host.registry.beats()) + 4
    until(lambda: len(host.registry.beats()) >= n, "beats")
    assert len(host.keeper.logins) == 1
    assert host.keeper.refused == 0


def refused(host, context, extra, *words):
    """Nothing is told to that server, and the reason can be read."""
    puppet = start(host, context, extra, login="")

    def text():
        return puppet.status("a")["text"]
    until(lambda: text() and (not words or any(word in text() for word in words)), text, 20)
    assert host.keeper.seen == []


def test_own_ca(empty_host, pairs):
    works(empty_host, start(empty_host, server_context(pairs["server"]), f"ca_file = {pairs['ca'].cert}\n"))


def test_client_certificate_and_least_version(empty_host, pairs):
    context = server_context(pairs["server"], client_ca=pairs["ca"].cert)
    works(empty_host, start(empty_host, context, f"ca_file = {pairs['ca'].cert}\ntls_min_version = 1.3\n"
                            f"client_cert = {pairs['client'].cert}\nclient_key = {pairs['client'].key}\n"))


def test_server_name_stands_for_the_address(empty_host, pairs):
    puppet = start(empty_host, server_context(pairs["named"]),
                   f"ca_file = {pairs['ca'].cert}\nserver_name = nacos.internal\n")
    works(empty_host, puppet)
    assert all(f"Host: nacos.internal:{empty_host.keeper.port}" in head for *_, head in empty_host.keeper.seen)


def test_tls_verify_no_is_said(empty_host, pairs):
    works(empty_host, start(empty_host, server_context(pairs["server"]), "tls_verify = no\n"))
    assert "event=registry.tls" in empty_host.agent.log.read_text()


def test_unknown_ca_is_refused(empty_host, pairs):
    refused(empty_host, server_context(pairs["server"]), f"ca_file = {pairs['other'].cert}\n", "certificate")


def test_systems_cas_do_not_know_it(empty_host, pairs):
    refused(empty_host, server_context(pairs["server"]), "", "certificate")


def test_certificate_of_another_name_is_refused(empty_host, pairs):
    refused(empty_host, server_context(pairs["named"]), f"ca_file = {pairs['ca'].cert}\n", "subject name",
            "does not match")


def test_older_version_is_refused(empty_host, pairs):
    context = server_context(pairs["server"], most=ssl.TLSVersion.TLSv1_2)
    refused(empty_host, context, f"ca_file = {pairs['ca'].cert}\ntls_min_version = 1.3\n", "version", "alert")


def test_missing_client_certificate_is_refused(empty_host, pairs):
    context = server_context(pairs["server"], client_ca=pairs["ca"].cert)
    refused(empty_host, context, f"ca_file = {pairs['ca'].cert}\n")  # a reset, at any time with TLS 1.3


def test_cluster_over_tls_with_certificates_and_login(empty_host, pairs):
    """The embedded registry, whose TLS is another library's: one login serves both nodes."""
    registry = empty_host.start_registry(nodes=2, options=[
        "--auth", "agent:geheim", "--tls-cert", pairs["server"].cert, "--tls-key", pairs["server"].key,
        "--tls-client-ca", pairs["ca"].cert])
    conf = empty_host.folder / "onebeatd.conf"
    conf.write_text("[registry default]\n" + "".join(f"url = {address}\n" for address in registry.addresses) +
                    f"username = agent\npassword_env = SECRET\nca_file = {pairs['ca'].cert}\n"
                    f"client_cert = {pairs['client'].cert}\nclient_key = {pairs['client'].key}\n")
    empty_host.start_agent(urls=[], options=["-c", conf], env=dict(os.environ, SECRET="geheim"))
    puppet = empty_host.puppet()
    for i in range(8):
        puppet.register(f"i{i}", service="orders", port=8000 + i, **SPEC)
    for i in range(8):
        puppet.do(f"wait i{i} UP 10000")
    until(lambda: len(registry.beats()) >= 16, "beats")
    nodes = empty_host.status()["registries"][0]["nodes"]
    assert [node["state"] for node in nodes] == ["healthy"] * 2
    assert sum(node["connections"] > 0 for node in nodes) >= 1
    assert len(registry.requests("POST", "/login")) == 1
    assert all(r.status == 200 for r in registry.requests())
