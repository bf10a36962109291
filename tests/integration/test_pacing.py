# SPDX-License-Identifier: Apache-2.0
"""What would happen to all instances at once happens to them in turn.

Times are those of the registry's log. On a busy machine requests can bunch, so a rate is judged by
how long the whole takes, which nothing makes shorter.
"""

import os
import signal

import pytest

from host import boottime_ms, until

N = 60  # instances
A_PUPPET = 15  # of them: a handle holds 16
RATE = 20  # registrations a second


@pytest.fixture
def crowded(empty_host):
    """N instances beaten once a second, and a low rate to register them again."""
    registry = empty_host.start_registry()
    conf = empty_host.folder / "onebeatd.conf"
    conf.write_text(f"[registry main]\nurl = {registry.address}\nreregister_rate = {RATE}\n")
    empty_host.start_agent(urls=(), options=["-c", conf])
    puppets = [empty_host.puppet() for _ in range(N // A_PUPPET)]
    for i in range(N):
        puppets[i // A_PUPPET].do(f"register i{i} service=orders ip=10.0.0.1 port={1000 + i} "
                                  "md.preserved.heart.beat.interval=1000")
    for i in range(N):
        puppets[i // A_PUPPET].do(f"wait i{i} UP 10000")
    until(lambda: len(by_port(registry.beats())) == N, "all are beaten")
    return empty_host


def port_of(request):
    return request.target.split("port=")[1].split("&")[0]


def by_port(requests):
    """The first request of each instance."""
    first = {}
    for request in requests:
        first.setdefault(port_of(request), request)
    return first


def spread_ms(requests):
    times = [request.boottime_ms for request in requests]
    return max(times) - min(times)


def test_an_empty_restart_is_answered_at_the_configured_rate(crowded):
    """Each is registered again, and who is new meanwhile does not wait behind them."""
    registry = crowded.registry
    assert len(registry.registers()) == N
    registry.admin("clear")
    until(lambda: len(registry.registers()) > N, "the first one is back")
    puppet = crowded.puppet()
    puppet.do("register new service=new ip=10.0.0.1 port=99")
    puppet.do("wait new UP 10000")
    n_back = len(registry.registers("orders")) - N
    until(lambda: len(registry.hosts("orders")) == N, "all are back", seconds=30)
    again = registry.registers("orders")[N:]
    assert len(by_port(again)) == N
    assert spread_ms(by_port(again).values()) > (N / RATE - 0.5) * 1000
    assert n_back < N, "who is new came after all others"


def test_the_first_registrations_are_not_paced(crowded):
    assert spread_ms(crowded.registry.registers()) < N / RATE * 1000 / 2


def test_after_a_sleep_beats_go_out_in_turn(crowded):
    """The agent is stopped for some periods. Nothing is registered again, and each is beaten once more."""
    registry = crowded.registry
    agent = crowded.agent.agent_pid()
    os.kill(agent, signal.SIGSTOP)
    stopped_ms = boottime_ms()
    until(lambda: boottime_ms() > stopped_ms + 2500, "it has slept")
    n_beats = len(registry.beats())
    os.kill(agent, signal.SIGCONT)
    until(lambda: len(by_port(registry.beats()[n_beats:])) == N, "all are beaten again")
    late = by_port(registry.beats()[n_beats:])
    assert spread_ms(late.values()) > (N / (3 * RATE) - 0.4) * 1000
    assert len(registry.registers()) == N
