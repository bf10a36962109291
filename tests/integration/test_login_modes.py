# SPDX-License-Identifier: Apache-2.0
"""Logging in to what each version of the servers is like: paths, refusals and ends of tokens differ."""

import pytest

from host import until

SPEC = {"ip": "10.0.0.1", "md.preserved.heart.beat.interval": 400}
PASSWORD = "Kq8-battery-staple"


def start(host, mode, password=PASSWORD, ttl=18000):
    host.start_registry(mode=mode, options=["--auth", f"agent:{PASSWORD}", "--token-ttl", ttl])
    secret = host.folder / "password"
    secret.write_text(password)
    secret.chmod(0o400)
    conf = host.folder / "onebeatd.conf"
    conf.write_text(f"[registry default]\nurl = {host.registry.address}\nusername = agent\n"
                    f"password_file = {secret}\n")
    host.start_agent(urls=[], options=["-c", conf])
    return host.puppet()


def logins(host):
    return host.registry.requests("POST", "/login")


def granted(host):
    return [r for r in logins(host) if r.status == 200]


def others(host):
    return [r for r in host.registry.requests() if "/login" not in r.target]


def good(host):
    """Answers that let an instance live."""
    return [r for r in others(host) if r.status == 200]


def refused(host):
    return [r for r in others(host) if r.status in (401, 403)]


def go_on(host, n=6):
    n += len(good(host))
    until(lambda: len(good(host)) >= n, "beats go on")


def states(host):
    return [i["state"] for i in host.list()["instances"]]


def up(host, puppet):
    for i in range(3):
        puppet.register(f"i{i}", service="orders", port=8000 + i, **SPEC)
    for i in range(3):
        puppet.do(f"wait i{i} UP 10000")


def check(host):
    """Nobody was lost, and no secret was said."""
    assert states(host) == ["UP"] * 3
    assert len([r for r in good(host) if r.method == "POST" and "heartBeat" not in r.target]) == 3  # registered once
    said = host.agent.log.read_text() + host.registry.requests_path.read_text()
    assert PASSWORD not in said and "accessToken=" not in said and "Bearer" not in said


@pytest.mark.parametrize("mode", ("1.4", "2", "3-no-v1", "3.2"))
def test_tokens_end_and_nobody_is_refused(empty_host, mode):
    puppet = start(empty_host, mode, ttl=2)
    up(empty_host, puppet)
    until(lambda: len(granted(empty_host)) >= 3, "two tokens have ended", 20)
    assert refused(empty_host) == []
    check(empty_host)


@pytest.mark.parametrize("mode", ("1.4", "3"))
def test_tokens_die_and_nobody_is_lost(empty_host, mode):
    puppet = start(empty_host, mode)
    up(empty_host, puppet)
    empty_host.registry_admin("rotate")
    until(lambda: len(granted(empty_host)) == 2, "another login", 20)
    go_on(empty_host, 4)
    check(empty_host)


@pytest.mark.parametrize("mode", ("1.4", "3"))
def test_a_wrong_password_makes_few_logins(empty_host, mode):
    start(empty_host, mode, password="Kq8-wrong")
    until(lambda: len({r.t for r in logins(empty_host)}) >= 3, "it tries again")
    login = empty_host.status()["registries"][0]["login"]
    assert login["state"] == "failing" and login["last_error"]
    # Each try asks the node by one path, or by both where the first is not known.
    assert login["logins"] <= 4 and len(logins(empty_host)) <= 2 * login["logins"]
    assert "Kq8-wrong" not in empty_host.agent.log.read_text()
