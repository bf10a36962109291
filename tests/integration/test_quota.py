# SPDX-License-Identifier: Apache-2.0
"""Quotas: what one user may have; whoever is refused is told why, and so are the operator and the tools"""

import os
import socket
import time

import pytest

from host import PuppetError, until
from siege import ALICE, MALLORY, SiegeHost, needs_root

pytestmark = pytest.mark.skipif(needs_root() is not None, reason=str(needs_root()))


@pytest.fixture(name="host")
def siege_host():
    host = SiegeHost()
    yield host
    host.stop()


REFUSED = -41


def refusals(host, uid):
    return [r["refused"] for r in host.list()["refused"] if r["refused"]["uid"] == uid]


def connected(host):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.settimeout(15)
    client.connect(str(host.agent.runtime_dir / "client.sock"))
    return client


def test_leases(host):
    """The fourth process of a user is refused with the reason; the three, and another user, go on."""
    host.begin("leases = 3")
    held = [host.puppet_of(MALLORY) for _ in range(3)]
    for i, puppet in enumerate(held):
        puppet.register("a", service="held", ip="10.0.0.1", port=i + 1)
        puppet.do("wait a UP 10000")
    fourth = host.puppet_of(MALLORY)
    with pytest.raises(PuppetError):
        fourth.register("a", service="held", ip="10.0.0.1", port=4)
        fourth.do("wait a UP 5000")
    text = f"uid {MALLORY} holds 3 leases, as many as it may (leases = 3)"
    assert fourth.status("a")["text"] == text
    (told,) = refusals(host, MALLORY)
    assert (told["text"], told["program"], told["pid"]) == (text, "puppet", fourth.pid)
    assert text in host.agent.ctl("list").stdout
    log = (host.folder / "onebeatd.log").read_text()
    assert f'event=lease.refused pid={fourth.pid} uid={MALLORY} program="puppet" reason="{text}"' in log
    assert sorted(h["port"] for h in host.registry.hosts("held")) == [1, 2, 3]

    other = host.puppet_of(ALICE)
    other.register("a", service="other", ip="10.0.0.1", port=1)
    other.do("wait a UP 10000")

    held[0].stop()

    def is_up():
        try:
            fourth.do("wait a UP 1000")
        except PuppetError:
            return False
        return True
    until(is_up, "the fourth has the place that became free", seconds=20)


def test_slots(host):
    """With all slots in use the next registration is refused, and what was registered stays."""
    host.begin("slots = 8")
    puppet = host.puppet_of(MALLORY)
    puppet.do("close")
    puppet.do("open instances=64")
    codes = []
    for i in range(10):
        try:
            puppet.register(f"i{i}", service="many", ip="10.0.0.1", port=i + 1)
            puppet.do(f"wait i{i} UP 5000")
            codes.append(0)
        except PuppetError as error:
            codes.append(error.code)
    assert codes == [0] * 7 + [REFUSED] * 3, "an eighth of the slots is for large descriptors"
    text = f"the agent grants no slot to uid {MALLORY}: all that it may have are in use (slots = 8)"
    assert text in [r["text"] for r in refusals(host, MALLORY)]
    assert len(host.registry.hosts("many")) == 7
    other = host.puppet_of(ALICE)
    other.register("a", service="other", ip="10.0.0.1", port=1)
    other.do("wait a UP 10000")


def test_updates(host):
    """More updates than a user may make come later, in their newest version; none before was promised."""
    host.begin("updates_per_second = 10")
    puppet = host.puppet_of(MALLORY)
    puppet.register("a", service="busy", ip="10.0.0.1", port=1)
    puppet.do("wait a UP 10000")
    start, looks = time.monotonic(), host.status()["looks"]
    for i in range(400):
        puppet.do(f"update a service=busy ip=10.0.0.1 port=1 weight={i + 1}")
    puppet.do("wait a UP 10000")
    seconds = time.monotonic() - start
    assert host.registry.hosts("busy")[0]["weight"] == 400
    looks = host.status()["looks"] - looks
    assert looks <= 10 + 10 * seconds + 1, f"{looks} looks in {seconds} s"
    assert any("updates_per_second = 10" in r["text"] for r in refusals(host, MALLORY))


def test_updates_in_many_slots(host):
    """Behind a quota every slot has its turn: of 60 changes made at once none is lost."""
    host.begin("updates_per_second = 50")
    puppet = host.puppet_of(MALLORY)
    puppet.do("close")
    puppet.do("open instances=64")
    for weight in (1, 9):
        for i in range(60):
            puppet.do(f"{'register' if weight == 1 else 'update'} i{i} service=many ip=10.0.0.1 port={i + 1} "
                      f"weight={weight}")
        for i in range(60):
            puppet.do(f"wait i{i} UP 10000")
    hosts = host.registry.hosts("many")
    assert len(hosts) == 60 and {h["weight"] for h in hosts} == {9}


def test_updates_without_limit_are_not_held_back(host):
    """The story above told with the quota off shows what it would miss: every update is taken."""
    host.begin("updates_per_second = 0")
    puppet = host.puppet_of(MALLORY)
    puppet.register("a", service="busy", ip="10.0.0.1", port=1)
    puppet.do("wait a UP 10000")
    looks = host.status()["looks"]
    for i in range(100):
        puppet.do(f"update a service=busy ip=10.0.0.1 port=1 weight={i + 2}")
        puppet.do("wait a UP 10000")
    assert host.status()["looks"] - looks >= 100
    assert refusals(host, MALLORY) == []


def test_silent_connections(host):
    """Half-open connections are few, and not for ever; who has too many is told at the door."""
    host.begin("silent_leases = 5\nhello_timeout_ms = 300")
    clients = [connected(host) for _ in range(5)]
    until(lambda: host.status()["leases"] == 5, "five are accepted")
    sixth = connected(host)
    assert b"uid 0 has 5 connections that have not said HELLO (silent_leases = 5)" in sixth.recv(256)
    assert sixth.recv(256) == b""
    for client in clients:
        assert client.recv(256) == b""
    texts = [r["text"] for r in refusals(host, 0)]
    assert "said no HELLO within 300 ms (hello_timeout_ms)" in texts
    assert host.status()["leases"] == 0
    seventh = connected(host)
    until(lambda: host.status()["leases"] == 1, "there is room again")
    for client in (*clients, sixth, seventh):
        client.close()


def test_one_user_cannot_take_every_descriptor(host):
    """With next to no descriptors and no limit of its own a user still leaves some to others."""
    host.begin("leases = 65536\nsilent_leases = 65536\nslots = 65536")
    agent = host.agent.agent_pid()
    attack = host.attack("leases", seconds=4, count=19000)
    limit = int(next(line.split()[3] for line in open(f"/proc/{agent}/limits", encoding="ascii")
                     if line.startswith("Max open files")))
    other = host.honest("other", 1, updates=20, uid=ALICE)
    other.figures()
    tally = attack.tally()
    print(f"\n{tally}; of {limit} descriptors")
    if limit <= 20000:
        assert int(tally["refused"]) > 0 and "as many as it may" in tally["text"], tally
    assert os.path.exists(f"/proc/{agent}")
