# SPDX-License-Identifier: Apache-2.0
"""Registries that are wrong in one thing, each of which the suite must refuse by the case that is about it

A suite that passes everything would pass them, too. The same proxy without a lie must pass all these cases: else
it would be the proxy that they refuse.
"""

import concurrent.futures
import json
import pathlib
import threading

from case import CASES
from proxy import OK, Proxy, beat_reply
from suite import fault_of, left_behind, say
from target import Embedded, Target, Unfit
from wire import Reply

PARTS = {case.name: case for case in CASES}
LIARS = []


def liar(what, *cases, modes=("2",)):
    def keep(function):
        LIARS.extend((what, mode, function, cases) for mode in modes)
        return function
    return keep


def listing(reply, change):
    """A list's reply with its hosts changed."""
    said = reply.json
    if reply.status != 200 or "hosts" not in said:
        return reply
    said["hosts"] = change(said["hosts"])
    return Reply(200, reply.headers, json.dumps(said))


@liar("forgets beats", "beaten_stays", "agent_beats", modes=("1.4", "2"))
def forgets_beats(request, ask):
    return beat_reply(10200) if request.call == "beat" else ask(request)


@liar("says ok and stores nothing", "registered_is_listed", "agent_registers")
def stores_nothing(request, ask):
    return OK if request.call == "register" else ask(request)


@liar("drops metadata", "registered_is_listed", "metadata_of_odd_characters", "agent_registers")
def drops_metadata(request, ask):
    return ask(request.but(metadata=None) if request.call == "register" else request)


@liar("takes UTF-8 for Latin-1", "metadata_of_odd_characters", "agent_sends_odd_characters")
def takes_utf8_for_latin1(request, ask):
    if "metadata" in request.params:
        request = request.but(metadata=request.params["metadata"].encode().decode("latin-1"))
    return ask(request)


@liar("answers every beat with 20404", "beat_of_the_known", modes=("1.4", "2"))
def knows_nobody(request, ask):
    return beat_reply(20404) if request.call == "beat" else ask(request)


@liar("answers every beat with 10200", "beat_of_the_unknown", "deregistered_is_gone", "agent_registers_again")
def knows_everybody(request, ask):
    return (ask(request), beat_reply(10200))[1] if request.call == "beat" else ask(request)


@liar("registers what a light beat names", "beat_of_the_unknown")
def beat_registers(request, ask):
    reply = ask(request)
    if request.call == "beat" and reply.json.get("code") == 20404:
        request.method, request.path = "POST", "/v1/ns/instance"
        ask(request)
    return reply


@liar("tells one period for all", "beat_tells_the_period")
def one_period(request, ask):
    reply = ask(request)
    return beat_reply(reply.json["code"]) if request.call == "beat" and "code" in reply.json else reply


@liar("keeps what is deregistered", "deregistered_is_gone", "agent_deregisters", "agent_leaves")
def keeps_what_leaves(request, ask):
    return OK if request.call == "deregister" else ask(request)


@liar("refuses to deregister the unknown", "deregister_of_the_unknown")
def refuses_to_deregister(request, ask):
    if request.call == "deregister" and "-never" in request.params["serviceName"]:
        return Reply(404, {}, "no such instance")
    return ask(request)


@liar("has one namespace", "groups_and_namespaces", "agent_groups_and_namespaces")
def one_namespace(request, ask):
    return ask(request.but(namespaceId="all"))


@liar("has one group", "groups_and_namespaces", "agent_groups_and_namespaces")
def one_group(request, ask):
    name = request.params.get("serviceName")
    return ask(request.but(serviceName="G@@" + name.split("@@")[-1]) if name else request)


@liar("has one cluster", "clusters", "agent_registers")
def one_cluster(request, ask):
    return ask(request.but(clusterName=None, clusters=None))


def merges_metadata():
    seen, lock = {}, threading.Lock()

    def lie(request, ask):
        if request.call != "register" or "metadata" not in request.params:
            return ask(request)
        try:
            now = json.loads(request.params["metadata"])
        except ValueError:
            return ask(request)
        with lock:
            all_of_it = seen.setdefault((request.params.get("serviceName"), request.params.get("ip")), {})
            all_of_it.update(now)
            return ask(request.but(metadata=json.dumps(all_of_it)))
    return lie


liar("merges metadata on a second POST", "post_replaces")(merges_metadata())


@liar("keeps the first weight", "post_replaces", "agent_updates")
def keeps_the_weight(request, ask):
    return ask(request.but(weight="1.0") if request.call == "register" else request)


@liar("lists who is disabled", "disabled_is_beaten_still", "agent_sets_down")
def lists_the_disabled(request, ask):
    return ask(request.but(enabled="true") if request.call == "register" else request)


@liar("removes nobody", "expiry", "agent_gone")
def removes_nobody(request, ask):
    return ask(with_metadata(request, "preserved.ip.delete.timeout", "9000000"))


@liar("is rash", "expiry")
def is_rash(request, ask):
    return ask(with_metadata(request, "preserved.heart.beat.timeout", "5000"))


@liar("shows everybody healthy", "expiry", "expiry_of_its_own")
def shows_all_healthy(request, ask):
    reply = ask(request)
    return listing(reply, lambda hosts: [{**h, "healthy": True} for h in hosts]) if request.call == "list" else reply


def with_metadata(request, key, value):
    """A registration that has this, unless it says it itself."""
    try:
        metadata = json.loads(request.params.get("metadata", "{}"))
    except ValueError:
        return request
    return request.but(metadata=json.dumps({key: value, **metadata})) if request.call == "register" else request


@liar("loses every second of many", "many_of_one_service", "agent_many")
def loses_some(request, ask):
    reply = ask(request)
    return listing(reply, lambda hosts: hosts[:1] + hosts[1::2]) if request.call == "list" else reply


@liar("refuses nothing", "required_parameters", "weight_has_bounds", "metadata_has_a_limit", "parameter_check",
      "cluster_has_an_alphabet", "interval_below_timeout", "kinds_do_not_mix", "agent_is_refused")
def refuses_nothing(request, ask):
    reply = ask(request)
    return OK if request.call == "register" and reply.status >= 400 else reply


@liar("refuses with 500 what is 400", "required_parameters", "parameter_check", "halves_of_a_name")
def refuses_by_500(request, ask):
    reply = ask(request)
    return Reply(500, reply.headers, reply.body) if reply.status == 400 else reply


@liar("makes ephemeral what is persistent", "persistent")
def nothing_persists(request, ask):
    return ask(request.but(ephemeral=None) if "ephemeral" in request.params else request)


@liar("answers as an HTML page", None)
def answers_a_page(request, ask):
    del request, ask
    return Reply(200, {"content-type": "text/html"}, "<html>welcome</html>")


class Liar(Target):
    """A proxy before an embedded registry; its clock is that of the registry."""

    scale = Embedded.scale

    def __init__(self, url, name, lie):
        super().__init__(url, name=name)
        self.proxy = Proxy(url, lie)
        self.url = self.proxy.url

    def stop(self):
        self.proxy.stop()


def judge_liar(what, mode, url, lie, names):
    """Returns 1 when it gets through anywhere that it should not, or does not get through without its lie."""
    name = f"conformance refuses a registry ({mode}) that {what}" if lie else f"conformance lets an honest proxy ({mode}) pass"
    target, through = Liar(url, what, lie), []
    try:
        try:
            target.detect()
        except Unfit:
            return int(say(name, None if names == (None,) else "it is not even taken for a registry"))
        if names == (None,):
            return int(say(name, f"it is taken for {target.describe()}"))

        def judged(part):
            (api,) = part.apis_on(target)
            fault = fault_of(part, target, api)
            # Refused is what was answered, not what broke on the way.
            if not (fault.startswith("sent: ") if fault and lie else bool(fault) == bool(lie)):
                through.append(f"case {part.name}: {fault or 'passes'}")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(judged, [PARTS[n] for n in names if PARTS[n].apis_on(target)]))
        if what == "keeps what is deregistered" and not left_behind(target):
            through.append("nothing is said to be left behind")
        return int(say(name, "\n".join(through)))
    finally:
        target.stop()


def judge_all(folder):
    """Returns how many liars got through."""
    registries = {}
    try:
        for mode in sorted({mode for _, mode, _, _ in LIARS}):
            place = pathlib.Path(folder, "liars-" + mode)
            place.mkdir()
            registries[mode] = Embedded(mode, place)
            registries[mode].start()
        jobs = [(what, mode, registries[mode].url, lie, cases) for what, mode, lie, cases in LIARS]
        for mode, registry in registries.items():
            names = sorted({n for _, m, _, cases in LIARS for n in cases if m == mode and n})
            jobs.insert(0, ("is honest", mode, registry.url, None, tuple(names)))
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            return sum(pool.map(lambda job: judge_liar(*job), jobs))
    finally:
        for registry in registries.values():
            registry.stop()
