# SPDX-License-Identifier: Apache-2.0
"""A registry that says yes to everything and notes to the microsecond when each request was read"""

import selectors
import socket
import threading
import time

BEATEN = b'{"clientBeatInterval":5000,"code":10200,"lightBeatEnabled":true}'


class Wire:
    def __init__(self):
        self.requests = []  # (method, target, monotonic ns)
        self.arrived = threading.Condition()
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.ends, self.ending = socket.socketpair()
        self.selector.register(self.ending, selectors.EVENT_READ)
        self.rest = {}
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.ending:
                    return
                if key.fileobj is self.listener:
                    connection = self.listener.accept()[0]
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.rest[connection] = b""
                    self.selector.register(connection, selectors.EVENT_READ)
                else:
                    self.serve(key.fileobj)

    def serve(self, connection):
        try:
            data = connection.recv(65536)
        except ConnectionResetError:
            data = b""
        now = time.monotonic_ns()
        if not data:
            self.selector.unregister(connection)
            connection.close()
            return
        *heads, self.rest[connection] = (self.rest[connection] + data).split(b"\r\n\r\n")
        answer = b""
        for head in heads:
            method, target = head.split(b" ", 2)[:2]
            body = BEATEN if method == b"PUT" else b"ok"
            answer += b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            with self.arrived:
                self.requests.append((method.decode(), target.decode(), now))
                self.arrived.notify_all()
        connection.sendall(answer)

    def wait(self, method, text, seconds=60):
        """When the first such request was read, in monotonic ns."""
        found = []

        def there():
            found[:] = [at for m, target, at in self.requests if m == method and text in target]
            return found
        with self.arrived:
            if not self.arrived.wait_for(there, seconds):
                raise AssertionError(f"no {method} with {text} within {seconds} s")
        return found[0]

    def stop(self):
        self.ends.send(b"x")
        self.thread.join()
        for end in (*self.rest, self.listener, self.ends, self.ending):
            end.close()
