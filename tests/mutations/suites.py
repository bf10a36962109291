# SPDX-License-Identifier: Apache-2.0
"""What can be run on a mutant, and on the code as it is, by the same words

    orders                        publish.c and drain.c under C++11's memory model (orders/orders.cc)
    unit PROGRAM [SUITE/TEST]     a unit test's program, or some of its tests
    story FILE[::TEST]            an integration test, or a story of this folder

A suite is given the mutant, or None for the code as it is, and returns (passed, what it said).
"""

import os
import pathlib
import signal
import subprocess
import sys
import threading

from mutant import ROOT, Fault, run

HERE = pathlib.Path(__file__).resolve().parent
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
    """The model checker's part is compiled once; the code's two sides for each mutant."""

    sides = ("libclient/publish.c", "agent/segment/drain.c", "tests/mutations/orders/parts.c")

    def __init__(self, build):
        self.build = build
        self.folder = build.path / "mutations" / "orders"
        self.lock = threading.Lock()

    def object_of(self, file, source, out):
        self.build.compile(file, source, out, front=["-I", str(HERE / "orders")])
        return out

    def compile_once(self):
        with self.lock:
            if self.folder.exists():
                return
            self.folder.mkdir(parents=True)
            for file in self.sides:
                self.object_of(file, ROOT / file, self.folder / f"{pathlib.Path(file).stem}.o")
            # relacy is of 2019 and full of what a compiler of today warns of.
            run(["g++", "-std=gnu++17", "-O1", "-w", "-c", str(HERE / "orders" / "orders.cc"),
                 "-o", str(self.folder / "orders.o")], "orders.cc does not compile")

    def __call__(self, mutant, words):
        if words:
            raise Fault("orders takes no words")
        self.compile_once()
        program = (mutant.folder if mutant else self.folder) / "orders-program"
        objects = [self.folder / "orders.o"]
        for file in self.sides:
            out = self.folder / f"{pathlib.Path(file).stem}.o"
            if mutant and file in mutant.sources:
                out = self.object_of(file, mutant.sources[file], mutant.folder / f"orders-{out.name}")
            objects.append(out)
        run(["g++", *map(str, objects), "-o", str(program)], "orders does not link")
        return execute([program])


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
        folder = HERE if (HERE / words[0].partition("::")[0]).exists() else ROOT / "tests" / "integration"
        env = {"ONEBEAT_BUILD": str(mutant.programs() if mutant else self.build.path),
               "PYTHONDONTWRITEBYTECODE": "1"}
        return execute([sys.executable, "-m", "pytest", "-c", ROOT / "tests" / "pytest.ini", "-x", "-q",
                        folder / words[0]], env)


def all_suites(build):
    return {"orders": Orders(build), "unit": Unit(build), "story": Story(build)}
