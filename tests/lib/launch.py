# SPDX-License-Identifier: Apache-2.0
"""The process that becomes a service: fetches its descriptors from the manager (manager.py) and executes it

Of its own, and with few imports, because each start of the service waits for it.
"""

import fcntl
import os
import socket
import struct
import sys

FDS_MAX = 253


def receive(conn, n):
    data = b""
    while len(data) < n:
        data += conn.recv(n - len(data))
    return data


def launch(path, argv):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as conn:
        conn.connect(path)
        n, n_names = struct.unpack("II", receive(conn, 8))
        names = receive(conn, n_names).decode()
        fds = []
        while len(fds) < n:
            conn.sendall(b"n")
            fds += socket.recv_fds(conn, 1, FDS_MAX)[1]
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, n + 100) for fd in fds]
    os.closerange(3, n + 100)
    for i, fd in enumerate(high):
        os.dup2(fd, 3 + i, inheritable=True)
        os.close(fd)
    if n:
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(n), LISTEN_FDNAMES=names)
    os.execv(argv[0], argv)


if __name__ == "__main__":
    launch(sys.argv[1], sys.argv[2:])
