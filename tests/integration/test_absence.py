# SPDX-License-Identifier: Apache-2.0
"""Somebody is away: the registry, the agent, the keeper, or the lease's descriptor."""

import os
import re
import signal
import socket
import struct
import subprocess
import time

import pytest

from host import BIN, PuppetError, alive, boottime_ms, restart_both, until

FULL = -36  # ONEBEAT_E_FULL


def up(puppet, name="a"):
    puppet.do(f"wait {name} UP 10000")


def beaten_since(registry, boottime, n):
    return len({b.target for b in registry.beats() if b.boottime_ms > boottime and b.code == 10200}) >= n


def test_registry_down_at_start_is_nobodys_concern(empty_host):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    empty_host.start_agent(urls=[f"http://127.0.0.1:{port}"])
    puppet = empty_host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    until(lambda: puppet.status("a")["state"] == "REGISTERING", "being registered")
    until(lambda: puppet.status("a")["text"], "the reason is told")
    registry = empty_host.start_registry(port=port)
    until(lambda: len(registry.hosts("orders")) == 1, "registered once it is there", seconds=8)
    up(puppet)
    assert puppet.status("a")["text"] == ""


def test_registry_restarted_empty_is_filled_again_within_a_beat_interval(host):
    puppets = [host.puppet() for _ in range(20)]
    for i, puppet in enumerate(puppets):
        puppet.register("a", service="orders", ip="10.0.0.1", port=8000 + i)
    for puppet in puppets:
        up(puppet)
    port = host.registry.port
    host.registry.kill()
    host.registry.wait()
    until(lambda: any(n["last_error"] for n in host.status()["registries"][0]["nodes"]), "its fall is noticed",
          seconds=10)
    registry = host.start_registry(port=port)
    started = time.monotonic()
    until(lambda: len(registry.hosts("orders")) == 20, "all are back", seconds=10)
    assert time.monotonic() - started < 6
    assert {p.status("a")["state"] for p in puppets} <= {"UP", "REGISTERING"}
    for puppet in puppets:
        up(puppet)
    assert len(registry.registers()) == 20 and registry.deregisters() == []


def test_several_addresses_one_of_them_dead(empty_host):
    """A dead address costs nothing but its first try; the others carry everything."""
    registry = empty_host.start_registry()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{listener.getsockname()[1]}"
    empty_host.start_agent(urls=[dead, registry.address])
    puppet = empty_host.puppet()
    for i in range(10):
        puppet.do(f"register i{i} service=orders ip=10.0.0.1 port={8000 + i} md.preserved.heart.beat.interval=1000")
    for i in range(10):
        up(puppet, f"i{i}")
    started = boottime_ms()
    until(lambda: beaten_since(registry, started + 2000, 10), "all are beaten", seconds=10)
    assert len(registry.registers()) == 10


def test_agent_away_at_the_applications_start(empty_host):
    """Opened detached, remembered, and handed over once the agent is there and the process calls again."""
    empty_host.start_registry()
    puppet = empty_host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    puppet.register("b", service="orders", ip="10.0.0.1", port=8081)
    assert puppet.status("a")["state"] == "DETACHED"
    empty_host.start_agent()
    up(puppet)
    up(puppet, "b")
    assert len(empty_host.registry.hosts("orders")) == 2


@pytest.mark.parametrize("mode", ("1.4", "2"))
def test_agent_killed_adopts_without_a_word_to_the_registry(empty_host, mode):
    registry = empty_host.start_registry(mode=mode)
    empty_host.start_agent()
    puppets = [empty_host.puppet() for _ in range(20)]
    for i, puppet in enumerate(puppets):
        puppet.do(f"register a service=orders ip=10.0.0.1 port={8000 + i} md.preserved.heart.beat.interval=1000")
    for puppet in puppets:
        up(puppet)
    victim = empty_host.puppet()
    victim.register("a", service="victim", ip="10.0.0.1", port=9000)
    up(victim)
    for _ in range(3):
        empty_host.agent.kill_agent()
        until(lambda since=boottime_ms(): beaten_since(registry, since, 20), "all are beaten again", seconds=8)
    assert len(registry.registers()) == 21 and registry.deregisters() == []
    assert {p.status("a")["state"] for p in puppets} == {"UP"}
    # Who dies after an adoption is noticed as before, and so is who changes.
    victim.kill()
    until(lambda: registry.deregisters("victim"), "a death is noticed")
    puppets[0].do("update a service=orders ip=10.0.0.1 port=8000 weight=9 md.preserved.heart.beat.interval=1000")
    up(puppets[0])
    assert len(registry.registers()) == 22


def test_deaths_and_changes_while_the_agent_is_away_are_found(host):
    stays, goes = host.puppet(), host.puppet()
    stays.register("a", service="stays", ip="10.0.0.1", port=8080)
    goes.register("a", service="goes", ip="10.0.0.1", port=8081)
    up(stays)
    up(goes)
    agent = host.agent.agent_pid()
    os.kill(agent, signal.SIGSTOP)
    stays.do("update a service=stays ip=10.0.0.1 port=8080 weight=4")
    goes.kill()
    goes.wait()
    os.kill(agent, signal.SIGKILL)
    until(lambda: host.registry.deregisters("goes"), "the dead one is deregistered")
    up(stays)
    assert host.registry.hosts("stays")[0]["weight"] == 4.0
    assert host.registry.deregisters("stays") == []


def test_stop_keeps_registrations_and_the_next_start_adopts_them(host):
    puppet, dead = host.puppet(), host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    dead.register("a", service="dead", ip="10.0.0.1", port=8081)
    up(puppet)
    up(dead)
    assert host.agent.stop() == 0
    assert host.registry.deregisters() == []
    dead.kill()
    dead.wait()
    host.start_agent()
    until(lambda: host.registry.deregisters("dead"), "what died meanwhile is deregistered")
    until(lambda: (i := host.instance("orders")) and i["state"] == "UP", "adopted")
    since = boottime_ms()
    until(lambda: beaten_since(host.registry, since, 1), "beaten again", seconds=10)
    # The process never called; when it does, it comes back to the same instance.
    puppet.attach()
    up(puppet)
    assert len(host.registry.registers("orders")) == 1
    assert host.registry.deregisters("orders") == []
    puppet.kill()
    until(lambda: host.registry.deregisters("orders"), "its death ends it")


def test_keeper_killed_agent_stops_within_a_second_and_deregisters_nothing(host):
    puppet = host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    up(puppet)
    agent = host.agent.agent_pid()
    host.agent.kill()
    host.agent.wait()
    until(lambda: not alive(agent), "the agent is gone too", seconds=1.0)
    assert host.registry.deregisters() == []
    host.start_agent()
    until(lambda: (i := host.instance("orders")) and i["state"] == "UP", "adopted by the next one")
    puppet.attach()
    up(puppet)
    assert len(host.registry.registers()) == 1 and host.registry.deregisters() == []


def test_deregistered_before_the_keepers_death_was_noticed_is_gone(host):
    """What it wrote into the lost memory nobody reads; the next agent knows the instance from the journal."""
    puppet = host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    up(puppet)
    agent = host.agent.agent_pid()
    host.agent.kill()
    host.agent.wait()
    until(lambda: not alive(agent), "the agent is gone too")
    host.start_agent()
    until(lambda: (i := host.instance("orders")) and i["state"] == "UP", "adopted by the next one")
    puppet.do("deregister a")
    until(lambda: host.registry.deregisters("orders"), "deregistered")
    until(lambda: host.instance("orders") is None, "forgotten")


def test_withdrawals_that_nobody_heard_keep_their_places(host):
    """A full handle says so, and does not forget what it has withdrawn while keeper and agent are away."""
    puppet = host.puppet()
    for i in range(16):
        puppet.register(f"i{i}", service="orders", ip="10.0.0.1", port=8000 + i)
    for i in range(16):
        up(puppet, f"i{i}")
    agent = host.agent.agent_pid()
    host.agent.kill()
    os.kill(agent, signal.SIGKILL)
    until(lambda: not alive(agent), "the agent is gone too")
    with pytest.raises(PuppetError):
        puppet.do("attend")  # now it knows
    for i in (3, 7):
        puppet.do(f"deregister i{i}")
    with pytest.raises(PuppetError) as refused:
        puppet.register("new", service="orders", ip="10.0.0.1", port=9000)
    assert refused.value.code == FULL
    host.start_agent()
    puppet.attach()
    until(lambda: puppet.do("attend") == "" and len(host.registry.deregisters()) == 2, "both are withdrawn", 20)
    assert {f"port={8000 + i}" for i in (3, 7)} == {re.search(r"port=\d+", d.target)[0] for d in host.registry.deregisters()}
    puppet.register("new", service="orders", ip="10.0.0.1", port=9000)
    up(puppet, "new")
    assert len(host.registry.deregisters()) == 2


def test_leave_deregisters_all_and_stops(host):
    puppet = host.puppet()
    for i in range(5):
        puppet.do(f"register i{i} service=orders ip=10.0.0.1 port={8000 + i}")
    for i in range(5):
        up(puppet, f"i{i}")
    done = host.agent.ctl("leave", "-o", "json")
    assert '"deregistered":5,"failed":0' in done.stdout
    assert host.agent.wait() == 0
    assert host.registry.hosts("orders") == [] and len(host.registry.deregisters()) == 5


def test_second_onebeatd_refuses_naming_the_first(host):
    done = subprocess.run([BIN / "onebeatd", "--runtime-dir", host.agent.runtime_dir, "--registry",
                           host.registry.address], capture_output=True, text=True, timeout=10)
    assert done.returncode == 1
    assert str(host.agent.pid) in done.stderr
    assert host.agent.ctl("ping").returncode == 0


def test_modes_of_folder_and_sockets_are_safe(host):
    run = host.agent.runtime_dir
    assert run.stat().st_mode & 0o777 == 0o755
    assert (run / "client.sock").stat().st_mode & 0o777 == 0o666
    assert (run / "control.sock").stat().st_mode & 0o777 == 0o660
    assert (run / "journal").stat().st_mode & 0o777 == 0o600


def test_server_that_closes_every_descriptor_stays_registered(host):
    """The lease ends, the process lives: its pidfd speaks for it, until it dies."""
    puppet = host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    up(puppet)
    puppet.do("closeall")
    until(lambda: host.status()["leases"] == 0, "the agent sees the end of the lease")
    assert host.registry.deregisters() == [] and host.instance("orders")["holders"][0]["state"] == "watched"
    host.agent.kill_agent()
    assert host.instance("orders")["state"] == "UP"
    puppet.kill()
    until(host.registry.deregisters, "its death is seen all the same")
    assert len(host.registry.registers()) == 1


def test_lease_number_used_again_is_never_touched(host):
    """Not one byte of ours in the application's own socket; the process attaches anew."""
    puppet = host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    up(puppet)
    puppet.do("closeall")
    puppet.do("reuse")
    for weight in range(2, 30):
        puppet.do(f"update a service=orders ip=10.0.0.1 port=8080 weight={weight}")
    up(puppet)
    assert puppet.values("foreign")["bytes"] == "0"
    assert host.registry.hosts("orders")[0]["weight"] == 29.0
    assert host.registry.deregisters() == []
    puppet.kill()
    until(host.registry.deregisters, "gone with the process")


def test_identity_as_on_kernels_without_so_peerpidfd(empty_host):
    """Debian 12's own kernel: the pidfd is taken at accept, and ENOPROTOOPT is not death."""
    conf = empty_host.folder / "onebeatd.conf"
    conf.write_text("[agent]\nidentity = pidfd_open\n")
    empty_host.start_registry()
    empty_host.start_agent(options=["-c", conf])
    closes, dies = empty_host.puppet(), empty_host.puppet()
    closes.register("a", service="closes", ip="10.0.0.1", port=8080)
    dies.register("a", service="dies", ip="10.0.0.1", port=8081)
    up(closes)
    up(dies)
    closes.do("closeall")
    dies.kill()
    until(lambda: empty_host.registry.deregisters("dies"), "death is seen")
    until(lambda: empty_host.instance("closes")["holders"][0]["state"] == "watched", "life is seen")
    assert empty_host.registry.deregisters("closes") == []
    closes.kill()
    until(lambda: empty_host.registry.deregisters("closes"), "and its end")


def test_another_program_in_the_process_is_an_orphan_after_the_grace(empty_host):
    conf = empty_host.folder / "onebeatd.conf"
    conf.write_text("[agent]\nexec_grace_ms = 1000\n")
    empty_host.start_registry()
    empty_host.start_agent(options=["-c", conf])
    puppet = empty_host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    up(puppet)
    puppet.send("exec /bin/sleep 60")
    before = boottime_ms()
    (delete,) = until(empty_host.registry.deregisters, "deregistered", seconds=8)
    assert delete.boottime_ms - before >= 900
    assert alive(puppet.pid)


def frozen_registry(host):
    """The registry takes requests into its socket's buffer and answers nothing until it is thawed."""
    host.registry.process.send_signal(signal.SIGSTOP)


def thaw(host):
    host.registry.process.send_signal(signal.SIGCONT)


def kill_agent_in_flight(host):
    """The request has left, no answer has come: what the journal says now is what the next agent goes by."""
    host.agent.kill_agent()
    thaw(host)


def test_first_register_unanswered_a_light_beat_decides(host):
    other, puppet = host.puppet(), host.puppet()
    other.register("a", service="other", ip="10.0.0.1", port=8081)  # its connection is there to be used
    up(other)
    frozen_registry(host)
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    until(lambda: host.status()["requests"]["register"] == 2, "the register has left")
    kill_agent_in_flight(host)
    up(puppet)
    assert len(host.registry.registers("orders")) == 1, "the frozen one was carried out; no second"
    assert len(host.registry.beats("orders")) >= 1


def test_first_register_lost_with_the_registry_is_sent_after_a_light_beat(host):
    """The other answer to that beat: the registry knows nothing of it."""
    other, puppet = host.puppet(), host.puppet()
    other.register("a", service="other", ip="10.0.0.1", port=8081)
    up(other)
    frozen_registry(host)
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    until(lambda: host.status()["requests"]["register"] == 2, "the register has left")
    port = host.registry.port
    host.agent.kill_agent()
    host.registry.kill()
    host.registry.wait()
    assert host.registry.registers("orders") == [], "it was not carried out"
    registry = host.start_registry(port=port)
    up(puppet)
    asked = [(r.method, r.code) for r in registry.requests(contains="orders")][:2]
    assert asked == [("PUT", 20404), ("POST", None)], "a light beat decides"
    assert len(registry.registers("orders")) == 1


def test_update_unanswered_is_sent_again(host):
    puppet = host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080, weight=1)
    up(puppet)
    frozen_registry(host)
    puppet.do("update a service=orders ip=10.0.0.1 port=8080 weight=3")
    until(lambda: host.status()["requests"]["register"] == 2, "the update has left")
    kill_agent_in_flight(host)
    up(puppet)
    assert host.registry.hosts("orders")[0]["weight"] == 3.0
    assert len(host.registry.registers()) == 3 and host.registry.deregisters() == []


def test_deregister_unanswered_is_sent_again(host):
    puppet = host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    up(puppet)
    frozen_registry(host)
    puppet.kill()
    until(lambda: host.status()["requests"]["deregister"] == 1, "the deregister has left")
    kill_agent_in_flight(host)
    until(lambda: host.status()["dom2BeatSize"] == 0, "settled")
    assert host.registry.hosts("orders") == []
    assert len(host.registry.registers()) == 1


def test_registry_that_hangs_delays_and_loses_nothing(host):
    """Ten seconds frozen: time-outs, retries, and all is as before."""
    puppets = [host.puppet() for _ in range(5)]
    for i, puppet in enumerate(puppets):
        puppet.do(f"register a service=orders ip=10.0.0.1 port={8000 + i} md.preserved.heart.beat.interval=1000")
    for puppet in puppets:
        up(puppet)
    frozen_registry(host)
    until(lambda: host.status()["beats"]["failed"] >= 5, "beats time out", seconds=15)
    thaw(host)
    since = boottime_ms()
    until(lambda: beaten_since(host.registry, since, 5), "all are beaten again", seconds=10)
    assert len(host.registry.hosts("orders")) == 5 and host.registry.deregisters() == []
    assert len(host.registry.registers()) == 5


def test_holders_known_from_the_journal_alone_die_one_by_one(host):
    first, second = host.puppet(), host.puppet()
    for puppet in (first, second):
        puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
        up(puppet)
    restart_both(host)
    assert len(host.instance("orders")["holders"]) == 2
    first.kill()
    until(lambda: len(host.instance("orders")["holders"]) == 1, "one is left")
    assert host.registry.deregisters() == []
    host.agent.kill_agent()  # what is known from the journal survives this as well
    assert host.instance("orders")["state"] == "UP"
    second.kill()
    until(host.registry.deregisters, "the last one's death is seen")
    assert len(host.registry.registers()) == 1


def test_exec_grace_goes_on_over_a_restart(empty_host):
    conf = empty_host.folder / "onebeatd.conf"
    conf.write_text("[agent]\nexec_grace_ms = 1500\n")
    empty_host.start_registry()
    empty_host.start_agent(options=["-c", conf])
    puppet = empty_host.puppet()
    puppet.register("a", service="orders", ip="10.0.0.1", port=8080)
    up(puppet)
    puppet.send("exec /bin/sleep 60")
    until(lambda: empty_host.instance("orders")["holders"][0]["state"] == "watched", "its lease has ended")
    empty_host.agent.kill_agent()
    until(empty_host.registry.deregisters, "deregistered", seconds=8)
    assert alive(puppet.pid)


def test_thousands_of_processes_say_hello_at_once(empty_host, tmp_path):
    """Keeper and agent never wait for each other, however many leases are handed over in one turn."""
    host = empty_host
    (tmp_path / "conf").write_text("[agent]\nsilent_leases = 3000\n")
    host.start_registry()
    host.start_agent(options=("-c", tmp_path / "conf"))
    hello = struct.pack("=IHHHHIIII16sI", 0x4F42454C, 1, 48, 1, 0, 0x01020304, 0, 0, 1, b"test", 0)
    agent = host.agent.agent_pid()
    clients = []
    for _ in range(3000):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.settimeout(15)
        client.connect(str(host.agent.runtime_dir / "client.sock"))
        clients.append(client)
    until(lambda: host.status()["leases"] == 3000, "all are accepted")
    os.kill(agent, signal.SIGSTOP)
    for client in clients:
        client.send(hello)
    os.kill(agent, signal.SIGCONT)
    try:
        for client in clients:
            message, fds, _, _ = socket.recv_fds(client, 256, 4)
            for fd in fds:
                os.close(fd)
            assert len(message) == 56 and len(fds) == 2
    finally:
        for client in clients:
            client.close()
    until(lambda: host.status()["leases"] == 0, "all are gone")
