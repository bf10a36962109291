# SPDX-License-Identifier: Apache-2.0
"""onebeat-run: a command that knows nothing of onebeat, registered while it listens and lives."""

import os
import signal
import subprocess
import sys

from host import BIN, boottime_ms, configured, until

# Listens when a line comes on stdin, stops at the next, and so on; then forks workers that just live.
SERVER = """
import os, signal, socket, sys
port = int(sys.argv[1])
listener = None
print("started", flush=True)
for line in sys.stdin:
    word = line.strip()
    if word == "listen":
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(5)
    elif word == "close":
        listener.close()
    elif word == "daemonise":
        if os.fork() > 0:
            os._exit(0)
        os.setsid()
        os.closerange(listener.fileno() + 1, 1 << 16)
    elif word == "worker":
        pid = os.fork()
        if pid == 0:
            signal.pause()
        print("ok", pid, flush=True)
        continue
    elif word == "helper":
        if os.fork() == 0:
            listener.close()
            os.execv("/bin/sleep", ["sleep", "600"])
    print("ok", os.getpid(), flush=True)
"""


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, host, *options):
        self.port = free_port()
        self.process = host.run(["--service", "web", "--port", str(self.port), "--ip", "10.0.0.1", *options],
                                [sys.executable, "-c", SERVER, str(self.port)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "started\n"

    def do(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline().split()[1])


def state(host):
    instance = host.instance("web")
    return instance and instance["state"]


def test_registered_when_it_listens_and_never_before(host):
    server = Server(host)
    until(lambda: state(host) == "WAITING", "waiting")
    assert host.registry.registers() == []
    before = boottime_ms()
    server.do("listen")
    (post,) = until(host.registry.registers, "registered")
    assert post.boottime_ms - before < 3000  # the next look at the port; sanitizers and a busy machine take their part
    until(lambda: state(host) == "UP", "up")
    killed = boottime_ms()
    os.killpg(server.process.pid, signal.SIGKILL)
    (delete,) = until(host.registry.deregisters, "gone")
    assert delete.boottime_ms - killed < 500


def test_no_listen_check_registers_at_once(host):
    Server(host, "--no-listen-check")
    until(host.registry.registers, "registered without listening")


def test_port_that_falls_silent_is_disabled_then_taken_out_then_back(empty_host):
    configured(empty_host, "[agent]\nlisten_grace_ms = 500\n")
    server = Server(empty_host)
    server.do("listen")
    until(lambda: state(empty_host) == "UP", "up")
    server.do("close")
    until(lambda: state(empty_host) == "DOWN", "disabled", seconds=8)
    assert empty_host.registry.deregisters() == []
    until(empty_host.registry.deregisters, "taken out", seconds=12)
    server.do("listen")
    until(lambda: state(empty_host) == "UP", "up again", seconds=5)


def test_daemonised_server_that_closed_the_lease_lives_while_it_listens(host):
    server = Server(host)
    server.do("listen")
    until(lambda: state(host) == "UP", "up")
    daemon = server.do("daemonise")
    server.process.wait(5)
    try:
        until(lambda: host.status()["leases"] == 0, "the lease is gone")
        assert state(host) == "UP" and host.registry.deregisters() == []
    finally:
        killed = boottime_ms()
        os.kill(daemon, signal.SIGKILL)
    (delete,) = until(host.registry.deregisters, "gone when it stops listening")
    assert delete.boottime_ms - killed < 3000


def test_forgotten_helper_does_not_keep_the_instance_for_ever(empty_host):
    configured(empty_host, "[agent]\nlisten_grace_ms = 300\n")
    server = Server(empty_host)
    server.do("listen")
    until(lambda: state(empty_host) == "UP", "up")
    server.do("helper")
    os.kill(server.process.pid, signal.SIGKILL)  # the helper, in the same group, lives on and has the lease
    until(lambda: empty_host.registry.deregisters(), "taken out all the same", seconds=12)


def test_exit_status_and_signals_are_the_commands_own(host):
    done = subprocess.run([BIN / "onebeat-run", "--runtime-dir", host.agent.runtime_dir, "--service", "web",
                           "--port", "1", "--ip", "10.0.0.1", "--", "/bin/sh", "-c", "exit 42"], timeout=10)
    assert done.returncode == 42
    done = subprocess.run([BIN / "onebeat-run", "--runtime-dir", host.agent.runtime_dir, "--service", "web",
                           "--port", "1", "--ip", "10.0.0.1", "--", "/bin/sh", "-c", "kill -TERM $$"], timeout=10)
    assert done.returncode == -signal.SIGTERM
    done = subprocess.run([BIN / "onebeat-run", "--runtime-dir", host.agent.runtime_dir, "--service", "web",
                           "--port", "1", "--ip", "10.0.0.1", "--", "/no/such/program"], timeout=10,
                          capture_output=True, text=True)
    assert done.returncode == 127 and "/no/such/program" in done.stderr


def test_without_an_agent_it_says_so_or_keeps_going(tmp_path):
    base = [BIN / "onebeat-run", "--runtime-dir", tmp_path, "--service", "web", "--port", "80"]
    done = subprocess.run([*base, "--", "/bin/true"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 1 and "no agent" in done.stderr and "web" in done.stderr
    done = subprocess.run([*base, "--keep-going", "--", "/bin/sh", "-c", "exit 3"], capture_output=True, text=True,
                          timeout=10)
    assert done.returncode == 3 and "no agent" in done.stderr


def test_refusal_by_the_agent_is_told_before_the_command_runs(host):
    puppet = host.puppet()
    puppet.register("a", service="web", ip="10.0.0.1", port=80, cluster="ONE")
    puppet.do("wait a UP 10000")
    done = subprocess.run([BIN / "onebeat-run", "--runtime-dir", host.agent.runtime_dir, "--service", "web", "--port",
                           "80", "--ip", "10.0.0.1", "--cluster", "TWO", "--", "/bin/echo", "ran"],
                          capture_output=True, text=True, timeout=10)
    assert done.returncode == 1 and "TWO" in done.stderr and done.stdout == ""


def test_wrong_usage_is_named(host):
    for options, words in (
        ([], ("--service",)),
        (["--service", "web"], ("--port",)),
        (["--service", "web", "--port", "x"], ("--port", "'x'", "1..65535")),
        (["--service", "web", "--port", "70000"], ("70000", "1..65535")),
        (["--service", "bad/name", "--port", "80"], ("bad/name", "A-Z")),
        (["--service", "web", "--port", "80", "--ip", "1.2.3"], ("ip",)),
        (["--service", "web", "--port", "80", "--weight", "heavy"], ("--weight", "heavy")),
        (["--service", "web", "--port", "80", "--metadata", "novalue"], ("--metadata", "novalue")),
        (["--service", "web", "--port", "80", "--policy", "all"], ("--policy", "all")),
        (["--service", "web", "--port", "80", "--nonsense"], ("nonsense",)),
    ):
        done = subprocess.run([BIN / "onebeat-run", "--runtime-dir", host.agent.runtime_dir, *options, "--",
                               "/bin/echo", "ran"], capture_output=True, text=True, timeout=10)
        assert done.returncode == 2 and done.stdout == "", (options, done)
        for word in words:
            assert word in done.stderr, (options, done.stderr)
    done = subprocess.run([BIN / "onebeat-run", "--service", "web", "--port", "80"], capture_output=True, text=True,
                          timeout=10)
    assert done.returncode == 2 and "command" in done.stderr
    assert host.registry.requests() == []


def test_agent_restart_keeps_a_service_whose_first_process_is_gone(host):
    """Master dead, a worker has the lease and the port: nothing in /proc tells of the master any more."""
    server = Server(host)
    server.do("listen")
    until(lambda: state(host) == "UP", "up")
    worker = server.do("worker")
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait(5)
    host.agent.kill_agent()
    assert state(host) == "UP"
    os.kill(worker, signal.SIGKILL)
    until(host.registry.deregisters, "gone with the worker")
    assert len(host.registry.registers()) == 1


def test_agent_restart_keeps_a_daemonised_server_that_closed_the_lease(host):
    server = Server(host)
    server.do("listen")
    until(lambda: state(host) == "UP", "up")
    daemon = server.do("daemonise")
    server.process.wait(5)
    try:
        until(lambda: host.status()["leases"] == 0, "the lease is gone")
        host.agent.kill_agent()
        assert state(host) == "UP" and host.registry.deregisters() == []
    finally:
        os.kill(daemon, signal.SIGKILL)
    until(host.registry.deregisters, "gone when it stops listening")
    assert len(host.registry.registers()) == 1


def test_agent_restart_does_not_show_a_silent_service(empty_host):
    configured(empty_host, "[agent]\nlisten_grace_ms = 1000\n")
    server = Server(empty_host)
    server.do("listen")
    until(lambda: state(empty_host) == "UP", "up")
    server.do("close")
    until(lambda: state(empty_host) == "DOWN", "disabled", seconds=8)
    n = len(empty_host.registry.registers())
    empty_host.agent.kill_agent()
    assert state(empty_host) == "DOWN"
    assert len(empty_host.registry.registers()) == n
    server.do("listen")
    until(lambda: state(empty_host) == "UP", "up again", seconds=5)


def test_dead_holder_does_not_linger_beside_a_living_one(host):
    server = Server(host)
    server.do("listen")
    until(lambda: state(host) == "UP", "up")
    puppet = host.puppet()
    puppet.do(f"register a service=web ip=10.0.0.1 port={server.port} when_listening=1")
    puppet.do("wait a UP 5000")
    puppet.do("set a DOWN")
    until(lambda: state(host) == "DOWN", "its word counts")
    puppet.kill()
    until(lambda: state(host) == "UP", "and goes with it")
    assert len(host.instance("web")["holders"]) == 1
