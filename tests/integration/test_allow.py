# SPDX-License-Identifier: Apache-2.0
"""The allow-list: a process registers, changes and removes what a section for its user permits, and nothing else"""

import pytest

from host import PuppetError, until
from siege import ALICE, BOB, MALLORY, SiegeHost, needs_root

pytestmark = pytest.mark.skipif(needs_root() is not None, reason=str(needs_root()))

RULES = f"""
[allow shop]
uid = {ALICE}
service = shop-*, cart
ip = 10.0.0.0/8
port = 8000-8999
[allow ops]
gid = {BOB}
join = yes
"""


@pytest.fixture(name="host")
def siege_host():
    host = SiegeHost().begin(more=RULES)
    yield host
    host.stop()


def refused(puppet, name, **spec):
    """The reason that the process and the operator are given."""
    with pytest.raises(PuppetError):
        puppet.register(name, **spec)
        puppet.do(f"wait {name} UP 5000")
    return puppet.status(name)["text"]


def test_a_user_registers_what_his_section_permits(host):
    alice = host.puppet_of(ALICE)
    alice.register("a", service="shop-1", ip="10.0.0.1", port=8000)
    alice.do("wait a UP 10000")
    alice.do("update a service=shop-1 ip=10.0.0.1 port=8000 weight=4")
    alice.do("wait a UP 10000")
    assert host.registry.hosts("shop-1")[0]["weight"] == 4
    text = f"uid {ALICE} may not register service 'shops': no [allow] section says so"
    assert refused(alice, "b", service="shops", ip="10.0.0.1", port=8000) == text
    assert [r["refused"]["text"] for r in host.list()["refused"]] == [text]
    log = (host.folder / "onebeatd.log").read_text()
    assert f'event=instance.refused pid={alice.pid} uid={ALICE} program="puppet"' in log and text in log
    assert refused(alice, "c", service="cart", ip="11.0.0.1", port=8000) == (
        f"uid {ALICE} may register 'cart', but not at 11.0.0.1:8000: no [allow] section says so")
    assert "but not at 10.0.0.1:80:" in refused(alice, "d", service="cart", ip="10.0.0.1", port=80)
    assert len(host.registry.hosts("shop-1")) == 1, "what is registered stays"
    assert [r.target for r in host.registry.registers() if "shop-1" not in r.target] == []


def test_a_user_without_a_section_is_not_let_in(host):
    mallory = host.puppet_of(MALLORY)
    assert refused(mallory, "a", service="shop-1", ip="10.0.0.1", port=8000) == (
        f"uid {MALLORY} may register nothing: no [allow] section is for it")
    (told,) = [r["refused"] for r in host.list()["refused"]]
    assert (told["uid"], told["pid"]) == (MALLORY, mallory.pid)
    assert host.registry.registers() == []


def test_joining_another_users_instance_needs_a_word(host):
    """Bob's section says join, Alice's does not; Bob's going changes nothing for her."""
    alice, bob = host.puppet_of(ALICE), host.puppet_of(BOB)
    alice.register("a", service="shop-1", ip="10.0.0.1", port=8000)
    alice.do("wait a UP 10000")
    bob.register("a", service="shop-1", ip="10.0.0.1", port=8000)
    bob.do("wait a UP 10000")
    assert {h["uid"] for h in host.instance("shop-1")["holders"]} == {ALICE, BOB}
    bob.register("b", service="cart", ip="10.0.0.1", port=8001)
    bob.do("wait b UP 10000")
    assert refused(alice, "b", service="cart", ip="10.0.0.1", port=8001) == (
        f"uid {ALICE} may not join an instance of uid {BOB}")
    bob.do("crash")
    until(lambda: host.registry.hosts("cart") == [], "what Bob alone held is gone")
    assert len(host.registry.hosts("shop-1")) == 1


def test_rules_hold_after_a_restart_of_the_agent(host):
    alice = host.puppet_of(ALICE)
    alice.register("a", service="shop-1", ip="10.0.0.1", port=8000)
    alice.do("wait a UP 10000")
    host.agent.kill_agent()
    alice.do("update a service=shop-1 ip=10.0.0.1 port=8000 weight=6")
    alice.do("wait a UP 10000")
    assert "no [allow] section" in refused(alice, "b", service="other", ip="10.0.0.1", port=8000)


def test_print_config_shows_the_sections(host):
    import subprocess
    from host import BIN
    conf = host.folder / "onebeatd.conf"
    printed = subprocess.run([BIN / "onebeatd", "-c", conf, "--registry", "http://127.0.0.1:1", "--print-config"],
                             check=True, capture_output=True, text=True).stdout
    assert "[allow shop]" in printed and "service = shop-*, cart" in printed and "join = yes" in printed
    again = host.folder / "again.conf"
    again.write_text(printed)
    twice = subprocess.run([BIN / "onebeatd", "-c", again, "--print-config"],
                           check=True, capture_output=True, text=True).stdout
    assert twice.split("\n", 1)[1] == printed.split("\n", 1)[1]
