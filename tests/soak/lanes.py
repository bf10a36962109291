# SPDX-License-Identifier: Apache-2.0
"""Who is alive and what he holds, as it follows from what was done

A lane has one process at a time (soakwriter), and the workers that it forked, which may outlive it. What an act
changes is told to the checker before the act, so that what the registry hears of it never comes as a surprise.
Acts wait for the process's answer; they hold no clock and roll no dice, so that the same acts make the same model.
"""

import os
import signal

import host as host_module
import payload
from host import boottime_ms

OTHER_PROGRAM = "/bin/sleep"
OTHER_USER = 65534


class Wrong(Exception):
    """A process answered what it should not."""


class Process(host_module.Puppet):
    def __init__(self, folder, runtime_dir, owner, lane):  # pylint: disable=super-init-not-called
        env = dict(os.environ, ONEBEAT_RUNTIME_DIR=str(runtime_dir))
        argv = [folder / "soakwriter", str(owner), str(lane)]
        if os.getuid() == 0 and lane % 4 == 3:  # another trust domain: memory, slots and numbers of its own
            argv[:0] = ["setpriv", f"--reuid={OTHER_USER}", f"--regid={OTHER_USER}", "--clear-groups"]
        host_module.Program.__init__(self, argv, folder / "writers.log", env, first_line=False,
                                     stdin=host_module.subprocess.PIPE)

    def act(self, command):
        try:
            return self.do(command, 60)
        except host_module.PuppetError as error:
            raise Wrong(f"pid {self.pid} answers '{command}' with '{error}'") from None


class Worker:
    def __init__(self, pid):
        self.pid = pid
        self.holds = True  # the lease that it inherited is one still


class Lane:
    def __init__(self, soak, number):
        self.soak = soak
        self.number = number
        self.clear()

    def clear(self):
        self.process = None
        self.owner = None     # number of the process's present program
        self.owners = []      # of all its programs
        self.stopped = False
        self.opened = False
        self.attached = False
        self.workers = []
        self.keys = {}        # K -> owner who registered it, while it must be registered
        self.unknown = set()  # K that may be registered or not
        self.n_registers = 0  # bounds the slots that it can have been granted
        self.n_leases = 0

    def key(self, k):
        return self.number * 8 + k

    def holders(self):
        return [w for w in self.workers if w.holds]

    def begin(self):
        self.owner = self.soak.next_owner()
        self.owners.append(self.owner)
        self.soak.checker.starts(self.owner, self.number, boottime_ms())

    # What comes of it.

    def all_end(self):
        for owner in self.owners:
            self.soak.checker.ends(owner, boottime_ms())

    def leave(self, ks):
        for k in ks:
            self.soak.checker.may_leave(self.key(k))
            self.keys.pop(k, None)
            self.unknown.discard(k)

    def parent_ends(self):
        """Called before the process ends: what its workers do not hold goes with it."""
        self.leave([k for k, owner in self.keys.items()
                    if k == payload.OWNER_KEY or not self.holders() or owner != self.owner])
        if not self.holders():
            self.leave(list(self.unknown))
            self.all_end()
        self.opened = self.attached = False

    def parent_ended(self):
        self.process.stop()
        self.process = None
        self.stopped = False
        if not self.workers:
            self.clear()

    # Acts: each returns what it did, for the schedule.

    def spawn(self):
        self.begin()
        self.process = Process(self.soak.folder, self.soak.runtime_dir, self.owner, self.number)
        self.open()
        return f"spawn owner {self.owner}"

    def open(self):
        self.process.act("open")
        self.opened = self.attached = True
        self.n_leases += 1
        return "open"

    def register(self, k):
        self.soak.checker.may_come(self.key(k))
        self.process.act(f"register {k}")
        self.keys[k] = self.owner
        self.n_registers += 1
        return f"register {k}"

    def deregister(self, k):
        self.leave([k])
        self.process.act(f"deregister {k}")
        return f"deregister {k}"

    def close(self):
        self.leave([k for k, owner in self.keys.items() if owner == self.owner])
        self.process.act("close")
        self.opened = self.attached = False
        return "close"

    def lose_descriptors(self):
        self.process.act("closeall")
        self.n_leases += 1
        return "closeall"

    def attend(self):
        """Whether a worker inherits a lease, or a stopped process has one, must not hang on the moment."""
        if self.opened:
            self.process.act("attend")

    def fork(self):
        self.attend()
        self.workers.append(Worker(int(self.process.act("fork"))))
        return "fork"

    def stop(self):
        self.attend()
        self.process.kill(signal.SIGSTOP)
        self.stopped = True
        return "SIGSTOP"

    def cont(self):
        self.process.kill(signal.SIGCONT)
        self.stopped = False
        if self.opened and not self.attached:
            self.attached = True
            self.n_leases += 1
        return "SIGCONT"

    def kill(self):
        self.parent_ends()
        self.process.kill()
        self.parent_ended()
        return "SIGKILL"

    def exit(self):
        self.parent_ends()
        self.process.send("exit 0")
        self.process.wait(60)
        self.parent_ended()
        return "exit"

    def kill_worker(self, i):
        worker = self.workers.pop(i)
        if self.process is None and not self.holders():
            self.leave(list(self.keys) + list(self.unknown))
            self.all_end()
        os.kill(worker.pid, signal.SIGKILL)
        if self.process is None and not self.workers:
            self.clear()
        return f"SIGKILL worker {i}"

    def exec_itself(self):
        """The same program again: nobody can tell that the process is another now, but it has a new lease."""
        before = self.owner
        self.begin()
        self.process.act(f"exec {self.soak.folder / 'soakwriter'} {self.owner} {self.number}")
        self.opened = self.attached = False
        self.open()
        return f"exec of itself, owner {before} to {self.owner}"

    def exec_other(self):
        """Another program: what was registered is an orphan after the grace."""
        self.parent_ends()
        self.process.act(f"exec {OTHER_PROGRAM} 600")
        self.soak.others.append((self.process, self.most_slots()))
        self.process = None
        self.clear()
        return "exec of another program"

    def die_young(self, ks):
        """A process that is killed somewhere on its way."""
        self.begin()
        self.process = Process(self.soak.folder, self.soak.runtime_dir, self.owner, self.number)
        for command in ["open"] + [f"register {k}" for k in ks]:
            self.process.send(command)
        for k in ks:
            self.soak.checker.may_come(self.key(k))
        self.leave(ks)
        self.all_end()
        self.process.kill()
        self.parent_ended()
        return f"spawn and SIGKILL owner, registering {ks}"

    # Agent and keeper.

    def leases_lost(self):
        """The keeper was killed: the leases are gone, and who cannot come by himself must be found by his pid."""
        for worker in self.workers:
            worker.holds = False
        self.attached = self.opened and not self.stopped
        self.n_leases += 1
        if self.process is None and self.keys:
            self.all_end()
            for k in list(self.keys):
                self.leave([k])
                self.unknown.add(k)

    # When all is quiet.

    def quiet(self):
        """{key: (owner, sequence number or None)} of what must be registered."""
        said = {}
        if self.process and not self.stopped:
            said = dict(word.split("=") for word in self.process.act("quiet").split())
        return {self.key(k): (owner, int(said[str(k)]) if str(k) in said else None)
                for k, owner in self.keys.items()}

    def storm(self):
        if self.process and not self.stopped:
            self.process.act("storm")

    def most_slots(self):
        """One for each registration, again with each lease that it had to be told to, and one ahead."""
        return self.n_registers + len(self.keys) * self.n_leases + self.n_leases

    def has_lease(self):
        return self.attached or (self.process is None and bool(self.holders()))

    def end(self):
        while self.workers:
            self.kill_worker(0)
        if self.process:
            self.kill()
        self.clear()


ERRORS = (Wrong, host_module.PuppetError, host_module.subprocess.TimeoutExpired)
