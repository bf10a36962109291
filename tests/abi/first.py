# SPDX-License-Identifier: Apache-2.0
"""The first version of the protocol, 1.0, as it was: a client and an agent that speak nothing else

Every number here was taken down from the first version and stays as it is: this file includes no header and learns
nothing of later ones. What the two do is the least that a program of that version did. Both run in the test's own
process; the agent in a thread.
"""

import fcntl
import mmap
import os
import select
import socket
import struct
import threading

LEASE_MAGIC = 0x4F42454C
HELLO, ASK, GOODBYE, WELCOME, GRANT, REFUSED = 1, 2, 3, 16, 17, 18
BYTE_ORDER = 0x01020304
MAJOR, MINOR = 1, 0
SMALL, LARGE = 0, 1
NO_SLOT = 0xFFFFFFFF
LIVE, WITHDRAW = 1, 2
PENDING, REGISTERING, UP, REFUSED_STATE, GONE = 1, 3, 4, 6, 8

MESSAGE = struct.Struct("=IHH")           # magic, type, size of the whole
HELLO_REST = struct.Struct("=HHIIII16sI")  # major, minor, byte order, flags, feat, cookie, library, length
ASK_REST = struct.Struct("=III")          # class, cookie, length
GRANT_WORDS = struct.Struct("=5I")        # slot, generation, class, version, cookie
WELCOME_REST = struct.Struct("=HHI")      # major, minor, epoch; two grants follow
REFUSED_REST = struct.Struct("=II128s")   # cookie, reason, text
REASON_VERSION = 2

# DATA
L1, L0, PUB, TICK, BLOCKS = 0x0, 0x1000, 0x3000, 0x44000, 0x90000
SMALL_BLOCK, LARGE_BLOCK, BLOCK_HEAD = 512, 4096, 64
BLOCK = struct.Struct("=6I")  # seq, generation, length, encoding << 16 | op, slot, flags; then the checksum at 24

# STATUS: a page of header, then 256 bytes a slot
SEGMENT_MAGIC = b"\x89OBS\r\n\x1a\n"
HEADER = struct.Struct("=8sIHHIIII16sIIIIII")  # magic, byte order, major, minor, header size, incompat, compat,
#                                                line size, uuid, n_small, n_large, small and large offset, sizes
READY, SLEEPING, EPOCH = 0x80, 0x100, 0x180
LINES, LINE = 0x1000, 256
LINE_WORDS = struct.Struct("=8I48s128s")  # version, generation, state << 16 | code, judged, confirmed, beat_ms, ...

NUMBERS, SERVICE, IP = 1, 2, 7
NUMBERS_WORDS = struct.Struct("=5Id")  # port, flags, policy, beat_ms, progress_timeout_ms, weight
ENABLED, EPHEMERAL = 1, 2


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def field(kind, value):
    return struct.pack("=HH", kind, len(value)) + value + bytes(-len(value) % 4)


def descriptor(service, port, weight=1.0, ip="10.0.0.1"):
    numbers = NUMBERS_WORDS.pack(port, ENABLED | EPHEMERAL, 0, 0, 0, weight)
    return field(NUMBERS, numbers) + field(SERVICE, service.encode()) + field(IP, ip.encode())


def fields(payload):
    found, at = {}, 0
    while at < len(payload):
        kind, n = struct.unpack_from("=HH", payload, at)
        found[kind] = payload[at + 4:at + 4 + n]
        at += 4 + (n + 3) // 4 * 4
    return found


def message(kind, rest):
    return MESSAGE.pack(LEASE_MAGIC, kind, MESSAGE.size + len(rest)) + rest


def word(memory, at):
    return struct.unpack_from("=I", memory, at)[0]


def put_word(memory, at, value):
    struct.pack_into("=I", memory, at, value)


class Segment:
    """Where things are, from the header alone."""

    def __init__(self, data_fd, status_fd, writable):
        head = HEADER.unpack(os.pread(status_fd, HEADER.size, 0))
        assert HEADER.size == 0x48 and head[0] == SEGMENT_MAGIC and head[1] == BYTE_ORDER and head[2] == MAJOR
        assert head[4] == 0x1000 and head[5] == 0 and head[7] == LINE
        self.n_small, self.n_large, self.small_at, self.large_at, data_size, status_size = head[9:]
        assert self.small_at == BLOCKS and self.large_at % 0x10000 == 0
        assert os.fstat(data_fd).st_size == data_size and os.fstat(status_fd).st_size == status_size
        self.data = mmap.mmap(data_fd, data_size)
        self.status = mmap.mmap(status_fd, status_size, prot=mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0))
        assert word(self.status, READY) == 1

    def block(self, slot, version):
        if slot < self.n_small:
            return self.small_at + (2 * slot + version % 2) * SMALL_BLOCK
        return self.large_at + (2 * (slot - self.n_small) + version % 2) * LARGE_BLOCK

    def publish(self, slot, generation, version, op, payload=b""):
        head = BLOCK.pack(version, generation, len(payload), 1 << 16 | op, slot, 0)
        at = self.block(slot, version)
        self.data[at:at + 24] = head
        put_word(self.data, at + 24, crc32c(head + payload))
        self.data[at + BLOCK_HEAD:at + BLOCK_HEAD + len(payload)] = payload
        put_word(self.data, PUB + 4 * slot, version)
        put_word(self.data, L0 + slot // 32 * 4, word(self.data, L0 + slot // 32 * 4) | 1 << slot % 32)
        put_word(self.data, L1 + slot // 1024 * 4, word(self.data, L1 + slot // 1024 * 4) | 1 << slot // 32 % 32)

    def read(self, slot):
        """The published version: (version, generation, op, payload), checked."""
        version = word(self.data, PUB + 4 * slot)
        at = self.block(slot, version)
        head = self.data[at:at + 24]
        seq, generation, length, encoding_op, in_slot, flags = BLOCK.unpack(head)
        payload = self.data[at + BLOCK_HEAD:at + BLOCK_HEAD + length]
        assert (seq, in_slot, flags, encoding_op >> 16) == (version, slot, 0, 1)
        assert word(self.data, at + 24) == crc32c(head + payload)
        return version, generation, encoding_op & 0xFFFF, payload

    def line(self, slot):
        return LINE_WORDS.unpack_from(self.status, LINES + LINE * slot)


class FirstClient:
    """What a library of the first version did."""

    def __init__(self, runtime_dir):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(15)
        self.socket.connect(str(runtime_dir / "client.sock"))
        self.segment = None

    def hello(self, payload=b"", major=MAJOR, minor=MINOR, feat=0, byte_order=BYTE_ORDER):
        rest = HELLO_REST.pack(major, minor, byte_order, 0, feat, 7, b"1.0", len(payload))
        assert MESSAGE.size + len(rest) == 48
        self.socket.send(message(HELLO, rest + payload))

    def receive(self):
        """(type, what follows the head, files); None at the end."""
        data, fds, _, _ = socket.recv_fds(self.socket, 512, 8)
        if not data:
            return None
        magic, kind, size = MESSAGE.unpack_from(data)
        assert magic == LEASE_MAGIC and size == len(data)
        return kind, data[MESSAGE.size:], fds

    def welcomed(self):
        """The two grants of WELCOME, and the segment mapped."""
        kind, rest, fds = self.receive()
        assert kind == WELCOME and len(rest) == 48 and len(fds) == 2, (kind, rest)
        major, _, _ = WELCOME_REST.unpack_from(rest)
        assert major == MAJOR
        self.segment = Segment(*fds, writable=False)
        for fd in fds:
            os.close(fd)
        return [GRANT_WORDS.unpack_from(rest, 8 + 20 * i) for i in range(2)]

    def granted(self):
        kind, rest, _ = self.receive()
        assert kind == GRANT and len(rest) == GRANT_WORDS.size, (kind, rest)
        return GRANT_WORDS.unpack(rest)

    def refused(self):
        kind, rest, _ = self.receive()
        assert kind == REFUSED and len(rest) == REFUSED_REST.size, (kind, rest)
        _, reason, text = REFUSED_REST.unpack(rest)
        return reason, text.split(b"\0")[0].decode()

    def ask(self, size_class, payload=b""):
        self.socket.send(message(ASK, ASK_REST.pack(size_class, 9, len(payload)) + payload))

    def publish(self, slot, generation, version, op, payload=b""):
        self.segment.publish(slot, generation, version, op, payload)
        if word(self.segment.status, SLEEPING):
            self.socket.send(b"\1")

    def state(self, slot, generation):
        """(state, confirmed version), or None when the line speaks of another grant."""
        line = self.segment.line(slot)
        return (line[2] >> 16, line[4]) if line[1] == generation else None

    def goodbye(self):
        self.socket.send(message(GOODBYE, b""))

    def close(self):
        self.socket.close()


class FirstAgent:
    """What an agent of the first version did for one client: everything that it publishes is confirmed."""

    N_SMALL, N_LARGE = 56, 8  # it grants ahead freely, and takes nothing back

    def __init__(self, runtime_dir, major=MAJOR, minor=MINOR, incompat=0, compat=0, welcome_major=None,
                 stays_awake=False):
        self.welcome_major = major if welcome_major is None else welcome_major
        self.minor = minor
        self.stays_awake = stays_awake  # from the first bell on: nobody needs to ring
        self.seen = {}     # slot -> (op, fields)
        self.granted = {}  # slot -> generation
        self.hellos = []
        self.make_segment(major, minor, incompat, compat)
        runtime_dir.mkdir(exist_ok=True)
        self.path = runtime_dir / "client.sock"
        self.path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(self.path))
        self.listener.listen(8)
        self.clients = []
        self.stopping = threading.Event()
        self.fault = None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def make_segment(self, major, minor, incompat, compat):
        large_at = (BLOCKS + self.N_SMALL * 2 * SMALL_BLOCK + 0xFFFF) // 0x10000 * 0x10000
        sizes = large_at + self.N_LARGE * 2 * LARGE_BLOCK, LINES + LINE * (self.N_SMALL + self.N_LARGE)
        self.data_fd, self.status_fd = (os.memfd_create(n, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING) for n in "ds")
        for fd, size in zip((self.data_fd, self.status_fd), sizes):
            os.ftruncate(fd, size)
            seal_against_resizing(fd)
        head = HEADER.pack(SEGMENT_MAGIC, BYTE_ORDER, MAJOR, minor, 0x1000, 0, compat, LINE, os.urandom(16),
                           self.N_SMALL, self.N_LARGE, BLOCKS, large_at, *sizes)
        os.pwrite(self.status_fd, head, 0)
        os.pwrite(self.status_fd, struct.pack("=I", 1), READY)
        self.segment = Segment(self.data_fd, self.status_fd, writable=True)
        put_word(self.segment.status, SLEEPING, 1)
        # What this version's own reader would not take stands there last.
        os.pwrite(self.status_fd, struct.pack("=H", major), 12)
        os.pwrite(self.status_fd, struct.pack("=I", incompat), 20)

    def grant(self, size_class, cookie, payload=b""):
        numbers = range(self.N_SMALL) if size_class == SMALL else range(self.N_SMALL, self.N_SMALL + self.N_LARGE)
        slot = next(n for n in numbers if n not in self.granted)
        self.granted[slot] = 1
        put_word(self.segment.status, LINES + LINE * slot + 4, 1)
        if payload:
            self.segment.publish(slot, 1, 1, LIVE, payload)
            self.look(slot)
        return GRANT_WORDS.pack(slot, 1, size_class, 1 if payload else 0, cookie)

    def on_hello(self, client, rest):
        major, minor, _, _, _, cookie, library, length = HELLO_REST.unpack_from(rest)
        payload = rest[HELLO_REST.size:]
        assert len(payload) == length
        self.hellos.append((major, minor, library))
        none = GRANT_WORDS.pack(NO_SLOT, 0, 0, 0, cookie)
        size_class = SMALL if length <= SMALL_BLOCK - BLOCK_HEAD else LARGE
        first = self.grant(size_class, cookie, payload) if length else none
        answer = WELCOME_REST.pack(self.welcome_major, self.minor, 0) + first + self.grant(SMALL, 0)
        status_ro = os.open(f"/proc/self/fd/{self.status_fd}", os.O_RDONLY | os.O_CLOEXEC)
        socket.send_fds(client, [message(WELCOME, answer)], [self.data_fd, status_ro])
        os.close(status_ro)

    def on_ask(self, client, rest):
        size_class, cookie, length = ASK_REST.unpack_from(rest)
        payload = rest[ASK_REST.size:]
        assert len(payload) == length
        client.send(message(GRANT, self.grant(size_class, cookie, payload)))

    def look(self, slot):
        version, generation, op, payload = self.segment.read(slot)
        assert generation == self.granted[slot]
        if (op, payload) == self.seen.get(slot, (None, None))[:2]:
            return False
        new = slot not in self.seen
        self.seen[slot] = op, payload, fields(payload)
        line = LINES + LINE * slot
        state = UP if op == LIVE else GONE
        put_word(self.segment.status, line + 8, state << 16 | 200)
        put_word(self.segment.status, line + 12, version)
        put_word(self.segment.status, line + 16, version if op == LIVE else 0)
        put_word(self.segment.status, line + 28, 1)
        put_word(self.segment.status, line, word(self.segment.status, line) + 1)
        return new

    def drain(self, client):
        if self.stays_awake:
            put_word(self.segment.status, SLEEPING, 0)
        for slot in list(self.granted):
            if word(self.segment.data, PUB + 4 * slot) and self.look(slot) and slot < self.N_SMALL:
                client.send(message(GRANT, self.grant(SMALL, 0)))  # one ahead

    def serve(self, client):
        data = client.recv(8192)
        if not data:
            self.clients.remove(client)
            client.close()
        elif len(data) == 1:
            self.drain(client)
        else:
            magic, kind, size = MESSAGE.unpack_from(data)
            assert magic == LEASE_MAGIC and size == len(data)
            {HELLO: self.on_hello, ASK: self.on_ask, GOODBYE: lambda *_: None}[kind](client, data[MESSAGE.size:])

    def run(self):
        try:
            while not self.stopping.is_set():
                for ready in select.select([self.listener, *self.clients], [], [], 0.05)[0]:
                    if ready is self.listener:
                        self.clients.append(ready.accept()[0])
                    else:
                        self.serve(ready)
        except Exception as fault:  # the test's own thread tells it
            self.fault = fault

    def services(self):
        """What is registered now: (service, port, weight)."""
        return sorted((f[SERVICE].decode(), *(NUMBERS_WORDS.unpack(f[NUMBERS])[i] for i in (0, 5)))
                      for op, _, f in self.seen.values() if op == LIVE)

    def stop(self):
        self.stopping.set()
        self.thread.join()
        for end in (*self.clients, self.listener):
            end.close()
        if self.fault:
            raise self.fault


def seal_against_resizing(fd):
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
