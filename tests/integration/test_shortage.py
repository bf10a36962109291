# SPDX-License-Identifier: Apache-2.0
"""Resources that are really used up: space in the runtime folder, descriptors of the agent, memory of its group."""

import contextlib
import os
import pathlib
import re
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

    def registered_once(puppet, port):
        """With so few descriptors the quota of silent connections is small: whom it turns away asks again."""
        try:
            puppet.register("a", service="orders", ip="10.0.0.1", port=port)
        except PuppetError as refusal:
            assert refusal.code == -41, refusal
            return False
        return True
    for i, puppet in enumerate(puppets):
        until(lambda puppet=puppet, port=8000 + i: registered_once(puppet, port), "told what to register")

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

MIB = 1 << 20


class MemoryGroup:
    """A memory cgroup, of either version of the hierarchy. OSError where there is none to be had."""

    def __init__(self, name, limit):
        old = pathlib.Path("/sys/fs/cgroup/memory")
        self.is_old = old.is_dir()
        self.folder = (old if self.is_old else old.parent) / name
        self.folder.mkdir()
        try:
            self.limit(limit)
        except OSError:
            self.folder.rmdir()
            raise

    def limit(self, n_bytes):
        (self.folder / ("memory.limit_in_bytes" if self.is_old else "memory.max")).write_text(str(n_bytes))

    def n_killed(self):
        """How many processes the kernel has killed to make room."""
        told = (self.folder / ("memory.oom_control" if self.is_old else "memory.events")).read_text()
        return int(re.search(r"^oom_kill (\d+)$", told, re.MULTILINE).group(1))

    def remove(self):
        with contextlib.suppress(OSError):
            self.folder.rmdir()
        return not self.folder.exists()


@pytest.fixture(name="tight")
def tight_group(tmp_path):
    try:
        group = MemoryGroup(f"onebeat-{os.getpid()}-{tmp_path.name[-20:]}", 24 * MIB)
    except OSError as error:
        pytest.skip(f"no memory cgroup can be made here: {error}")
    yield group
    until(group.remove, "the group goes")


def test_full_memory_group_costs_nobody_who_lives(tight, empty_host, tmp_path):
    """Keeper and agent get no more memory, and the kernel kills the agent for it. With room again the next one adopts:
    who lives was never deregistered, who died meanwhile is, and newcomers are served."""
    inside = tmp_path / "onebeatd-inside"
    inside.write_text(f'#!/bin/sh\necho $$ >{tight.folder}/cgroup.procs\nexec {BIN}/onebeatd "$@"\n')
    inside.chmod(0o755)
    registry = empty_host.start_registry()
    agent = empty_host.start_agent(program=inside)
    steady = empty_host.puppet()
    steady.register("a", service="steady", ip="10.0.0.1", port=8080)
    steady.do("wait a UP 10000")
    crowd = empty_host.puppet(opened=False)
    crowd.do("open instances=2000")
    n = 0
    while not tight.n_killed() and n < 2000:
        n += 1
        with contextlib.suppress(PuppetError):
            crowd.register(f"i{n}", service="crowd", ip="10.0.0.2", port=n, md__k="v" * 900)
    assert tight.n_killed(), "the limit was never reached: the test is about nothing"
    crowd.kill()
    tight.limit(512 * MIB)
    until(agent.agent_pid, "an agent answers", seconds=60)
    until(lambda: not registry.hosts("crowd"), "the crowd is gone", seconds=60)
    newcomer = empty_host.puppet()
    newcomer.register("a", service="newcomer", ip="10.0.0.1", port=8081)
    newcomer.do("wait a UP 20000")
    assert not registry.deregisters("steady") and len(registry.registers("steady")) == 1
