# SPDX-License-Identifier: Apache-2.0
"""Replies of official servers as vectors, and when a reply is like one of them.

Compared are status, framing, connection headers, content type, and the body: texts and values as
they are, but for those that no two servers share, of which the kind counts.
"""

import json
import pathlib

# Values that depend on the time, on the machine or on what else was registered.
VOLATILE = {"timestamp", "lastRefTime", "checksum", "cpu", "load", "mem", "accessToken", "tokenTtl",
            "serviceCount", "instanceCount", "responsibleServiceCount", "responsibleInstanceCount",
            "count", "doms"}
# Where these stand, a Java library is speaking: what follows is its own wording.
JAVA = ("[com.alibaba.nacos.naming.healthcheck.RsInfo] failed", "Validation failed for argument [0]")


class Differs(Exception):
    """A reply is not like the vector."""


def chunks(rest):
    """Returns the body and what is behind it; None while it is not whole."""
    body = b""
    while b"\r\n" in rest:
        size, _, rest = rest.partition(b"\r\n")
        n = int(size, 16)
        if len(rest) < n + 2:
            break
        body, rest = body + rest[:n], rest[n + 2:]
        if n == 0:
            return body, rest
    return None


def cut(raw):
    """Takes the first reply off the bytes: what a vector keeps of it, and the rest; None while it is
    not whole."""
    head, end, rest = raw.partition(b"\r\n\r\n")
    if not end:
        return None
    lines = head.decode().split("\r\n")
    headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
    reply = {"status": int(lines[0].split()[1]), "type": headers.get("content-type"),
             "framing": "none", "connection": headers.get("connection", "").lower() or None}
    for name in ("keep-alive", "allow"):
        if name in headers:
            reply[name] = headers[name]
    if "authorization" in headers:
        reply["authorization"] = headers["authorization"].split()[0]
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        reply["framing"] = "chunked"
        whole = chunks(rest)
        if whole is None:
            return None
        body, rest = whole
    elif "content-length" in headers:
        reply["framing"] = "length"
        n = int(headers["content-length"])
        if len(rest) < n:
            return None
        body, rest = rest[:n], rest[n:]
    return {**reply, "body": body.decode("utf-8")}, rest


def compare_text(expected, got, where):
    for java in JAVA:
        if java in expected:
            expected, got = (text.partition(java)[1] for text in (expected, got))
    if expected != got:
        raise Differs(f"{where}: expected {expected!r}, got {got!r}")


def compare(expected, got, where="body", volatile=False):
    """Raises Differs where a value is not like the expected one."""
    kinds = [float if isinstance(v, (int, float)) and not isinstance(v, bool) else type(v)
             for v in (expected, got)]
    if kinds[0] is not kinds[1]:
        raise Differs(f"{where}: expected {expected!r}, got {got!r}")
    if isinstance(expected, dict):
        if set(expected) != set(got):
            raise Differs(f"{where}: expected the fields {sorted(expected)}, got {sorted(got)}")
        for key, value in expected.items():
            compare(value, got[key], f"{where}.{key}", volatile or key in VOLATILE)
    elif volatile:
        return
    elif isinstance(expected, list):
        if len(expected) != len(got):
            raise Differs(f"{where}: expected {len(expected)} items, got {got!r}")
        for i, (a, b) in enumerate(zip(expected, got)):
            compare(a, b, f"{where}[{i}]")
    elif isinstance(expected, str):
        compare_text(expected, got, where)
    elif expected != got:
        raise Differs(f"{where}: expected {expected!r}, got {got!r}")


def compare_reply(expected, got):
    """The same for a reply as cut() returns it."""
    for name in sorted((set(expected) | set(got)) - {"body"}):
        if expected.get(name) != got.get(name):
            raise Differs(f"{name}: expected {expected.get(name)!r}, got {got.get(name)!r}; "
                          f"body {got['body']!r}")
    if expected["body"] == "<html>":
        compare_text("<!doctype html>", got["body"][:15], "body")
    elif isinstance(expected["body"], str):
        compare_text(expected["body"], got["body"], "body")
    else:
        try:
            body = json.loads(got["body"])
        except ValueError:
            raise Differs(f"body: expected JSON, got {got['body']!r}") from None
        compare(expected["body"], body)


def load(name):
    """The vectors of a file beside tests/lib."""
    path = pathlib.Path(__file__).resolve().parents[1] / "record" / name
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if not line.startswith("#")]
