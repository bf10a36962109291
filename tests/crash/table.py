# SPDX-License-Identifier: Apache-2.0
"""The table of what is killed where: one line a test

    POINT  STORY  [NTH] [WORD...]      # comment

The story (stories.py) is told, and the process that passes the point for the NTH time (1) since the story's
step began is killed there. Words are what design allows to follow at this very point, and nowhere else.
"""

import collections

WORDS = {
    "again",  # killed while a POST was unanswered: the same one may be sent a second time
}

Row = collections.namedtuple("Row", "number point story nth words")


def read(file):
    rows = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        if len(words) < 2:
            raise ValueError(f"{file}:{number}: POINT STORY [NTH] [WORD...]")
        point, story, *rest = words
        nth = int(rest.pop(0)) if rest and rest[0].isdigit() else 1
        unknown = set(rest) - WORDS
        if unknown:
            raise ValueError(f"{file}:{number}: no such word: {' '.join(sorted(unknown))}")
        rows.append(Row(number, point, story, nth, frozenset(rest)))
    return rows
