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


def main():
    decode()


if __name__ == "__main__":
    main()
