# SPDX-License-Identifier: Apache-2.0
"""onebeatctl upgrade: both processes from the installed program, or everything as it was."""

import collections
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import tempfile
import threading

import pytest

from host import BIN, alive, boottime_ms, sockets_of, until

RUNNING = subprocess.run([BIN / "onebeatd", "--version"], capture_output=True, text=True,
                         check=True).stdout.split()[1]
NEXT = RUNNING[:-1] + chr(ord(RUNNING[-1]) + 1)
PERIOD_MS = 5000
MARGIN_MS = 2000
SPEC = {"service": "orders", "ip": "10.0.0.1", "md.preserved.heart.beat.interval": 1000}


class Installed:
    """A folder with an installed onebeatd, which a package may replace."""

    def __init__(self, folder):
        self.folder = folder / "sbin"
        self.folder.mkdir()
        self.program = self.folder / "onebeatd"
        shutil.copy(BIN / "onebeatd", self.program)
        shutil.copy(BIN / "onebeatd", self.folder / "kept")

    def replace(self, content, mode=0o755):
        """As a package does: the new file takes the old one's name at once."""
        new = self.folder / "new"
        new.write_bytes(content)
        new.chmod(mode)
        new.rename(self.program)

    def next_version(self):
        self.replace((self.folder / "kept").read_bytes().replace(RUNNING.encode(), NEXT.encode()))

    def script(self, agent="exec {kept} \"$@\"", check="exec {kept} \"$@\"", shell="/bin/sh"):
        """A program that does something of its own as agent, or when asked whether it can take over."""
        self.replace(f"""#!{shell}
case $1 in
--agent-manifest=*) {agent} ;;
--upgrade-check=*) {check} ;;
esac
exec {{kept}} "$@"
""".format(kept=self.folder / "kept").replace("{kept}", str(self.folder / "kept")).encode())


@pytest.fixture
def installed(empty_host):
    empty_host.start_registry()
    installed = Installed(empty_host.folder)
    empty_host.start_agent(program=installed.program)
    empty_host.installed = installed
    return empty_host


def registered(host, n=1):
    puppet = host.puppet(opened=False)
    puppet.do(f"open instances={n}")
    for i in range(n):
        puppet.register(f"i{i}", **SPEC, port=8080 + i)
    for i in range(n):
        puppet.do(f"wait i{i} UP 10000")
    return puppet


def upgrade(host):
    done = host.agent.ctl("upgrade", "-o", "json")
    return json.loads(done.stdout.splitlines()[0])


def refused(host):
    """Why not; exit status 1."""
    done = host.agent.ctl("upgrade", check=False)
    assert done.returncode == 1, done.stdout
    return done.stderr


def unbroken(host, puppet, n_registers=1):
    """The process's tie is the one that it had, and the registry has heard nothing."""
    assert puppet.status("i0")["state"] == "UP"
    since = boottime_ms()
    until(lambda: any(b.boottime_ms > since and b.code == 10200 for b in host.registry.beats()), "beaten", seconds=15)
    assert len(host.registry.registers()) == n_registers and host.registry.deregisters() == []


def test_both_run_the_installed_program_and_nobody_notices(installed):
    puppet = registered(installed)
    lease = sockets_of(puppet.pid)
    before = installed.status()
    installed.installed.next_version()
    done = upgrade(installed)
    assert done["from"] == {"version": RUNNING, "keeper_pid": installed.agent.pid, "pid": before["pid"]}
    assert done["to"] == {"version": NEXT, "keeper_pid": installed.agent.pid, "pid": installed.status()["pid"]}
    assert installed.status()["version"] == NEXT and not alive(before["pid"])
    assert os.readlink(f"/proc/{installed.agent.pid}/exe") == str(installed.installed.program)
    assert sockets_of(puppet.pid) == lease and installed.status()["leases"] == 1
    unbroken(installed, puppet)
    # What keeper and agent do for each other goes on: a change, a death, another agent, a stop.
    puppet.do("update i0 service=orders ip=10.0.0.1 port=8080 weight=3 md.preserved.heart.beat.interval=1000")
    until(lambda: installed.registry.hosts("orders")[0]["weight"] == 3, "an update arrives")
    installed.agent.kill_agent()
    puppet.kill()
    until(lambda: installed.registry.deregisters("orders"), "a death is noticed")
    assert installed.agent.stop() == 0
    assert "READY" not in installed.agent.tail()


def test_again_and_again_costs_nothing(installed):
    puppet = registered(installed)
    upgrade(installed)
    fds = f"/proc/{installed.agent.pid}/fd"
    n_fds = len(os.listdir(fds))
    for _ in range(10):
        upgrade(installed)
    until(lambda: len(os.listdir(fds)) <= n_fds, lambda: f"no descriptor more than {n_fds}: {os.listdir(fds)}")
    with open(f"/proc/{installed.agent.pid}/cmdline", encoding="ascii") as cmdline:
        assert cmdline.read().count("keeper-state") == 1
    unbroken(installed, puppet)


def test_a_package_replaced_the_file_twice(installed):
    """The path to run is the installed one, not what /proc/self/exe says of a file that is gone."""
    puppet = registered(installed)
    for version in (NEXT, RUNNING):
        installed.installed.replace((installed.installed.folder / "kept").read_bytes().replace(
            RUNNING.encode(), version.encode()))
        assert os.readlink(f"/proc/{installed.agent.pid}/exe").endswith(" (deleted)")
        assert upgrade(installed)["to"]["version"] == version
    unbroken(installed, puppet)


def test_a_link_is_followed_where_it_leads_now(empty_host):
    """Alternatives and version folders are links: the name that was executed counts."""
    empty_host.start_registry()
    installed = Installed(empty_host.folder)
    link = empty_host.folder / "onebeatd"
    link.symlink_to(installed.folder / "kept")
    empty_host.start_agent(program=link)
    installed.next_version()
    link.unlink()
    link.symlink_to(installed.program)
    assert upgrade(empty_host)["to"]["version"] == NEXT


def broken(i, how):
    """Makes the installed program or its surroundings unusable; what the reason has to name."""
    if how == "missing":
        i.program.unlink()
        return "No such file"
    if how == "not executable":
        i.replace(b"#!/bin/sh\n", mode=0o644)
        return "Permission denied"
    if how == "not a program":
        i.replace(b"\x7fELF" + bytes(60))
        return "Exec format error"
    if how == "another program":
        i.replace(b"#!/bin/sh\necho hello\n")
        return "no onebeatd"
    if how == "crashes":
        i.script(check="kill -SEGV $$")
        return "signal 11"
    if how == "of a release without upgrade":
        i.replace(b"#!/bin/sh\necho \"onebeatd: unrecognized option '$1'\" >&2\nexit 2\n")
        return "unrecognized option '--upgrade-check="
    if how == "of another version of the state":
        i.script(check="exec {kept} --upgrade-check=0 --registry http://127.0.0.1:1 </dev/null")
        return "state cannot be read"
    raise AssertionError(how)


@pytest.mark.parametrize("how", ("missing", "not executable", "not a program", "another program", "crashes",
                                 "of a release without upgrade", "of another version of the state"))
def test_a_program_that_will_not_do_changes_nothing(installed, how):
    puppet = registered(installed)
    before = installed.status()
    wanted = broken(installed.installed, how)
    why = refused(installed)
    assert wanted in why and str(installed.installed.program) in why
    after = installed.status()
    assert (after["pid"], after["version"]) == (before["pid"], before["version"])
    assert puppet.status("i0")["state"] == "UP"
    assert len(installed.registry.registers()) == 1 and installed.registry.deregisters() == []
    installed.installed.next_version()
    assert upgrade(installed)["to"]["version"] == NEXT


def test_a_broken_configuration_changes_nothing(empty_host):
    empty_host.start_registry()
    conf = empty_host.folder / "onebeatd.conf"
    conf.write_text("[agent]\nlog_level = info\n")
    empty_host.start_agent(options=["-c", conf])
    puppet = registered(empty_host)
    before = empty_host.status()["pid"]
    conf.write_text("[agent]\nlog_level = loud\n")
    why = refused(empty_host)
    assert f"{conf}:2" in why and "loud" in why
    assert empty_host.status()["pid"] == before
    conf.write_text("[agent]\nlog_level = debug\n")
    assert upgrade(empty_host)["to"]["pid"] == empty_host.status()["pid"] != before
    unbroken(empty_host, puppet)


@pytest.mark.parametrize("agent,reason", (
    ("kill -SEGV $$", "ended before it was ready"),
    ("exit 3", "ended before it was ready"),
    ("touch $0; exec {kept} \"$@\"", "the file changed after it was checked"),
    ("mv {shell} {shell}.gone; exec {kept} \"$@\"", "could not execute"),
))
def test_a_new_agent_or_keeper_that_fails_is_undone(installed, agent, reason):
    """Until the keeper has followed, the old program is at hand, its file gone or not."""
    puppet = registered(installed)
    before = installed.status()
    shell = installed.folder / "shell"
    shutil.copy("/bin/sh", shell)
    installed.installed.script(agent=agent.replace("{shell}", str(shell)), shell=shell)
    assert reason in refused(installed)
    after = installed.status()
    assert after["version"] == RUNNING and after["keeper_pid"] == installed.agent.pid
    assert after["pid"] != before["pid"]
    unbroken(installed, puppet)
    installed.installed.next_version()
    assert upgrade(installed)["to"]["version"] == NEXT
    unbroken(installed, puppet)


@pytest.mark.parametrize("how", ("missing", "of another version"))
def test_an_agent_that_dies_while_the_installed_program_will_not_do(installed, how):
    """The keeper starts the program that it is itself: a half-done installation is no reason to fall silent."""
    puppet = registered(installed)
    if how == "missing":
        installed.installed.program.unlink()
    else:
        installed.installed.script(agent="exit 3")
    installed.agent.kill_agent()
    unbroken(installed, puppet)
    assert "the keeper's own program" in installed.agent.tail()


def test_only_root_and_owner_may(empty_host):
    installed = empty_host
    installed.start_registry()
    with tempfile.TemporaryDirectory(prefix="onebeat-") as folder:
        os.chmod(folder, 0o755)  # others may go through it
        installed.start_agent(runtime_dir=pathlib.Path(folder) / "run")
        only_root_and_owner_may(installed)
        installed.agent.stop()


def only_root_and_owner_may(installed):
    before = installed.status()["pid"]
    done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "0", "--clear-groups", BIN / "onebeatctl",
                           "--runtime-dir", installed.agent.runtime_dir, "upgrade"],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "only root and the agent's own user" in done.stderr
    assert installed.status()["pid"] == before


def test_two_at_once_and_a_stop_meanwhile(installed):
    """One upgrade at a time; a stop wins, and who waits for the upgrade hears so."""
    gate = installed.folder / "gate"
    os.mkfifo(gate)
    installed.installed.script(check=f"read line <{gate}; exec {{kept}} \"$@\"")
    answers = []
    first = threading.Thread(target=lambda: answers.append(installed.agent.ctl("upgrade", check=False)))
    first.start()
    until(lambda: "upgrade.probe" in installed.agent.tail(), "the first one is being checked")
    assert "under way already" in refused(installed)
    os.kill(installed.agent.pid, signal.SIGTERM)
    first.join(20)
    assert answers[0].returncode == 1 and "told to stop" in answers[0].stderr
    assert installed.agent.wait() == 0


def test_who_leaves_is_not_upgraded(installed):
    """Another agent would know nothing of the one who waits for the end of all registrations."""
    puppet = registered(installed)
    installed.registry.kill(signal.SIGSTOP)
    leaves = subprocess.Popen([BIN / "onebeatctl", "--runtime-dir", installed.agent.runtime_dir, "leave"],
                              stdout=subprocess.DEVNULL)
    until(lambda: "verb=leave" in installed.agent.tail(), "it has begun")
    assert "is leaving" in refused(installed)
    installed.registry.kill(signal.SIGCONT)
    assert leaves.wait(20) == 0 and installed.agent.wait() == 0
    assert installed.registry.hosts("orders") == [] and puppet.status("i0")["state"] != "UP"


class BeatLog:
    """The registry's log of beats, read as it grows."""

    def __init__(self, registry):
        self.log = open(registry.requests_path, encoding="utf-8")
        self.last = {}
        self.count = collections.Counter()
        self.longest = (0, "")

    def read(self):
        while (line := self.log.readline()).endswith("\n"):
            if '"method":"PUT"' not in line:
                continue
            beat = json.loads(line)
            if beat["code"] != 10200:
                continue
            target, now = beat["target"], beat["boottime_ms"]
            self.longest = max(self.longest, (now - self.last.get(target, now), target))
            self.last[target] = now
            self.count[target] += 1
        self.log.seek(self.log.tell() - len(line.encode()))

    def beaten(self, n_instances, times):
        self.read()
        return len(self.count) == n_instances and min(self.count.values()) >= times


def test_ten_thousand_instances_of_ten_processes(installed):
    """No lease breaks, no second register, no deregister, no late beat: the registry's log proves it."""
    n, n_processes = 1000, 10
    puppets = []
    for p in range(n_processes):
        puppet = installed.puppet(opened=False)
        puppet.do(f"open instances={n}")
        for i in range(n):
            puppet.send(f"register i{i} service=orders ip=10.0.{p}.1 port={8000 + i}")
        puppets.append(puppet)
    for puppet in puppets:
        for i in range(n):
            puppet.answer(f"register i{i}")
    beats = BeatLog(installed.registry)
    until(lambda: beats.beaten(n * n_processes, 1), "everything is beaten", seconds=60, step=0.2)
    leases = [sockets_of(puppet.pid) for puppet in puppets]
    installed.installed.next_version()
    assert upgrade(installed)["to"]["version"] == NEXT
    status = installed.status()
    assert status["adopted"] == n * n_processes and status["leases"] == n_processes
    until(lambda: beats.beaten(n * n_processes, 2), "everything is beaten again", seconds=60, step=0.2)
    upgrade(installed)
    until(lambda: beats.beaten(n * n_processes, 4), "and again", seconds=60, step=0.2)
    assert [sockets_of(puppet.pid) for puppet in puppets] == leases
    assert {puppet.status(f"i{i}")["state"] for puppet in puppets for i in (0, n - 1)} == {"UP"}
    assert len(installed.registry.registers()) == n * n_processes and installed.registry.deregisters() == []
    gap, whose = beats.longest
    print(f"longest pause between two beats: {gap:.0f} ms")
    assert gap < PERIOD_MS + MARGIN_MS, whose


def test_slots_in_the_configuration_wait_for_a_start(empty_host):
    """Segments are made for a number of slots: another one must not cost what is in them."""
    empty_host.start_registry()
    conf = empty_host.folder / "onebeatd.conf"
    conf.write_text("[agent]\nslots = 1024\n")
    empty_host.start_agent(options=["-c", conf])
    puppet = registered(empty_host)
    conf.write_text("[agent]\nslots = 2048\n")
    empty_host.agent.kill_agent()
    unbroken(empty_host, puppet)
    upgrade(empty_host)
    unbroken(empty_host, puppet)
    assert "configured=2048 in_force=1024" in empty_host.agent.tail()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def of_another_layout(journal):
    """As another release would have stamped it (agent/segment/stamp.h)."""
    with open(journal, "r+b") as file:
        stamp = bytearray(file.read(256))
        stored = struct.unpack_from("=I", stamp, 252)[0]
        assert stored == crc32c(stamp[:252]), "the test's own idea of the check"
        struct.pack_into("=I", stamp, 12, struct.unpack_from("=I", stamp, 12)[0] + 1)
        struct.pack_into("=I", stamp, 252, crc32c(stamp[:252]))
        file.seek(0)
        file.write(stamp)


def test_a_journal_that_the_new_program_cannot_read(installed):
    """It would make nothing of what is held: it is not taken, neither by an upgrade nor after a death."""
    puppet = registered(installed)
    before = installed.status()["pid"]
    of_another_layout(installed.agent.runtime_dir / "journal")
    assert "its journal has another layout" in refused(installed)
    assert installed.status()["pid"] == before
    unbroken(installed, puppet)
    os.kill(before, signal.SIGKILL)
    until(lambda: "status=3" in installed.agent.tail() and "the keeper's own program" in installed.agent.tail(),
          "the one that cannot read it leaves it to the keeper's own")


def state_of_keeper(version=1, runtime_dir="/run/onebeat"):
    """agent/keeper/state.h, with nothing held."""
    fd = os.memfd_create("state", 0)
    os.write(fd, struct.pack("=III i 4Q 3I i B31x 32s 128s", 0x4F424B53, version, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                             b"0.0.9", runtime_dir.encode()))
    return fd


def manifest_of_agent(version=1):
    """agent/base/manifest.h, with no entries."""
    fd = os.memfd_create("manifest", 0)
    os.write(fd, struct.pack("=4I I i", 0x4F424D46, version, 0, 0, 0, os.getpid()))
    return fd


def asked(tmp_path, option, fd):
    try:
        return subprocess.run([BIN / "onebeatd", f"{option}={fd}", "--runtime-dir", tmp_path / "run", "--registry",
                               "http://127.0.0.1:1"], pass_fds=[fd], capture_output=True, text=True, timeout=30)
    finally:
        os.close(fd)


def test_what_the_check_mode_answers(tmp_path):
    run = str(tmp_path / "run")
    yes = asked(tmp_path, "--upgrade-check", state_of_keeper(runtime_dir=run))
    assert (yes.returncode, yes.stdout) == (0, f"onebeatd {RUNNING}\n")
    other = asked(tmp_path, "--upgrade-check", state_of_keeper(version=2, runtime_dir=run))
    assert other.returncode == 1 and "of another version" in other.stderr
    folder = asked(tmp_path, "--upgrade-check", state_of_keeper(runtime_dir="/elsewhere"))
    assert folder.returncode == 1 and "runtime_dir is not the running onebeatd's" in folder.stderr
    assert not (tmp_path / "run").exists(), "asking changes nothing"


def test_an_agent_of_another_release_than_its_keeper_says_so(tmp_path):
    """By a status of its own, on which the keeper starts the program that it is itself."""
    done = asked(tmp_path, "--agent-manifest", manifest_of_agent(version=2))
    assert done.returncode == 3 and "agent.manifest" in done.stderr
