# SPDX-License-Identifier: Apache-2.0
"""The table of what is killed where

    POINT  STORY[:NTH][+again]...      # comment

Each story (stories.py) that a point is followed by is told once, and the process that passes the point for the
NTH time (1) since the story's step began is killed there. "+again": it may be killed while a POST is unanswered
there, and the same one be sent a second time. A point may have several lines.
"""

import collections
import re

Row = collections.namedtuple("Row", "number point story nth again")
WORD = re.compile(r"(\w+)(?::([1-9]\d*))?(\+again)?")


def read(file):
    rows = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        point, *words = line.split("#", 1)[0].split() or [None]
        if point and not words:
            raise ValueError(f"{file}:{number}: '{point}' has no story")
        for word in words:
            match = WORD.fullmatch(word)
            if not match:
                raise ValueError(f"{file}:{number}: '{word}' is not STORY[:NTH][+again]")
            rows.append(Row(number, point, match.group(1), int(match.group(2) or 1), match.group(3) is not None))
    return rows
