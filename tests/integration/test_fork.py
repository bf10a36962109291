# SPDX-License-Identifier: Apache-2.0
"""fork, exec and threads: what the lease, the pidfd and the library make of each of them."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import urllib.parse

import pytest

from host import BIN, PuppetError, alive, children_of, configured, restart_both, until
from namespaces import Entry

FORKED = -38  # ONEBEAT_E_FORKED


def up(puppet, name="a"):
    puppet.do(f"wait {name} UP 15000")


def registered(host, service="orders", **spec):
    """A puppet that holds one instance, which the registry has."""
    puppet = host.puppet()
    puppet.register("a", service=service, ip="10.0.0.1", port=8080, **spec)
    up(puppet)
    return puppet


def gone(host, service="orders", seconds=20):
    """The DELETE that ends it; exactly one, and nothing is left of it."""
    (delete,) = until(lambda: host.registry.deregisters(f"%40%40{service}&"), f"{service} is deregistered", seconds)
    until(lambda: host.instance(service) is None, f"{service} is out of dom2Beat")
    return delete


def n_fds(pid):
    """Of a process, but for its connections to the registry: how many those are is up to what is due."""
    rows = [line.split() for table in ("tcp", "tcp6") for line in open(f"/proc/{pid}/net/{table}")]
    connections = {f"socket:[{row[9]}]" for row in rows}
    return sum(open_file not in connections for open_file in open_files(pid))


def open_files(pid):
    """What a process's descriptors name; one that is closed meanwhile is not told."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(f"/proc/{pid}/fd/{fd}")


def test_two_thousand_prefork_workers_are_one_lease(host):
    """Registered once; a storm of deaths is nothing to the agent; the last one's death ends it."""
    agent, keeper = host.agent.agent_pid(), host.agent.pid
    puppet = registered(host)
    before = n_fds(agent), n_fds(keeper)
    assert puppet.values("forkmany 2000")["count"] == "2000"
    workers = children_of(puppet.pid)
    assert len(workers) == 2000
    assert (n_fds(agent), n_fds(keeper)) == before and host.status()["leases"] == 1
    puppet.kill()
    puppet.wait()
    for pid in workers[:-1]:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in workers[:-1]), "all but one are dead", seconds=60, step=0.1)
    # One that came later is served: by then every earlier event has been.
    other = registered(host, service="other")
    assert host.registry.deregisters() == [] and len(host.registry.hosts("orders")) == 1
    other.kill()
    gone(host, "other")
    until(lambda: (n_fds(agent), n_fds(keeper)) == before, "2,000 workers cost no descriptor")
    os.kill(workers[-1], signal.SIGKILL)
    gone(host)
    assert len(host.registry.registers("orders")) == 1
    until(lambda: (n_fds(agent), n_fds(keeper)) == (before[0] - 1, before[1] - 1), "the lease is closed")


@pytest.mark.parametrize("how", ("fork", "_Fork", "clone"))
def test_child_holds_the_lease_however_it_was_made(host, how):
    puppet = registered(host)
    child = int(puppet.values(f"forkby {how}")["pid"])
    puppet.kill()
    puppet.wait()
    registered(host, service="other")  # served after the death
    assert host.registry.deregisters() == [] and host.instance("orders")["state"] == "UP"
    os.kill(child, signal.SIGKILL)
    gone(host)


def test_vfork_is_no_fork_and_what_it_executes_holds_nothing(host):
    """The cookie is intact, so the handle works on; the lease is closed by exec()."""
    puppet = registered(host)
    child = int(puppet.values("vfork /bin/sleep 300")["pid"])
    puppet.do("update a weight=3")
    up(puppet)
    assert host.registry.hosts("orders")[0]["weight"] == 3.0
    puppet.kill()
    gone(host)
    assert alive(child)
    os.kill(child, signal.SIGKILL)


def test_grandchild_of_a_double_fork_holds_but_must_not_speak(host):
    puppet = registered(host)
    daemon = int(puppet.values("daemonise")["pid"])
    puppet.wait()
    registered(host, service="other")
    assert host.registry.deregisters() == []
    for command in ("register b service=b port=1 ip=10.0.0.2", "update a weight=2", "set a DOWN", "attend", "fd",
                    "deregister a", "wait a UP 0"):
        with pytest.raises(PuppetError) as refused:
            puppet.do(command)
        assert refused.value.code == FORKED, command
    assert puppet.status("a")["state"] == "UP"
    os.kill(daemon, signal.SIGKILL)
    gone(host)


@pytest.mark.parametrize("how", ("", "brute"))
def test_daemon_that_registered_and_then_closed_everything(host, how):
    """
    The registering process is dead and nobody has the lease: gone at once, as the header says (register after
    daemonising). The daemon itself is free to come back with a handle of its own.
    """
    puppet = registered(host)
    daemon = int(puppet.values("daemonise")["pid"])
    puppet.wait()
    puppet.do(f"closeall {how}")
    gone(host)
    assert alive(daemon)
    puppet.do("open")
    puppet.register("b", service="orders", ip="10.0.0.1", port=8080)
    up(puppet, "b")
    puppet.do(f"closeall {how}")
    until(lambda: host.instance("orders")["holders"][0]["state"] == "watched", "its process speaks for it")
    assert len(host.registry.deregisters()) == 1
    os.kill(daemon, signal.SIGKILL)
    until(lambda: len(host.registry.deregisters()) == 2, "and its death")


def test_closed_one_by_one_it_lives_and_comes_back_to_the_same_instance(host):
    puppet = registered(host)
    puppet.do("closeall brute")
    until(lambda: host.instance("orders")["holders"][0]["state"] == "watched", "the lease has ended")
    puppet.do("update a weight=2")
    puppet.attach()
    up(puppet)
    (holder,) = host.instance("orders")["holders"]
    assert holder["state"] == "attached" and holder["pid"] == puppet.pid
    assert host.registry.deregisters() == []
    puppet.do("deregister a")
    gone(host)


def test_number_used_again_is_neither_written_nor_closed_to_the_very_end(host):
    """Also not by close(), nor by a forked child's close()."""
    puppet = registered(host)
    puppet.do("closeall brute")
    puppet.do("reuse")
    puppet.do("forkcall")
    puppet.do("deregister a")
    puppet.do("close")
    assert puppet.values("foreign") == {"bytes": "0", "lost": "0"}
    gone(host)


def test_child_of_a_threaded_process_whatever_its_threads_do(host):
    """Three threads publish for ever while another forks: no child hangs, no registered state is torn."""
    puppet = registered(host, md__v=1, weight=1)
    puppet.do("publish 3")
    for _ in range(20):
        calls = puppet.values("forkcall")
        assert {name: int(code) for name, code in calls.items() if name not in ("status", "close", "state")} == \
            dict.fromkeys(("register", "update", "set_status", "wait", "attend", "fd", "deregister"), FORKED)
        assert calls["status"] == calls["close"] == "0"
    for how in ("fork", "_Fork", "clone"):
        os.kill(int(puppet.values(f"forkby {how}")["pid"]), signal.SIGKILL)
    worker = int(puppet.values("forkworker")["pid"])
    until(lambda: len(host.instance("orders")["holders"]) == 2, "the worker holds it too")
    os.kill(worker, signal.SIGKILL)
    until(lambda: len(host.instance("orders")["holders"]) == 1, "and is gone")
    until(lambda: len(host.registry.registers("%40%40orders&")) > 20, "the registry has been told many times")
    puppet.kill()
    gone(host)
    posts = host.registry.registers("%40%40orders&")
    for post in posts:
        asked = dict(urllib.parse.parse_qsl(post.target.split("?", 1)[1]))
        assert float(asked["weight"]) == int(json.loads(asked["metadata"])["v"]), post.target
    assert len(host.registry.deregisters()) == 1


ENDS = {
    "exit": ("exit 0",),
    "exit-now": ("end _exit",),
    "quick-exit": ("end quick_exit",),
    "abort": ("end abort",),
    "segv": ("end segv",),
    "sigkill": ("crash",),
    "exit-in-a-thread": ("thread exit 0",),
    "exit-now-in-a-thread": ("thread end _exit",),
    "abort-in-a-thread": ("thread end abort",),
    "exit-after-main-left": ("leavemain", "exit 0"),
    "last-thread-after-main-left": ("leavemain", "end thread"),
    "exit-now-in-a-thread-after-main-left": ("leavemain", "thread end _exit"),
}


@pytest.mark.parametrize("policy", ("any", "owner"))
def test_every_end_of_a_process_ends_its_instance(host, policy):
    puppets = {name: registered(host, service=name, policy=policy) for name in ENDS}
    agent = host.agent.agent_pid()
    before = n_fds(agent)
    for name, commands in ENDS.items():
        puppet = puppets[name]
        for command in commands:
            assert host.registry.deregisters(f"%40%40{name}&") == []
            puppet.do(command)
        gone(host, name)
        puppet.wait()
    term = registered(host, service="sigterm", policy=policy)
    term.kill(signal.SIGTERM)
    gone(host, "sigterm")
    assert len(host.registry.deregisters()) == len(ENDS) + 1
    assert len(host.registry.registers()) == len(ENDS) + 1
    held = len(ENDS) * (2 if policy == "owner" else 1)  # an owner's pidfd is watched from the start
    until(lambda: n_fds(agent) == before - held, "no descriptor is left of them")


def test_thread_that_ends_ends_nothing(host):
    puppet = registered(host)
    puppet.do("thread end thread")
    puppet.do("thread update a weight=2")
    up(puppet)
    assert host.registry.deregisters() == []


@pytest.mark.parametrize("policy", ("any", "owner"))
def test_process_without_its_first_thread_is_no_dead_process(host, policy):
    """/proc shows it as a zombie, without program and namespaces; the pidfd knows better."""
    puppet = registered(host, policy=policy)
    puppet.do("leavemain")
    until(lambda: not alive(puppet.pid), "its first thread is a zombie")
    puppet.do("update a weight=2")
    up(puppet)
    host.agent.kill_agent()
    puppet.do("update a weight=3")
    up(puppet)
    puppet.do("closeall")
    until(lambda: host.instance("orders")["holders"][0]["state"] == "watched", "the lease has ended, it lives")
    restart_both(host)
    until(lambda: (i := host.instance("orders")) and i["state"] == "UP", "found again by pid and start time")
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080, weight=4, policy=policy)
    up(puppet)
    assert len(host.instance("orders")["holders"]) == 1
    assert host.registry.deregisters() == [] and host.registry.hosts("orders")[0]["weight"] == 4.0
    puppet.do("exit 0")
    gone(host)


def test_process_opened_by_a_thread_after_the_first_one_left(host):
    """Its address may still be left to the agent: the network namespace is known from the socket."""
    puppet = host.puppet(opened=False)
    puppet.do("leavemain")
    until(lambda: not alive(puppet.pid), "its first thread is a zombie")
    puppet.do("open")
    puppet.register("a", service="orders", port=8080)
    up(puppet)
    puppet.do("end thread")
    gone(host)


def test_unreaped_dead_process_is_dead_at_once(host):
    """A zombie passes kill(0) and has its /proc entry."""
    puppet = registered(host)
    closed = registered(host, service="closed")
    closed.do("closeall")
    until(lambda: host.instance("closed")["holders"][0]["state"] == "watched", "watched by its pidfd")
    for dying, service in ((puppet, "orders"), (closed, "closed")):
        os.kill(dying.pid, signal.SIGKILL)  # and nobody waits for it
        gone(host, service)
        os.kill(dying.pid, 0)
        with open(f"/proc/{dying.pid}/stat", encoding="ascii") as stat:
            assert stat.read().rsplit(")", 1)[1].split()[0] == "Z"


def test_same_program_executed_again_goes_on_with_the_instance(empty_host):
    """As servers do that upgrade themselves in place: the lease ends, the process and its program stay."""
    configured(empty_host, "[agent]\nexec_grace_ms = 300\n")
    puppet, witness = registered(empty_host), registered(empty_host, service="witness")
    puppet.do(f"exec {BIN}/tests/puppet")
    until(lambda: empty_host.instance("orders")["holders"][0]["state"] == "watched", "the lease has ended")
    witness.send("exec /bin/sleep 60")
    gone(empty_host, "witness")  # by the same grace that began later
    assert empty_host.instance("orders")["state"] == "UP"
    puppet.do("open")
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    up(puppet)
    (holder,) = empty_host.instance("orders")["holders"]
    assert holder["pid"] == puppet.pid and holder["state"] == "attached"
    assert len(empty_host.registry.registers("orders")) == 1 and empty_host.registry.deregisters("orders") == []
    puppet.do("deregister a")
    gone(empty_host)


def test_program_that_closed_everything_first_executes_another_unheard_and_is_found_out(empty_host):
    """No event tells of it; the program of a process that is only watched is looked at now and then."""
    configured(empty_host, "[agent]\nexec_grace_ms = 300\n")
    puppet, same = registered(empty_host), registered(empty_host, service="same")
    for closing in (puppet, same):
        closing.do("closeall")
    until(lambda: [i["holders"][0]["state"] for i in empty_host.list()["instances"]] == ["watched"] * 2, "watched")
    same.do(f"exec {BIN}/tests/puppet")
    puppet.do("exec /bin/sleep 60")
    gone(empty_host, seconds=8)  # twice the grace
    assert alive(puppet.pid) and empty_host.instance("same")["state"] == "UP"


OTHER = 12345  # a user that nobody is


def owned_copy(folder, name):
    """A program where every user can reach it."""
    return shutil.copy(BIN / name, folder / pathlib.Path(name).name)


def as_other(program):
    """Runs program in the place of what is named next, as that user."""
    return Entry(["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups", "sh", "-c",
                  'shift; exec "$0" "$@"', str(program)], depth=0)


def test_agent_that_may_not_read_a_program_keeps_what_it_was(open_host):
    """An agent without privileges: root's processes show it neither program nor namespaces, and are served."""
    host = open_host
    host.agent.stop()
    shutil.rmtree(host.agent.runtime_dir)
    os.chown(host.folder, OTHER, OTHER)
    conf = host.folder / "onebeatd.conf"
    conf.write_text("[agent]\nexec_grace_ms = 300\n")
    host.start_agent(options=["-c", conf], within=as_other(owned_copy(host.folder, "onebeatd")))
    puppet = host.puppet()
    puppet.register("a", service="orders", port=8080)
    up(puppet)
    assert puppet.status("a")["ip"] == "127.0.0.1"  # known to be in the agent's network namespace
    witness = host.puppet(within=as_other(owned_copy(host.folder, "tests/puppet")))
    witness.register("a", service="witness", ip="10.0.0.1", port=8080)
    up(witness)
    puppet.do("exec /bin/sleep 60")
    until(lambda: host.instance("orders")["holders"][0]["state"] == "watched", "the lease has ended")
    witness.do("exec /bin/sleep 60")
    gone(host, "witness")
    assert host.instance("orders")["state"] == "UP" and host.registry.deregisters("orders") == []
    puppet.kill()
    gone(host)


def test_identity_is_that_of_the_moment_of_connecting(open_host):
    """Privileges that are dropped later change nothing, until the process connects again."""
    host = open_host
    puppet = registered(host)
    puppet.do(f"setuid {OTHER}")
    puppet.do("update a weight=2")
    up(puppet)
    assert [h["uid"] for h in host.instance("orders")["holders"]] == [0]
    host.agent.kill_agent()
    assert [h["uid"] for h in host.instance("orders")["holders"]] == [0]
    restart_both(host)
    puppet.attach()
    puppet.do("update a weight=3")
    up(puppet)
    assert [(h["uid"], h["pid"]) for h in host.instance("orders")["holders"]] == [(OTHER, puppet.pid)]
    assert host.registry.hosts("orders")[0]["weight"] == 3.0
    assert len(host.registry.registers()) == 3 and host.registry.deregisters() == []
    puppet.kill()
    gone(host)


def test_another_uid_joins_only_what_an_ancestor_of_it_holds(open_host):
    host = open_host
    master, stranger = registered(host), host.puppet(opened=False)
    stranger.do(f"setuid {OTHER}")
    stranger.do("open")
    stranger.register("a", service="orders", ip="10.0.0.1", port=8080)
    stranger.do("wait a REFUSED 10000")
    assert f"uid {OTHER} may not join an instance of uid 0" in stranger.status("a")["text"]
    (refused,) = host.list()["refused"]
    assert (refused["refused"]["pid"], refused["refused"]["uid"]) == (stranger.pid, OTHER)
    worker = int(master.values(f"forkworker uid={OTHER}")["pid"])
    until(lambda: sorted((h["uid"], h["pid"]) for h in host.instance("orders")["holders"]) ==
          [(0, master.pid), (OTHER, worker)], "its worker has joined")
    assert len(host.registry.registers()) == 1
    os.kill(worker, signal.SIGKILL)
    until(lambda: len(host.instance("orders")["holders"]) == 1, "and left")
    master.kill()
    gone(host)
    stranger.do("update a weight=2")  # nobody holds it now
    up(stranger)
    assert [h["uid"] for h in host.instance("orders")["holders"]] == [OTHER]


@pytest.mark.parametrize("policy", ("any", "owner"))
def test_exec_from_another_thread_is_an_exec_and_no_death(empty_host, policy):
    configured(empty_host, "[agent]\nexec_grace_ms = 1500\n")
    kinds = {"beside": ("thread exec /bin/sleep 60",), "alone": ("leavemain", "exec /bin/sleep 60")}
    puppets = {name: registered(empty_host, service=name, policy=policy) for name in kinds}
    for name, commands in kinds.items():
        for command in commands:
            puppets[name].do(command)
        until(lambda n=name: empty_host.instance(n)["holders"][0]["state"] == "watched", "alive, without its lease")
        assert empty_host.registry.deregisters(name) == []
    for name, puppet in puppets.items():
        gone(empty_host, name)
        assert alive(puppet.pid)


def test_exec_that_was_declared_keeps_the_instance_through_any_program(empty_host):
    """The lease is inherited by what onebeat-run becomes, and by what that becomes."""
    configured(empty_host, "[agent]\nexec_grace_ms = 200\n")
    process = empty_host.run(["--service", "orders", "--port", "8080", "--ip", "10.0.0.1", "--no-listen-check"],
                             ["/bin/sh", "-c", "exec /bin/sleep 300"])
    witness = registered(empty_host, service="witness")
    until(lambda: (i := empty_host.instance("orders")) and i["state"] == "UP", "registered")
    witness.send("exec /bin/sleep 60")
    gone(empty_host, "witness")
    (holder,) = empty_host.instance("orders")["holders"]
    assert (holder["pid"], holder["state"]) == (process.pid, "attached")
    process.kill()
    gone(empty_host)


def test_declared_exec_into_a_program_that_closes_everything_is_watched(empty_host):
    configured(empty_host, "[agent]\nexec_grace_ms = 200\n")
    script = "import os, time; os.closerange(3, 4096); time.sleep(300)"
    process = empty_host.run(["--service", "orders", "--port", "8080", "--ip", "10.0.0.1", "--no-listen-check"],
                             ["/usr/bin/python3", "-c", script])
    until(lambda: (i := empty_host.instance("orders")) and [h["state"] for h in i["holders"]] == ["watched"],
          "its process speaks for it")
    witness = registered(empty_host, service="witness")
    witness.send("exec /bin/sleep 60")
    gone(empty_host, "witness")
    assert empty_host.instance("orders")["state"] == "UP" and empty_host.registry.deregisters("orders") == []
    process.kill()
    gone(empty_host)


def test_forgotten_helper_without_the_listen_check_keeps_it_as_documented(host):
    """A helper that inherited a declared lease is a holder like any other: only its end is the end."""
    script = "/bin/sleep 300 & echo $!; exec /bin/sleep 300"
    process = host.run(["--service", "orders", "--port", "8080", "--ip", "10.0.0.1", "--no-listen-check"],
                       ["/bin/sh", "-c", script], stdout=-1, text=True)
    helper = int(process.stdout.readline())
    until(lambda: (i := host.instance("orders")) and i["state"] == "UP", "registered")
    process.kill()
    process.wait(10)
    registered(host, service="other")
    assert host.registry.deregisters() == [] and host.instance("orders")["state"] == "UP"
    os.kill(helper, signal.SIGKILL)
    gone(host)


def test_most_recent_word_of_a_living_holder_is_in_force(host):
    """Three that disagree; each leaves in turn, and the next most recent word comes back, DOWN included."""
    first = registered(host, weight=1)
    second = registered(host, weight=2)
    third = registered(host, weight=3)
    second.do("set a DOWN")
    up(second)
    assert host.registry.hosts("orders") == []
    third.do("update a weight=4")
    up(third)
    assert host.registry.hosts("orders")[0]["weight"] == 4.0
    third.kill()
    until(lambda: host.registry.hosts("orders") == [], "the second one's DOWN is in force again")
    assert host.instance("orders")["state"] == "DOWN"
    host.agent.kill_agent()
    until(lambda: host.instance("orders")["state"] == "DOWN", "also for a successor")
    assert len(host.registry.registers()) == 6, "which knows what the registry was told"
    second.do("deregister a")
    until(lambda: [h["weight"] for h in host.registry.hosts("orders")] == [1.0], "the first one's word is left")
    assert host.registry.deregisters() == []
    first.do("close")
    gone(host)


def test_refused_holder_of_another_cluster_may_come_when_the_others_have_left(host):
    first, second = registered(host, cluster="ONE"), host.puppet()
    second.register("a", service="orders", ip="10.0.0.1", port=8080, cluster="TWO")
    second.do("wait a REFUSED 10000")
    assert re.search(r"cluster 'TWO' is not 'ONE'.*pid %d" % first.pid, second.status("a")["text"])
    assert host.registry.hosts("orders")[0]["clusterName"] == "ONE"
    first.kill()
    gone(host)
    second.do("update a weight=2")
    up(second)
    assert host.registry.hosts("orders")[0]["clusterName"] == "TWO"
