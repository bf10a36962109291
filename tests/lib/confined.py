# SPDX-License-Identifier: Apache-2.0
"""Executes a program under what a unit file says of system calls, address families, memory and capabilities

    python3 confined.py UNIT PROGRAM [ARGUMENT...]

The calls come from systemd's own groups (systemd-analyze syscall-filter), the filter is made by libseccomp. A call
that the unit does not allow kills the process with SIGSYS: stricter than the unit, so that nothing fails quietly.
"""

import os
import pathlib
import socket
import subprocess
import sys

if __name__ == "__main__":
    import seccomp  # Debian's python3-seccomp, so Debian's python: see enter()

PROT_WRITE, PROT_EXEC = 2, 4
FAMILIES = {"AF_UNIX": socket.AF_UNIX, "AF_INET": socket.AF_INET, "AF_INET6": socket.AF_INET6,
            "AF_NETLINK": socket.AF_NETLINK}


def values(unit, key):
    lines = (line.partition("=") for line in pathlib.Path(unit).read_text().splitlines())
    return [value.strip() for name, _, value in lines if name == key]


def members(word):
    """A group's calls, groups in it included; a call is itself."""
    if not word.startswith("@"):
        return {word}
    said = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", word], capture_output=True, text=True,
                          check=True).stdout.splitlines()
    words = [line.strip() for line in said[1:] if line.startswith("    ") and not line.strip().startswith("#")]
    return set().union(*(members(w) for w in words))


def allowed(unit):
    calls = set()
    for value in values(unit, "SystemCallFilter"):
        named = set().union(*(members(w) for w in value.lstrip("~").split()))
        calls = calls - named if value.startswith("~") else calls | named
    return calls


def without(number, bits):
    """The rules' argument condition: none of these bits is set."""
    return seccomp.Arg(number, seccomp.MASKED_EQ, bits, 0)


def confine(unit):
    filter_ = seccomp.SyscallFilter(seccomp.KILL_PROCESS)
    calls = allowed(unit)
    if values(unit, "MemoryDenyWriteExecute") == ["yes"]:
        calls -= {"pkey_mprotect", "mprotect", "mmap", "shmat"}
        filter_.add_rule(seccomp.ALLOW, "mprotect", without(2, PROT_EXEC))
        filter_.add_rule(seccomp.ALLOW, "mmap", without(2, PROT_EXEC))
        filter_.add_rule(seccomp.ALLOW, "mmap", without(2, PROT_WRITE))
    for families in values(unit, "RestrictAddressFamilies"):
        calls -= {"socket"}
        for family in families.split():
            filter_.add_rule(seccomp.ALLOW, "socket", seccomp.Arg(0, seccomp.EQ, FAMILIES[family]))
    for call in sorted(calls):
        try:
            filter_.add_rule(seccomp.ALLOW, call)
        except RuntimeError:
            pass  # another machine's call
    filter_.load()  # and no new privileges from here on


def enter(unit):
    """What a program is started with: for Program(within=...)."""
    kept = "".join(f",+{c.removeprefix('CAP_').lower()}" for v in values(unit, "CapabilityBoundingSet")
                   for c in v.split())
    return ["setpriv", f"--bounding-set=-all{kept}", "--inh-caps=-all", "/usr/bin/python3", __file__, unit]


if __name__ == "__main__":
    confine(sys.argv[1])
    os.execv(sys.argv[2], sys.argv[2:])
