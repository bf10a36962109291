# SPDX-License-Identifier: Apache-2.0
"""Stories that lead past the crash points

A story is prepared, and then takes one step, in which somebody is killed. The step is taken on whether or not the
subject dies of it; what it wants is noted before it is said (client.py), so the end of the story is the same for
every kill: the registry shows what the living want.
"""

import contextlib
import os
import resource
import signal
import socket

from host import alive, until
from manager import Manager

STORIES = {}


def role_of(point):
    """Who dies: "lib" is the subject. A child of the keeper that has not become the agent yet is as good as one."""
    return "agent" if point.startswith("keeper.child.") else point.split(".")[0]


def story(cls):
    STORIES[cls.__name__] = cls
    return cls


class Story:
    """A subject that has opened its handle beside a bystander that is registered."""
    conf = None
    others = (1, 2)  # leases and slots without the subject: one slot is granted ahead
    kept = 0  # slots that a process may have besides: it came with a new lease, and kept its old one's
    may_leave = ()  # services whose living instances are deregistered: somebody says so
    forgets = False  # the agent loses what it knew: what is registered is registered again

    def prepare(self, w):
        w.start_agent(conf=self.conf)
        w.add_bystander()
        w.add_subject()

    def step(self, w):
        raise NotImplementedError

    def recover(self, w):
        w.recover()

    def after(self, w):
        """Before the world settles."""


class Registered(Story):
    """The subject is registered already."""

    def prepare(self, w):
        super().prepare(w)
        w.subject.register()
        w.subject.wait_up()


# The library's own steps, and what the agent makes of them


@story
class first(Story):
    """Nobody of this user has been there before: its segment is made."""
    others = (0, 0)

    def prepare(self, w):
        w.start_agent()
        w.add_subject(opened=False)

    def step(self, w):
        w.subject.do("open")
        w.subject.register()


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
        w.attach(w.subject)


@story
class register(Story):
    def step(self, w):
        w.subject.register()


@story
class register_large(Story):
    """No large slot is granted ahead: the subject asks, and the agent publishes for it."""

    def step(self, w):
        w.subject.register(large=True)


@story
class two(Registered):
    """A second instance of the same process."""

    def step(self, w):
        w.subject.register("b", port=8081)


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
class join(Registered):
    """The subject becomes a second holder of the bystander's instance."""

    def prepare(self, w):
        super().prepare(w)
        w.bystander.update()
        w.bystander.wait_up()

    def step(self, w):
        w.subject.join(w.bystander)


@story
class deregister(Registered):
    def step(self, w):
        w.subject.deregister()


@story
class come_back(Registered):
    """Deregistered, and registered again when it is gone."""
    may_leave = ("subject",)

    def prepare(self, w):
        super().prepare(w)
        w.subject.deregister()
        until(lambda: w.agent.instance("subject") is None, "it is gone")

    def step(self, w):
        w.subject.register()


@story
class close(Registered):
    def step(self, w):
        w.subject.close()


@story
class beaten(Registered):
    """Nothing but beats."""

    def step(self, w):
        n = len(w.registry.beats())
        with contextlib.suppress(AssertionError):
            until(lambda: w.fired() or len(w.registry.beats()) > n + 4, "beats", seconds=5)


# Refusals


@story
class garbage(Registered):
    """Somebody speaks another protocol."""

    def step(self, w):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
            stranger.settimeout(20)
            with contextlib.suppress(ConnectionError):
                stranger.connect(str(w.folder / "run" / "client.sock"))
                stranger.send(b"GET / HTTP/1.1\r\n\r\n")
                stranger.recv(4096)


@story
class conflict(Registered):
    """The subject wants the bystander's address in another cluster."""

    def step(self, w):
        key = w.bystander.wants["a"].key
        w.subject.do(f"register b service={key.service} ip={key.ip} port={key.port} cluster=OTHER")


@story
class full(Registered):
    """There is one large slot, and the bystander has it."""
    conf = "[agent]\nslots = 8\n"
    others = (1, 3)

    def prepare(self, w):
        super().prepare(w)
        w.bystander.update(large=True)
        w.bystander.wait_up()

    def step(self, w):
        answer = w.subject.do(f"register b service=subject ip=10.0.0.1 port=9999 md.body={'x' * 700}")
        assert answer is None or answer.startswith("error") or w.fired(), answer


@story
class no_room(Story):
    """The agent can take a connection, but has no descriptor left for a new user's segment."""
    others = (0, 0)

    def prepare(self, w):
        w.start_agent()
        w.add_subject(opened=False)

    def step(self, w):
        pid = w.agent.agent_pid()
        highest = max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 3, limits[1]))
        w.subject.do("open")
        w.subject.register()
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


# Ends


@story
class death(Registered):
    def step(self, w):
        w.subject.kill()


@story
class early_death(Story):
    """Nothing was registered."""

    def step(self, w):
        w.subject.kill()


@story
class update_and_death(Registered):
    def step(self, w):
        w.subject.update()
        w.subject.kill()


@story
class one_of_two_dies(join):
    """The other holder's descriptor is in force again."""

    def prepare(self, w):
        super().prepare(w)
        w.subject.join(w.bystander)
        w.subject.wait_up("joined")

    def step(self, w):
        w.subject.kill()


@story
class loses_lease(Registered):
    """The subject closes every descriptor that it finds, lives on, and comes back with a new lease."""

    def step(self, w):
        w.subject.do("closeall")
        until(lambda: w.subject_is_watched() or w.fired(), "its process is watched")
        w.attach(w.subject)


@story
class watched_death(Registered):
    """The subject has lost its lease before it dies."""

    def prepare(self, w):
        super().prepare(w)
        w.subject.do("closeall")
        until(w.subject_is_watched, "its process is watched")

    def step(self, w):
        w.subject.kill()


@story
class owner_death(Story):
    """A child that holds the lease does not keep what belongs to its dead parent alone."""

    def prepare(self, w):
        super().prepare(w)
        w.subject.register(policy="owner")
        w.subject.wait_up()
        w.forked_child(w.subject)

    def step(self, w):
        w.subject.kill()


@story
class swept(Registered):
    """The subject dies after it has published, before it could say so; its child lives and holds the lease."""

    def prepare(self, w):
        w.start_agent()
        w.add_bystander()
        own_plan = w.folder / "own-plan"
        w.add_subject(env={"ONEBEAT_CRASH_AT": str(own_plan)})
        w.subject.register()
        w.subject.wait_up()
        w.subject.heir = w.forked_child(w.subject)
        own_plan.write_text("lib.publish.committed")

    def step(self, w):
        w.subject.update()
        assert w.subject.puppet.wait() == -signal.SIGKILL


@story
class other_program(Registered):
    """The subject becomes a program that never asked to be registered."""
    conf = "[agent]\nexec_grace_ms = 100\n"

    def step(self, w):
        w.subject.puppet.send("exec /bin/sleep 60")
        w.estrange(w.subject)


# The agent and the keeper come and go


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
class upgrade(Registered):
    """Keeper and agent make way for the installed program, which is the same here."""

    def step(self, w):
        w.gone.add(w.agent.agent_pid())
        w.agent.ctl("upgrade", check=False)


@story
class service_restart(Registered):
    """The service manager stops and starts us: it keeps the descriptors in between."""
    kept = 1

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


@story
class agent_restart_news(Registered):
    """While there is no agent, the subject publishes and a stranger dies."""

    def prepare(self, w):
        super().prepare(w)
        self.stranger = w.client("stranger")
        self.stranger.register(port=9000)
        self.stranger.wait_up()
        w.subject.register("b", port=8081)
        w.subject.wait_up("b")

    def step(self, w):
        with w.without_agent():
            w.subject.update()
            w.subject.deregister("b")
            self.stranger.kill()


@story
class agent_restart_watched(Registered):
    """The subject has no lease any more, only its process."""

    def prepare(self, w):
        super().prepare(w)
        w.subject.do("closeall")
        until(w.subject_is_watched, "its process is watched")

    def step(self, w):
        w.kill_agent()


@story
class journal_lost(Registered):
    """The second agent finds leases and segments, and nothing that says what they are."""
    forgets = True

    def step(self, w):
        with w.without_agent():
            (w.folder / "run" / "journal").unlink()


@story
class both_restart(Registered):
    """Keeper and agent are killed, and started again: segments and leases are lost."""

    def step(self, w):
        w.kill_keeper()
        with contextlib.suppress(AssertionError):
            w.start_agent()
        for client in w.clients:
            w.attach(client)


@story
class keeper_death(Registered):
    def step(self, w):
        w.kill_keeper()
        if not w.fired():
            w.start_agent()

    def recover(self, w):
        until(lambda: not w.agents(), "the agent has ended")
        w.start_agent()


@story
class stop(Registered):
    """The service is stopped and started again; the registrations stay."""

    def step(self, w):
        w.agent.kill(signal.SIGTERM)
        self.start_again(w)

    def start_again(self, w):
        until(lambda: w.agent.process.poll() is not None or w.fired(), "stopped, or somebody was killed", seconds=20)
        if w.role != "keeper":
            w.agent.wait()
            w.start_agent()

    def recover(self, w):
        """The agent that is told to stop is not started again: the keeper ends too."""
        if w.role == "keeper":
            w.keeper_killed()
        elif w.role == "lib":
            w.client_killed()


class ByTool(stop):
    """Who is killed before it has said that it ends is started again, and the tool says that nobody ended."""
    command = None

    def ended(self, w):
        return w.agent.process.poll() is not None or w.victim_replaced()

    def step(self, w):
        w.agent.ctl(self.command, check=False)
        until(lambda: self.ended(w), "stopped, or there again", seconds=20)
        if w.role != "keeper" and w.agent.process.poll() is not None:
            w.start_agent()


@story
class stop_by_tool(ByTool):
    command = "stop"


@story
class stuck_stop(stop):
    """The agent does not end when it is told to."""

    def step(self, w):
        os.kill(w.agent.agent_pid(), signal.SIGSTOP)
        w.agent.kill(signal.SIGTERM)
        self.start_again(w)


@story
class leave(ByTool):
    """The operator takes everything out. The processes come back by themselves once somebody is there again."""
    may_leave = ("subject", "bystander")
    command = "leave"

    def ended(self, w):
        """An agent that dies over it is followed by one that goes on."""
        return w.agent.process.poll() is not None or (w.role != "agent" and w.victim_replaced())
