# SPDX-License-Identifier: Apache-2.0
"""The registry that is judged: how it is started, what it says it is, and what is known to be lenient in it

What a target is gets asked of it, never assumed: a server of another version behind the same address must get
the cases of its own version. Only what a URL cannot tell (the speed of its clock, the ttl of its tokens) comes
from the class.
"""

import contextlib
import pathlib
import re
import secrets
import threading
import time
import urllib.parse

from host import BIN, Program
from wire import V1, V3, Instance, Wire


class Unfit(Exception):
    """Cannot be judged at all, and why."""


class Target:
    """Any registry by URL."""

    scale = 1.0  # its time-outs run so many times faster than an official server's
    lenient = {}  # case -> why this server is known not to do what the case wants
    token_ttl_s = None  # when its tokens are known to die soon
    restarts_alone = False  # whether another one like it can be started and stopped beside it
    persistent_by_agent = True

    def __init__(self, url, user=None, name=None):
        self.url, self.name = url.rstrip("/"), name or url
        self.user, self.password = user.split(":", 1) if user else (None, None)
        self.run = "conform-" + secrets.token_hex(4)
        self.lock = threading.Lock()
        self.session = None  # (token, until when)
        self.registered = set()  # what may be left behind

    @property
    def urls(self):
        """Of all its servers."""
        return [self.url]

    def wire(self, url=None, **kwargs):
        kwargs.setdefault("token", self.token if self.user else None)
        return Wire(url or self.url, **kwargs)

    def seconds(self, server_seconds):
        """How long so many seconds of the server's clock are here."""
        return server_seconds / self.scale

    def login_paths(self):
        return ("/v3/auth/user/login", "/v1/auth/login", "/v1/auth/users/login")

    def login(self, user, password, wire=None):
        """The first answer of a path that exists."""
        wire = wire or Wire(self.url)
        for path in self.login_paths():
            reply = wire.ask("POST", path, body=urllib.parse.urlencode({"username": user, "password": password}), token=None)
            if reply.status not in (404, 410, 501):
                break
        return reply

    def token(self):
        with self.lock:
            if not self.session or time.monotonic() > self.session[1]:
                reply = self.login(self.user, self.password)
                token, ttl = reply.json.get("accessToken"), reply.json.get("tokenTtl", 0)
                if not token:
                    raise Unfit(f"the login of user {self.user} was answered {reply}")
                self.session = token, time.monotonic() + ttl * 0.5
            return self.session[0]

    def detect(self):
        """Which APIs it has and of which generation it is: self.apis, self.generation, self.param_check."""
        wire, nobody = self.wire(), Instance(service="nobody", ns=self.run)
        v1, v3 = V1.list(wire, nobody), V3.list(wire, nobody)
        self.apis = [api for api, reply in ((V1, v1), (V3, v3)) if api.hosts(reply) is not None]
        if not self.apis:
            raise Unfit(f"neither API answers a list: v1 {v1}; v3 {v3}")
        self.v1_status = v1.status
        detail = wire.ask("GET", V1.INSTANCE, V1.identity(nobody))
        if V3 in self.apis or detail.status == 410:
            self.generation = "3"
        else:
            # 2.x names the group of a list, also of a service that it does not know.
            self.generation = "2" if "groupName" in v1.json else "1.4"
        # 2.0 to 2.2 have no parameter check; a port that cannot be is let through there.
        self.param_check = self.generation != "1.4" and \
            self.apis[0].list(wire, nobody.but(ns="n" * 65)).status == 400
        wire.close()

    def describe(self):
        return (f"generation {self.generation}, {' and '.join(a.name for a in self.apis)}"
                f"{', parameter check' if self.param_check else ''}{', login' if self.user else ''}")

    def start(self):
        pass

    def stop(self):
        pass


class Embedded(Target):
    """onebeat-registry in one of its modes, with a clock five times as fast."""

    scale = 5.0
    restarts_alone = True

    def __init__(self, mode, folder, user=None, token_ttl_s=None):
        super().__init__("http://unknown", user, f"embedded {mode}{' with login' if user else ''}")
        self.mode, self.folder, self.token_ttl_s, self.program = mode, pathlib.Path(folder), token_ttl_s, None
        self.port = 0

    def start(self):
        options = ["--auth", f"{self.user}:{self.password}"] if self.user else []
        if self.token_ttl_s:
            options += ["--token-ttl", self.token_ttl_s]
        self.program = Program([BIN / "onebeat-registry", "--listen", f"127.0.0.1:{self.port}", "--mode", self.mode,
                                "--time-scale", self.scale, *options], self.folder / "registry.log")
        self.port = int(re.search(r":(\d+)/", self.program.first_line).group(1))
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self):
        if self.program:
            self.program.stop()

    @contextlib.contextmanager
    def another(self):
        """One more of its kind, on a port of its own."""
        user = f"{self.user}:{self.password}" if self.user else None
        other = Embedded(self.mode, self.folder, user, self.token_ttl_s)
        other.start()
        try:
            yield other
        finally:
            other.stop()

    def detect(self):
        super().detect()
        wanted = {"1.4": ("1.4", ["v1"]), "2": ("2", ["v1"]), "3": ("3", ["v1", "v3"]),
                  "3-no-v1": ("3", ["v3"]), "3.2": ("3", ["v3"])}[self.mode]
        if (self.generation, [a.name for a in self.apis]) != wanted:
            raise Unfit(f"mode {self.mode} is taken for {self.describe()}")
