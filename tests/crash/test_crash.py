# SPDX-License-Identifier: Apache-2.0
"""A kill at every crash point: what must hold afterwards is in world.py, where it happens in stories.py."""

import pytest

import kill


def result_of(future):
    failure = future.exception()
    if isinstance(failure, kill.Failed):
        pytest.fail(str(failure), pytrace=False)
    return future.result()


def test_undisturbed(story, runs):
    """The stories themselves hold what is asked of them."""
    leases, slots = result_of(runs[story])
    assert leases > 0 and slots > 0


def test_kill(row, runs):
    print(f"settled after {result_of(runs[row]):.3f} s")
