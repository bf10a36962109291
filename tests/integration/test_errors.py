# SPDX-License-Identifier: Apache-2.0
"""The table of errors: what a server may answer, what the agent does then, and what it says where

    answer                         instance     asked again          says
    -----------------------------  -----------  -------------------  ------------------------------------------------
    200 that means it              up           -                    nothing
    beat: unknown (20404)          registering  registered at once   status line, event
    400, or a code of that kind
      register                     refused      after 60 s           status line, event, log "instance"
      beat, deregister             as it was    beat 1 to 2 s,       status line, log "registry.answer"
                                                else with back-off
    400 "peers disagree"           as it was    as trouble           as trouble
    401, 403, or such a code       as it was    as trouble           as trouble
    404, 410, 501, code 40000      as it was    as trouble, or by    as trouble
                                                the other API
                                                (api = auto)
    trouble: any other status;     as it was    beat 1 to 2 s,       status line, log "registry.answer" once for each
      a 200 that is no reply                    else with back-off   text
    no whole reply (cut, slow,     as it was    the same, and on     status line, log "registry.node_down"
      reset, malformed, too long)               another node first

The content type changes nothing, nor does the framing. What is said is one printable line: the JSON message (of
3.x's error pages, that of the result inside), the title of a page, or the first line; cut at 127 bytes. Each row
below is a server's answer to one instance's register, beats or deregister, while a neighbour behind the same
connections is beaten on time.
"""

import collections
import json
import urllib.parse

import pytest

from host import until
from scripted import BEATEN, World, chunked, reply
from siege import n_descriptors, resident_kib

JSON = "application/json"
GRACE_S = 14  # between two beats of a neighbour, whose period is 1 s; it is shown unhealthy after 15
GROWN_KIB = 32 * 1024
WAIT_S = 20  # for what takes two or three


def spring(status, error, message, path="/nacos/v1/ns/instance"):
    return json.dumps({"timestamp": "2026-11-23T07:50:24.067+00:00", "status": status, "error": error,
                       "message": message, "path": path})


def page(title, tail=""):
    return f"<!doctype html><html lang=\"en\"><head><title>{title}</title></head><body><h1>{title}</h1></body>{tail}</html>"


GONE = spring(410, "Gone", '{"code":40000,"message":"Current API will be deprecated, please use v3.","data":"x"}')
PEERS = "receive invalid redirect request from peer 127.0.0.1"
UNKNOWN = "the registry does not know this instance"
HUGE = 300_000  # longer than a body is read, short enough for many

# answer: bytes; state, code and text: of the status line; again: is it asked again soon?
Row = collections.namedtuple("Row", "name answer state code text again")


NO_V1 = "no API v1, the one configured, here: "


def row(name, status, body, state, text, again=True, code=None, content_type="text/plain", **kwargs):
    return Row(name, reply(status, body, content_type, **kwargs), state, code or status, text, again)


REGISTER = [
    row("ok", 200, "ok", "UP", "", again=False),
    row("ok-untyped", 200, "ok", "UP", "", again=False, content_type=None),
    row("ok-typed-json", 200, "ok", "UP", "", again=False, content_type=JSON),
    row("ok-closing", 200, "ok", "UP", "", again=False, close=True),
    row("empty", 200, "", "UP", "", again=False),
    row("result", 200, '{"code":0,"message":"success","data":"ok"}', "UP", "", again=False, content_type=JSON),
    row("400-text", 400, "Param 'Metadata' is illegal, the param length should not exceed 1024.\r\n", "REFUSED",
        "Param 'Metadata' is illegal, the param length should not exceed 1024.", again=False, content_type=None),
    row("400-text-typed-json", 400, "instance format invalid", "REFUSED", "instance format invalid", again=False,
        content_type=JSON),
    row("400-json", 400, spring(400, "Bad Request", "no"), "REFUSED", "no", again=False, content_type=JSON),
    row("400-result", 400, '{"code":21001,"message":"weight error","data":"0.0 to 10000.0"}', "REFUSED",
        "weight error: 0.0 to 10000.0", again=False, content_type=JSON),
    row("400-page", 400, page("HTTP Status 400 – Bad Request"), "REFUSED", "HTTP Status 400 – Bad Request",
        again=False, content_type="text/html"),
    row("400-empty", 400, "", "REFUSED", "HTTP 400 without a reason", again=False),
    row("200-refusing", 200, '{"code":21001,"message":"weight error","data":null}', "REFUSED", "weight error",
        again=False, code=21001, content_type=JSON),
    row("400-peers", 400, spring(400, "Bad Request", PEERS), "REGISTERING", PEERS, content_type=JSON),
    row("401", 401, "", "REGISTERING", "HTTP 401 without a reason"),
    row("403-json", 403, spring(403, "Forbidden", "token expired!"), "REGISTERING", "token expired!",
        content_type=JSON),
    row("403-page", 403, page("Blocked"), "REGISTERING", "Blocked", content_type="text/html"),
    row("200-denying", 200, '{"code":403,"message":"no right"}', "REGISTERING", "no right", code=403),
    row("404-3.2", 404, spring(404, "Not Found", "No endpoint POST /nacos/v1/ns/instance."), "REGISTERING",
        NO_V1 + "No endpoint POST /nacos/v1/ns/instance.", content_type=JSON),
    row("404-page", 404, page("Not Found"), "REGISTERING", NO_V1 + "Not Found", content_type="text/html"),
    row("410", 410, GONE, "REGISTERING", NO_V1 + "Current API will be deprecated, please use v3.", content_type=JSON),
    row("501", 501, spring(501, "Not Implemented", "no such api:POST:/x"), "REGISTERING", NO_V1 + "no such api:POST:/x",
        content_type=JSON, close=True),
    row("200-gone", 200, '{"code":40000,"message":"use v3"}', "REGISTERING", NO_V1 + "use v3", code=40000),
    row("500-text", 500, "caused: metadata format incorrect:{bad;", "REGISTERING",
        "caused: metadata format incorrect:{bad;", close=True),
    row("500-json", 500, spring(500, "Internal Server Error", "No message available"), "REGISTERING",
        "Internal Server Error", content_type=JSON, close=True),
    row("503", 503, "server is STARTINGnow, please try again later!", "REGISTERING",
        "server is STARTINGnow, please try again later!"),
    row("502-page", 502, "<html><body>nope</body></html>", "REGISTERING", "HTTP 502 without a reason",
        content_type="text/html"),
    row("405", 405, spring(405, "Method Not Allowed", "Method 'POST' is not supported."), "REGISTERING",
        "Method 'POST' is not supported.", content_type=JSON),
    row("429", 429, "slow down\nplease", "REGISTERING", "slow down"),
    row("302-not-followed", 302, "", "REGISTERING", "HTTP 302 without a reason",
        headers=("Location: /nacos/elsewhere",)),
    row("304", 304, "", "REGISTERING", "HTTP 304 without a reason"),
    row("204", 204, "", "REGISTERING", "HTTP 204 without a reason"),
    row("599", 599, "what?", "REGISTERING", "what?"),
    row("greeting", 200, page("Log in"), "REGISTERING", "not a Nacos reply: Log in", content_type="text/html"),
    row("half-an-object", 200, '{"code":403,"mess', "REGISTERING", 'not a Nacos reply: {"code":403,"mess'),
    row("code-30000", 200, '{"code":30000,"message":"server error","data":"naming"}', "REGISTERING",
        "server error: naming", code=30000, content_type=JSON),
    row("escape-sequences", 500, "a\x1b[2Jb\x07\x9bc\tx\r\n", "REGISTERING", "a[2Jbc x"),
    row("no-utf-8", 500, b"caf\xe9 \xff\xfe.", "REGISTERING", "caf? ??."),
    row("huge-page", 200, page("Welcome", "x" * HUGE), "REGISTERING", "not a Nacos reply: Welcome"),
    row("huge-line", 500, "x" * HUGE, "REGISTERING", "x" * 127),
]

BEAT = [
    row("beaten", 200, BEATEN, "UP", "", again=False, code=10200, content_type=JSON),
    row("beaten-typed-text", 200, BEATEN, "UP", "", again=False, code=10200),
    Row("beaten-in-chunks", chunked(BEATEN, 1, 2, 30), "UP", 10200, "", False),
    row("beaten-by-an-old-server", 200, "{}", "UP", "", again=False, content_type=JSON),
    row("beaten-absurd-interval", 200, '{"clientBeatInterval":99999999999,"code":10200}', "UP", "", again=False,
        code=10200),
    row("text", 200, "ok", "UP", "not a Nacos reply: ok"),
    row("nothing", 200, "", "UP", "not a Nacos reply: an empty body"),
    row("list", 200, "[]", "UP", "not a Nacos reply: []"),
    row("page", 200, page("Log in"), "UP", "not a Nacos reply: Log in"),
    row("code-text", 200, '{"code":"10200"}', "UP", "unexpected code 10200"),
    row("code-30000", 200, '{"code":30000,"message":"server error"}', "UP", "server error", code=30000),
    row("400", 400, "Param 'serviceName' is required.", "UP", "Param 'serviceName' is required.", close=True),
    row("400-peers", 400, spring(400, "Bad Request", PEERS), "UP", PEERS),
    row("403", 403, spring(403, "Forbidden", "token expired!"), "UP", "token expired!"),
    row("404", 404, spring(404, "Not Found", "No message available"), "UP", NO_V1 + "Not Found"),
    row("410", 410, GONE, "UP", NO_V1 + "Current API will be deprecated, please use v3."),
    row("500", 500, "org.apache.http.conn.HttpHostConnectException: Connection refused", "UP",
        "org.apache.http.conn.HttpHostConnectException: Connection refused", close=True),
    row("503", 503, "server is DOWNnow", "UP", "server is DOWNnow", close=True),
    row("huge", 200, '{"code":10200,"x":"' + "x" * HUGE + '"}', "UP", None),
]

DEREGISTER = [
    row("400", 400, "no", "LEAVING", "no"),
    row("403", 403, spring(403, "Forbidden", "token expired!"), "LEAVING", "token expired!"),
    row("404", 404, "", "LEAVING", NO_V1 + "HTTP 404 without a reason"),
    row("500", 500, "caused: no leader;", "LEAVING", "caused: no leader;"),
    row("page", 200, page("Log in"), "LEAVING", "not a Nacos reply: Log in"),
]

TABLE = {"register": REGISTER, "beat": BEAT, "deregister": DEREGISTER}


def service_of(call, r):
    return f"{call}-{r.name}"


@pytest.fixture(scope="module", name="table")
def one_agent_for_all_rows(tmp_path_factory):
    """All rows at once: an agent has many instances."""
    world = World(tmp_path_factory.mktemp("table"),
                  {(call, service_of(call, r)): r.answer for call, rows in TABLE.items() for r in rows})
    world.pid, world.fds, world.kib = world.agent.agent_pid(), n_descriptors(world.agent.agent_pid()), \
        resident_kib(world.agent.agent_pid())
    for call, rows in TABLE.items():
        for r in rows:
            world.add(service_of(call, r))
    for r in DEREGISTER:
        world.puppet.do(f"wait {service_of('deregister', r)} UP 20000")
        world.puppet.do(f"deregister {service_of('deregister', r)}")
    yield world
    world.stop()


def says(table, service, r):
    """Is that its status line?"""
    status = table.puppet.status(service)
    text = r.text and r.text.replace('"', "'")  # as the puppet writes it
    if status["state"] != r.state or (r.text is not None and status["text"] != text):
        return False
    return not r.again or int(status["code"]) == r.code


def shown(table, call, r):
    service = service_of(call, r)
    until(lambda: says(table, service, r), lambda: f"{r}: {table.puppet.status(service)}", seconds=WAIT_S)
    assert len(table.puppet.status(service)["text"].encode()) < 128


@pytest.mark.parametrize("r", REGISTER, ids=lambda r: r.name)
def test_answers_to_a_register(table, r):
    service = service_of("register", r)
    shown(table, "register", r)
    if r.again:
        until(lambda: len(table.server.of("register", service)) >= 2, "asked again", seconds=WAIT_S)
        assert not table.server.of("beat", service), "who is not registered is not beaten"
    elif r.state == "REFUSED":
        assert len(table.server.of("register", service)) == 1
        assert table.log("state=refused", f'service="{service}"', r.text[:20])
        until(lambda: [e["text"] for e in table.events(service) if e["event"] == "refused"] == [r.text], "the event")
    else:
        until(lambda: table.server.of("beat", service), "beaten", seconds=WAIT_S)


@pytest.mark.parametrize("r", BEAT, ids=lambda r: r.name)
def test_answers_to_a_beat(table, r):
    """An instance that is believed to be registered stays so, and is beaten on."""
    service = service_of("beat", r)
    table.puppet.do(f"wait {service} UP 20000")
    shown(table, "beat", r)
    until(lambda: len(table.server.of("beat", service)) >= 3, "beaten again", seconds=WAIT_S)
    assert len(table.server.of("register", service)) == 1


@pytest.mark.parametrize("r", DEREGISTER, ids=lambda r: r.name)
def test_answers_to_a_deregister(table, r):
    """Nobody is told "gone" who may be there: asked again, until the server's time-out would have done it."""
    service = service_of("deregister", r)
    until(lambda: len(table.server.of("deregister", service)) >= 2, "asked again", seconds=WAIT_S)
    beats = [a.t for a in table.server.of("beat", service)]
    assert not beats or beats[-1] < table.server.of("deregister", service)[0].t, "not beaten any more"


class TooLong(World):
    """The server takes heads of 8 KiB, and forms of any length; it says so as Tomcat does."""

    def __init__(self, folder, api):
        super().__init__(folder, {("register", "long"): None}, api=api)
        self.server.answers["register", "long"] = lambda conn: self.judge(conn)

    def judge(self, conn):
        long = len(self.server.asked[-1].target) > 8192
        good = '{"code":0,"message":"success","data":"ok"}' if "/v3/" in self.server.asked[-1].target else "ok"
        conn.sendall(reply(400, page("HTTP Status 400 – Bad Request"), close=True) if long else reply(200, good))
        return not long


@pytest.mark.parametrize("api, asked", [("v1", 2), ("v3", 1)])
def test_what_is_too_long_for_a_head_goes_as_a_form(tmp_path, api, asked):
    """Metadata of a thousand Chinese characters. v1 tries the query first, because some of its servers lose bodies."""
    world = TooLong(tmp_path / api, api)
    try:
        value = "订" * 1000
        world.puppet.register("long", service="long", ip="10.0.0.1", port=8080, beat_ms=1000, md__note=value)
        world.puppet.do("wait long UP 20000")
        requests = world.server.of("register", "long")
        assert len(requests) == asked
        form = dict(urllib.parse.parse_qsl(requests[-1].body))
        assert "?" not in requests[-1].target and json.loads(form["metadata"]) == {"note": value}
        world.puppet.do("update long service=long ip=10.0.0.1 port=8080 weight=2 md.note=short")
        until(lambda: len(world.server.of("register", "long")) == asked + 1, "the update", seconds=WAIT_S)
        assert "weight=2.0" in world.server.of("register", "long")[-1].target, "what is short goes by the query again"
    finally:
        world.stop()


LOGGED = [("register", "403-json"), ("register", "503"), ("register", "greeting"), ("beat", "400"), ("beat", "500"),
          ("beat", "text"), ("deregister", "400"), ("deregister", "500")]


def test_the_log_says_each_text_once_an_instance(tmp_path):
    """In a world of its own: where a hundred lines of one kind come at once, the log leaves some out."""
    rows = {(call, service_of(call, r)): r for call, all_rows in TABLE.items() for r in all_rows
            if (call, r.name) in LOGGED}
    world = World(tmp_path / "log", {})
    try:
        world.server.answers.update({key: r.answer for key, r in rows.items()})
        for call, service in rows:
            world.add(service)
        for call, service in rows:
            if call == "deregister":
                world.puppet.do(f"wait {service} UP 20000")
                world.puppet.do(f"deregister {service}")
        for (call, service), r in rows.items():
            until(lambda: len(world.server.of(call, service)) >= 3, lambda: f"{service} is asked again", seconds=WAIT_S)
            lines = world.log("registry.answer", f"code={r.code} ", f'text="{r.text}"', "tried again")
            assert len(lines) == 1, (service, lines)
    finally:
        world.stop()


def test_unknown_to_a_beat_is_registered_again(table):
    """One answer, and not for ever: then the same instance is beaten on."""
    table.add("lost")
    table.puppet.do("wait lost UP 20000")
    until(lambda: table.server.of("beat", "lost"), "beaten", seconds=WAIT_S)
    table.server.answers["beat", "lost"] = reply(body='{"clientBeatInterval":5000,"code":20404}', content_type=JSON)
    until(lambda: len(table.server.of("register", "lost")) >= 2, "registered again", seconds=WAIT_S)
    del table.server.answers["beat", "lost"]
    table.puppet.do("wait lost UP 20000")
    n = len(table.server.of("beat", "lost"))
    until(lambda: len(table.server.of("beat", "lost")) > n + 1, "beaten again", seconds=WAIT_S)
    until(lambda: table.puppet.status("lost")["text"] == "", "nothing to say")


def test_nothing_of_it_touched_the_agent_or_a_neighbour(table):
    """After all rows: the same process, as large as before, with the descriptors it had and those to the server."""
    until(lambda: len(table.server.of("beat", "neighbour")) >= 5, "the neighbour is beaten", seconds=WAIT_S)
    assert table.puppet.status("neighbour")["state"] == "UP"
    assert table.gap() < GRACE_S
    assert table.agent.agent_pid() == table.pid and table.host.status()["restarts"] == 0
    assert n_descriptors(table.pid) <= table.fds + 24
    assert resident_kib(table.pid) - table.kib < GROWN_KIB
    assert not [a for a in table.server.asked if "elsewhere" in a.target], "no redirect is followed"
