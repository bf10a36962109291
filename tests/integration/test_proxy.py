# SPDX-License-Identifier: Apache-2.0
"""proxy = URL: everything goes through a tunnel, to servers whose names only the proxy knows."""

import contextlib
import os
import socket
import socketserver
import threading

from host import until

SPEC = {"ip": "10.0.0.1", "md.preserved.heart.beat.interval": 500}


def pour(source, sink):
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class Tunnel(socketserver.StreamRequestHandler):
    def handle(self):
        self.server.asked.append(self.rfile.readline().decode().split())
        while self.rfile.readline().strip():
            pass
        with socket.create_connection(("127.0.0.1", self.server.leads_to), timeout=10) as peer:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pour, args=(peer, self.connection), daemon=True)
            back.start()
            pour(self.connection, peer)
            back.join()


class Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, leads_to):
        super().__init__(("127.0.0.1", 0), Tunnel)
        self.leads_to, self.asked = leads_to, []
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


def test_beats_and_requests_go_through_the_tunnel(empty_host):
    registry = empty_host.start_registry()
    proxy = empty_host.keep(Proxy(registry.port))
    conf = empty_host.folder / "onebeatd.conf"
    conf.write_text(f"[registry default]\nurl = http://nacos.invalid:8848\n"
                    f"proxy = http://127.0.0.1:{proxy.server_address[1]}\n")
    # Nobody asks the environment, neither for a proxy nor for when to use none.
    environment = dict(os.environ, http_proxy="http://127.0.0.1:1", no_proxy="*")
    empty_host.start_agent(urls=[], options=["-c", conf], env=environment)
    puppet = empty_host.puppet()
    puppet.register("a", service="orders", port=8000, **SPEC)
    puppet.do("wait a UP 10000")
    until(lambda: len(registry.beats()) >= 3, "beats")
    assert {tuple(asked) for asked in proxy.asked} == {("CONNECT", "nacos.invalid:8848", "HTTP/1.1")}
    assert len(registry.registers()) == 1
