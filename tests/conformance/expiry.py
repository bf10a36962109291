# SPDX-License-Identifier: Apache-2.0
"""The server's clock: who is not beaten becomes unhealthy and is removed, who is beaten is neither

A server looks every 5 s, so both come up to a tick late; never early. A second, beaten instance stands beside
the silent one, because 1.4 shows nobody unhealthy when nobody is left.
"""

import time

from case import LIST_S, Mismatch, case
from wire import V1

TICK = 5  # s of the server's clock
SLACK_S = 2  # of ours: the machine is busy, and lists are rebuilt half a second late


def goes_silent(s, i, unhealthy_s, removed_s, look_s=TICK):
    """From a last beat on: healthy, unhealthy, removed, each in its time."""
    s.keep(s.instance(ip="10.9.0.200"))
    s.registered(i)
    s.listed(i)
    start = time.monotonic()
    s.renewed(i)
    seen = {}

    def look(now_unhealthy):
        host = s.host(i)
        state = "gone" if host is None else "healthy" if host.get("healthy") else "unhealthy"
        seen.setdefault(state, time.monotonic() - start)
        neighbour = s.hosts(i).get(("10.9.0.200", 8080))
        if not (neighbour and neighbour.get("healthy")):
            raise Mismatch("beats of 10.9.0.200 every 4 s of the server's clock",
                           "it is listed and healthy at every look", neighbour or "it is not listed")
        return state == now_unhealthy
    for state, after in (("unhealthy", unhealthy_s), ("gone", removed_s)):
        s.until(lambda: look(state), f"{state} {after} to {after + look_s} s after its last beat (the server's clock)",
                s.target.seconds(after + look_s) + SLACK_S + LIST_S)
        s.expect(seen[state] >= s.target.seconds(after) - 0.3, f"{state} not before {after} s of the server's clock",
                 f"{state} {seen[state] * s.target.scale:.1f} s after its last beat")
    s.unknown(i)


@case("who is beaten no more is unhealthy after 15 s and gone after 30; its neighbour is neither")
def expiry(s):
    goes_silent(s, s.instance(), 15, 30)


@case("the time-outs of preserved.* are followed")
def expiry_of_its_own(s):
    goes_silent(s, s.instance(metadata={"preserved.heart.beat.interval": "2000", "preserved.heart.beat.timeout": "6000",
                                        "preserved.ip.delete.timeout": "12000"}), 6, 12)


@case("who is beaten is listed and healthy at every look, longer than any time-out")
def beaten_stays(s):
    i = s.instance()
    s.keep(i)
    s.listed(i)
    s.stays(lambda: (h := s.host(i)) and h.get("healthy"), "listed and healthy", s.target.seconds(40))


@case("a repeated registration is as good as a beat")
def registration_resets_the_clock(s):
    i = s.instance()
    s.registered(i)
    s.listed(i)
    last = [0.0]

    def look():
        if time.monotonic() - last[0] > s.target.seconds(4):
            last[0] = time.monotonic()
            s.registered(i)
        return s.host(i)
    s.stays(look, "listed", s.target.seconds(38))


@case("who became unhealthy is healthy again by one beat")
def beat_heals(s):
    s.keep(s.instance(ip="10.9.0.200"))
    i = s.instance(metadata={"preserved.heart.beat.interval": "2000", "preserved.heart.beat.timeout": "6000",
                             "preserved.ip.delete.timeout": "120000"})
    s.registered(i)
    s.listed(i)
    s.until(lambda: (h := s.host(i)) and h.get("healthy") is False, "listed and unhealthy",
            s.target.seconds(6 + TICK) + SLACK_S + LIST_S)
    s.renewed(i)
    s.listed(i, healthy=True)


@case("a persistent instance needs no beat, and only a DELETE with ephemeral=false removes it")
def persistent(s):
    i = s.instance(ephemeral=False)
    s.registered(i)
    s.listed(i, ephemeral=False)
    s.deregister(i, ephemeral=True)
    s.stays(lambda: s.host(i), "listed without any beat, and after a DELETE of its ephemeral name", s.target.seconds(38))
    s.deregistered(i)
    s.unlisted(i)


@case("1.4: a beat of a persistent instance is answered as known", generations=("1.4",))
def beat_of_the_persistent(s):
    i = s.instance(ephemeral=False)
    s.registered(i)
    s.listed(i)
    s.renewed(i)


@case("2 and later: a beat of a persistent instance is of an unknown one", generations=("2", "3"))
def beat_of_the_persistent_later(s):
    i = s.instance(ephemeral=False)
    s.registered(i)
    s.listed(i)
    s.unknown(i)


@case("2 and later: a service has one kind of instances", generations=("2", "3"))
def kinds_do_not_mix(s):
    i = s.instance(ephemeral=False)
    s.registered(i)
    s.listed(i)
    reply = s.register(s.instance(ip="10.9.0.2"))
    s.expect(reply.status == 400, "400: the service is persistent")


@case("healthy=false of a registration holds until the first beat", generations=("2", "3"), apis=(V1,))
def registered_unhealthy(s):
    s.keep(s.instance(ip="10.9.0.200"))
    i = s.instance()
    s.registered(i.but(healthy=False))
    s.listed(i, healthy=False)
    s.renewed(i)
    s.listed(i, healthy=True)
