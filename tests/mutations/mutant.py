# SPDX-License-Identifier: Apache-2.0
"""One way to make the code wrong: read from its file, applied to copies, compiled, linked

A mutation is a text file:

    why: what is left out, and what that would cost
    file: libclient/publish.c
    --- replace
    lines that are in that file exactly once
    --- by
    other lines
    ---
    suite: orders
    expect: regular expression that the suite must say when it fails

file and its blocks, and suite with its expect, may come several times; every suite must notice. The lines must
match to the byte: a mutation that the code has moved away from is a failure, not a pass.

Only the changed files are compiled, with the build's own command, and put before the build's archives when a
program is linked again, so that they are taken in the place of the originals.
"""

import json
import os
import pathlib
import shlex
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Fault(Exception):
    """The mutation itself is no good."""


class Mutation:
    def __init__(self, path):
        self.name = pathlib.Path(path).stem
        self.why = ""
        self.edits = []   # (file, old, new)
        self.suites = []  # [suite, expect]
        self.read(pathlib.Path(path).read_text())

    def read(self, text):
        file, block, blocks = None, None, {}
        for line in text.splitlines():
            if line.startswith("---"):
                block = self.next_block(file, block, blocks, line)
            elif block:
                blocks[block] += line + "\n"
            elif line.strip() and not line.startswith("#"):
                key, _, value = line.partition(": ")
                if key == "why":
                    self.why = value
                elif key == "file":
                    file = value
                elif key == "suite":
                    self.suites.append([value, None])
                elif key == "expect" and self.suites:
                    self.suites[-1][1] = value
                else:
                    raise Fault(f"what is '{line}'?")
        if not (self.why and self.edits and self.suites and all(e for _, e in self.suites)) or block:
            raise Fault("a mutation needs why, file, a replace and a by, suite and expect")

    def next_block(self, file, block, blocks, line):
        follows = {None: "replace", "replace": "by", "by": None}[block]
        if file is None or line != f"--- {follows}".removesuffix(" None"):
            raise Fault(f"'{line}' is not what follows here")
        if follows:
            blocks[follows] = ""
        else:
            self.edits.append((file, blocks["replace"], blocks["by"]))
        return follows

    def sources(self):
        """{file: its text made wrong}."""
        texts = {}
        for file, old, new in self.edits:
            text = texts.get(file) or (ROOT / file).read_text()
            n = text.count(old)
            if n != 1:
                raise Fault(f"{file} has these lines {n} times, not once:\n{old}")
            texts[file] = text.replace(old, new)
            if texts[file] == text:
                raise Fault(f"{file} stays as it was")
        return texts


class Build:
    """What CMake's build directory knows of compiling and linking."""

    def __init__(self, path):
        self.path = pathlib.Path(path).resolve()
        entries = json.loads((self.path / "compile_commands.json").read_text())
        self.commands = {}
        for entry in entries:
            self.commands.setdefault(os.path.relpath(entry["file"], ROOT), shlex.split(entry["command"]))
        self.links = {}

    def compile(self, file, source, out):
        """Compiles source as if it were file."""
        if file not in self.commands:
            raise Fault(f"{file} is not compiled by this build")
        words = self.commands[file]
        cut = words.index("-o")
        # Warnings are not what a mutation is judged by.
        command = [*words[:cut], "-I", str((ROOT / file).parent), "-w",
                   "-o", str(out), "-c", str(source)]
        run(command, f"{file} does not compile")

    def link_command(self, target):
        if target not in self.links:
            done = subprocess.run(["ninja", "-C", str(self.path), "-t", "commands", target], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            lines = [l for l in done.stdout.splitlines() if f"-o {target} " in l]
            if len(lines) != 1:
                raise Fault(f"no command links {target}:\n{done.stdout[-500:]}")
            self.links[target] = shlex.split(lines[0])[2:-2]  # between ": &&" and "&& :"
        return self.links[target]

    def link(self, target, objects, out):
        words = list(self.link_command(target))
        at = words.index("-o")
        words[at:at + 2] = [*map(str, objects), "-o", str(out)]
        run(words, f"{target} does not link", cwd=self.path)


def run(command, what, cwd=None):
    done = subprocess.run(command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    if done.returncode != 0:
        raise Fault(f"{what}: {shlex.join(command)}\n{done.stdout}")


class Mutant:
    """A mutation compiled: a directory like the build's, in which some programs are other ones."""

    def __init__(self, build, mutation, folder):
        self.build = build
        self.mutation = mutation
        self.folder = pathlib.Path(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "bin" / "tests").mkdir(parents=True)
        self.sources = {}  # file -> where its wrong text is
        self.objects = {}
        for file, text in mutation.sources().items():
            self.sources[file] = self.folder / file.replace("/", "-")
            self.sources[file].write_text(text)

    def object_of(self, file):
        if file not in self.objects:
            self.objects[file] = self.sources[file].with_suffix(".o")
            self.build.compile(file, self.sources[file], self.objects[file])
        return self.objects[file]

    def program(self, target, rooms):
        """bin/...: linked with the wrong objects of these rooms, or the build's own when there are none."""
        objects = [self.object_of(f) for f in self.sources if f.startswith(rooms)]
        out = self.folder / target
        if out.is_symlink() or not out.exists():
            out.unlink(missing_ok=True)
            if objects:
                self.build.link(target, objects, out)
            else:
                out.symlink_to(self.build.path / target)
        return out

    def programs(self):
        """All programs that a story may start."""
        for folder in ("bin", "bin/tests"):
            for path in (self.build.path / folder).iterdir():
                out = self.folder / folder / path.name
                if path.is_file() and not out.exists():
                    out.symlink_to(path)
        self.program("bin/onebeatd", ("agent/",))
        for path in sorted((ROOT / "tests" / "lib" / "programs").glob("*.c")):
            self.program(f"bin/tests/{path.stem}", ("libclient/",))
        return self.folder
