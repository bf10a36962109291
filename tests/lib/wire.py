# SPDX-License-Identifier: Apache-2.0
"""The embedded registry and raw connections to it, for tests of what stands on the wire."""

import collections
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.parse

BUILD = pathlib.Path(os.environ.get("ONEBEAT_BUILD",
                                    pathlib.Path(__file__).resolve().parents[2] / "build"))
PROGRAM = str(BUILD / "bin" / "onebeat-registry")
MODES = ("1.4", "2", "3")  # that speak v1
ALL_MODES = (*MODES, "3-no-v1", "3.2")

Reply = collections.namedtuple("Reply", "status headers body")


class Connection:
    """One connection; replies are cut out of the stream by their own framing."""

    def __init__(self, port, timeout=10):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.data = b""

    def send(self, data):
        self.sock.sendall(data)

    def _more(self):
        piece = self.sock.recv(1 << 18)
        if not piece:
            raise EOFError
        self.data += piece

    def _until(self, mark):
        while mark not in self.data:
            self._more()
        head, self.data = self.data.split(mark, 1)
        return head

    def _exactly(self, n):
        while len(self.data) < n:
            self._more()
        head, self.data = self.data[:n], self.data[n:]
        return head

    def _chunks(self):
        body = b""
        while n := int(self._until(b"\r\n"), 16):
            body += self._exactly(n)
            assert self._exactly(2) == b"\r\n"
        assert self._exactly(2) == b"\r\n"
        return body

    def reply(self):
        lines = self._until(b"\r\n\r\n").decode().split("\r\n")
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
        if headers.get("transfer-encoding") == "chunked":
            body = self._chunks()
        else:
            body = self._exactly(int(headers["content-length"]))
        return Reply(int(lines[0].split()[1]), headers, body.decode())

    def cut(self, cutter):
        """One reply as cutter(bytes) cuts it: (what it makes of it, rest), None while it is not whole."""
        while (found := cutter(self.data)) is None:
            self._more()
        self.data = found[1]
        return found[0]

    def ask(self, method, target, **kwargs):
        self.send(request(method, target, **kwargs))
        return self.reply()

    def is_closed(self):
        """Waits for the end of the stream; False when the server keeps the connection open."""
        self.sock.settimeout(0.3)
        try:
            return self.sock.recv(1) == b"" and not self.data
        except socket.timeout:
            return False
        except ConnectionResetError:
            return True

    def close(self):
        self.sock.close()


def request(method, target, body=b"", headers=()):
    lines = [f"{method} {target} HTTP/1.1", "Host: registry", *headers]
    if body:
        lines.append("Content-Type: application/x-www-form-urlencoded")
    return ("\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])).encode() + body


NS = "/nacos/v1/ns"
KEY = {"serviceName": "DEFAULT_GROUP@@orders", "ip": "10.0.0.1", "port": "8080"}


def target(path, **params):
    """A target under /nacos/v1/ns for KEY with changes; a value of None leaves a parameter out."""
    pairs = {k: v for k, v in {**KEY, **params}.items() if v is not None}
    return f"{NS}/{path}?{urllib.parse.urlencode(pairs)}"


class Registry:
    def __init__(self, *options):
        self.process = subprocess.Popen([PROGRAM, "--listen", "127.0.0.1:0", *options],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.line = self.process.stdout.readline()
        match = re.fullmatch(r"onebeat-registry: listening on((?: http://127\.0\.0\.1:\d+/nacos)+) "
                             r"mode=(\S+) pid=(\d+)\n", self.line)
        assert match, self.line + self.process.stderr.read()
        self.ports = [int(port) for port in re.findall(r":(\d+)/", match[1])]
        self.port, self.mode, self.pid = self.ports[0], match[2], int(match[3])

    def connect(self, **kwargs):
        return Connection(self.port, **kwargs)

    def ask(self, method, where, **kwargs):
        connection = self.connect()
        try:
            return connection.ask(method, where, **kwargs)
        finally:
            connection.close()

    def register(self, **params):
        reply = self.ask("POST", target("instance", **params))
        assert (reply.status, reply.body) == (200, "ok")

    def beat(self, **params):
        return json.loads(self.ask("PUT", target("instance/beat", **params)).body)

    def listed(self, **params):
        where = target("instance/list", ip=None, port=None, **params)
        return json.loads(self.ask("GET", where).body)

    def hosts(self, **params):
        return {(h["ip"], h["port"]): h for h in self.listed(**params)["hosts"]}

    def stats(self):
        return json.loads(self.ask("GET", "/onebeat/stats").body)

    def wait(self, condition, timeout_s=20):
        """Asks until the condition holds; returns the seconds it took."""
        start = time.monotonic()
        while not condition():
            assert time.monotonic() - start < timeout_s, "waited in vain"
            pause(0.005)
        return time.monotonic() - start

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.communicate(timeout=20)
        return self.process.returncode


def pause(seconds):
    """The pause between two looks at something that has no event of its own."""
    time.sleep(seconds)
