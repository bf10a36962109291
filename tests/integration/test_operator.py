# SPDX-License-Identifier: Apache-2.0
"""What an operator types: onebeatctl in both forms, onebeatd's options and configuration, wrong input to each."""

import json
import re
import subprocess

import pytest

from host import BIN, until


def onebeatd(*options, **kwargs):
    return subprocess.run([BIN / "onebeatd", *options], capture_output=True, text=True, timeout=10, **kwargs)


def ctl(*options):
    return subprocess.run([BIN / "onebeatctl", *options], capture_output=True, text=True, timeout=10)


@pytest.fixture
def registered(host):
    puppet = host.puppet()
    puppet.do("register a service=orders ip=10.0.0.1 port=8080 weight=2 md.zone=a group=G1 cluster=C1")
    puppet.do("register b service=orders-old ip=10.0.0.1 port=8081")
    puppet.do("wait a UP 10000")
    puppet.do("wait b UP 10000")
    host.orders = puppet
    return host


def test_list_as_a_table_names_state_beat_code_and_holders(registered):
    head, *rows = registered.agent.ctl("list").stdout.splitlines()
    assert head.split("  ")[0] == "INSTANCE" and "LAST BEAT" in head and "HOLDERS" in head
    (row,) = [r for r in rows if "G1@@orders/" in r]
    assert "default/public/G1@@orders/10.0.0.1:8080" in row
    assert " UP " in row and " 200 " in row and f"puppet[{registered.orders.pid}]" in row
    assert len({r.index(" UP ") for r in rows}) == 1  # aligned


def test_list_and_status_as_json_are_one_document_each(registered):
    document = json.loads(registered.agent.ctl("list", "-o", "json").stdout)
    assert document["complete"] and document["refused"] == []
    (orders,) = [i for i in document["instances"] if i["service"] == "orders"]
    assert orders["metadata"] == {"zone": "a"} and orders["weight"] == 2 and orders["cluster"] == "C1"
    assert orders["holders"][0]["pid"] == registered.orders.pid
    status = json.loads(registered.agent.ctl("status", "-o", "json").stdout)
    assert status["dom2BeatSize"] == 2 and status["states"] == {"UP": 2} and status["requests"]["register"] == 2
    assert status["registries"][0]["nodes"][0]["state"] == "healthy"


def test_show_takes_a_part_of_a_key_and_refuses_an_ambiguous_one(registered):
    shown = registered.agent.ctl("show", "G1@@orders").stdout
    assert "zone=a" in shown and "C1" in shown and f"[{registered.orders.pid}]" in shown
    assert json.loads(registered.agent.ctl("show", "orders-old", "-o", "json").stdout)["port"] == 8081
    done = registered.agent.ctl("show", "orders", check=False)
    assert done.returncode == 1 and "several" in done.stderr
    done = registered.agent.ctl("show", "nothing", check=False)
    assert done.returncode == 1 and "nothing" in done.stderr


def test_ctl_wrong_usage_and_no_agent(tmp_path):
    for words, said in ((["nonsense"], "nonsense"), (["show"], "show"), (["list", "more"], "list"),
                        (["list", "-o", "xml"], "xml"), (["--nonsense"], "nonsense"), ([], "usage")):
        done = ctl(*words)
        assert done.returncode == 2 and said in done.stderr, words
    done = ctl("--runtime-dir", tmp_path, "list")
    assert done.returncode == 1 and str(tmp_path) in done.stderr and "no agent" in done.stderr
    assert ctl("--help").returncode == 0 and ctl("--version").stdout.startswith("onebeatctl 0.")


def test_stop_ends_both_and_keeps_registrations(registered):
    assert registered.agent.ctl("stop").returncode == 0
    assert registered.agent.wait() == 0
    assert registered.registry.deregisters() == [] and len(registered.registry.hosts("orders-old")) == 1


def test_print_config_is_a_configuration(tmp_path):
    done = onebeatd("--registry", "http://10.0.0.1:8848", "--runtime-dir", tmp_path / "run", "--print-config")
    assert done.returncode == 0 and "10.0.0.1:8848" in done.stdout
    conf = tmp_path / "onebeatd.conf"
    conf.write_text(done.stdout)
    again = onebeatd("-c", conf, "--print-config")
    assert again.stdout.splitlines()[1:] == done.stdout.splitlines()[1:]  # the first line names the file
    assert onebeatd("-c", conf, "--check").returncode == 0


@pytest.mark.parametrize("text, line, words", (
    ("[registry]\nurl = http://a:8848\n[agent]\nslotz = 9\n", 4, ("slotz", "slots")),
    ("[registry]\nurl = ftp://a\n", 2, ("ftp://a", "http://")),
    ("[registry]\nurl = http://a:99999\n", 2, ("99999",)),
    ("[agent]\nlog_level = loud\n", 2, ("loud", "debug")),
    ("[agent]\nlisten_grace_ms = soon\n", 2, ("soon", "listen_grace_ms")),
    ("[nonsense]\nx = 1\n", 1, ("nonsense",)),
    ("just words\n", 1, ()),
))
def test_wrong_configuration_stops_before_anything_is_bound(tmp_path, text, line, words):
    conf = tmp_path / "onebeatd.conf"
    conf.write_text(text)
    run = tmp_path / "run"
    done = onebeatd("-c", conf, "--registry", "http://127.0.0.1:1", "--runtime-dir", run)
    assert done.returncode in (1, 2)
    assert f"{conf}:{line}" in done.stderr, done.stderr
    for word in words:
        assert word in done.stderr
    assert not run.exists()


def test_onebeatd_wrong_usage_and_missing_registry(tmp_path):
    done = onebeatd("--nonsense")
    assert done.returncode == 2 and "nonsense" in done.stderr
    done = onebeatd("--registry", "http://user:secret@a:1", "--runtime-dir", tmp_path / "run")
    assert done.returncode == 2 and "--registry" in done.stderr
    done = onebeatd("--runtime-dir", tmp_path / "run", env={"PATH": "/bin"})
    assert done.returncode != 0 and "registry" in done.stderr
    assert not (tmp_path / "run").exists()


def test_unwritable_runtime_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    done = onebeatd("--registry", "http://127.0.0.1:1", "--runtime-dir", tmp_path / "file" / "run")
    assert done.returncode == 1 and str(tmp_path / "file") in done.stderr


def test_log_has_one_line_an_event_and_none_a_beat(host):
    puppet = host.puppet()
    puppet.do("register a service=orders ip=10.0.0.1 port=8080 md.preserved.heart.beat.interval=1000")
    puppet.do("wait a UP 10000")
    until(lambda: len(host.registry.beats()) >= 3, "three beats", seconds=8)
    lines = host.agent.log.read_text().splitlines()
    assert all(" event=" in line for line in lines), lines
    assert not [line for line in lines if "beat" in line.split(" event=")[1].split()[0]]
    states = [re.search(r"state=(\w+)", line).group(1) for line in lines if "event=instance " in line]
    assert states in (["registering", "up"], ["up"])  # a quick registry is up before the watcher has looked


def test_status_counts_leases_and_slots_that_are_in_use_now(host):
    """Also those that a second agent has adopted, and no more those that have come back."""
    puppet = host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    puppet.do("wait a UP 10000")
    until(lambda: host.status()["slots"] == 2, "its slot and the one granted ahead")
    host.agent.kill_agent()
    assert (host.status()["leases"], host.status()["slots"]) == (1, 2)
    puppet.kill()
    until(lambda: host.status()["leases"] == 0, "the lease has ended")
    until(lambda: host.status()["slots"] == 0, "its slots are free")
