# SPDX-License-Identifier: Apache-2.0
"""Runs the cases against one target, several at once, and prints a result line for each"""

import concurrent.futures
import threading
import traceback

import by_agent  # noqa: F401 (these bring the cases)
import expiry  # noqa: F401
import login  # noqa: F401
import protocol  # noqa: F401
import refusals  # noqa: F401
from case import CASES, Mismatch, Story
from target import Unfit
from wire import V1, Instance

AT_ONCE = 8
printing = threading.Lock()


def say(name, fault=None, skipped=None):
    """One result line, with what was sent, expected and got when it failed."""
    with printing:
        line = f"{'not ok' if fault else 'ok'} - {name}" + (f" # SKIP {skipped}" if skipped else "")
        print(line, *(f"    {text}" for text in (fault or "").splitlines()), sep="\n", flush=True)
    return bool(fault)


def fault_of(case, target, api):
    """Runs one case; returns what was wrong, or None."""
    story = Story(target, api)
    try:
        case.function(story)
    except Mismatch as fault:
        return "\n".join([str(fault), *getattr(fault, "__notes__", [])])
    except Exception:  # pylint: disable=broad-except # a case that breaks is a failure like others
        return f"after: {story.last()[0]}\n{traceback.format_exc()}"
    finally:
        story.clean_up()
    return None


def title(case, target, api):
    return f"conformance, {target.name}: {case.title}" + ("" if case.agent else f" ({api.name})")


def run_case(case, target, api):
    """Returns whether it failed. What is known to be lenient must be so: else its mark is wrong."""
    fault = fault_of(case, target, api)
    name = title(case, target, api)
    why = target.lenient.get(case.name)
    if why is None:
        return say(name, fault and f"case: {case.name}\n{fault}")
    if fault:
        return say(f"{name} [lenient as known: {why}]")
    return say(name, f"case: {case.name}\nis marked lenient ({why}), and yet it passes: take the mark away")


def left_behind(target):
    """Instances of this run that are listed still."""
    left, wire = [], target.wire()
    for ns, group, service, cluster in sorted(target.registered):
        i = Instance(service=service, group=group, ns=ns, cluster=cluster)
        for api in target.apis[:1]:
            left += [f"{ns} {group} {service} {h.get('ip')}:{h.get('port')}" for h in
                     api.hosts(api.list(wire, i)) or []]
    wire.close()
    return left


def leaves_nothing(target):
    left = left_behind(target)
    for _ in range(30):
        if not left:
            break
        threading.Event().wait(0.1)  # lists are caches
        left = left_behind(target)
    return say(f"conformance, {target.name}: nothing of this run is left", "\n".join(left))


def skip(target, why, generation, apis):
    """A result line for each case that cannot be run, because the target is not there."""
    target.generation, target.apis, target.param_check = generation, apis, False
    for case in CASES:
        for api in case.apis_on(target):
            say(title(case, target, api), skipped=why)


def judge(target, only=(), with_agent=True):
    """Returns how many cases failed."""
    try:
        target.start()
        target.detect()
    except (Unfit, AssertionError, OSError) as fault:
        target.stop()
        return int(say(f"conformance, {target.name}: says what it is", str(fault)))
    say(f"conformance, {target.name}: says what it is: {target.describe()}")
    try:
        jobs = [(c, a) for c in CASES if (not only or c.name in only) and (with_agent or not c.agent)
                for a in c.apis_on(target)]
        # The long ones first: the short ones fill the time beside them.
        jobs.sort(key=lambda job: not (job[0].agent or job[0].function.__module__ == "expiry"))
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            failures = sum(pool.map(lambda job: run_case(job[0], target, job[1]), jobs))
        return failures + leaves_nothing(target)
    finally:
        target.stop()


def print_cases():
    for c in CASES:
        print(f"{c.name:32} {c.title}")
