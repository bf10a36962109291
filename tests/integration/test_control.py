# SPDX-License-Identifier: Apache-2.0
"""control.sock: reading is for a group, changing for root and the owner, and no flood bars the next tool"""

import json
import socket
import struct

import pytest

from host import until
from siege import ALICE, MALLORY, SiegeHost, as_user, n_descriptors, needs_root

pytestmark = pytest.mark.skipif(needs_root() is not None, reason=str(needs_root()))

PING, STOP, LEAVE = 3, 6, 5


@pytest.fixture(name="host")
def siege_host():
    host = SiegeHost().begin(f"control_group = {MALLORY}")
    yield host
    host.stop()


def connected(host):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(30)
    client.connect(str(host.agent.runtime_dir / "control.sock"))
    return client


def asked(host, verb):
    """The last line of the answer."""
    with connected(host) as client:
        client.send(struct.pack("=IHHI", 0x4F424354, 1, verb, 0))
        said = b""
        while more := client.recv(65536):
            said += more
    return said.decode().splitlines()[-1]


def test_the_group_reads_and_changes_nothing(host):
    """A member of the group looks; only root stops; others do not get in."""
    agent = host.agent.agent_pid()
    assert json.loads(as_user(MALLORY, lambda: asked(host, PING))) == {"end": True, "error": None}
    for verb in (STOP, LEAVE):
        assert json.loads(as_user(MALLORY, lambda verb=verb: asked(host, verb)))["error"] == (
            "only root and the agent's own user may stop it")
    assert "PermissionError" in as_user(ALICE, lambda: asked(host, PING))
    assert host.agent.agent_pid() == agent
    assert host.agent.ctl("stop").returncode == 0
    assert host.agent.wait() == 0


def test_a_flood_of_tools_bars_nobody(host):
    """300 connections that do not read, ask half or say nothing: root's tools are answered meanwhile."""
    agent = host.agent.agent_pid()
    fds = n_descriptors(agent)
    half = connected(host)
    half.send(b"\x54\x43\x42")
    attack = host.attack("control", uid=MALLORY, count=300, seconds=3)
    for _ in range(30):
        assert host.agent.ctl("ping").returncode == 0
        assert n_descriptors(agent) <= fds + 64 + 4
    assert attack.closing_line().startswith("done acts=300")
    assert half.recv(16) == b"", "half a request is not waited for"
    until(lambda: n_descriptors(agent) <= fds + 1, "all are given back")
    assert host.agent.agent_pid() == agent


def test_a_group_that_is_none_is_refused(host):
    import subprocess
    from host import BIN
    conf = host.folder / "bad.conf"
    conf.write_text("[agent]\ncontrol_group = no such group\n[registry]\nurl = http://127.0.0.1:1\n")
    done = subprocess.run([BIN / "onebeatd", "-c", conf, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "bad.conf:2: key 'control_group': value 'no such group' is not the name or number of a group" in done.stderr
