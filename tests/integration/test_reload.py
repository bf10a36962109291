# SPDX-License-Identifier: Apache-2.0
"""SIGHUP and onebeatctl reload: the configuration anew, all or nothing, and no instance absent at any moment."""

import json
import os
import signal
import threading

import pytest

from host import alive, sockets_of, until

SPEC = {"ip": "10.0.0.1", "md.preserved.heart.beat.interval": 1000}


class Poller(threading.Thread):
    """Asks the list API again and again, as a discoverer would, and notes each answer in which the port is missing."""

    def __init__(self, registry, service, port, **where):
        super().__init__()
        self.registry, self.service, self.port, self.where = registry, service, port, where
        self.n, self.absent, self.over = 0, [], threading.Event()

    def run(self):
        while not self.over.wait(0.002):
            hosts = self.registry.hosts(self.service, **self.where)
            self.n += 1
            if not any(h["port"] == self.port and h["healthy"] for h in hosts):
                self.absent.append((self.n, hosts))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *failure):
        n = self.n
        if not failure[0]:
            until(lambda: self.n >= n + 2, "asked once more")
        self.over.set()
        self.join()
        if not failure[0]:
            assert self.absent == []


@pytest.fixture
def reloading(empty_host):
    host = empty_host
    host.east = host.start_registry()
    host.conf = host.folder / "onebeatd.conf"

    def write(text):
        host.conf.write_text(text)

    def reload(check=True):
        return host.agent.ctl("reload", "-o", "json", check=check)

    def refused(*texts):
        before = host.agent.agent_pid()
        done = reload(check=False)
        assert done.returncode == 1, done.stdout
        assert all(text in done.stderr for text in texts), done.stderr
        assert "reload.refused" in host.agent.tail()
        assert host.agent.agent_pid() == before

    host.write, host.reload, host.refused = write, reload, refused
    write(f"[registry east]\nurl = {host.east.address}\n")
    host.start_agent(urls=[], options=["-c", host.conf])
    return host


def registered(host, port=8001, name="a", **more):
    puppet = host.puppet()
    puppet.register(name, service="orders", port=port, **SPEC, **more)
    puppet.do(f"wait {name} UP 10000")
    return puppet


def test_new_settings_count_and_nobody_notices(reloading):
    puppet = registered(reloading)
    lease, before = sockets_of(puppet.pid), reloading.agent.agent_pid()
    with Poller(reloading.east, "orders", 8001):
        reloading.write(f"[agent]\nlog_level = debug\n[registry east]\nurl = {reloading.east.address}\n")
        done = json.loads(reloading.reload().stdout.splitlines()[0])
        assert done == {"reloaded": True, "from_pid": before, "pid": reloading.agent.agent_pid()}
        assert not alive(before) and sockets_of(puppet.pid) == lease
        n = len(reloading.east.beats())
        until(lambda: len(reloading.east.beats()) >= n + 2, "beaten by the next agent")
    assert len(reloading.east.registers()) == 1 and reloading.east.deregisters() == []
    assert puppet.status("a")["state"] == "UP"


def test_a_registry_is_added_and_taken_out_again(reloading):
    puppet = registered(reloading)
    west = reloading.start_registry(mode="3")
    east = f"[registry east]\nurl = {reloading.east.address}\n"
    with Poller(reloading.east, "orders", 8001):
        puppet.register("b", service="orders", port=8002, registry="west", **SPEC)
        puppet.do("wait b REFUSED 10000")
        reloading.write(f"{east}[registry west]\nurl = {west.address}\n")
        reloading.reload()
        # What was refused for want of the registry is looked at again.
        puppet.do("wait b UP 10000")
        assert [h["port"] for h in west.hosts("orders")] == [8002]
        reloading.write(east)
        reloading.refused("registry 'west' cannot be taken out: 1 living instances are registered there", "8002")
        puppet.do("deregister b")
        until(lambda: reloading.instance("orders") and len(reloading.list()["instances"]) == 1, "withdrawn")
        reloading.reload()
        assert [r["name"] for r in reloading.status()["registries"]] == ["east"]


def test_urls_change_and_the_instance_follows(reloading):
    puppet = registered(reloading)
    other = reloading.start_registry()
    with Poller(reloading.east, "orders", 8001):
        reloading.write(f"[registry east]\nurl = {other.address}\n")
        reloading.reload()
        until(lambda: [h["port"] for h in other.hosts("orders")] == [8001], "registered there")
    with Poller(other, "orders", 8001):
        n = len(other.beats())
        until(lambda: len(other.beats()) >= n + 2, "beaten there")
    assert puppet.status("a")["state"] == "UP"


def test_the_namespace_changes_and_the_instance_follows(reloading):
    puppet = registered(reloading)
    with Poller(reloading.east, "orders", 8001):
        reloading.write(f"[registry east]\nurl = {reloading.east.address}\nnamespace = team\n")
        reloading.reload()
        until(lambda: [h["port"] for h in reloading.east.hosts("orders", namespace="team")] == [8001],
              "registered in the new one")
    puppet.do("wait a UP 10000")
    assert reloading.east.deregisters() == []


def test_a_persistent_instance_keeps_its_namespace(reloading):
    registered(reloading, ephemeral=0)
    reloading.write(f"[registry east]\nurl = {reloading.east.address}\nnamespace = team\n")
    reloading.refused("key 'namespace' cannot go from 'public' to 'team'", "1 persistent instances")


WRONG = [
    ("[registry east]\nurl = ftp://x\n", ("onebeatd.conf:2", "ftp://x")),
    ("[registry east]\nurl = http://x\nbeats = heavy\n", ("onebeatd.conf:3", "heavy")),
    ("[registry east]\nurl = http://x\nusername = u\npassword_env = P\n", ("allow_plaintext_password",)),
    ("[registry east]\nurl = https://x\nusername = u\npassword_file = /nonexistent/p\n", ("/nonexistent/p",)),
    ("[registry east]\nurl = https://x\nca_file = /nonexistent/ca\n", ("ca_file", "/nonexistent/ca")),
    ("[agent]\nslots = 64\n[registry east]\nurl = http://x\n", ("key 'slots' cannot be changed", "'64'")),
    ("[registry west]\nurl = http://x\n", ("registry 'east' cannot be taken out",)),
    ("[registry west]\nurl = http://x\n[registry east]\nurl = http://y\n", ("'east' must stay the first",)),
]


def test_what_is_wrong_changes_nothing(reloading):
    puppet = registered(reloading)
    for text, wanted in WRONG:
        reloading.write(text)
        reloading.refused(*wanted)
    n = len(reloading.east.beats())
    until(lambda: len(reloading.east.beats()) > n, "beaten as before")
    assert puppet.status("a")["state"] == "UP"


def test_a_broken_file_does_not_hurt_the_next_agent(reloading):
    """Refused is refused: an agent that is killed comes back with what was in force."""
    puppet = registered(reloading)
    with Poller(reloading.east, "orders", 8001):
        reloading.write("[registry east\n")
        reloading.refused("onebeatd.conf:1")
        reloading.agent.kill_agent()
        n = len(reloading.east.beats())
        until(lambda: len(reloading.east.beats()) >= n + 2, "beaten by the next agent")
    assert len(reloading.east.registers()) == 1
    assert puppet.status("a")["state"] == "UP"


def test_what_was_reloaded_outlives_an_agent(reloading):
    registered(reloading)
    west = reloading.start_registry()
    reloading.write(f"[registry east]\nurl = {reloading.east.address}\n[registry west]\nurl = {west.address}\n")
    reloading.reload()
    reloading.write("rubbish\n")
    reloading.agent.kill_agent()
    assert [r["name"] for r in reloading.status()["registries"]] == ["east", "west"]


def test_sighup_is_the_keepers_and_reloads(reloading):
    puppet = registered(reloading)
    before = reloading.agent.agent_pid()
    with Poller(reloading.east, "orders", 8001):
        os.kill(before, signal.SIGHUP)  # a terminal signals all of us
        reloading.write(f"[registry east]\nurl = {reloading.east.address}\nbeats = light\n")
        os.kill(reloading.agent.pid, signal.SIGHUP)
        until(lambda: (pid := reloading.agent.agent_pid()) and pid != before, "another agent")
        until(lambda: "reload.done" in reloading.agent.tail(), "it says so")
    reloading.write("[agent]\nslots = 9\n")
    os.kill(reloading.agent.pid, signal.SIGHUP)
    until(lambda: "reload.refused" in reloading.agent.tail(), "the log says why not")
    assert puppet.status("a")["state"] == "UP"


def test_again_and_again_costs_nothing(reloading):
    registered(reloading)
    reloading.reload()
    n_fds = len(os.listdir(f"/proc/{reloading.agent.pid}/fd"))
    for _ in range(5):
        reloading.reload()
    until(lambda: len(os.listdir(f"/proc/{reloading.agent.pid}/fd")) <= n_fds, "no descriptor more than before")
    assert len(reloading.east.registers()) == 1 and reloading.east.deregisters() == []


def test_upgrade_reads_the_files(reloading):
    """The new program may know keys that the old one did not: it is asked, and reads them itself."""
    registered(reloading)
    west = reloading.start_registry()
    reloading.write(f"[registry east]\nurl = {reloading.east.address}\n[registry west]\nurl = {west.address}\n")
    reloading.agent.ctl("upgrade")
    assert [r["name"] for r in reloading.status()["registries"]] == ["east", "west"]
    assert len(reloading.east.registers()) == 1
