# SPDX-License-Identifier: Apache-2.0
"""A host under attack: processes of several real users, some of them hostile, and what the agent costs meanwhile

Users are numbers that need no account. The runtime folder lies where all of them may look, which a test's own
folder does not.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time

from host import BIN, Host, Program, until

MALLORY, ALICE, BOB = 12001, 12002, 12003
TICKS = os.sysconf("SC_CLK_TCK")


class SiegeHost(Host):
    """A host whose runtime folder every user may enter."""

    def __init__(self):
        super().__init__(tempfile.mkdtemp(prefix="onebeat-siege-"))
        os.chmod(self.folder, 0o755)

    def stop(self):
        super().stop()
        shutil.rmtree(self.folder)

    def begin(self, settings="", more=""):
        """Registry and agent, with these lines in [agent], and more sections behind."""
        conf = self.folder / "onebeatd.conf"
        conf.write_text(f"[agent]\n{settings}\n{more}\n")
        self.start_registry()
        self.start_agent(options=("-c", conf))
        return self

    def puppet_of(self, uid):
        puppet = self.puppet(opened=False)
        if uid:
            puppet.do(f"setuid {uid}")
        puppet.do("open")
        return puppet

    def attack(self, name, uid=MALLORY, **options):
        return self.keep(Attack(self, name, uid, options))

    def honest(self, service, port, updates=60, gap_ms=5, uid=ALICE):
        return self.keep(Honest(self, service, port, updates, gap_ms, uid))

    def log_size(self):
        return (self.folder / "onebeatd.log").stat().st_size


class Member(Program):
    def __init__(self, host, argv):
        env = dict(os.environ, ONEBEAT_RUNTIME_DIR=str(host.agent.runtime_dir))
        super().__init__(argv, host.folder / "members.log", env, first_line=False)

    def closing_line(self, seconds=60):
        line = self.read_line(seconds, "the closing line")
        assert self.wait(30) == 0, line
        return line


class Attack(Member):
    """tests/lib/programs/hostile.c; it has begun when this returns."""

    def __init__(self, host, name, uid, options):
        words = [f"{k}={v}" for k, v in dict(options, uid=uid).items()]
        super().__init__(host, [BIN / "tests" / "hostile", name, *words])
        line = self.read_line(20, "the attack begins")
        assert line == "ready", line

    def tally(self):
        """What a socket attack says of its connections, as a dictionary."""
        line = self.read_line(60, "the tally")
        return dict(re.findall(r'(\w+)=("[^"]*"|\d+)', line))


class Honest(Member):
    """tests/lib/programs/honest.c; it is registered when this returns."""

    def __init__(self, host, service, port, updates, gap_ms, uid):
        super().__init__(host, [BIN / "tests" / "honest", service, port, updates, gap_ms, uid])
        line = self.read_line(60, "an honest process is registered")
        assert line == "up", line

    def figures(self):
        """p50_us, p99_us and max_us from update to confirmation."""
        line = self.closing_line()
        assert line.startswith("updates="), line
        return {k: int(v) for k, v in (word.split("=") for word in line.split())}


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def n_descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))


def is_idle(pid, seconds=0.5):
    """Does the process use less than a tenth of a processor?"""
    before, start = cpu_seconds(pid), time.monotonic()
    until(lambda: time.monotonic() - start >= seconds, "the interval is over", step=0.05)
    return cpu_seconds(pid) - before < 0.1 * (time.monotonic() - start)


def as_user(uid, act):
    """What act() gives, a text, when a process of that user does it."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = "nothing"
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            said = act()
        except Exception as error:  # pylint: disable=broad-except
            said = repr(error)
        finally:  # never on with the test in the child
            os.write(write, said.encode())
            os._exit(0)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return said


def needs_root():
    """Why these stories cannot be told here; None when they can."""
    if os.geteuid() != 0:
        return "needs root to become other users"
    able = subprocess.run(["setpriv", "--reuid", str(ALICE), "--clear-groups", "true"], check=False)
    return None if able.returncode == 0 else "other uids cannot be used here"
