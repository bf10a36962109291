# SPDX-License-Identifier: Apache-2.0
"""The soak's checker, shown what it has to refuse: each rule by a log that breaks it alone"""

import json
import urllib.parse

import pytest

import payload
from checker import AFTERGLOW_MS, Checker
from payload import Version

LANE, KEY = 3, 3 * 8
OWNER = 17


def query(version):
    fields, weight, metadata = payload.expected(version)
    return dict(fields, weight=repr(weight), metadata=json.dumps(metadata))


def line(method, parameters, now_ms, code=None, status=200):
    target = "/nacos/v1/ns/instance?" + urllib.parse.urlencode(parameters)
    return json.dumps({"method": method, "target": target, "boottime_ms": now_ms, "status": status, "code": code})


def register(version, now_ms):
    return line("POST", query(version), now_ms)


def about(key):
    return {"serviceName": f"DEFAULT_GROUP@@soak.{key}", "port": str(payload.FIRST_PORT + key)}


@pytest.fixture
def checker():
    c = Checker()
    c.agent_restarted(0)
    c.starts(OWNER, LANE, 1000)
    c.starts(OWNER + 1, LANE, 50000)
    c.line(register(Version(KEY, OWNER, 5), 2000))
    c.must_stay(KEY)
    assert not c.faults
    return c


def refused(checker, kind):
    return len(checker.faults) == 1 and checker.faults[0].startswith(f"{kind}: ")


@pytest.mark.parametrize("key", [KEY, KEY + payload.LARGE_KEY])
@pytest.mark.parametrize("seq", range(1, 40))
def test_a_whole_version_is_taken(checker, key, seq):
    checker.line(register(Version(key, OWNER, 5 + seq), 3000))
    assert not checker.faults
    assert not checker.differences({KEY: (OWNER, None), key: (OWNER, 5 + seq)})


@pytest.mark.parametrize("field", ["weight", "ip", "port", "serviceName", "metadata", "enabled", "clusterName"])
def test_a_version_with_one_field_of_the_next_or_of_another_is_torn(checker, field):
    one = query(Version(KEY, OWNER, 6))
    other = dict(query(Version(KEY + 1, OWNER, 7)), ip="10.0.0.2", enabled="false", clusterName="c")
    one[field] = other[field]
    checker.line(line("POST", one, 3000))
    assert refused(checker, "torn")


def test_metadata_with_one_pair_of_the_next_version_is_torn(checker):
    one = query(Version(KEY, OWNER, 6))
    metadata, other = json.loads(one["metadata"]), payload.expected(Version(KEY, OWNER, 7))[2]
    metadata["A"] = other["A"]
    checker.line(line("POST", dict(one, metadata=json.dumps(metadata)), 3000))
    assert refused(checker, "torn")


def test_a_missing_pair_is_torn(checker):
    one = query(Version(KEY, OWNER, 6))
    metadata = json.loads(one["metadata"])
    del metadata["A"]
    checker.line(line("POST", dict(one, metadata=json.dumps(metadata)), 3000))
    assert refused(checker, "torn")


@pytest.mark.parametrize("version", [
    Version(KEY, 99, 6),              # nobody
    Version(KEY, OWNER + 1, 1),       # not born yet
    Version((LANE + 1) * 8, OWNER, 6)  # another lane's instance
])
def test_content_of_a_process_that_never_had_the_instance_is_foreign(checker, version):
    checker.line(register(version, 3000))
    assert refused(checker, "foreign")


def test_content_of_the_dead_is_foreign_once_its_death_is_long_known(checker):
    checker.ends(OWNER, 4000)
    checker.line(register(Version(KEY, OWNER, 6), 4000 + AFTERGLOW_MS))
    assert not checker.faults
    checker.line(register(Version(KEY, OWNER, 7), 4001 + AFTERGLOW_MS))
    assert refused(checker, "foreign")


def test_an_agent_that_was_away_may_be_late(checker):
    checker.agent_gone()
    checker.ends(OWNER, 4000)
    checker.line(register(Version(KEY, OWNER, 6), 30000))
    checker.agent_restarted(30000)
    checker.line(register(Version(KEY, OWNER, 6), 30000 + AFTERGLOW_MS))
    assert not checker.faults


def test_an_older_version_after_a_newer_one_is_backwards(checker):
    checker.line(register(Version(KEY, OWNER, 4), 3000))
    assert refused(checker, "backwards")


def test_deregistering_the_living_is_refused_and_with_a_reason_it_is_not(checker):
    checker.may_leave(KEY)
    checker.line(line("DELETE", about(KEY), 3000))
    checker.line(register(Version(KEY, OWNER, 6), 3001))
    assert not checker.faults
    checker.must_stay(KEY)
    checker.line(line("DELETE", about(KEY), 3002))
    assert refused(checker, "deregistered")


def test_a_beat_long_after_the_end_is_refused(checker):
    checker.may_leave(KEY)
    checker.line(line("PUT", about(KEY), 2500, code=10200))
    checker.line(line("DELETE", about(KEY), 3000))
    checker.line(line("PUT", about(KEY), 3000 + AFTERGLOW_MS, code=20404))
    assert not checker.faults
    checker.line(line("PUT", about(KEY), 3001 + AFTERGLOW_MS, code=20404))
    assert refused(checker, "beaten")


def test_a_beat_may_ask_for_a_registration_that_is_on_its_way(checker):
    checker.may_leave(KEY)
    checker.line(line("DELETE", about(KEY), 3000))
    checker.may_come(KEY)
    checker.line(line("PUT", about(KEY), 3001 + AFTERGLOW_MS, code=20404))
    assert not checker.faults


def test_a_registration_that_the_registry_lost_is_noticed(checker):
    checker.line(line("PUT", about(KEY), 3000, code=20404))
    assert refused(checker, "lost")


def test_what_failed_did_not_happen(checker):
    checker.line(line("DELETE", about(KEY), 3000, status=500))
    assert not checker.faults
    assert not checker.differences({KEY: (OWNER, 5)})


@pytest.mark.parametrize("expected, kind", [
    ({}, "ghost"),
    ({KEY: (OWNER, 6)}, "stale"),
    ({KEY: (OWNER + 1, None)}, "stale"),
    ({KEY: (OWNER, 5), KEY + 1: (OWNER, None)}, "missing"),
])
def test_what_is_registered_and_what_lives_are_compared(checker, expected, kind):
    found = checker.differences(expected)
    assert len(found) == 1 and found[0].startswith(f"{kind}: ")
    assert not checker.differences({KEY: (OWNER, 5)})
    assert not checker.differences({}, unknown={KEY})
