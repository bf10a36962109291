# SPDX-License-Identifier: Apache-2.0
"""A server that answers as it is told, byte by byte: what no HTTP library can be made to send

A rule says what a service's register, beat or deregister is answered with; without one it is answered as a good
server does. Requests of one connection are answered in their order. Everything is over loopback.
"""

import collections
import contextlib
import json
import socket
import struct
import subprocess
import threading
import time
import urllib.parse

import host as host_module

Asked = collections.namedtuple("Asked", "t conn call service method target body")

BEATEN = '{"clientBeatInterval":1000,"code":10200,"lightBeatEnabled":true}'


def reply(status=200, body="ok", content_type="text/plain;charset=UTF-8", close=False, headers=()):
    """A whole reply with a length, as Tomcat writes it: with an empty reason."""
    body = body if isinstance(body, bytes) else body.encode()
    lines = [f"HTTP/1.1 {status} ", f"Content-Length: {len(body)}", *headers]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    if close:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(body, *cuts, status=200, content_type="application/json"):
    """The same in chunks that end at these places."""
    body = body.encode()
    places = [0, *cuts, len(body)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (to - at, body[at:to]) for at, to in zip(places, places[1:]))
    head = f"HTTP/1.1 {status} \r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + chunks + b"0\r\n\r\n"


class Reset(Exception):
    """Raised inside an answer: the connection ends with a reset."""


class Scripted:
    """answers: (call, service) -> bytes, or a function of a socket that sends what it likes and returns False to close."""

    def __init__(self, answers=None):
        self.answers = dict(answers or {})
        self.asked = []
        self.over = threading.Event()
        self.connections = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        with contextlib.suppress(OSError):
            while True:
                conn, _ = self.listener.accept()
                self.connections.append(conn)
                threading.Thread(target=self.serve, args=(conn, len(self.connections)), daemon=True).start()

    def serve(self, conn, number):
        with contextlib.suppress(OSError), conn, conn.makefile("rb") as stream:
            while True:
                asked = self.read(stream, number)
                if not asked:
                    return
                self.asked.append(asked)
                try:
                    if not self.answer(conn, asked):
                        return
                except Reset:
                    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return

    @staticmethod
    def read(stream, number):
        line = stream.readline().decode().split(" ")
        if len(line) != 3:
            return None
        length = 0
        while (header := stream.readline().decode().strip()):
            name, _, value = header.partition(":")
            if name.lower() == "content-length":
                length = int(value)
        body = stream.read(length).decode()
        method, target = line[0], line[1]
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(target).query or body))
        beat = method == "PUT" or query.get("heartBeat") == "true"
        call = "beat" if beat else {"POST": "register", "DELETE": "deregister"}.get(method, "other")
        service = query.get("serviceName", "").rpartition("@@")[2]
        return Asked(time.monotonic(), number, call, service, method, target, body)

    def answer(self, conn, asked):
        """False: the connection is done with."""
        answer = self.answers.get((asked.call, asked.service))
        if answer is None and "/v3/" in asked.target:
            answer = reply(body='{"code":0,"message":"success","data":"ok"}', content_type="application/json")
        elif answer is None:
            answer = reply(body=BEATEN, content_type="application/json") if asked.call == "beat" else reply()
        if callable(answer):
            return answer(conn)
        conn.sendall(answer)
        return b"Connection: close" not in answer.partition(b"\r\n\r\n")[0]

    def of(self, call, service):
        return [a for a in list(self.asked) if a.call == call and a.service == service]

    def stop(self):
        self.over.set()
        # A thread that is inside accept() or recv() notices a shutdown, not a close.
        for sock in (self.listener, *self.connections):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class World:
    """An agent that speaks to one scripted server by one API, a process with instances, and a neighbour among them."""

    def __init__(self, folder, answers, api="v1"):
        folder.mkdir(exist_ok=True)
        self.server = Scripted(answers)
        self.host = host_module.Host(folder)
        conf = folder / "onebeatd.conf"
        conf.write_text(f"[registry main]\nurl = {self.server.address}\napi = {api}\n")
        self.agent = self.host.keep(host_module.Onebeatd(folder, [], options=["-c", conf]))
        self.host.agent = self.agent
        self.heard = folder / "events.jsonl"
        with open(self.heard, "wb") as heard:
            self.host.started.append(host_module.Group(subprocess.Popen(
                [host_module.BIN / "onebeatctl", "--runtime-dir", self.agent.runtime_dir, "events", "-o", "json"],
                stdout=heard, start_new_session=True)))
        self.puppet = self.host.puppet(opened=False)
        self.puppet.do("open instances=200")
        self.add("neighbour")

    def add(self, service):
        self.puppet.register(service, service=service, ip="10.0.0.1", port=8080, beat_ms=1000)

    def log(self, *words):
        """The log's lines with all these words in them."""
        return [line for line in self.agent.log.read_text().splitlines() if all(w in line for w in words)]

    def events(self, service):
        """What onebeatctl events has heard of it so far."""
        whole = self.heard.read_text().rpartition("\n")[0].splitlines()
        return [e for e in map(json.loads, whole) if f"@@{service}/" in e.get("key", "")]

    def gap(self):
        """The neighbour's longest time between two beats, the one to now among them."""
        times = [a.t for a in self.server.of("beat", "neighbour")] + [time.monotonic()]
        return max(b - a for a, b in zip(times, times[1:]))

    def stop(self):
        self.host.stop()
        self.server.stop()
