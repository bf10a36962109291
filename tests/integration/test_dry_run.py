# SPDX-License-Identifier: Apache-2.0
"""onebeatd --dry-run SPEC: the requests that an instance would cause, and none is sent."""

import re
import subprocess
import urllib.parse

import pytest

from host import BIN, until


def dry_run(host, text, spec):
    conf = host.folder / "dry.conf"
    conf.write_text(text)
    return subprocess.run([BIN / "onebeatd", "-c", conf, "--runtime-dir", host.folder / "dry", "--dry-run", spec],
                          capture_output=True, text=True, timeout=10)


def requests(done):
    """(what, method, URL) of each."""
    assert done.returncode == 0, done.stderr
    return re.findall(r"^# (register|beat|deregister)\n(\w+) (\S+)$", done.stdout, re.M)


@pytest.mark.parametrize("api, mode", [("v1", "2"), ("v3", "3-no-v1")])
def test_what_is_shown_is_what_is_sent(empty_host, api, mode):
    registry = empty_host.start_registry(mode=mode)
    text = f"[registry a]\nurl = {registry.address}\napi = {api}\nnamespace = team\n"
    shown = requests(dry_run(empty_host, text, "service=orders,ip=10.0.0.1,port=8080,weight=2,group=G,"
                                               "metadata.zone=a,metadata.preserved.heart.beat.interval=1000,metadata.list=x\\,y"))
    assert registry.requests() == []
    (empty_host.folder / "run.conf").write_text(text)
    empty_host.start_agent(urls=[], options=["-c", empty_host.folder / "run.conf"])
    puppet = empty_host.puppet()
    puppet.do("register a service=orders ip=10.0.0.1 port=8080 weight=2 group=G md.zone=a md.preserved.heart.beat.interval=1000 md.list=x,y")
    puppet.do("wait a UP 10000")
    until(lambda: len(registry.requests()) >= 2, "beaten", seconds=15)
    puppet.do("deregister a")
    until(lambda: registry.deregisters(), "withdrawn")
    sent = registry.requests()
    assert [(r.method, registry.address + r.target) for r in (sent[0], sent[1], sent[-1])] == \
        [(method, url) for _, method, url in shown]


def test_both_apis_where_the_server_decides(empty_host):
    shown = requests(dry_run(empty_host, "[registry a]\nurl = http://a:1\n", "service=s,ip=10.0.0.1,port=1"))
    assert [what for what, _, _ in shown] == ["register", "beat", "deregister"] * 2
    assert all("/v1/" in url for _, _, url in shown[:3]) and all("/v3/" in url for _, _, url in shown[3:])


def test_full_beats_have_a_body(empty_host):
    done = dry_run(empty_host, "[registry a]\nurl = http://a:1\napi = v1\nbeats = full\n", "service=s,ip=10.0.0.1,port=1")
    beat = done.stdout.split("# beat\n")[1].split("# deregister")[0]
    assert beat.startswith("PUT http://a:1/nacos/v1/ns/instance/beat?")
    body = beat.split("\n\n")[1]
    assert body.startswith("beat=%7B") and f"Content-Length: {len(body)}\n" in beat
    assert done.stdout.count("Content-Length: 0\n") == 2


def test_the_registry_that_is_named_and_no_beats_of_a_persistent_one(empty_host):
    done = dry_run(empty_host, "[registry a]\nurl = http://a:1\n[registry b]\nurl = http://[::1]:2\napi = v1\n",
                   "service=s,ip=10.0.0.1,port=1,registry=b,ephemeral=no")
    assert [(what, url.split("/nacos")[0]) for what, _, url in requests(done)] == [
        ("register", "http://[::1]:2"), ("deregister", "http://[::1]:2")]
    assert "Host: [::1]:2\n" in done.stdout


def test_each_of_several_registries_is_shown(empty_host):
    conf = "[registry a]\nurl = http://a:1\napi = v1\n[registry b]\nurl = http://b:2\napi = v3\nnamespace = team\n"
    done = dry_run(empty_host, conf, "service=s,ip=10.0.0.1,port=1,registry=b\\,a")
    assert re.findall("^# registry .*$", done.stdout, re.M) == ["# registry b, api v3", "# registry a, api v1"]
    shown = requests(done)
    assert [url.split("/nacos")[0] for _, _, url in shown] == ["http://b:2"] * 3 + ["http://a:1"] * 3
    assert all("namespaceId=team" in url for _, _, url in shown[:3]) and "team" not in shown[3][2]


@pytest.mark.parametrize("names, wanted", [
    ("a\\,west", "registry 'west' is not configured"),
    ("a\\,a", "registry 'a' is named twice"),
    ("a\\,", "a name is empty"),
    ("\\,a", "a name is empty"),
    ("\\,".join(f"r{i}" for i in range(9)), "9 registries, at most 8 can be named"),
])
def test_one_wrong_registry_is_enough_and_nothing_is_shown(empty_host, names, wanted):
    done = dry_run(empty_host, "[registry a]\nurl = http://a:1\n", f"service=s,ip=10.0.0.1,port=1,registry={names}")
    assert done.returncode == 1 and done.stdout == "" and wanted in done.stderr, done.stderr


@pytest.mark.parametrize("region", ("", "region = cn-hangzhou\n"))
def test_parameters_of_a_signature_are_those_that_are_sent(empty_host, region):
    registry = empty_host.start_registry()
    secret = empty_host.folder / "secret"
    secret.touch(0o600)
    secret.write_text("correct-horse\n")
    text = f"[registry a]\nurl = {registry.address}\napi = v1\naccess_key = AKID\nsecret_key_file = {secret}\n{region}"
    _, _, shown = requests(dry_run(empty_host, text, "service=s,ip=10.0.0.1,port=1"))[0]
    (empty_host.folder / "run.conf").write_text(text)
    empty_host.start_agent(urls=[], options=["-c", empty_host.folder / "run.conf"])
    puppet = empty_host.puppet()
    puppet.do("register a service=s ip=10.0.0.1 port=1")
    (sent,) = until(registry.registers, "registered")

    def names(target):
        return [name for name, _ in urllib.parse.parse_qsl(target.split("?")[1], keep_blank_values=True)]
    assert names(shown) == names(sent.target) and ("signatureVersion" in names(shown)) == bool(region)
    for name, value in urllib.parse.parse_qsl(shown.split("?")[1]):
        assert (value == "***") == (name in ("signature", "data", "ak")), (name, value)


def test_secrets_are_masked(empty_host):
    secret = empty_host.folder / "secret"
    secret.write_text("correct-horse\n")
    secret.chmod(0o600)
    user = f"[registry a]\nurl = https://a\nusername = u\npassword_file = {secret}\n"
    key = f"[registry a]\nurl = http://a\naccess_key = AKID\nsecret_key_file = {secret}\n"
    for text, wanted in ((user, "Authorization: Bearer ***\n"), (key, "&signature=***&data=***&ak=***&app=")):
        done = dry_run(empty_host, text, "service=s,ip=10.0.0.1,port=1")
        assert wanted in done.stdout and "correct-horse" not in done.stdout and "AKID" not in done.stdout


@pytest.mark.parametrize("spec, wanted", [
    ("port=1", "service is empty"),
    ("service=s,ip=10.0.0.1", "port 0 is not in 1..65535"),
    ("service=s,port=99999", "port 99999 is not in 1..65535"),
    ("service=s,port=x", "key 'port': value 'x' is not a whole number"),
    ("service=s,port=1,weight=nan", "weight nan is not a number in 0..10000"),
    ("service=s,port=1,ephemeral=maybe", "key 'ephemeral': value 'maybe' is not one of yes, no"),
    ("service=s,prot=1", "key 'prot' is unknown: did you mean 'port'?"),
    ("service=s,zzzzzzz=1", "known are service, port"),
    ("service", "'service' is not KEY=VALUE"),
    ("service=s,port=1,metadata.customInstanceId=1", "customInstanceId"),
    ("service=s,port=1,registry=west", "registry 'west' is not configured"),
    ("service=s,service=t,port=1", "service is there twice"),
    ("service=s,port=1,metadata.k=" + "v" * 70000, "larger than any can be"),
])
def test_what_would_be_refused_is_refused(empty_host, spec, wanted):
    done = dry_run(empty_host, "[registry a]\nurl = http://127.0.0.1:1\n", spec)
    assert done.returncode == 1 and done.stdout == ""
    assert wanted in done.stderr, done.stderr
