# SPDX-License-Identifier: Apache-2.0
"""A registry that wants a login: what is refused without a token, and what a token opens"""

import time

from case import case

secured = {"needs": lambda t: t.user}


def everything(s, token):
    """(what, reply) of each call that an owner makes, with this token."""
    i, api, wire = s.instance(), s.api, s.wire
    real, wire.token = wire.token, lambda: token
    try:
        yield "register", api.register(wire, i)
        yield "beat", api.beat(wire, i)
        yield "deregister", api.deregister(wire, i)
        yield "list", api.list(wire, i)
    finally:
        wire.token = real


@case("without a token every call is 403", **secured)
def no_token(s):
    for what, reply in everything(s, None):
        s.expect(reply.status == 403, f"{what}: status 403")


@case("with a forged token every call is 403", **secured)
def forged_token(s):
    token = s.target.token()
    for what, reply in everything(s, token[:-6] + ("AAAAAA" if token[-6:] != "AAAAAA" else "BBBBBB")):
        s.expect(reply.status == 403, f"{what}: status 403")


@case("a login is answered with accessToken and a tokenTtl above 0", **secured)
def login_answers(s):
    reply = s.target.login(s.target.user, s.target.password, s.wire)
    s.expect(reply.status == 200 and reply.json.get("accessToken"), "200 with an accessToken",
             f"{reply.status} with the keys {sorted(reply.json)}")
    s.expect(reply.json.get("tokenTtl", 0) > 0, "a tokenTtl above 0", reply.json.get("tokenTtl"))


@case("a login with a wrong password, and of an unknown user, gives no token", **secured)
def login_refused(s):
    for user, password in ((s.target.user, s.target.password + "x"), ("nobody-" + s.target.run, "x")):
        reply = s.target.login(user, password, s.wire)
        s.expect(not reply.json.get("accessToken"), "no accessToken")
        s.expect(reply.status in (200, 401, 403, 500), "status 403 or 500")


@case("a refused call changed nothing", **secured)
def refused_changed_nothing(s):
    i = s.instance()
    real, s.wire.token = s.wire.token, None
    s.register(i)
    s.wire.token = real
    s.stays(lambda: s.hosts(i) == {}, "no hosts", 1.0)


@case("a token that expired is 403, and another login helps",
      needs=lambda t: t.user and t.token_ttl_s)
def expired_token(s):
    token = s.target.login(s.target.user, s.target.password).json.get("accessToken")
    i = s.instance()
    real, s.wire.token = s.wire.token, lambda: token
    s.registered(i)
    start = time.monotonic()
    s.until(lambda: s.api.beat(s.wire, i).status == 403, "status 403", s.target.token_ttl_s + 3)
    s.expect(time.monotonic() - start > s.target.token_ttl_s * 0.5, "403 not before the token's end")
    s.wire.token = real
    s.registered(i)
    s.listed(i)
