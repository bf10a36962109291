# SPDX-License-Identifier: Apache-2.0
"""The embedded registry with auth on: logins, tokens, their end, and what does without.

Statuses and texts are those of official 1.4.8, 2.5.1 and 3.0.3 servers.
"""

import json
import re
import subprocess
import time

import pytest

from wire import ALL_MODES, MODES, NS, PROGRAM, pause, target

OPTIONS = ("--auth", "agent:s3:cret")
V3 = "/nacos/v3/client/ns/instance?serviceName=orders&ip=10.0.0.1&port=8080"
V3_LOGIN = "/nacos/v3/auth/user/login"
NO_USER = {"1.4": "unknown user!", "2": "user not found!",
           "3": "Code: 401, Message: User not found! Please check user exist or password is right!."}


def login_path(mode):
    return V3_LOGIN if mode.startswith("3") else "/nacos/v1/auth/users/login"


def login(registry, path=None, user="agent", password="s3:cret", headers=()):
    body = f"username={user}&password={password.replace(':', '%3A')}".encode()
    return registry.ask("POST", path or login_path(registry.mode), body=body, headers=headers)


def token_of(registry, **kwargs):
    return json.loads(login(registry, **kwargs).body)["accessToken"]


def bearer(token):
    return [f"Authorization: Bearer {token}"]


def write(registry):
    """A call that needs a token."""
    if registry.mode in MODES:
        return "POST", target("instance")
    return "POST", V3


def status(registry, headers=(), more=""):
    method, where = write(registry)
    return registry.ask(method, where + more, headers=headers).status


def admin(registry, verb):
    reply = registry.ask("POST", f"/registry/admin/{verb}")
    assert reply.status == 200, reply.body


@pytest.mark.parametrize("mode", ALL_MODES)
def test_a_token_opens_what_is_secured(start, mode):
    registry = start("--mode", mode, *OPTIONS)
    assert status(registry) == 403
    reply = login(registry)
    assert (reply.status, reply.headers["transfer-encoding"]) == (200, "chunked")
    said = json.loads(reply.body)
    token = said.pop("accessToken")
    assert said == {"tokenTtl": 18000, "globalAdmin": True, "username": "agent"}
    assert reply.headers["authorization"] == f"Bearer {token}"
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", token)
    assert status(registry, bearer(token)) == 200
    assert status(registry, more=f"&accessToken={token}") == 200
    # A header of that name is not looked at by 1.4, a bare token in Authorization by nobody.
    assert status(registry, [f"accessToken: {token}"]) == (403 if mode == "1.4" else 200)
    assert status(registry, [f"Authorization: {token}"]) == 403


@pytest.mark.parametrize("mode", ALL_MODES)
def test_what_needs_no_token(start, mode):
    registry = start("--mode", mode, *OPTIONS)
    if mode in MODES:
        assert registry.ask("GET", f"{NS}/operator/metrics").status == 200
    if mode in ("1.4", "2"):
        assert registry.ask("GET", "/nacos/v1/console/health/readiness").status == 200
    else:
        assert registry.ask("GET", "/nacos/v3/admin/core/state/readiness").status == 200
        assert registry.ask("GET", "/nacos/v3/admin/ns/ops/metrics").status == 403
    assert registry.ask("GET", "/").status == 200


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("token, text", [
    (None, NO_USER),
    ("abc", {"1.4": "token invalid!", "2": "token invalid!", "3": "Code: 401, Message: token invalid!."}),
    ("forged", {"1.4": "token invalid!", "2": "Invalid signature",
                "3": "Code: 401, Message: Invalid signature."}),
])
def test_how_a_refusal_sounds(start, mode, token, text):
    registry = start("--mode", mode, *OPTIONS)
    if token == "forged":
        token = token_of(registry)[:-6] + "AAAAAA"
    connection = registry.connect()
    reply = connection.ask("PUT", target("instance/beat"), headers=bearer(token) if token else ())
    assert (reply.status, reply.headers["content-type"]) == (403, "application/json")
    assert reply.headers["transfer-encoding"] == "chunked"
    page = json.loads(reply.body)
    assert page["message"] == text[mode] and page["error"] == "Forbidden"
    assert connection.ask("GET", f"{NS}/operator/metrics").status == 200, "a 403 keeps the connection"
    connection.close()


FAILED = [  # mode and path; then (status, content type, text) for a wrong password, an unknown user
    ("1.4", "/nacos/v1/auth/login", (403, "text", "unknown user!"), (403, "text", "unknown user!")),
    ("2", "/nacos/v1/auth/users/login", (403, "text", "user not found!"),
     (500, "text", "caused: User nobody not found;")),
    ("3", "/nacos/v1/auth/login",
     (500, "json", "Handle API Compatibility failed, please see log for detail."),
     (500, "json", "Handle API Compatibility failed, please see log for detail.")),
    ("3", V3_LOGIN, (500, "json", "No message available"), (403, "json", "Access Denied")),
    ("3.2", V3_LOGIN, (500, "json", "No message available"), (403, "json", "Access Denied")),
]


@pytest.mark.parametrize("mode, path, wrong, unknown", FAILED)
def test_failed_logins(start, mode, path, wrong, unknown):
    registry = start("--mode", mode, *OPTIONS)
    for who, expected in ({"password": "wrong"}, wrong), ({"user": "nobody"}, unknown):
        reply = login(registry, path, **who)
        kind = "json" if reply.headers["content-type"] == "application/json" else "text"
        text = json.loads(reply.body)["message"] if kind == "json" else reply.body
        assert (reply.status, kind, text) == expected
        assert ("content-length" in reply.headers) == (kind == "text")


def test_login_paths_that_are_not_there(start):
    for mode, path, answer in (("1.4", V3_LOGIN, 404), ("2", V3_LOGIN, 404),
                               ("3-no-v1", "/nacos/v1/auth/login", 410),
                               ("3.2", "/nacos/v1/auth/login", 404)):
        assert login(start("--mode", mode, *OPTIONS), path).status == answer


@pytest.mark.parametrize("mode", ["1.4", "2", "3"])
def test_a_token_ends_with_its_time_by_the_wall_clock(start, mode):
    # The time scale must not shorten it: a client reckons with its own clock.
    registry = start("--mode", mode, *OPTIONS, "--token-ttl", "1", "--time-scale", "20")
    begun = time.monotonic()
    said = json.loads(login(registry).body)
    assert said["tokenTtl"] == 1
    token = said["accessToken"]
    while (reply := registry.ask("PUT", target("instance/beat"), headers=bearer(token))).status == 200:
        assert time.monotonic() - begun < 10
        pause(0.02)
    assert time.monotonic() - begun >= 0.9 and "token expired!" in reply.body
    assert status(registry, bearer(token_of(registry))) == 200


@pytest.mark.parametrize("mode", ["1.4", "2", "3.2"])
def test_rotation_kills_every_token(start, mode):
    registry = start("--mode", mode, *OPTIONS)
    tokens = [token_of(registry), token_of(registry)]
    admin(registry, "rotate")
    assert [status(registry, bearer(token)) for token in tokens] == [403, 403]
    assert status(registry, bearer(token_of(registry))) == 200


def test_who_shows_his_token_gets_it_back(start):
    registry = start("--mode", "2", *OPTIONS)
    token = token_of(registry)
    again = json.loads(login(registry, headers=bearer(token)).body)
    assert again["accessToken"] == token and again["tokenTtl"] in (17998, 17999, 18000)


def test_auth_is_switched_while_it_runs(start):
    registry = start("--mode", "2")
    assert status(registry) == 200
    admin(registry, "auth?user=agent&password=new")
    assert status(registry) == 403
    token = token_of(registry, password="new")
    admin(registry, "token-ttl?seconds=60")
    assert json.loads(login(registry, password="new").body)["tokenTtl"] == 60
    assert status(registry, bearer(token)) == 200
    admin(registry, "auth?off")
    assert status(registry) == 200
    for verb, words in (("auth?user=a", "user and password"), ("token-ttl?seconds=0", '"0" is not')):
        reply = registry.ask("POST", f"/registry/admin/{verb}")
        assert reply.status == 400 and words in reply.body


def test_the_identity_of_a_server_passes_everything(start):
    registry = start("--mode", "2", *OPTIONS, "--server-identity", "X-Server:one of us")
    assert status(registry, ["X-Server: one of us"]) == 200
    assert status(registry, ["X-Server: none of us"]) == 403 and status(registry) == 403


def test_all_nodes_take_the_token_of_one(start):
    registry = start("--mode", "2", "--nodes", "3", *OPTIONS)
    token = token_of(registry)
    for port in registry.ports:
        registry.port = port
        for i in range(4):  # some are forwarded
            where = target("instance", ip=f"10.0.0.{i}")
            assert registry.ask("POST", where).status == 403
            assert registry.ask("POST", where, headers=bearer(token)).status == 200
    admin(registry, "rotate")
    for registry.port in registry.ports:
        assert status(registry, bearer(token)) == 403


def test_auth_saves_the_body_that_1_4_loses(start):
    registry = start("--mode", "1.4", *OPTIONS)
    body = b"serviceName=orders&ip=10.0.0.1&port=8080"
    assert registry.ask("POST", f"{NS}/instance", body=body,
                        headers=bearer(token_of(registry))).status == 200


def test_no_secret_stands_in_the_log(start, tmp_path):
    log = tmp_path / "log"
    registry = start("--mode", "2", *OPTIONS, "--log", str(log))
    token = token_of(registry)
    assert registry.ask("POST", "/nacos/v1/auth/login?username=agent&password=s3%3Acret").status == 200
    assert status(registry, more=f"&accessToken={token}") == 200
    assert status(registry, bearer(token)) == 200
    text = log.read_text()
    assert token not in text and "s3" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["authorization"] for line in lines] == [False, False, False, True]
    assert "password=***" in lines[1]["target"] and "accessToken=***" in lines[2]["target"]


@pytest.mark.parametrize("arguments, said", [
    (["--auth", "nobody"], "--auth: the value is not USER:PASSWORD"),
    (["--auth", ":p"], "--auth: the value is not"), (["--auth", "u:"], "--auth: the value is not"),
    (["--auth", "u:" + "p" * 128], "each of 1 to 127 bytes"),
    (["--token-ttl", "0"], '--token-ttl: "0" is not a number from 1 to'),
    (["--token-ttl", "1h"], '--token-ttl: "1h" is not'),
    (["--server-identity", "x"], "--server-identity: the value is not NAME:VALUE"),
])
def test_wrong_usage(arguments, said):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and said in done.stderr
    assert "p" * 128 not in done.stderr
