# SPDX-License-Identifier: Apache-2.0
"""Resources that are really used up: space in the runtime folder, descriptors of the agent."""

import contextlib
import os
import subprocess

import pytest

from host import BIN, PuppetError, until


def registered(host, service):
    return bool(host.registry.hosts(service))


@pytest.fixture
def small_dir(tmp_path):
    """A folder with a megabyte of space."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]).returncode != 0:
        pytest.skip("this user may not mount a tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_full_runtime_folder_costs_the_journal_alone(empty_host, small_dir):
    """Without space for the journal instances are served all the same, and the log says what is lost."""
    empty_host.start_registry()
    agent = empty_host.start_agent(runtime_dir=small_dir / "run")
    filler = os.open(small_dir / "filler", os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while os.write(filler, bytes(4096)):
            pass
    os.close(filler)
    assert os.statvfs(small_dir).f_bavail == 0
    puppet = empty_host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    until(lambda: registered(empty_host, "orders"), "registered")
    until(lambda: 'error="No space left on device"' in agent.tail(200), "the log says what is missing")
    (small_dir / "filler").unlink()
    puppet.do("update a md.k=v")
    until(lambda: "k" in empty_host.registry.hosts("orders")[0]["metadata"], "the update")
    puppet.kill()
    until(lambda: not registered(empty_host, "orders"), "deregistered")


def test_agent_out_of_descriptors_serves_whom_it_has(empty_host, tmp_path):
    """Those who came in time are served, the others wait and come in as soon as one has left."""
    limited = tmp_path / "onebeatd-limited"
    limited.write_text(f'#!/bin/sh\nulimit -n 128\nexec {BIN}/onebeatd "$@"\n')
    limited.chmod(0o755)
    empty_host.start_registry()
    agent = empty_host.start_agent(program=limited)
    puppets = [empty_host.puppet() for _ in range(140)]
    for i, puppet in enumerate(puppets):
        puppet.register("a", service="orders", ip="10.0.0.1", port=8000 + i)

    def ports():
        for puppet in puppets:
            with contextlib.suppress(PuppetError):
                puppet.do("attend")
        return {h["port"] for h in empty_host.registry.hosts("orders")}
    until(lambda: ports(), "some are registered")
    until(lambda: "Too many open files" in agent.tail(400) or "descriptors" in agent.tail(400), "the log says why")
    served = ports()
    assert 0 < len(served) < len(puppets)
    leaving = [p for i, p in enumerate(puppets) if 8000 + i in served]
    puppets = [p for p in puppets if p not in leaving]
    for puppet in leaving:
        puppet.kill()
    until(lambda: ports() and not ports() & served, "the others have come in", seconds=30)
    assert agent.status()["dom2BeatSize"] > 0
