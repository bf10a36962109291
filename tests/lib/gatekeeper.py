# SPDX-License-Identifier: Apache-2.0
"""A server with users in front of a registry: it logs them in, and lets through who shows a token

It stands for what the registry behind it is not: one that checks everybody. Written by the specification alone
(nacos-http 3.4), so that agent and embedded registry cannot be wrong in the same way. It counts and can be told, while
it runs, to let all tokens die, to refuse a right, or to be silent.
"""

import http.client
import http.server
import json
import ssl
import threading
import time
import urllib.parse

V1, V3 = "/nacos/v1/auth/users/login", "/nacos/v3/auth/user/login"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *words):
        pass

    def answer(self, status, body, kind="application/json"):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_in(self, path, body):
        keeper = self.server.keeper
        if path not in keeper.login_paths:
            self.answer(404, {"status": 404, "error": "Not Found", "path": path})
            return
        form = urllib.parse.parse_qs(body.decode(), keep_blank_values=True)
        with keeper.lock:
            keeper.logins.append(time.monotonic())
            good = form == {"username": [keeper.user], "password": [keeper.password]}
            token = keeper.new_token() if good else None
        if good:
            self.answer(200, {"accessToken": token, "tokenTtl": keeper.ttl, "globalAdmin": False,
                              "username": keeper.user})
        else:
            self.answer(403, b"unknown user!", "text/plain")

    def pass_on(self, body):
        registry = http.client.HTTPConnection("127.0.0.1", self.server.keeper.registry_port, timeout=10)
        registry.request(self.command, self.path, body or None,
                         {"Content-Type": self.headers.get("Content-Type", "text/plain")})
        reply = registry.getresponse()
        self.answer(reply.status, reply.read(), reply.headers.get("Content-Type", "application/json"))
        registry.close()

    def handle_any(self):
        keeper = self.server.keeper
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.split("?")[0]
        with keeper.lock:
            keeper.seen.append((self.command, self.path, self.headers.as_string()))
        if path in (V1, V3):
            self.log_in(path, body)
            return
        with keeper.lock:
            admitted = keeper.admits(self.headers.get("Authorization", ""))
            keeper.refused += not admitted
        if admitted:
            self.pass_on(body)
        else:
            self.answer(403, {"timestamp": "now", "status": 403, "error": "Forbidden", "path": path})

    do_GET = do_POST = do_PUT = do_DELETE = handle_any


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # handshakes that fail are what some stories are about


class Gatekeeper:
    """Stops with stop(); users, tokens and rights may be changed while it runs. user None: everybody may pass."""

    def __init__(self, registry_port, user="nacos", password="nacos", ttl=18000, login_paths=(V1, V3), tls=None):
        self.lock = threading.Lock()
        self.registry_port, self.user, self.password, self.ttl = registry_port, user, password, ttl
        self.login_paths = login_paths
        self.logins, self.seen, self.refused, self.forbids = [], [], 0, False
        self.tokens, self.n_tokens = {}, 0
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.keeper = self
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.address = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def new_token(self):
        self.n_tokens += 1
        token = f"eyJ-token-{self.n_tokens}.secret"
        self.tokens[token] = time.monotonic() + self.ttl
        return token

    def admits(self, authorization):
        if self.user is None:
            return True
        until = self.tokens.get(authorization.removeprefix("Bearer "), 0)
        return authorization.startswith("Bearer ") and time.monotonic() < until and not self.forbids

    def rotate(self):
        """All tokens die, as with another key."""
        with self.lock:
            self.tokens.clear()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def server_context(pair, client_ca=None, least=ssl.TLSVersion.TLSv1_2, most=ssl.TLSVersion.TLSv1_3):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = least, most
    context.load_cert_chain(pair.cert, pair.key)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context
