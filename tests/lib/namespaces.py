# SPDX-License-Identifier: Apache-2.0
"""Namespaces for the integration tests: a first process that only waits, and how to start others beside it"""

import collections
import shlex
import subprocess

import pytest

from host import BIN, children_of

# Everything of the host that a program needs to run, read-only, and of onebeat nothing but its socket. No /proc.
CONTAINER = """
mount -t tmpfs none {root}
for d in usr bin sbin lib lib32 lib64 libx32; do
    if [ -h /$d ]; then cp -a /$d {root}/$d
    elif [ -d /$d ]; then mkdir {root}/$d; mount --bind -o ro /$d {root}/$d
    fi
done
mkdir {root}/app {root}/run {root}/host {root}/proc
mount --bind {programs} {root}/app
touch {root}/run/client.sock
mount --bind {socket} {root}/run/client.sock
ip link set lo up
hostname container
cd {root}
pivot_root . host
mount -t proc none /proc
umount -l /host
umount -l /proc
"""


# enter: the beginning of a command line; depth: how many processes stay between it and the program.
Entry = collections.namedtuple("Entry", "enter depth")


class Namespaces:
    """
    New namespaces of these kinds (pid, mount, net, uts, ipc), with /proc mounted when mount_proc. An Entry itself.
    """

    depth = 1

    def __init__(self, kinds, mount_proc=True, script=""):
        command = ["unshare", "--fork", "--kill-child", *(f"--{kind}" for kind in kinds)]
        if mount_proc:
            command.append("--mount-proc")
        self.process = subprocess.Popen([*command, "sh", "-ec", script + "echo up; exec sleep infinity"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        if self.process.stdout.readline() != "up\n":
            reason = self.process.communicate(timeout=10)[1].strip()
            if "unshare failed" in reason:
                pytest.skip(f"no namespaces to be had here: {reason}")
            raise AssertionError(reason)
        self.pid = children_of(self.process.pid)[0]
        kinds = {*kinds, "mount"} if mount_proc else kinds
        self.enter = ["nsenter", "--target", str(self.pid), *(f"--{kind}" for kind in kinds), "--"]

    def numbered(self, pid):
        """The same for a program that is to get that number there; a shell stays to reap it."""
        script = f"exec 3<&0; echo {pid - 1} >/proc/sys/kernel/ns_last_pid; \"$@\" <&3 & wait $!"
        return Entry([*self.enter, "sh", "-c", script, "sh"], depth=2)

    def stop(self):
        self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()
        self.process.stderr.close()


def container(host):
    """Namespaces of all kinds and a root of its own, into which only the agent's socket is passed."""
    root = host.folder / "root"
    root.mkdir()
    quoted = {name: shlex.quote(str(path)) for name, path in
              (("root", root), ("programs", BIN), ("socket", host.agent.runtime_dir / "client.sock"))}
    return host.keep(Namespaces(("pid", "mount", "net", "uts", "ipc"), mount_proc=False,
                                script=CONTAINER.format(**quoted)))
