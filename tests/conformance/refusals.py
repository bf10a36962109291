# SPDX-License-Identifier: Apache-2.0
"""What a registry refuses, with which status and code, and what it lets through that the agent must refuse itself

Statuses and codes are asserted, texts never.
"""

from case import case
from wire import V1, V3

LONG = {"k": "a" * 1024}


def refused(s, status, i=None, code=None, **more):
    """A registration that is refused with this status, and leaves nothing."""
    i = i or s.instance()
    reply = s.register(i, **more)
    s.expect(reply.status == status, f"status {status}")
    if code is not None:
        s.expect(reply.json.get("code") == code, f"code {code}")


@case("a registration without service, ip or port is 400")
def required_parameters(s):
    for name in ("serviceName", "ip", "port"):
        refused(s, 400, code=10000 if s.api is V3 else None, **{name: None})
    if s.api is V1:
        refused(s, 400, serviceName=" ")


@case("a beat without service is 400", apis=(V1,))
def beat_without_service(s):
    s.expect(V1.beat(s.wire, s.instance(), serviceName=None).status == 400, "status 400")


@case("a beat without ip or port is of an unknown instance", apis=(V1,))
def beat_without_address(s):
    i = s.instance()
    s.registered(i)
    for name in ("ip", "port"):
        s.expect(V1.beat_outcome(V1.beat(s.wire, i, **{name: None})) == "unknown", V1.UNKNOWN)


@case("a port that is no number is 400")
def port_is_a_number(s):
    refused(s, 400, port="http")


@case("a weight out of 0 to 10000 is refused: 400, on 1.4 500")
def weight_has_bounds(s):
    for weight in ("-1", "10001"):
        refused(s, 500 if s.target.generation == "1.4" else 400, code=21001 if s.api is V3 else None, weight=weight)


@case("a weight below 0.01 is raised to it, and 0 stays 0")
def weight_is_raised(s):
    i = s.instance()
    s.registered(i, weight="0.001")
    s.listed(i, weight=0.01)
    s.registered(i, weight="0")
    s.listed(i, weight=0.0)


@case("metadata that cannot be parsed, or is nested, is 500 on every version")
def metadata_is_an_object_of_strings(s):
    for metadata in ("{bad", '{"a":{"b":1}}'):
        refused(s, 500, metadata=metadata)


@case("metadata of more than 1024 characters is 400", needs=lambda t: t.param_check)
def metadata_has_a_limit(s):
    refused(s, 400, metadata=LONG)
    i = s.instance(metadata={"k": "é" * 1023})
    s.registered(i)
    s.listed(i, metadata=i.metadata)


@case("1.4: metadata of more than 1024 characters passes", generations=("1.4",))
def metadata_without_limit(s):
    i = s.instance(metadata=LONG)
    s.registered(i)
    s.listed(i, metadata=LONG)


@case("an empty half of GROUP@@service is 400", apis=(V1,))
def halves_of_a_name(s):
    for name in (f"@@{s.service}", "G@@"):
        refused(s, 400, serviceName=name)


@case("a cluster of other characters is 400")
def cluster_has_an_alphabet(s):
    for cluster in ("a b", "a_b"):
        refused(s, 400, clusterName=cluster)


@case("a service name with a blank is 400", needs=lambda t: t.generation == "1.4" or t.param_check)
def service_has_an_alphabet(s):
    name = "a b " + s.service
    refused(s, 400, serviceName=f"DEFAULT_GROUP@@{name}" if s.api is V1 else name)


@case("a port out of 0 to 65535, an address with a blank, a namespace of other characters are 400",
      needs=lambda t: t.param_check)
def parameter_check(s):
    for port in ("-1", "65536"):
        refused(s, 400, port=port)
    refused(s, 400, ip="10.0 .1")
    refused(s, 400, namespaceId="a.b")
    refused(s, 400, namespaceId="n" * 65)


@case("a beat interval above its time-out is 400; one that is equal passes", generations=("2", "3"))
def interval_below_timeout(s):
    def metadata(interval):
        return {"preserved.heart.beat.interval": interval, "preserved.heart.beat.timeout": "5000"}
    refused(s, 400, code=21004 if s.api is V3 else None, metadata=metadata("5001"))
    s.registered(s.instance(ip="10.9.0.2"), metadata=metadata("5000"))


@case("a service whose registration was refused stays empty")
def refused_is_not_stored(s):
    i = s.instance()
    s.expect(s.register(i, weight="10001").status >= 400, "a refusal")
    s.stays(lambda: s.hosts(i) == {}, "no hosts", 1.0)


@case("a full beat whose JSON is malformed is 500", apis=(V1,))
def malformed_beat(s):
    reply = s.wire.ask("PUT", V1.BEAT, V1.identity(s.instance()), body="beat=%7Bbad")
    s.expect(reply.status == 500, "status 500")


@case("a path of v1 naming that is none is 501", apis=(V1,))
def no_such_api(s):
    s.expect(s.wire.ask("GET", "/v1/ns/no-such-call").status == 501, "status 501")


@case("3: v1's detail and update are 410, and leave the connection open", generations=("3",), apis=(V1,))
def gone_calls(s):
    i = s.instance()
    s.registered(i)
    for method in ("GET", "PUT"):
        reply = s.wire.ask(method, V1.INSTANCE, V1.identity(i))
        s.expect(reply.status == 410, "status 410")
        s.expect(reply.headers.get("connection", "").lower() != "close", "the connection stays open")


@case("v3: a wrong method is 405, a path below it 404", apis=(V3,))
def v3_wrong_calls(s):
    i = s.instance()
    s.expect(s.wire.ask("PUT", V3.INSTANCE, V3.identity(i)).status == 405, "status 405")
    s.expect(s.wire.ask("GET", V3.INSTANCE + "/no-such-call", V3.identity(i)).status == 404, "status 404")


@case("parameters of a beat and of a DELETE may stand in the body", apis=(V1,))
def parameters_in_a_body(s):
    i = s.instance()
    s.registered(i)
    s.listed(i)
    form = f"namespaceId={i.ns}&serviceName=DEFAULT_GROUP%40%40{i.service}&clusterName=DEFAULT&ip={i.ip}&port={i.port}"
    s.expect(V1.beat_outcome(s.wire.ask("PUT", V1.BEAT, body=form)) == "renewed", V1.RENEWED)
    s.expect(V1.is_ok(s.wire.ask("DELETE", V1.INSTANCE, body=form)), V1.OK)
    s.unlisted(i)


@case("a thousand requests through connections that are kept are all answered")
def many_requests(s):
    i = s.instance()
    s.registered(i)
    s.listed(i)
    for _ in range(1000):
        s.renewed(i)
