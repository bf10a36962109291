# SPDX-License-Identifier: Apache-2.0
"""The embedded registry over TLS, with and without certificates of clients."""

import http.client
import ssl
import subprocess

import pytest

import certs
from wire import PROGRAM, target


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    ca = certs.authority(folder)
    return {"ca": ca, "server": certs.signed(folder, ca, "server"), "client": certs.signed(folder, ca, "client"),
            "stranger": certs.authority(folder, "stranger")}


@pytest.fixture
def start(empty_host, keys):
    def start(*options, nodes=1):
        return empty_host.start_registry(nodes=nodes, options=[
            "--tls-cert", keys["server"].cert, "--tls-key", keys["server"].key, *options])
    return start


def ask(registry, context, method, path, node=0):
    connection = http.client.HTTPSConnection("127.0.0.1", registry.ports[node], context=context, timeout=10)
    try:
        connection.request(method, path)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def trusting(pair, client=None):
    context = ssl.create_default_context(cafile=str(pair.cert))
    if client:
        context.load_cert_chain(client.cert, client.key)
    return context


def test_https_is_served_and_can_be_verified(start, keys):
    registry = start(nodes=2)
    assert registry.address.startswith("https://127.0.0.1:")
    for node in range(2):
        assert ask(registry, trusting(keys["ca"]), "POST", target("instance"), node) == (200, "ok")
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(registry, trusting(keys["stranger"]), "GET", target("instance/list"))


def test_the_admin_page_is_there_too(start):
    registry = start()
    registry.admin("fault", kind="503", count=1)
    assert registry.admin()["faults"][0]["kind"] == "503"


def test_faults_come_over_tls(start, keys):
    registry = start()
    registry.admin("fault", kind="lost", count=1)
    with pytest.raises((ConnectionResetError, ssl.SSLError)):
        ask(registry, trusting(keys["ca"]), "POST", target("instance"))
    registry.admin("fault", kind="500", ms=50, count=1)
    assert ask(registry, trusting(keys["ca"]), "POST", target("instance"))[0] == 500


def test_clients_need_a_certificate_of_the_ca(start, keys):
    registry = start("--tls-client-ca", keys["ca"].cert)
    assert ask(registry, trusting(keys["ca"], keys["client"]), "POST", target("instance")) == (200, "ok")
    for client in (None, keys["stranger"]):
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            ask(registry, trusting(keys["ca"], client), "POST", target("instance"))
    assert [r.status for r in registry.requests("POST")] == [200]


def test_plain_http_gets_no_answer(start):
    registry = start()
    connection = http.client.HTTPConnection("127.0.0.1", registry.port, timeout=10)
    connection.request("GET", "/nacos/v1/ns/operator/metrics")
    with pytest.raises((http.client.HTTPException, ConnectionResetError)):
        connection.getresponse()
    connection.close()


@pytest.mark.parametrize("options, status, said", [
    (["--tls-cert", "x"], 2, "--tls-cert and --tls-key: one needs the other"),
    (["--nodes", "17"], 2, '--nodes: "17" is not a number from 1 to 16'),
    (["--listen", "127.0.0.1:65534", "--nodes", "3"], 2, "--nodes: 3 nodes from port 65534 on pass 65535"),
    (["--tls-client-ca", "x"], 2, "--tls-client-ca: needs --tls-cert and --tls-key"),
    (["--tls-cert", "/none", "--tls-key", "/none"], 1, '--tls-cert: cannot read "/none": No such file'),
    (["--tls-cert", "/dev/null", "--tls-key", "/dev/null"], 1, '--tls-cert: cannot read "/dev/null"'),
    (["--tls-cert", __file__, "--tls-key", __file__], 1, "do --tls-cert and --tls-key belong together?"),
])
def test_what_cannot_be_is_refused(options, status, said):
    done = subprocess.run([PROGRAM, "--listen", "127.0.0.1:0", *options], capture_output=True, text=True, timeout=10)
    assert (done.returncode, said in done.stderr) == (status, True), done.stderr
