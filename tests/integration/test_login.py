# SPDX-License-Identifier: Apache-2.0
"""Logging in: one login for all instances, tokens that end or die, and nothing secret in sight."""

import base64
import hmac
import os
import re
import subprocess
import time
import urllib.parse

import pytest

from gatekeeper import Gatekeeper, V1, V3
from host import BIN, until

SPEC = {"ip": "10.0.0.1", "md.preserved.heart.beat.interval": 500}
PASSWORD = "Zw4-correct-horse"
HIDDEN = (PASSWORD, "eyJ-token")


def start(host, password=PASSWORD, registry_mode="2", agent_api="auto", **kwargs):
    """A registry behind a gatekeeper, and an agent that is to log in there."""
    host.start_registry(mode=registry_mode)
    host.keeper = host.keep(Gatekeeper(host.registry.port, password=PASSWORD, **kwargs))
    secret = host.folder / "password"
    secret.write_text(password + "\n")
    secret.chmod(0o600)
    conf = host.folder / "onebeatd.conf"
    conf.write_text(f"[registry default]\nurl = {host.keeper.address}\napi = {agent_api}\nusername = nacos\n"
                    f"password_file = {secret}\n")
    host.start_agent(urls=[], options=["-c", conf])
    return host.puppet()


def up(puppet, n):
    for i in range(n):
        puppet.register(f"i{i}", service="orders", port=8000 + i, **SPEC)
    for i in range(n):
        puppet.do(f"wait i{i} UP 10000")


def beats_on(host, n=6):
    """So many beats more go through the gate."""
    n += len(host.registry.beats())
    until(lambda: len(host.registry.beats()) >= n, "beats go on")


def check_hidden(host):
    """Neither log nor URL nor the agent's own tools tell a secret."""
    said = host.agent.log.read_text(errors="replace") + str(host.list()) + str(host.status())
    said += "".join(path for _, path, _ in host.keeper.seen)
    for secret in HIDDEN:
        assert secret not in said
    assert "accessToken" not in said and "password=" not in said


@pytest.mark.parametrize("paths", [(V1,), (V3,), (V1, V3)])
def test_one_login_serves_all_and_nobody_is_refused_for_want_of_it(empty_host, paths):
    puppet = start(empty_host, login_paths=paths)
    up(puppet, 10)
    beats_on(empty_host)
    assert len(empty_host.keeper.logins) == 1
    assert empty_host.keeper.refused == 0
    assert len(empty_host.registry.hosts("orders")) == 10
    check_hidden(empty_host)


def test_api_v3_logs_in_and_beats(empty_host):
    puppet = start(empty_host, registry_mode="3", agent_api="v3", login_paths=(V3,))
    up(puppet, 3)
    until(lambda: sum("heartBeat=true" in path for _, path, _ in empty_host.keeper.seen) >= 6, "beats")
    assert len(empty_host.keeper.logins) == 1
    assert empty_host.keeper.refused == 0
    check_hidden(empty_host)


def test_a_token_is_renewed_before_it_ends(empty_host):
    puppet = start(empty_host, ttl=2)
    up(puppet, 3)
    until(lambda: len(empty_host.keeper.logins) >= 3, "two tokens have ended", 20)
    beats_on(empty_host)
    assert empty_host.keeper.refused == 0
    check_hidden(empty_host)


def test_dead_tokens_are_replaced_at_once(empty_host):
    """The servers' key changes: one login more, the refused beats again with its token, nobody lost."""
    puppet = start(empty_host)
    up(puppet, 12)
    time_of_login = empty_host.keeper.logins[0]
    until(lambda: time.monotonic() > time_of_login + 1.5, "the login has settled")
    empty_host.keeper.rotate()
    until(lambda: len(empty_host.keeper.logins) == 2, "another login")
    beats_on(empty_host, 30)
    assert len(empty_host.keeper.logins) == 2
    assert empty_host.keeper.refused <= 15
    assert len(empty_host.registry.registers()) == 12
    assert all(i["state"] == "UP" for i in empty_host.list()["instances"])
    check_hidden(empty_host)


def test_a_wrong_password_makes_few_logins_and_says_so(empty_host):
    puppet = start(empty_host, password="Zw4-wrong-horse")
    puppet.register("a", service="orders", port=8000, **SPEC)
    until(lambda: empty_host.keeper.refused > 0, "it goes without a token at last", 20)
    assert 1 <= len(empty_host.keeper.logins) <= 6
    until(lambda: "403" in puppet.status("a")["text"] or puppet.status("a")["code"] == "403", "the status says why")
    log = empty_host.agent.log.read_text()
    assert re.search(r"event=registry.login_failed .*code=403 .*unknown user!", log)
    assert "wrong-horse" not in log
    check_hidden(empty_host)


def in_memory(pid, text):
    """How often a text stands in a process's writable memory."""
    n = 0
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            if "w" not in rights or "[vvar" in line:
                continue
            start_at, end = (int(x, 16) for x in span.split("-"))
            if end - start_at > 1 << 30:  # a sanitizer's own
                continue
            try:
                memory.seek(start_at)
                n += memory.read(end - start_at).count(text.encode())
            except OSError:
                continue
    return n


def test_a_password_is_in_one_place_of_memory(empty_host):
    """What the login, libcurl and the reading of the file had of it is gone."""
    puppet = start(empty_host)
    up(puppet, 1)
    beats_on(empty_host, 2)
    assert in_memory(empty_host.agent.agent_pid(), PASSWORD) == 1
    assert in_memory(empty_host.agent.pid, PASSWORD) == 0  # the keeper has nothing to do with it


def test_a_reload_reads_the_password_anew(empty_host):
    """The old one is nowhere any more, and nobody was registered again."""
    puppet = start(empty_host)
    up(puppet, 3)
    other = "Zw4-battery-staple"
    with empty_host.keeper.lock:
        empty_host.keeper.password = other
    (empty_host.folder / "password").write_text(other)
    empty_host.agent.ctl("reload")
    until(lambda: len(empty_host.keeper.logins) == 2, "another login")
    beats_on(empty_host)
    pid = empty_host.agent.agent_pid()
    assert (in_memory(pid, PASSWORD), in_memory(pid, other)) == (0, 1)
    assert len(empty_host.registry.registers()) == 3
    assert empty_host.keeper.refused == 0
    check_hidden(empty_host)


def test_an_open_secret_file_is_named_with_its_mode(empty_host):
    """At the start it is refused; an agent that comes back goes on without it, for the other registries' sake."""
    puppet = start(empty_host)
    up(puppet, 1)
    secret = empty_host.folder / "password"
    secret.chmod(0o640)
    rule = f"secret file {secret}: mode 0640 is open to others: it must have no bits for group and others"
    checked = subprocess.run([BIN / "onebeatd", "-c", empty_host.folder / "onebeatd.conf", "--runtime-dir",
                              empty_host.folder / "run2", "--check"], capture_output=True, text=True, timeout=20)
    assert checked.returncode == 1 and f"registry 'default': {rule}" in checked.stderr
    empty_host.agent.kill_agent()
    until(lambda: rule in empty_host.agent.log.read_text(), "the log says so")


def test_the_tools_say_how_the_login_is(empty_host):
    start(empty_host)
    login = until(lambda: (of := empty_host.status()["registries"][0]["login"])["state"] == "granted" and of, "granted")
    assert login == {"state": "granted", "logins": 1, "last_error": ""}


def signature(key, data):
    return base64.b64encode(hmac.new(key.encode(), data.encode(), "sha1").digest()).decode()


def test_requests_are_signed_each_anew(empty_host):
    """Every register and beat carries a signature of its own moment; the key itself goes nowhere."""
    empty_host.start_registry()
    empty_host.keeper = empty_host.keep(Gatekeeper(empty_host.registry.port, user=None))
    conf = empty_host.folder / "onebeatd.conf"
    conf.write_text(f"[registry default]\nurl = {empty_host.keeper.address}\naccess_key = ak0\n"
                    "secret_key_env = SECRET_KEY\n")
    empty_host.start_agent(urls=[], options=["-c", conf], env=dict(os.environ, SECRET_KEY="secretKey0"))
    puppet = empty_host.puppet()
    up(puppet, 1)
    beats_on(empty_host, 3)
    targets = [path for _, path, _ in empty_host.keeper.seen]
    moments = set()
    for target in targets:
        assert "secretKey0" not in target
        query = dict(urllib.parse.parse_qsl(target.split("?")[1]))
        assert query["ak"] == "ak0"
        assert query["data"].endswith("@@DEFAULT_GROUP@@orders")
        assert query["signature"] == signature("secretKey0", query["data"])
        moments.add(query["data"])
    assert len(moments) == len(targets) >= 4
