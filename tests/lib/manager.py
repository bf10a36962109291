# SPDX-License-Identifier: Apache-2.0
"""A stand-in for systemd: starts onebeatd as a service, hears its sd_notify, keeps its descriptors, bites

It keeps the manager's side of what sd_notify(3), sd_listen_fds(3) and sd_watchdog_enabled(3) describe: LISTEN_FDS
from 3 on with LISTEN_PID and LISTEN_FDNAMES, FDSTORE=1 with FDNAME and FDPOLL, FDSTOREREMOVE, BARRIER, READY,
STOPPING, STATUS, MAINPID, WATCHDOG. As with NotifyAccess=main a word counts only when it comes from the main
process, which has to be alive when it is read. Descriptors are moved, the store outlives the service, and a
watchdog that is not petted in time sends WatchdogSignal=.
"""

import array
import os
import pathlib
import signal
import socket
import struct
import sys
import threading
import time

from host import alive

CREDENTIALS = struct.Struct("iII")
FDS_MAX = 253  # in launch.py too
LAUNCHER = pathlib.Path(__file__).parent / "launch.py"


class Launch:
    """How Onebeatd is started: through launch.py, which fetches the descriptors and executes it."""

    depth = 0

    def __init__(self, path):
        self.enter = [sys.executable, "-I", "-S", LAUNCHER, path]


class Manager:
    def __init__(self, host, store=4096, watchdog_s=None, abstract=False, sockets=(), watchdog_signal=signal.SIGTERM):
        self.host = host
        self.folder = pathlib.Path(host.folder)
        self.store_max = store
        self.watchdog_s = watchdog_s
        self.watchdog_signal = watchdog_signal
        self.lock = threading.Lock()
        self.words = []    # (name, value) in the order of arrival
        self.store = []    # (name, fd)
        self.refused = 0   # descriptors that found no room
        self.petted = None
        self.bites = 0
        self.main = None
        self.stopped = False
        self.sockets = dict(sockets)  # name -> listening socket
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.notify.settimeout(0.05)
        self.address = f"\0onebeat-test-{os.getpid()}-{id(self)}" if abstract else str(self.folder / "notify")
        self.notify.bind(self.address)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        host.keep(self)

    # what the service says

    def serve(self):
        while not self.stopped:
            try:
                text, control, _, _ = self.notify.recvmsg(4096, socket.CMSG_SPACE(FDS_MAX * 4) +
                                                          socket.CMSG_SPACE(CREDENTIALS.size))
            except TimeoutError:
                self.watch()
                continue
            with self.lock:
                self.hear(text.decode(), control)
            self.watch()

    def hear(self, text, control):
        fds, sender = array.array("i"), None
        for level, kind, data in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
            elif (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                sender = CREDENTIALS.unpack(data)[0]
        words = [tuple(line.split("=", 1)) for line in text.splitlines()]
        if sender is None or sender != self.main or not alive(sender):
            words = [("IGNORED", text)]
        self.words += words
        said = dict(words)
        if said.get("WATCHDOG") == "1" or said.get("READY") == "1":
            self.petted = time.monotonic()
        if said.get("STOPPING") == "1":
            self.petted = None
        if said.get("FDSTOREREMOVE") == "1":
            self.forget(said["FDNAME"])
        if said.get("FDSTORE") == "1":
            assert said.get("FDPOLL") == "0", "a lease whose process dies would be dropped"
            fds = self.keep(said["FDNAME"], fds)
        for fd in fds:
            os.close(fd)

    def keep(self, name, fds):
        """What finds no room is returned."""
        room = max(0, self.store_max - len(self.store))
        self.store += [(name, fd) for fd in fds[:room]]
        self.refused += len(fds[room:])
        return fds[room:]

    def forget(self, name):
        for n, fd in self.store:
            if n == name:
                os.close(fd)
        self.store = [(n, fd) for n, fd in self.store if n != name]

    def heard(self, name, value=None):
        with self.lock:
            return [v for n, v in self.words if n == name and value in (None, v)]

    def stored(self):
        with self.lock:
            return [name for name, _ in self.store]

    def watch(self):
        if self.watchdog_s and self.petted and time.monotonic() - self.petted > self.watchdog_s:
            self.petted = None
            self.bites += 1
            os.kill(self.main, self.watchdog_signal)

    # the service's life

    def listen(self, name, kind, path, backlog=64):
        """As a .socket unit."""
        listener = socket.socket(socket.AF_UNIX, kind)
        pathlib.Path(path).parent.mkdir(mode=0o755, exist_ok=True)
        pathlib.Path(path).unlink(missing_ok=True)
        listener.bind(str(path))
        if backlog is not None:
            listener.listen(backlog)
        self.sockets[name] = listener

    def start(self, env=None, **kwargs):
        """A start of the service; its Onebeatd."""
        with self.lock:
            given = [(name, s.fileno()) for name, s in self.sockets.items()] + self.store
            self.words.clear()
            self.petted = None
        env = dict(env or os.environ, NOTIFY_SOCKET=self.address.replace("\0", "@"))
        if self.store_max:
            env["FDSTORE"] = str(self.store_max)
        if self.watchdog_s:
            env["WATCHDOG_USEC"] = str(int(self.watchdog_s * 1e6))
        path = self.folder / f"launch-{time.monotonic_ns()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(path))
            listener.listen(1)
            giver = threading.Thread(target=self.give, args=(listener, given))
            giver.start()
            try:
                return self.host.start_agent(within=Launch(path), env=env, **kwargs)
            finally:
                giver.join()

    def give(self, listener, given):
        conn, _ = listener.accept()
        with conn:
            self.main = CREDENTIALS.unpack(conn.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED,
                                                           CREDENTIALS.size))[0]
            names = ":".join(name for name, _ in given).encode()
            conn.sendall(struct.pack("II", len(given), len(names)) + names)
            for i in range(0, len(given), FDS_MAX):
                assert conn.recv(1) == b"n"
                socket.send_fds(conn, [b"f"], [fd for _, fd in given[i:i + FDS_MAX]])

    def restart(self, seconds=20, **kwargs):
        """systemctl restart"""
        self.host.agent.kill(signal.SIGTERM)
        assert self.host.agent.wait(seconds) == 0
        return self.start(**kwargs)

    def stop(self):
        self.stopped = True
        self.thread.join()
        self.notify.close()
        for _, fd in self.store:
            os.close(fd)
        for listener in self.sockets.values():
            listener.close()
