# SPDX-License-Identifier: Apache-2.0
"""One story told, with a line of the table carried out in it or undisturbed."""

import time

from stories import STORIES, role_of
from world import World


class Failed(Exception):
    """What went wrong and what the programs had to say."""


def logs_of(folder):
    for log in sorted(folder.glob("*.log")) + sorted(folder.glob("requests-*")):
        lines = log.read_text(errors="replace").splitlines()
        lines = [line for line in lines if '"PUT"' not in line and '"GET"' not in line][-40:]
        yield f"--- {log.name}\n" + "\n".join(lines)


def run(folder, role, act):
    """What act(world) returns. Nothing of the world is left."""
    folder.mkdir(parents=True)
    world = World(folder, role)
    try:
        return act(world)
    except Exception as fault:
        raise Failed("\n".join([f"{type(fault).__name__}: {fault}", *logs_of(folder)])) from None
    finally:
        world.stop()


def undisturbed(name, folder):
    """(leases, slots) once the story has come to its end: what a kill may not add to."""
    def act(world):
        story = STORIES[name]()
        story.prepare(world)
        story.step(world)
        story.after(world)
        world.settle()
        world.check_truth()
        world.check_living(story=story)
        at_rest = world.slots()
        world.end()
        return at_rest
    return run(folder, "nobody", act)


def carry_out(row, folder, at_rest):
    """The seconds from the kill to the settled state. at_rest: what undisturbed() has returned or raised."""
    def act(world):
        if isinstance(at_rest, Exception):
            raise AssertionError(f"the story '{row.story}' fails undisturbed")
        story = STORIES[row.story]()
        story.prepare(world)
        world.arm(row.point, row.nth)
        story.step(world)
        world.await_kill(row.point)
        killed = time.monotonic()
        story.recover(world)
        story.after(world)
        world.settle()
        settled = time.monotonic() - killed
        world.check_truth()
        world.check_living(again=row.again, story=story)
        world.check_slots(story, at_rest)
        world.end()
        return settled
    return run(folder, role_of(row.point), act)
