# SPDX-License-Identifier: Apache-2.0
"""Answers to a beat that are no whole reply: the last line of the table in test_errors.py"""

import time

import pytest

from host import until
from scripted import BEATEN, Reset, World, chunked, reply
from siege import n_descriptors, resident_kib

GRACE_S = 5  # between two beats of a neighbour, whose period is 1 s
GROWN_KIB = 32 * 1024
WAIT_S = 30  # for what takes two or three; ten, where a time-out passes



def closing(data):
    """Says that, and no more."""
    def answer(conn):
        conn.sendall(data)
        return False
    return answer


def resetting(data=b""):
    def answer(conn):
        conn.sendall(data)
        raise Reset
    return answer


def dripping(conn):
    """A byte now and then: never silent, never done."""
    for byte in reply(body=BEATEN) * 10:
        conn.sendall(bytes([byte]))
        time.sleep(0.2)
    return False


def endless(conn):
    head = b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n"
    conn.sendall(head)
    for _ in range(1000):
        conn.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
    return False


WHOLE = reply(body=BEATEN, content_type="application/json")

BROKEN = {
    "cut-in-the-head": closing(WHOLE[:20]),
    "cut-in-the-body": closing(WHOLE[:-5]),
    "cut-in-a-chunk": closing(chunked(BEATEN, 10)[:-20]),
    "closed": closing(b""),
    "reset": resetting(),
    "reset-in-the-body": resetting(WHOLE[:-5]),
    "no-http": closing(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
    "bad-length": closing(b"HTTP/1.1 200 \r\nContent-Length: -1\r\n\r\n"),
    "bad-chunk": closing(b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "long-head": closing(b"HTTP/1.1 200 \r\nX: " + b"x" * 300_000 + b"\r\n\r\n"),
    "endless-body": endless,
    "dripping": dripping,
}


@pytest.fixture(scope="module", name="worlds")
def an_agent_for_each(tmp_path_factory):
    """A server that breaks connections is one node, which takes everybody's turn: so each has an agent."""
    folder = tmp_path_factory.mktemp("broken")
    worlds = {}
    try:
        for name, answer in BROKEN.items():
            worlds[name] = World(folder / name, {("beat", "victim"): answer})
            worlds[name].pid = worlds[name].agent.agent_pid()
            worlds[name].kib = resident_kib(worlds[name].pid)
            worlds[name].add("victim")
        yield worlds
    finally:
        for world in worlds.values():
            world.stop()


@pytest.mark.parametrize("name", BROKEN)
def test_broken_answers_to_a_beat(worlds, name):
    """The instance is beaten again, and says why; its neighbour, by the same node, notices nothing."""
    world = worlds[name]
    world.puppet.do("wait victim UP 20000")
    until(lambda: world.puppet.status("victim")["text"], lambda: world.puppet.status("victim"), seconds=WAIT_S)
    until(lambda: len(world.server.of("beat", "victim")) >= 2, "beaten again", seconds=WAIT_S)
    status = world.puppet.status("victim")
    assert status["state"] == "UP" and status["text"].isprintable(), status
    assert len(world.server.of("register", "victim")) == 1
    until(lambda: len(world.server.of("beat", "neighbour")) >= 5, "the neighbour is beaten", seconds=WAIT_S)
    assert world.gap() < GRACE_S
    world.server.answers.clear()


@pytest.mark.parametrize("name", BROKEN)
def test_all_is_well_again(worlds, name):
    world = worlds[name]
    until(lambda: world.puppet.status("victim")["text"] == "", "healed", seconds=WAIT_S)
    assert world.gap() < GRACE_S
    assert world.agent.agent_pid() == world.pid
    assert n_descriptors(world.pid) < 200 and resident_kib(world.pid) - world.kib < GROWN_KIB
