# SPDX-License-Identifier: Apache-2.0
"""What an owner of instances says to a registry, by v1 and by v3, and what it makes of the answers

Nothing here knows which server answers. Every request is remembered with its reply, so that a case that
fails can say what was sent and what came.
"""

import dataclasses
import http.client
import json
import threading
import urllib.parse

FORM = "application/x-www-form-urlencoded"


@dataclasses.dataclass(frozen=True)
class Instance:
    service: str
    ip: str = "10.9.0.1"
    port: int = 8080
    group: str = "DEFAULT_GROUP"
    cluster: str = "DEFAULT"
    ns: str = "public"
    weight: object = 1.0
    enabled: object = True
    healthy: object = True
    ephemeral: bool = True
    metadata: object = dataclasses.field(default_factory=dict)

    def but(self, **changes):
        return dataclasses.replace(self, **changes)

    @property
    def address(self):
        return self.ip, self.port


@dataclasses.dataclass
class Reply:
    status: int
    headers: dict
    body: str

    @property
    def json(self):
        """The body, or an empty object where it is none: what is missing is then named by who looks."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def __str__(self):
        return f"{self.status} {self.body[:700]!r}"


class Wire:
    """One conversation with one registry; keeps its connection while the server does."""

    def __init__(self, url, token=None, timeout=10):
        parts = urllib.parse.urlsplit(url)
        self.https = parts.scheme == "https"
        self.host, self.port = parts.hostname, parts.port or (443 if self.https else 8848)
        self.context = parts.path.rstrip("/") or "/nacos"
        self.token = token  # () -> the token to show, or None
        self.timeout = timeout
        self.connection = None
        self.exchanges = []
        self.lock = threading.Lock()

    def connect(self):
        kind = http.client.HTTPSConnection if self.https else http.client.HTTPConnection
        return kind(self.host, self.port, timeout=self.timeout)

    def ask(self, method, path, params=(), body=None, headers=None, token="own"):
        """One request. Values of None are left out; token: the one to show, None for none."""
        params = {k: text(v) for k, v in dict(params).items() if v is not None}
        target = self.context + path + ("?" + urllib.parse.urlencode(params) if params else "")
        given = {"Accept": "application/json, */*", "User-Agent": "onebeat-conformance/1", **(headers or {})}
        token = self.token() if token == "own" and self.token else token if token != "own" else None
        if token:
            given["Authorization"] = f"Bearer {token}"
        if body is not None:
            given["Content-Type"] = FORM
        sent = f"{method} {target}" + (f" body {body!r}" if body else "")
        with self.lock:
            reply = self.carry_out(method, target, body if body is not None else "", given)
            self.exchanges = [*self.exchanges[-39:], (sent, reply)]
        return reply

    def carry_out(self, method, target, body, headers):
        for last in (False, True):
            fresh = self.connection is None
            self.connection = self.connection or self.connect()
            try:
                self.connection.request(method, target, body.encode(), headers)
                got = self.connection.getresponse()
                reply = Reply(got.status, {k.lower(): v for k, v in got.getheaders()},
                              got.read().decode(errors="replace"))
                if got.will_close:
                    self.close()
                return reply
            except (http.client.HTTPException, OSError) as fault:
                self.close()
                # A kept connection may have been closed under us; a fresh one may not.
                if fresh or last:
                    return Reply(0, {}, f"no reply: {type(fault).__name__}: {fault}")
        raise AssertionError("not reached")

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


def text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


class V1:
    """Nacos v1: names grouped, everything in the query."""

    name = "v1"
    INSTANCE, BEAT = "/v1/ns/instance", "/v1/ns/instance/beat"

    @staticmethod
    def identity(i):
        return {"namespaceId": i.ns, "serviceName": f"{i.group}@@{i.service}", "clusterName": i.cluster, "ip": i.ip,
                "port": i.port}

    @classmethod
    def register(cls, wire, i, **more):
        return wire.ask("POST", cls.INSTANCE, {
            **cls.identity(i), "groupName": i.group, "weight": i.weight, "enabled": i.enabled, "healthy": i.healthy,
            "ephemeral": i.ephemeral, "metadata": i.metadata, **more})

    @classmethod
    def beat(cls, wire, i, **more):
        return wire.ask("PUT", cls.BEAT, {**cls.identity(i), **more})

    @classmethod
    def full_beat(cls, wire, i, **changes):
        beat = {"port": i.port, "ip": i.ip, "weight": i.weight, "serviceName": f"{i.group}@@{i.service}",
                "cluster": i.cluster, "metadata": i.metadata, "scheduled": False, "period": 5000, "stopped": False,
                **changes}
        return wire.ask("PUT", cls.BEAT, cls.identity(i), body="beat=" + urllib.parse.quote(json.dumps(beat)))

    @classmethod
    def deregister(cls, wire, i, **more):
        return wire.ask("DELETE", cls.INSTANCE, {**cls.identity(i), "ephemeral": i.ephemeral, **more})

    @classmethod
    def list(cls, wire, i, **more):
        return wire.ask("GET", cls.INSTANCE + "/list", {"namespaceId": i.ns,
                                                        "serviceName": f"{i.group}@@{i.service}", **more})

    @staticmethod
    def hosts(reply):
        hosts = reply.json.get("hosts")
        return hosts if reply.status == 200 and isinstance(hosts, list) else None

    @staticmethod
    def is_ok(reply):
        return reply.status == 200 and reply.body == "ok"

    OK = "200 and the body 'ok'"

    @staticmethod
    def beat_outcome(reply):
        codes = {10200: "renewed", 20404: "unknown"}
        return codes.get(reply.json.get("code"), "refused") if reply.status == 200 else "refused"

    RENEWED, UNKNOWN = "200 with code 10200", "200 with code 20404"


class V3:
    """The client API of Nacos 3: names plain, everything in a Result object."""

    name = "v3"
    INSTANCE = "/v3/client/ns/instance"

    @staticmethod
    def identity(i):
        return {"namespaceId": i.ns, "groupName": i.group, "serviceName": i.service, "clusterName": i.cluster,
                "ip": i.ip, "port": i.port}

    @classmethod
    def register(cls, wire, i, **more):
        return wire.ask("POST", cls.INSTANCE, {
            **cls.identity(i), "weight": i.weight, "enabled": i.enabled, "healthy": i.healthy,
            "ephemeral": i.ephemeral, "metadata": i.metadata, **more})

    @classmethod
    def beat(cls, wire, i, **more):
        return wire.ask("POST", cls.INSTANCE, {**cls.identity(i), "heartBeat": "true", **more})

    @classmethod
    def deregister(cls, wire, i, **more):
        return wire.ask("DELETE", cls.INSTANCE, {**cls.identity(i), "ephemeral": i.ephemeral, **more})

    @classmethod
    def list(cls, wire, i, **more):
        return wire.ask("GET", cls.INSTANCE + "/list", {"namespaceId": i.ns, "groupName": i.group,
                                                        "serviceName": i.service, "clusterName": i.cluster, **more})

    @staticmethod
    def hosts(reply):
        hosts = reply.json.get("data")
        return hosts if reply.status == 200 and reply.json.get("code") == 0 and isinstance(hosts, list) else None

    @staticmethod
    def is_ok(reply):
        return reply.status == 200 and reply.json.get("code") == 0 and reply.json.get("data") == "ok"

    OK = "200 with code 0 and data 'ok'"

    @staticmethod
    def beat_outcome(reply):
        codes = {0: "renewed", 21003: "unknown"}
        return codes.get(reply.json.get("code"), "refused") if reply.status == 200 else "refused"

    RENEWED, UNKNOWN = "200 with code 0", "200 with code 21003"
