# SPDX-License-Identifier: Apache-2.0
"""What an application with the official Go client discovers of what onebeat registered (witness/main.go)"""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from by_agent import AgentHost, soon, with_interval
from case import Mismatch, Story
from host import Program
from suite import say
from target import Unfit

SOURCE = pathlib.Path(__file__).resolve().parent / "witness"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "onebeat" / "witness"
BUILD_S = 100
PREFIX = "witness: "  # the client prints lines of its own between ours
STEPS = ("registered", "updated", "set DOWN", "set UP", "removed behind the agent's back", "deregistered")


class Missing(Exception):
    """Why there is no witness here."""


def built():
    """The program, built where it is not in the cache; modules are pinned by go.sum and kept outside the tree."""
    names = ("go.mod", "go.sum", "main.go")
    digest = hashlib.sha256(b"".join((SOURCE / name).read_bytes() for name in names)).hexdigest()[:16]
    program = CACHE / f"witness-{digest}"
    if program.exists():
        return program
    go = shutil.which("go")
    if not go:
        raise Missing("there is no go here to build nacos-sdk-go with")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        fresh = pathlib.Path(folder, "witness")
        # -modcacherw: so that whoever empties the cache can.
        env = dict(os.environ, GOMODCACHE=str(CACHE / "modules"), GOFLAGS="-mod=readonly -modcacherw -buildvcs=false")
        try:
            done = subprocess.run([go, "build", "-o", fresh, "."], cwd=SOURCE, env=env, capture_output=True, text=True,
                                  timeout=BUILD_S)
        except subprocess.TimeoutExpired as late:
            raise Missing(f"nacos-sdk-go was not built within {BUILD_S} s; what was built is kept for next time") from late
        if done.returncode != 0:
            raise Missing(f"nacos-sdk-go cannot be built: {' '.join(done.stderr.split())[-300:]}")
        fresh.rename(program)
    return program


class Witness(Program):
    def __init__(self, program, target, folder):
        login = [target.user, target.password] if target.user else []
        super().__init__([program, target.url, target.run, folder, *login], pathlib.Path(folder) / "witness.log",
                         first_line=False, stdin=subprocess.PIPE)

    def discovers(self, i):
        """By (ip, port)."""
        self.process.stdin.write(f"{i.group} {i.service}\n".encode())
        self.process.stdin.flush()
        while not (line := self.read_line(15, "the witness answers")).startswith(PREFIX):
            pass
        said = json.loads(line.removeprefix(PREFIX))
        return said if "error" in said else {(h["ip"], h["port"]): h for h in said}


def steps(s, host, witness, passed):
    """Calls passed(step) when the witness saw it."""
    i = s.instance(group="G1", cluster="C-1", weight=2.5, metadata={"zone": "ä"})
    seen = [None]

    def sees(step, **fields):
        s.did = f"{step}: {s.did}"

        def look():
            seen[0] = witness.discovers(i)
            there = seen[0].get(i.address)
            return there is None if not fields else there and all(there.get(k) == v for k, v in fields.items())
        try:
            s.until(look, f"the Go client discovers {fields or 'nobody'}", soon(s))
        except Mismatch as fault:
            raise Mismatch(s.did, f"the Go client discovers {fields or 'nobody'}", seen[0]) from fault
        passed(step)
    puppet = host.puppet()
    host.up(puppet, i)
    sees(STEPS[0], weight=2.5, healthy=True, enabled=True, clusterName="C-1", metadata=with_interval({"zone": "ä"}))
    for step, command, fields in (
            (STEPS[1], "update a weight=7.25 md.zone=b", {"weight": 7.25, "metadata": with_interval({"zone": "b"})}),
            (STEPS[2], "set a DOWN", {}), (STEPS[3], "set a UP", {"weight": 7.25, "enabled": True})):
        s.did = f"the process is told: {command}"
        puppet.do(command)
        sees(step, **fields)
    s.did = "a DELETE that is not the agent's"
    s.deregistered(i)
    sees(STEPS[4], weight=7.25, healthy=True)
    s.did = "the process is told: deregister a"
    puppet.do("deregister a")
    sees(STEPS[5])


def judge(target, folder, program):
    """Returns how many steps the witness did not see; without a program, why, as a skip of each."""
    name = "conformance, {}: the official Go client sees what is {}".format
    if isinstance(program, Missing):
        for step in STEPS:
            say(name(target.name, step), skipped=str(program))
        return 0
    waiting, witness, host, story = list(STEPS), None, None, None
    try:
        target.start()
        target.detect()
        story = Story(target, target.apis[0])
        host = AgentHost(folder, story)
        witness = Witness(program, target, folder)
        steps(story, host, witness, lambda step: (say(name(target.name, step)), waiting.remove(step)))
    except (Mismatch, Unfit, AssertionError, OSError) as fault:
        for step in waiting:
            say(name(target.name, step), str(fault))
    finally:
        if host:
            host.stop()
        if story:
            story.clean_up()
        if witness:
            witness.stop()
        target.stop()
    return len(waiting)


def judge_all(targets, folder):
    """One after the other: what takes long is to build it."""
    try:
        program = built()
    except Missing as why:
        program = why
    failures = 0
    for number, target in enumerate(targets):
        place = pathlib.Path(folder, f"witness-{number}")
        place.mkdir()
        failures += judge(target, place, program)
    return failures
