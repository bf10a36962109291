# SPDX-License-Identifier: Apache-2.0
"""A proxy before a registry, in which one lie may be told: requests and replies pass through a function"""

import dataclasses
import http.server
import threading
import urllib.parse

from wire import Reply, Wire


@dataclasses.dataclass
class Request:
    method: str
    path: str  # without the context
    params: dict
    body: str
    headers: dict

    def but(self, **params):
        """With other parameters; None takes one away."""
        changed = {k: v for k, v in {**self.params, **params}.items() if v is not None}
        return dataclasses.replace(self, params=changed)

    @property
    def call(self):
        """What an owner would call it."""
        instance = self.path.endswith("/ns/instance")
        if self.path.endswith("/instance/beat") or (instance and self.params.get("heartBeat") == "true"):
            return "beat"
        if instance:
            return {"POST": "register", "DELETE": "deregister"}.get(self.method, "other")
        return "list" if self.path.endswith("/instance/list") else "other"


class Proxy:
    """lie(request, ask) -> Reply, where ask(request) is what the registry says; None passes all through."""

    def __init__(self, url, lie=None):
        self.url_behind, self.lie = url, lie or (lambda request, ask: ask(request))
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1  # head and body in one

            def setup(self):
                super().setup()
                self.wire = Wire(proxy.url_behind)

            def finish(self):
                self.wire.close()
                super().finish()

            def log_message(self, *_):
                pass

            def pass_on(self, request):
                auth = request.headers.get("Authorization", "")
                return self.wire.ask(request.method, request.path, request.params, request.body or None,
                                     {"User-Agent": request.headers.get("User-Agent", "")},
                                     token=auth.removeprefix("Bearer ") or None)

            def answer(self):
                parts = urllib.parse.urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                request = Request(self.command, parts.path.removeprefix("/nacos"),
                                  dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True)), body,
                                  dict(self.headers))
                reply = proxy.lie(request, self.pass_on)
                data = reply.body.encode()
                self.send_response(reply.status or 502)
                self.send_header("Content-Type", reply.headers.get("content-type", "text/plain"))
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer  # noqa: N815 (names of the base class)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


OK = Reply(200, {}, "ok")


def beat_reply(code):
    return Reply(200, {"content-type": "application/json"},
                 '{"clientBeatInterval":5000,"code":%d,"lightBeatEnabled":true}' % code)
