# SPDX-License-Identifier: Apache-2.0
"""The record walk: every request that official servers were asked, asked of the embedded registry.

The vectors are what 1.4.8, 2.5.1 and 3.0.3 were seen to answer, in the order in which they were
asked, since what is registered carries over. Where registry and record differ, the record is right.
"""

import json

import pytest

import vectors
from wire import NS

MODES = {"1.4.8": "1.4", "2.5.1": "2", "3.0.3": "3"}
OFFICIAL = vectors.load("official.jsonl")
KNOWN_BAD = vectors.load("known-bad.jsonl")


def spread(items):
    return [item for n, item in items for _ in range(n)]


class Walk:
    """One registry that is asked one vector after the other."""

    def __init__(self, registry):
        self.registry = registry
        self.token = ""

    def fill_in(self, text):
        return text.replace("{token}", self.token).replace("{forged}", self.token[:-6] + "AAAAAA")

    def remember_token(self, body):
        if '"accessToken"' in body:
            self.token = json.loads(body)["accessToken"]

    def ask(self, vector):
        """Raises Differs when the replies are not like the vector's."""
        connection = self.registry.connect()
        try:
            connection.send(b"".join(self.fill_in(text).encode("latin-1")
                                     for text in spread(vector["sent"])))
            for expected in spread(vector["replies"]):
                got = self.next_reply(connection)
                vectors.compare_reply(expected, got)
                self.remember_token(got["body"])
            if vector["closed"] != self.is_closed(connection):
                raise vectors.Differs(f"closed afterwards: expected {vector['closed']}")
        finally:
            connection.close()

    @staticmethod
    def next_reply(connection):
        try:
            return connection.cut(vectors.cut)
        except EOFError:
            raise vectors.Differs("replies: expected one more, got the end") from None

    @staticmethod
    def is_closed(connection):
        """A kept connection answers one question more."""
        try:
            connection.ask("GET", f"{NS}/operator/metrics")
        except (EOFError, ConnectionError):
            return True
        return False


@pytest.mark.parametrize("server", MODES)
@pytest.mark.parametrize("auth", [False, True])
def test_the_registry_answers_as_the_record_says(start, server, auth):
    walk = Walk(start("--mode", MODES[server], *(["--auth", "nacos:nacos"] if auth else [])))
    asked, differences = 0, []
    for vector in OFFICIAL:
        if (vector["server"], vector["auth"]) != (server, auth):
            continue
        asked += 1
        try:
            walk.ask(vector)
        except vectors.Differs as difference:
            differences.append(f"{vector['name']}: {difference}")
    assert not differences, "\n".join(differences)
    assert asked == {"1.4.8": (94, 14), "2.5.1": (94, 14), "3.0.3": (95, 19)}[server][auth]


@pytest.mark.parametrize("bad", KNOWN_BAD, ids=lambda bad: bad["name"])
def test_the_walk_refuses_a_vector_that_is_wrong(start, bad):
    """Each known-bad vector is a recorded one with one thing changed."""
    with pytest.raises(vectors.Differs, match=bad["differs"]):
        Walk(start("--mode", MODES[bad["server"]])).ask(bad)
