#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seed corpora of the fuzz targets that read bytes nobody would type: tests/fuzz/corpus/.

    tests/fuzz/seeds.py

Run it after a change of a format, and commit what it has written. Seeds that are text are kept as they are.
"""

import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"

NUMBERS, SERVICE, GROUP, CLUSTER, NAMESPACE, REGISTRY, IP, METADATA = range(1, 9)


def write(target, name, data):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def field(kind, value):
    return struct.pack("<HH", kind, len(value)) + value + bytes(-len(value) % 4)


def numbers(port=8080, flags=3, policy=0, beat_ms=0, progress_ms=0, weight=1.0):
    return field(NUMBERS, struct.pack("<5Id", port, flags, policy, beat_ms, progress_ms, weight))


def pairs(*items):
    return field(METADATA, b"".join(struct.pack("<HH", len(k), len(v)) + k + v for k, v in items))


def descriptors():
    return {
        "least": numbers() + field(SERVICE, b"orders"),
        "all": numbers(9090, 7, 1, 2000, 60000, 0.5) + field(SERVICE, b"com.example:orders_v2-x") +
               field(GROUP, b"payments") + field(CLUSTER, b"DC-1") + field(NAMESPACE, b"prod_eu") +
               field(REGISTRY, b"second") + field(IP, b"2001:DB8::1") +
               pairs((b"version", b"1.2"), (b"stage", "größe 😀".encode())),
        "times": numbers(beat_ms=3000) + field(SERVICE, b"a") +
                 pairs((b"preserved.heart.beat.interval", b"3000"),
                       (b"preserved.heart.beat.timeout", b"9000"),
                       (b"preserved.ip.delete.timeout", b"12000")),
        "short-times": numbers() + field(SERVICE, b"a") +
                       pairs((b"preserved.heart.beat.interval", b"900"),
                             (b"preserved.heart.beat.timeout", b"2000")),
        "ipv4": numbers() + field(SERVICE, b"a") + field(IP, b"10.0.0.1"),
        "mapped": numbers() + field(SERVICE, b"a") + field(IP, b"::ffff:10.0.0.1"),
        "later-field": numbers() + field(SERVICE, b"a") + field(0x7000, b"later"),
        "must-know": numbers() + field(SERVICE, b"a") + field(0x8009, b"later"),
        "no-service": numbers(),
        "bad-weight": numbers(weight=float("nan")) + field(SERVICE, b"a"),
        "reserved-key": numbers() + field(SERVICE, b"a") + pairs((b"customInstanceId", b"x")),
        "bad-text": numbers() + field(SERVICE, b"a b") + pairs((b"k", b"\xc0\x80")),
        "cut": (numbers() + field(SERVICE, b"orders"))[:-5],
    }


def decode():
    for name, data in descriptors().items():
        write("decode", name, data)


LARGE, CHECK, HEAD, SEEN, BITMAPS = (1 << i for i in range(5))


def image(how, version, payload, op=1):
    """As fuzz_drain.c eats it: the head, with what it is asked to put right left at 0, and the payload."""
    head = struct.pack("<6I", 0, 0, len(payload), op, 0, 0) + bytes(40)
    return bytes([how]) + struct.pack("<I", version) + head + payload


def drain():
    for name, data in descriptors().items():
        write("drain", f"small-{name}", image(CHECK | HEAD, 1, data))
    write("drain", "large", image(CHECK | HEAD | LARGE, 2, descriptors()["all"]))
    write("drain", "withdraw", image(CHECK | HEAD, 7, b"", op=2))
    write("drain", "bad-check", image(HEAD, 3, descriptors()["least"]))
    write("drain", "another-grant", image(CHECK, 4, descriptors()["least"]))
    write("drain", "seen", image(CHECK | HEAD | SEEN, 5, descriptors()["least"]))
    write("drain", "none", image(CHECK | HEAD, 0, descriptors()["least"]))
    words = struct.pack("<64I", 3, *[0] * 63) + struct.pack("<16I", 0x80000001, 0x180, *[0] * 14)
    write("drain", "dirty", bytes([BITMAPS]) + words + struct.pack("<80I", *range(80)))
    write("drain", "all-dirty", bytes([BITMAPS]) + b"\xff" * (256 + 64 + 160))


# Steps of fuzz_messages.c.
WELCOME, GRANT, REFUSED, BABBLE, END = range(5)
ATTEND, REGISTER, UPDATE, DOWN, DEREGISTER, STATUS = (0x80 | (i + 4) for i in range(6))  # 0x80 % 6 is 2
LARGE_CALL = 0x40


def call(step, weight=1):
    wanted = step - 0x84
    byte = next(b for b in range(0x80, 0xc0) if b % 6 == wanted)
    return bytes([byte, weight])


def granted(slot, generation=1, version=0, cookie=0):
    return bytes([slot, generation, version, cookie])


def welcome(first=granted(0xff) + b"\xff\xff\xff\xff", ahead=granted(0)):
    return bytes([WELCOME, 0]) + first[:1] + first[1:2] + first[4:] + first[2:4] + ahead + b"\0"


def messages():
    life = [welcome(), call(ATTEND), call(REGISTER), call(UPDATE, 3), call(STATUS), call(DOWN)]
    write("messages", "life", b"".join(life + [call(DEREGISTER)]))
    write("messages", "first-in-hello", b"".join([call(REGISTER), welcome(granted(1, version=1, cookie=1)),
                                                  call(ATTEND), call(STATUS)]))
    write("messages", "lease-ends", b"".join(life + [bytes([END]), call(ATTEND), call(STATUS)]))
    write("messages", "refused", b"".join([call(REGISTER), bytes([REFUSED, 1, 3]) + b"x" * 128,
                                           call(ATTEND), call(STATUS)]))
    write("messages", "no-message", bytes([BABBLE, 8, 0, 0]) + b"12345678" + call(ATTEND))
    write("messages", "many-files", bytes([BABBLE, 8, 0, 250]) + b"12345678" + call(ATTEND))
    large = bytes([next(b for b in range(0xc0, 0x100) if b % 6 == 2), 5])
    write("messages", "outgrows", b"".join(life + [large, bytes([GRANT]) + granted(15, 2, 0, 1),
                                                   call(ATTEND), call(STATUS)]))


# Steps of fuzz_handshake.c: a client, what it does, and what that takes.
HELLO, ASK_STEP, BABBLE_STEP, BELL, SHUT, CLOSE, PUBLISH, SCRIBBLE, KEEPER, RESTART = range(1, 11)
DESCRIPTOR = bytes([0, 3, 0, 0, 255])  # port, flags, policy, service, nothing spoilt


def step(client, what, rest=b""):
    return bytes([client, what]) + rest


def handshake():
    plain = step(0, HELLO, bytes([0, 0]))
    full = step(0, HELLO, bytes([0, 1]) + DESCRIPTOR)
    write("handshake", "hello", plain)
    write("handshake", "hello-and-close", full + step(0, CLOSE))
    write("handshake", "published", plain + step(0, PUBLISH, bytes([0, 1]) + DESCRIPTOR) + step(0, BELL) +
          step(0, PUBLISH, bytes([0, 0])))
    write("handshake", "asks", full + step(0, ASK_STEP, bytes([0, 2, 1]) + bytes([1, 3, 1, 1, 255])) +
          step(0, ASK_STEP, bytes([1, 3, 0])))
    write("handshake", "restart", full + step(0, RESTART) + step(0, BELL) + step(0, CLOSE) + step(0, RESTART))
    write("handshake", "two", full + step(1, HELLO, bytes([0, 1]) + DESCRIPTOR) + step(0, SHUT) +
          step(1, CLOSE))
    write("handshake", "keeper-refuses", step(0, KEEPER, b"\1") + full)
    rest = struct.pack("<HHIIII16sI", 1, 0, 0x01020304, 0, 0, 1, b"", 12) + bytes(12)
    write("handshake", "hello-by-bytes", step(0, BABBLE_STEP, bytes([2, 60, 1]) + bytes(8) + rest))
    write("handshake", "no-class", plain + step(0, ASK_STEP, bytes([1, 3, 0])))
    write("handshake", "garbage", step(0, BABBLE_STEP, bytes([2, 60, 1]) + bytes(60)) +
          plain + step(0, SCRIBBLE, struct.pack("<II", 0x3000, 77)))


def control():
    """The pace first, then the request: magic, version, verb, flags."""
    for verb, name in enumerate(["list", "status", "ping", "events", "leave", "stop", "unknown"], 1):
        write("control", name, b"\x0b" + struct.pack("<IHHI", 0x4f424354, 1, verb, 0))
    write("control", "slow", b"\0" + struct.pack("<IHHI", 0x4f424354, 1, 3, 0))
    write("control", "too-much", b"\xff" + struct.pack("<IHHI", 0x4f424354, 1, 1, 0) + bytes(40))
    write("control", "half", b"\xff" + struct.pack("<IH", 0x4f424354, 1))
    write("control", "later-version", b"\xff" + struct.pack("<IHHI", 0x4f424354, 2, 1, 0))
    write("control", "flags", b"\xff" + struct.pack("<IHHI", 0x4f424354, 1, 1, 1))


def main():
    control()
    handshake()
    decode()
    drain()
    messages()


if __name__ == "__main__":
    main()
