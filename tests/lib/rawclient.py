# SPDX-License-Identifier: Apache-2.0
"""A client that speaks the lease protocol byte by byte, as it is told on stdin: one answer line a command

    hello [cookie=N] [feat=N] [flags=N] [library=TEXT]   connects first if need be; does not wait for an answer
    ask CLASS [cookie=N]
    heard SECONDS      -> type=N [slot=N generation=N ...] of the next message, or none
    close              the connection, and the memory stays mapped
    pid                -> pid=N

Run by tests that want to say what libonebeat would never say, or to see what it hides: `python3 rawclient.py DIR`.
Written from lease.h alone.
"""

import array
import os
import select
import socket
import struct
import sys

MAGIC = 0x4F42454C
HELLO, ASK, GOODBYE, WELCOME, GRANT, REFUSED = 1, 2, 3, 16, 17, 18
BYTE_ORDER = 0x01020304
NO_SLOT = 0xFFFFFFFF


def grant_words(words):
    slot, generation, size_class, version, cookie = words
    return "none" if slot == NO_SLOT else f"{slot}.{generation}.{size_class}.{version}.{cookie}"


class RawClient:
    def __init__(self, folder):
        self.path = os.path.join(folder, "client.sock")
        self.socket = None
        self.files = []

    def say(self, kind, body):
        self.socket.send(struct.pack("=IHH", MAGIC, kind, 8 + len(body)) + body)

    def hello(self, cookie=0, feat=0, flags=0, library="raw"):
        if self.socket is None:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.socket.connect(self.path)
        self.say(HELLO, struct.pack("=HHIIII16sI", 1, 0, BYTE_ORDER, int(flags), int(feat), int(cookie),
                                    library.encode(), 0))
        return ""

    def ask(self, size_class, cookie=0):
        self.say(ASK, struct.pack("=III", int(size_class), int(cookie), 0))
        return ""

    def heard(self, seconds):
        if not select.select([self.socket], [], [], float(seconds))[0]:
            return "none"
        data, control, _, _ = self.socket.recvmsg(8192, socket.CMSG_SPACE(4 * 8))
        for level, kind, fds in control:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                self.files.extend(array.array("i", fds[:len(fds) // 4 * 4]))
        if not data:
            return "end"
        _, kind, size = struct.unpack_from("=IHH", data)
        if size != len(data):
            raise ValueError(f"a message of {len(data)} bytes says {size}")
        if kind == WELCOME:
            words = struct.unpack_from("=HHI10I", data, 8)
            return f"type={kind} first={grant_words(words[3:8])} ahead={grant_words(words[8:])}"
        if kind == GRANT:
            return f"type={kind} grant={grant_words(struct.unpack_from('=5I', data, 8))}"
        if kind == REFUSED:
            cookie, reason, text = struct.unpack_from("=II128s", data, 8)
            return f"type={kind} cookie={cookie} reason={reason} text={text.split(bytes(1))[0].decode()!r}"
        return f"type={kind}"

    def close(self):
        self.socket.close()
        self.socket = None
        return ""

    def pid(self):
        return f"pid={os.getpid()}"


def main():
    client = RawClient(sys.argv[1])
    for line in iter(sys.stdin.readline, ""):
        name, *words = line.split()
        options = dict(w.split("=", 1) for w in words if "=" in w)
        try:
            answer = getattr(client, name)(*[w for w in words if "=" not in w], **options)
        except (OSError, ValueError) as fault:
            answer = None
            print(f"error 1 {type(fault).__name__}: {fault}", flush=True)
        if answer is not None:
            print("ok", answer, flush=True)


if __name__ == "__main__":
    main()
