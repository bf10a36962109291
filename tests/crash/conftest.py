# SPDX-License-Identifier: Apache-2.0
"""Every line of the table is a test. They mostly wait, so several run at a time, each in a process."""

import concurrent.futures
import os
import pathlib
import shutil
import tempfile

import pytest

import kill
import table

TABLE = pathlib.Path(os.environ.get("ONEBEAT_CRASH_TABLE", pathlib.Path(__file__).parent / "table"))
WORKERS = 5 * len(os.sched_getaffinity(0))


ROWS = table.read(TABLE)


def name_of(row):
    return f"{row.point}-{row.story}-{row.nth}"


def pytest_generate_tests(metafunc):
    if "story" in metafunc.fixturenames:
        metafunc.parametrize("story", sorted({row.story for row in ROWS}))
    if "row" in metafunc.fixturenames:
        metafunc.parametrize("row", ROWS, ids=[name_of(row) for row in ROWS])


@pytest.fixture(scope="session")
def runs(request):
    """Futures of all that was chosen: by story, by line."""
    params = [item.callspec.params for item in request.session.items if "runs" in item.fixturenames]
    rows = [p["row"] for p in params if "row" in p]
    stories = {row.story for row in rows} | {p["story"] for p in params if "story" in p}
    top = pathlib.Path(tempfile.mkdtemp(prefix="onebeat-crash-"))
    with concurrent.futures.ProcessPoolExecutor(WORKERS) as pool:
        futures = {s: pool.submit(kill.undisturbed, s, top / s) for s in sorted(stories)}
        concurrent.futures.wait(futures.values())
        at_rest = {s: f.exception() or f.result() for s, f in futures.items()}
        for i, row in enumerate(rows):  # short names: a socket's path is short
            futures[row] = pool.submit(kill.carry_out, row, top / str(i), at_rest[row.story])
        yield futures
        for future in futures.values():
            future.cancel()
    shutil.rmtree(top)
