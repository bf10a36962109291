# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the stories: a host with nothing on it, and one with registry and agent running."""

import os
import pathlib
import shutil
import tempfile

import pytest

import host as host_module
import wire


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failed story shows what the programs had to say."""
    outcome = yield
    report = outcome.get_result()
    folder = item.funcargs.get("tmp_path")
    if report.when == "call" and report.failed and folder:
        for log in sorted(pathlib.Path(folder).glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-60:]
            report.sections.append((log.name, "\n".join(lines)))


@pytest.fixture
def empty_host(tmp_path):
    host = host_module.Host(tmp_path)
    yield host
    host.stop()


@pytest.fixture
def host(empty_host):
    empty_host.start_registry()
    empty_host.start_agent()
    return empty_host


@pytest.fixture
def open_host():
    """As host, in a folder that every uid can reach."""
    folder = tempfile.mkdtemp(prefix="onebeat-")
    os.chmod(folder, 0o755)
    open_host = host_module.Host(folder)
    try:
        open_host.start_registry()
        open_host.start_agent()
        yield open_host
    finally:
        open_host.stop()
        shutil.rmtree(folder)


@pytest.fixture
def start():
    """Starts embedded registries with the options given, and stops them."""
    started = []

    def start_registry(*options):
        started.append(wire.Registry(*options))
        return started[-1]

    yield start_registry
    for registry in started:
        if registry.process.poll() is None:
            assert registry.stop() == 0
