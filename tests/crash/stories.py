# SPDX-License-Identifier: Apache-2.0
"""Stories that lead past the crash points

A story is prepared, and then takes one step, in which somebody is killed. The step is taken on whether or not the
subject dies of it; what it wants is noted before it is said (client.py), so the end of the story is the same for
every kill: the registry shows what the living want.

role_of(point) is who dies: the library's process is the subject.
"""

import contextlib
import os
import signal

from host import alive, until
from manager import Manager

STORIES = {}


def role_of(point):
    return point.split(".")[0]


def story(cls):
    STORIES[cls.__name__] = cls
    return cls


class Story:
    """A subject that has opened its handle beside a bystander that is registered."""

    def prepare(self, w):
        w.start_agent()
        w.add_bystander()
        w.add_subject()

    def step(self, w):
        raise NotImplementedError

    def after(self, w):
        """Before the world settles."""


class Registered(Story):
    """The subject is registered already."""

    def prepare(self, w):
        super().prepare(w)
        w.subject.register()
        w.subject.wait_up()


@story
class boot(Story):
    """Nobody is there before keeper and agent come."""

    def prepare(self, w):
        pass

    def step(self, w):
        with contextlib.suppress(AssertionError):
            w.start_agent()

    def after(self, w):
        w.add_bystander()


@story
class open(Story):
    """The subject comes with nothing to say yet, and then registers."""

    def prepare(self, w):
        w.start_agent()
        w.add_bystander()
        w.add_subject(opened=False)

    def step(self, w):
        w.subject.do("open")
        w.subject.register()


@story
class hello(Story):
    """The subject has registered while nobody was there to hear it: its HELLO brings the instance."""

    def prepare(self, w):
        w.start_agent()
        w.add_bystander()
        with w.unreachable():
            w.add_subject()
            w.subject.register()

    def step(self, w):
        w.subject.attach()


@story
class register(Story):
    def step(self, w):
        w.subject.register()


@story
class update(Registered):
    def step(self, w):
        w.subject.update()


@story
class grow(Registered):
    """The descriptor outgrows its slot: the subject asks for a large one and moves."""

    def step(self, w):
        w.subject.update(large=True)


@story
class deregister(Registered):
    def step(self, w):
        w.subject.deregister()


@story
class close(Registered):
    def step(self, w):
        w.subject.close()


@story
class death(Registered):
    def step(self, w):
        w.subject.kill()


@story
class upgrade(Registered):
    """Keeper and agent make way for the installed program, which is the same here."""

    def step(self, w):
        w.gone.add(w.agent.agent_pid())
        w.agent.ctl("upgrade", check=False)


@story
class service_restart(Registered):
    """The service manager stops and starts us: it keeps the descriptors in between."""

    def prepare(self, w):
        w.manager = Manager(w.host)
        super().prepare(w)

    def step(self, w):
        w.gone.add(w.agent.agent_pid())
        w.agent.kill(signal.SIGTERM)
        if w.agent.wait() == 0:
            w.host.agent = None
            with contextlib.suppress(AssertionError):
                w.start_agent()


@story
class agent_hangs(Registered):
    """Under a watchdog an agent that is stopped is replaced. One whose keeper is killed first goes on and ends."""

    def prepare(self, w):
        w.manager = Manager(w.host, watchdog_s=4)
        super().prepare(w)

    def step(self, w):
        pid = w.agent.agent_pid()
        w.gone.add(pid)
        os.kill(pid, signal.SIGSTOP)
        until(lambda: w.fired() or not alive(pid), "the keeper has noticed")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@story
class agent_restart(Registered):
    """A second agent adopts what the first one, killed by us, has left."""

    def step(self, w):
        w.kill_agent()
