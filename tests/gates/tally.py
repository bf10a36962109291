# SPDX-License-Identifier: Apache-2.0
"""JUnit XML to result lines: `ok - NAME`, `not ok - NAME`, `ok - NAME # SKIP why`.

Everything that tests/run counts is such a line, whoever printed it.
"""

import re
import xml.etree.ElementTree as ElementTree


def result(name, passed=True, skipped=None):
    line = f"{'ok' if passed else 'not ok'} - {name}"
    if skipped is not None:
        line += f" # SKIP {' '.join(skipped.split()) or 'no reason given'}"
    print(line, flush=True)
    return passed


def indent(text):
    for line in text.splitlines():
        print(f"    {line}")


def parse(path):
    """A failure message may hold any byte; XML may not."""
    with open(path, encoding="utf-8", errors="replace") as f:
        return ElementTree.fromstring(re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd]", "?", f.read()))


def print_junit(path, prefix, reasons=None):
    """Prints a line per test case; returns (cases, failures). Raises when the file is not whole.

    reasons: why tests were skipped, by "suite/test", where the file itself does not say.
    """
    cases = failures = 0
    for suite in parse(path).iter("testsuite"):
        for case in suite.findall("testcase"):
            group = case.get("classname") or suite.get("name")
            test = f"{group}/{case.get('name')}"
            name = prefix + test
            bad = case.findall("failure") + case.findall("error")
            skip = case.find("skipped")
            cases += 1
            if bad:
                failures += 1
                result(name, passed=False)
                for fault in bad:
                    indent(fault.text or fault.get("message") or "")
            elif skip is not None:
                result(name, skipped=skip.get("message") or (reasons or {}).get(test, ""))
            else:
                result(name)
    return cases, failures
