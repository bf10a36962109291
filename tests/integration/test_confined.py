# SPDX-License-Identifier: Apache-2.0
"""The agent's ordinary life under the calls and capabilities that its unit file leaves it"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import confined
import pytest

from host import BIN, BUILD, Group, Puppet, until

UNIT = BUILD / "systemd" / "onebeatd.service"
NOBODY = 65534
ELSEWHERE = ["unshare", "--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]
AS_NOBODY = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]


class Confined:
    depth = 0

    def __init__(self, unit):
        self.enter = confined.enter(unit)


@pytest.fixture
def life(empty_host):
    """Makes a life of it: other users' processes, one in a network of its own, adoption, an upgrade, ends."""
    with tempfile.TemporaryDirectory(prefix="onebeat-") as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)  # others may go through it
        shutil.copy(BIN / "tests" / "puppet", folder / "puppet")
        empty_host.start_registry()

        def live(unit, listen_s=10):
            agent = empty_host.start_agent(runtime_dir=folder / "run", within=Confined(unit))
            stranger = empty_host.keep(Puppet(empty_host.folder, folder / "run", argv=[
                *AS_NOBODY, folder / "puppet"]))
            own = empty_host.puppet()
            for puppet, port in ((stranger, 8080), (own, 8081)):
                if puppet is stranger:
                    puppet.do("open")
                puppet.register("a", service="orders", ip="10.0.0.1", port=port)
                puppet.do("wait a UP 10000")
            shutil.copy(BIN / "onebeat-run", folder / "onebeat-run")

            def run(service, *command):
                process = subprocess.Popen(
                    [*ELSEWHERE, *AS_NOBODY, folder / "onebeat-run", "--service", service, "--ip", "10.0.0.1",
                     "--port", "8000", "--wait", "5", "--", *command], cwd=folder, stderr=subprocess.DEVNULL, start_new_session=True,
                    env=dict(os.environ, ONEBEAT_RUNTIME_DIR=str(agent.runtime_dir)))
                empty_host.keep(Group(process))
                return process
            run("idle", "sleep", "100")
            until(lambda: (i := empty_host.instance("idle")) and i["state"] == "WAITING",
                  "seen not to listen", seconds=listen_s)
            served = run("served", "/usr/bin/python3", "-m", "http.server", "8000", "--bind", "127.0.0.1")
            until(lambda: empty_host.registry.hosts("served"), "seen to listen", seconds=listen_s)
            agent.kill_agent()
            agent.ctl("upgrade")
            holders = {h["pid"]: h for i in empty_host.list()["instances"] for h in i["holders"]}
            assert holders[stranger.pid]["program"] == "puppet" and holders[stranger.pid]["uid"] == NOBODY
            served.kill()
            stranger.kill()
            until(lambda: len(empty_host.registry.deregisters()) >= 2, "ends are noticed")
            assert agent.stop() == 0
            return agent.log.read_text()
        yield live
        empty_host.stop()


def test_the_unit_leaves_the_agent_what_it_needs(life):
    log = life(UNIT)
    assert "signal=31" not in log
    assert len(re.findall("agent.died", log)) == 1, "the one that was killed"
    assert not re.search(r"(Operation not permitted|Permission denied)", log)


@pytest.mark.parametrize("more", ("SystemCallFilter=~memfd_create", "SystemCallFilter=~execve",
                                  "SystemCallFilter=~@ipc"))
def test_a_filter_that_takes_too_much_shows(life, tmp_path, more):
    """The story above notices what is missing; else it would prove nothing."""
    unit = tmp_path / "onebeatd.service"
    unit.write_text(UNIT.read_text() + more + "\n")
    with pytest.raises(AssertionError, match="ended with (-31|126)"):
        life(unit)


def test_a_capability_that_is_missing_shows(life, tmp_path):
    unit = tmp_path / "onebeatd.service"
    unit.write_text(UNIT.read_text().replace("CapabilityBoundingSet=CAP_SYS_PTRACE", "CapabilityBoundingSet="))
    with pytest.raises(AssertionError, match="seen not to listen"):
        life(unit, listen_s=3)
