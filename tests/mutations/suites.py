# SPDX-License-Identifier: Apache-2.0
"""What can be run on a mutant, and on the code as it is, by the same words

    orders                        publish.c and drain.c under C11's memory model (tests/model/orders)
    unit PROGRAM [SUITE/TEST]     a unit test's program, or some of its tests
    story FILE[::TEST]            an integration test
    soak SECONDS SEED             the kill soak (tests/soak/)

A suite is given the mutant, or None for the code as it is, and returns (passed, what it said).
"""

import os
import re
import signal
import subprocess
import sys
import threading

from mutant import ROOT, Fault

TIMEOUT_S = 150


def execute(command, env=None):
    """Runs in a process group of its own, which is ended as a whole when it takes too long."""
    process = subprocess.Popen([str(w) for w in command], text=True, errors="replace", cwd=ROOT,
                               env=dict(os.environ, **(env or {})), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        said, _ = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        return False, f"{said}\n(not ended within {TIMEOUT_S} s)"
    if process.returncode < 0:
        said += f"\n(ended by signal {-process.returncode})"
    return process.returncode == 0, said


class Orders:
    """The models' own gate takes edits, not compiled objects; what it compiles for all is kept beside them."""

    def __init__(self, build):
        self.folder = build.path / "model"
        self.lock = threading.Lock()

    def __call__(self, mutant, words):
        if words:
            raise Fault("orders takes no words")
        edits = []
        for file, old, new in mutant.mutation.edits if mutant else ():
            edits += ["--edit", file, re.escape(old), new.replace("\\", "\\\\")]
        command = [sys.executable, ROOT / "tests" / "model" / "orders", *edits]
        if (self.folder / "machine.o").exists():
            return execute([*command, self.folder / f"mutant-{mutant.mutation.name if mutant else 'none'}"])
        with self.lock:
            return execute([*command, self.folder / f"mutant-{mutant.mutation.name if mutant else 'none'}"])


class Unit:
    def __init__(self, build):
        self.build = build

    def __call__(self, mutant, words):
        target = f"bin/tests/{words[0]}"
        program = self.build.path / target
        if mutant:
            program = mutant.program(target, ("agent/", "libclient/"))
        return execute([program, "--jobs", "1", *(["--filter", words[1]] if words[1:] else [])])


class Story:
    def __init__(self, build):
        self.build = build

    def __call__(self, mutant, words):
        if len(words) != 1:
            raise Fault("story wants FILE[::TEST]")
        env = {"ONEBEAT_BUILD": str(mutant.programs() if mutant else self.build.path),
               "PYTHONDONTWRITEBYTECODE": "1"}
        return execute([sys.executable, "-m", "pytest", "-c", ROOT / "tests" / "pytest.ini", "-x", "-q",
                        ROOT / "tests" / "integration" / words[0]], env)


class Soak:
    def __init__(self, build):
        self.build = build

    def __call__(self, mutant, words):
        seconds, seed = words
        return execute([sys.executable, "-B", ROOT / "tests" / "soak" / "soak", "--seconds", seconds, "--seed", seed,
                        mutant.programs() if mutant else self.build.path])


def all_suites(build):
    return {"orders": Orders(build), "unit": Unit(build), "story": Story(build),
            "soak": Soak(build)}
