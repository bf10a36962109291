# SPDX-License-Identifier: Apache-2.0
"""What a soakwriter publishes, computed again: every value follows from key, owner and sequence number

And what a request to the registry carries of it. A request is judged as a whole: it is the version that it says
it is, or it is torn.
"""

import collections
import json
import urllib.parse

N_KEYS = 4
OWNER_KEY, LARGE_KEY = 1, 3
FIRST_PORT = 20000
MASK = 0xFFFFFFFF

# key: lane * 8 + K, which names service and port.
Version = collections.namedtuple("Version", "key owner seq")


def mix(x):
    x ^= x >> 16
    x = x * 0x7FEB352D & MASK
    x ^= x >> 15
    x = x * 0x846CA68B & MASK
    return x ^ x >> 16


def word(key, owner, seq, i):
    inner = mix(key * 0x85EBCA6B & MASK ^ mix((seq * 0xC2B2AE35 + i) & MASK))
    return mix(owner * 0x9E3779B1 & MASK ^ inner)


def expected(version):
    """The parameters of the version's registration, as text, and its metadata."""
    key, owner, seq = version
    large = key % 8 == LARGE_KEY
    n = 12 + word(key, owner, seq, 1000) % 5 if large else 1 + word(key, owner, seq, 1000) % 5
    metadata = {"o": str(owner), "s": str(seq)}
    for i in range(n):
        metadata[chr(ord("A") + i)] = f"{word(key, owner, seq, i):08x}" * (6 if large else 1 + i % 2)
    return {
        "serviceName": f"DEFAULT_GROUP@@soak.{key}", "groupName": "DEFAULT_GROUP", "clusterName": "DEFAULT",
        "namespaceId": "public", "ip": "10.0.0.1", "port": str(FIRST_PORT + key), "enabled": "true",
        "healthy": "true", "ephemeral": "true",
    }, (word(key, owner, seq, 2000) % 9999 + 1) / 100, metadata


class Torn(Exception):
    """A request that is no version of anybody, or a mixture of several."""


def parameters(target):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(target).query, keep_blank_values=True))


def key_of(parameters_):
    """Which instance a request is about; by its port, the service must agree."""
    try:
        key = int(parameters_["port"]) - FIRST_PORT
    except (KeyError, ValueError):
        raise Torn("no port") from None
    if parameters_.get("serviceName") != f"DEFAULT_GROUP@@soak.{key}":
        raise Torn(f"port {key + FIRST_PORT} of service {parameters_.get('serviceName')}")
    return key


def decode(parameters_):
    """The version that a registration is. Raises Torn when any field of it is another's."""
    key = key_of(parameters_)
    try:
        metadata = json.loads(parameters_["metadata"])
        version = Version(key, int(metadata["o"]), int(metadata["s"]))
        weight = float(parameters_["weight"])
    except (KeyError, ValueError, TypeError) as fault:
        raise Torn(f"soak.{key}: {type(fault).__name__}: {fault}") from None
    fields, want_weight, want_metadata = expected(version)
    if metadata != want_metadata:
        raise Torn(f"{version}: metadata {metadata}, not {want_metadata}")
    if abs(weight - want_weight) > 1e-9:
        raise Torn(f"{version}: weight {weight}, not {want_weight}")
    for name, value in fields.items():
        if parameters_.get(name) != value:
            raise Torn(f"{version}: {name} {parameters_.get(name)}, not {value}")
    return version
