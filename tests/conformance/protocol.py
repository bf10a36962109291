# SPDX-License-Identifier: Apache-2.0
"""The facts that the agent relies on, asked directly: register, renew, change, deregister, read back"""

from case import case
from wire import V1, V3

ODD = {"utf8": "é ü 中文 🚲", "quote": 'a "b" \\ c', "form": "a=b&c=d+e%20f#g?h/i", "comma": "a,b;c",
       "braces": "[x]{y}<z>|'", "empty": "", "space": "in the middle", "key with space": "v", "k=v": "w"}


@case("what is registered is listed as it was given")
def registered_is_listed(s):
    i = s.instance(weight=2.5, metadata={"zone": "a", "version": "1.2"})
    s.registered(i)
    s.listed(i, weight=2.5, enabled=True, healthy=True, ephemeral=True, clusterName="DEFAULT",
             metadata={"zone": "a", "version": "1.2"})


@case("a registration repeated is one instance still")
def registration_is_idempotent(s):
    i = s.instance()
    for _ in range(3):
        s.registered(i)
    s.listed(i)
    s.expect(len(s.hosts(i)) == 1, "one instance")


@case("a beat of what is registered is answered as known")
def beat_of_the_known(s):
    i = s.instance()
    s.registered(i)
    s.listed(i)
    s.renewed(i)


@case("a beat of what is unknown is answered so, and creates nothing")
def beat_of_the_unknown(s):
    other, i = s.instance(ip="10.9.0.2"), s.instance()
    s.unknown(i)
    s.registered(other)
    s.listed(other)
    s.unknown(i)
    s.stays(lambda: not s.host(i), f"{i.ip} is not listed: a light beat registers nothing", 1.0)


@case("a beat's answer tells the period, that of preserved.heart.beat.interval where it is given", apis=(V1,))
def beat_tells_the_period(s):
    i = s.instance(metadata={"preserved.heart.beat.interval": "3000"})
    s.registered(i)
    s.listed(i)
    s.expect(s.renewed(i).json.get("clientBeatInterval") == 3000, "clientBeatInterval 3000")
    plain = s.instance(ip="10.9.0.2")
    s.registered(plain)
    s.listed(plain)
    interval = s.renewed(plain).json.get("clientBeatInterval")
    s.expect(isinstance(interval, int) and interval > 0, "a clientBeatInterval above 0")


@case("what is deregistered is gone and unknown; to deregister it again is answered well")
def deregistered_is_gone(s):
    i, other = s.instance(), s.instance(ip="10.9.0.2")
    s.registered(i)
    s.registered(other)
    s.listed(i)
    s.deregistered(i)
    s.unlisted(i)
    s.unknown(i)
    s.deregistered(i)
    s.listed(other)


@case("to deregister what never was is answered well")
def deregister_of_the_unknown(s):
    s.deregistered(s.instance(service=s.service + "-never"))


@case("a second POST replaces weight and metadata; a key that it lacks is gone")
def post_replaces(s):
    i = s.instance(weight=1.0, metadata={"a": "1", "b": "2"})
    s.registered(i)
    s.listed(i, metadata={"a": "1", "b": "2"})
    s.registered(i.but(weight=7.25, metadata={"b": "3", "c": "4"}))
    s.listed(i, weight=7.25, metadata={"b": "3", "c": "4"})


@case("a disabled instance is not listed, is beaten as ever, and a POST brings it back")
def disabled_is_beaten_still(s):
    i, other = s.instance(), s.instance(ip="10.9.0.2")
    s.keep(other)
    s.registered(i)
    s.listed(i)
    s.registered(i.but(enabled=False))
    s.unlisted(i)
    s.kept.append(i)
    s.stays(lambda: not s.host(i), f"{i.ip} is not listed while it is disabled", s.target.seconds(36))
    s.renewed(i)
    s.registered(i)
    s.listed(i, enabled=True, healthy=True)


@case("metadata comes back byte for byte, of whatever characters")
def metadata_of_odd_characters(s):
    i = s.instance(metadata=ODD)
    s.registered(i)
    s.listed(i, metadata=ODD)


@case("metadata that a JSON object holds as number or boolean comes back as text")
def metadata_of_other_types(s):
    i = s.instance(metadata={"n": 1, "yes": True})
    s.registered(i)
    s.listed(i, metadata={"n": "1", "yes": "true"})


@case("groups, namespaces and services are apart")
def groups_and_namespaces(s):
    base = s.instance()
    all_of_them = [base, s.instance(group="G1", ip="10.9.0.2"), s.instance(ns=s.ns + "-b", ip="10.9.0.3"),
                   s.instance(service=s.service + ".b:c-d_e", ip="10.9.0.4"),
                   s.instance(group="g.1:a-b_c", ns=s.ns + "-b", ip="10.9.0.5")]
    for i in all_of_them:
        s.registered(i)
    for i in all_of_them:
        s.listed(i)
        s.expect(set(s.hosts(i)) == {i.address}, f"{i.ip} alone in its group, namespace and service")
        s.renewed(i)
    s.deregistered(all_of_them[1])
    s.unlisted(all_of_them[1])
    for i in (all_of_them[0], *all_of_them[2:]):
        s.listed(i)


@case("a name without group is completed by groupName, and by DEFAULT_GROUP", apis=(V1,))
def name_is_completed(s):
    i, other = s.instance(group="G2"), s.instance(ip="10.9.0.2")
    s.registered(i, serviceName=i.service)
    s.listed(i)
    s.registered(other, serviceName=other.service, groupName=None)
    s.listed(other)
    s.renewed(other, serviceName=other.service)


@case("namespace public is the one of who names none", apis=(V1,))
def namespace_public_is_the_default(s):
    i = s.instance(ns="public", service=f"{s.target.run}-{s.n}")
    s.registered(i, namespaceId=None)
    s.listed(i)
    s.deregistered(i)
    s.unlisted(i)


@case("parameters left out have their defaults")
def defaults(s):
    i = s.instance()
    s.registered(i, weight=None, enabled=None, healthy=None, ephemeral=None, metadata=None, clusterName=None)
    s.listed(i, weight=1.0, enabled=True, healthy=True, ephemeral=True, clusterName="DEFAULT", metadata={})


@case("clusters of one service can be listed apart")
def clusters(s):
    a, b = s.instance(cluster="C-1"), s.instance(cluster="C-2", ip="10.9.0.2")
    s.registered(a)
    s.registered(b)
    of = {"clusters": a.cluster} if s.api is V1 else {}
    s.until(lambda: set(s.hosts(a, **of)) == {a.address}, f"{a.ip} alone in cluster C-1")
    s.expect(s.host(a).get("clusterName") == "C-1", "clusterName C-1")
    s.listed(b, clusterName="C-2")


@case("1.4: a beat that names another cluster is of another instance", generations=("1.4",))
def cluster_is_identity(s):
    i = s.instance()
    s.registered(i)
    s.listed(i)
    s.unknown(i.but(cluster="C-9"))
    s.deregister(i.but(cluster="C-9"))
    s.stays(lambda: s.host(i), "the instance of the other cluster stays", 1.0)


@case("2 and later: the cluster is no part of an instance's name", generations=("2", "3"))
def cluster_is_no_identity(s):
    i = s.instance()
    s.registered(i)
    s.listed(i)
    s.renewed(i, clusterName="C-9")
    s.deregistered(i, clusterName="C-9")
    s.unlisted(i)


@case("healthyOnly leaves nobody out who is healthy", apis=(V1,))
def healthy_only(s):
    i = s.instance()
    s.registered(i)
    s.until(lambda: i.address in s.hosts(i, healthyOnly="true"), "the healthy instance")


@case("v1 and v3 have one store", generations=("3",), needs=lambda t: len(t.apis) == 2, apis=(V1,))
def one_store(s):
    i, j = s.instance(), s.instance(ip="10.9.0.2")
    s.registered(i)
    s.until(lambda: V3.beat_outcome(V3.beat(s.wire, i)) == "renewed", "v3 renews what v1 registered")
    s.expect(V3.is_ok(V3.register(s.wire, j)), V3.OK)
    s.listed(j)
    s.renewed(j)
    s.expect(V3.is_ok(V3.deregister(s.wire, i)), V3.OK)
    s.unlisted(i)


@case("a list of v3 is that of one cluster, DEFAULT where none is named", apis=(V3,))
def v3_lists_one_cluster(s):
    i, other = s.instance(), s.instance(ip="10.9.0.2", cluster="C-1")
    s.registered(i)
    s.registered(other)
    s.listed(other)
    s.until(lambda: set(s.hosts(i, clusterName=None)) == {i.address}, f"{i.ip} alone without clusterName")


@case("the list of a service that is unknown is empty, and is no error")
def unknown_service(s):
    s.expect(s.hosts(s.instance(service=s.service + "-none")) == {}, "no hosts")


@case("a full beat of the known changes nothing; of the unknown it registers", apis=(V1,))
def full_beats(s):
    i = s.instance(weight=3.0, metadata={"zone": "a"})
    s.registered(i)
    s.listed(i)
    s.expect(V1.beat_outcome(V1.full_beat(s.wire, i.but(weight=9.0, metadata={"zone": "z"}))) == "renewed", V1.RENEWED)
    s.stays(lambda: (h := s.host(i)) and (h["weight"], h["metadata"]) == (3.0, {"zone": "a"}),
            "weight 3.0 and zone a as before", 1.0)
    j = s.instance(ip="10.9.0.2", weight=4.0, metadata={"zone": "b"})
    s.expect(V1.beat_outcome(V1.full_beat(s.wire, j)) == "renewed", V1.RENEWED)
    s.listed(j, weight=4.0, metadata={"zone": "b"}, enabled=True)


@case("two hundred instances of one service are all listed, and each is known", )
def many_of_one_service(s):
    many = [s.instance(ip=f"10.9.1.{n}", port=9000 + n) for n in range(200)]
    for i in many:
        s.registered(i)
    s.until(lambda: len(s.hosts(many[0])) == 200, "200 instances", 5.0)
    for i in many:
        s.renewed(i)
    for i in many:
        s.deregistered(i)
    s.until(lambda: not s.hosts(many[0]), "none", 5.0)


@case("the list of services names what is registered, and wants its page", apis=(V1,))
def list_of_services(s):
    s.registered(s.instance())
    ask = lambda **more: s.wire.ask("GET", "/v1/ns/service/list", {"namespaceId": s.ns, **more})
    s.until(lambda: s.service in ask(pageNo=1, pageSize=1000).json.get("doms", []), f"doms with {s.service}")
    reply = ask(pageNo=1)
    s.expect(reply.status == 400, "400: pageSize is required")


@case("operator/metrics tells that it is up", apis=(V1,))
def metrics(s):
    reply = s.wire.ask("GET", "/v1/ns/operator/metrics")
    s.expect(reply.status == 200 and reply.json.get("status") == "UP", "200 with status UP")


@case("operator/metrics tells it to who has no token, too", apis=(V1,), needs=lambda t: t.user)
def metrics_without_token(s):
    reply = s.wire.ask("GET", "/v1/ns/operator/metrics", token=None)
    s.expect(reply.status == 200 and reply.json.get("status") == "UP", "200 with status UP")


@case("v3: readiness is code 0, to who has no token, too", apis=(V3,))
def v3_readiness(s):
    reply = s.wire.ask("GET", "/v3/admin/core/state/readiness", token=None)
    s.expect(reply.status == 200 and reply.json.get("code") == 0, "200 with code 0")


@case("where v1 is off or gone, register and beat say so by 410 or 404", apis=(V3,),
      needs=lambda t: V1 not in t.apis)
def v1_is_gone(s):
    i = s.instance()
    s.expect(V1.register(s.wire, i).status == s.target.v1_status and s.target.v1_status in (404, 410), "410 or 404")
    s.expect(V1.beat(s.wire, i).status == s.target.v1_status, f"{s.target.v1_status} as for the list")
