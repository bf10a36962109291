# SPDX-License-Identifier: Apache-2.0
"""[registry NAME]: several registries from one file, each spoken to as its section says."""

import subprocess

from host import BIN, until

SPEC = {"ip": "10.0.0.1", "md.preserved.heart.beat.interval": 1000}


def onebeatd(*options, **kwargs):
    return subprocess.run([BIN / "onebeatd", *options], capture_output=True, text=True, timeout=10, **kwargs)


def two(host, extra=""):
    """Two registries, and an agent that knows both: the first one is the default."""
    east, west = host.start_registry(), host.start_registry(mode="3")
    host.east, host.west = east, west
    conf = host.folder / "onebeatd.conf"
    conf.write_text(f"""[registry east]
url = {east.address}
[registry west]
url = {west.address}/nacos
namespace = team
{extra}""")
    host.start_agent(urls=[], options=["-c", conf])
    return host.puppet()


def test_an_instance_goes_to_the_registry_that_it_names(empty_host):
    puppet = two(empty_host)
    puppet.register("a", service="orders", port=8001, **SPEC)
    puppet.register("b", service="orders", port=8002, registry="west", **SPEC)
    puppet.register("c", service="orders", port=8003, registry="west", ns="own", **SPEC)
    for name in "abc":
        puppet.do(f"wait {name} UP 10000")
    ports = [h["port"] for h in empty_host.east.hosts("orders")]
    assert ports == [8001]
    assert [h["port"] for h in empty_host.west.hosts("orders", namespace="team")] == [8002]
    assert [h["port"] for h in empty_host.west.hosts("orders", namespace="own")] == [8003]
    assert {r["name"] for r in empty_host.status()["registries"]} == {"east", "west"}


def test_one_registry_gone_does_not_touch_the_others_beats(empty_host):
    puppet = two(empty_host, "connect_timeout = 200\nrequest_timeout = 400\n")
    puppet.register("a", service="orders", port=8001, **SPEC)
    puppet.register("b", service="orders", port=8002, registry="west", **SPEC)
    for name in "ab":
        puppet.do(f"wait {name} UP 10000")
    empty_host.west.kill()
    empty_host.west.wait()
    n = len(empty_host.east.beats())
    until(lambda: len(empty_host.east.beats()) >= n + 3, "three more beats at the other")
    times = [b.boottime_ms for b in empty_host.east.beats()][n:]
    assert all(later - earlier < 5000 for earlier, later in zip(times, times[1:]))
    assert len(empty_host.east.registers()) == 1


def test_an_unknown_registry_is_refused_with_the_known_ones(empty_host):
    puppet = two(empty_host)
    puppet.register("a", service="orders", port=8001, registry="north", **SPEC)
    puppet.do("wait a REFUSED 10000")
    assert "'north' is not configured in the agent; it has 'east', 'west'" in puppet.status("a")["text"]


def test_secrets_are_not_printed(tmp_path):
    """The file says where a secret is; what it is, nobody prints."""
    secret = tmp_path / "password"
    secret.write_text("correct-horse\n")
    secret.chmod(0o600)
    conf = tmp_path / "onebeatd.conf"
    conf.write_text(f"[registry a]\nurl = https://a\nusername = u\npassword_file = {secret}\n"
                    "[registry b]\nurl = http://b\naccess_key = k\nsecret_key_env = SECRET_KEY\n")
    for option in ("--print-config", "--check"):
        done = onebeatd("-c", conf, "--runtime-dir", "/tmp/x", option, env={"SECRET_KEY": "battery-staple"})
        assert done.returncode == 0, done.stderr
        assert "correct-horse" not in done.stdout + done.stderr
        assert "battery-staple" not in done.stdout + done.stderr
    printed = onebeatd("-c", conf, "--runtime-dir", "/tmp/x", "--print-config").stdout
    assert f"password_file = {secret}\n" in printed
    again = tmp_path / "again.conf"
    again.write_text(printed)
    assert onebeatd("-c", again, "--print-config").stdout.splitlines()[1:] == printed.splitlines()[1:]
    assert onebeatd("-c", again, "--check", env={"SECRET_KEY": "battery-staple"}).returncode == 0


def test_contradictions_stop_before_anything_is_bound(tmp_path):
    conf = tmp_path / "onebeatd.conf"
    conf.write_text("[registry a]\nurl = http://nacos.example\nusername = u\npassword_env = P\n")
    done = onebeatd("-c", conf, "--runtime-dir", tmp_path / "run")
    assert done.returncode == 1 and not (tmp_path / "run").exists()
    assert "http://nacos.example:8848" in done.stderr and "allow_plaintext_password = yes" in done.stderr
