# SPDX-License-Identifier: Apache-2.0
"""The endpoint: a page that lists a registry's servers, which changes, empties, breaks and goes away."""

import http.server
import threading

import pytest

from host import Registry, boottime_ms, restart_both, until

QUICK = {"md.preserved.heart.beat.interval": 1000}


class Page:
    """An address server; text and status may be changed at any time."""

    def __init__(self):
        page = self
        self.text, self.status, self.n_asked = "", 200, 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                page.n_asked += 1
                body = page.text.encode()
                self.send_response(page.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/nacos/serverlist"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def lists(self, *registries):
        """One a line, as address servers do it, with an end of line of the other kind and a blank one."""
        self.text = "".join(f"127.0.0.1:{r.port}\r\n\n" for r in registries)
        self.asked_again()

    def asked_again(self):
        """What was changed before is known by then: the look under way may have been the one before."""
        n = self.n_asked
        until(lambda: self.n_asked >= n + 2, "asked again")

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def page():
    made = Page()
    yield made
    made.stop()


@pytest.fixture
def three(empty_host):
    """A host with three registries that know nothing of each other."""
    empty_host.registries = []
    for i in range(3):
        folder = empty_host.folder / str(i)
        folder.mkdir()
        empty_host.registries.append(empty_host.keep(Registry(folder)))
    return empty_host


def start(host, page, *lines):
    conf = host.folder / "endpoint.conf"
    conf.write_text("\n".join(["[registry main]", f"endpoint = {page.url}", "endpoint_interval = 100", *lines, ""]))
    return host.start_agent(urls=(), options=["-c", conf])


def register(host, name="a", port=8080):
    puppet = host.puppet()
    puppet.register(name, service="orders", ip="10.0.0.1", port=port, **QUICK)
    return puppet


def servers(host):
    return sorted(n["address"] for n in host.status()["registries"][0]["nodes"])


def addresses(*registries):
    return sorted(f"127.0.0.1:{r.port}" for r in registries)


def beaten(registry, since):
    return any(b.boottime_ms > since for b in registry.beats())


def test_the_list_is_followed_while_everything_goes_on(three, page):
    first, second, third = three.registries
    page.text = f"127.0.0.1:{first.port}"
    start(three, page)
    puppet = register(three)
    puppet.do("wait a UP 10000")
    assert len(first.hosts("orders")) == 1
    page.lists(second, third)
    until(lambda: servers(three) == addresses(second, third), "the list is taken")
    until(lambda: second.hosts("orders") or third.hosts("orders"), "it is beaten there, unknown, and registered")
    puppet.do("wait a UP 10000")
    since = boottime_ms()
    until(lambda: beaten(second, since) or beaten(third, since), "it is beaten there")
    assert not beaten(first, since)
    page.lists(first)
    since = boottime_ms()
    until(lambda: beaten(first, since), "back to the first one")
    assert servers(three) == addresses(first)
    assert puppet.status("a")["state"] in ("UP", "REGISTERING")


@pytest.mark.parametrize("trouble", ["empty", "html", "error", "gone"])
def test_a_bad_page_changes_nothing(three, page, trouble):
    first, second, _ = three.registries
    page.text = f"127.0.0.1:{first.port}\n127.0.0.1:{second.port}\n"
    agent = start(three, page)
    register(three).do("wait a UP 10000")
    if trouble == "empty":
        page.text = "\n\r\n"
    elif trouble == "html":
        page.text = f"127.0.0.1:{first.port}\n<html>no list</html>"
    elif trouble == "error":
        page.status, page.text = 503, "127.0.0.1:1"
    else:
        page.server.shutdown()
        page.server.server_close()
    until(lambda: "endpoint.bad" in agent.log.read_text(), "the log says so")
    since = boottime_ms()
    until(lambda: beaten(first, since) or beaten(second, since), "beats go on")
    assert servers(three) == addresses(first, second)
    assert agent.log.read_text().count("endpoint.bad") == 1
    if trouble != "gone":
        page.status, page.text = 200, f"127.0.0.1:{second.port}"
        until(lambda: servers(three) == addresses(second), "a good one is taken again")
        assert "endpoint.good" in agent.log.read_text()


def test_an_agent_without_a_page_has_the_list_of_the_last_one(three, page):
    first = three.registries[0]
    page.text = f"127.0.0.1:{first.port}"
    start(three, page)
    register(three).do("wait a UP 10000")
    page.status = 500
    conf = three.folder / "endpoint.conf"
    restart_both(three, urls=(), options=["-c", conf])
    assert servers(three) == addresses(first)
    register(three, "b", 8081).do("wait b UP 10000")
    assert len(first.hosts("orders")) == 2


def test_the_configured_list_is_used_until_there_is_a_page(three, page):
    first, second, _ = three.registries
    page.status = 404
    start(three, page, f"url = {first.address}")
    register(three).do("wait a UP 10000")
    assert len(first.hosts("orders")) == 1 and servers(three) == addresses(first)
    page.status, page.text = 200, f"127.0.0.1:{second.port}"
    until(lambda: servers(three) == addresses(second), "the page's list goes before", seconds=15)


def test_without_any_list_the_reason_is_told_until_there_is_one(three, page):
    page.status = 404
    start(three, page)
    puppet = register(three)
    until(lambda: puppet.status("a")["text"] == "registry 'main': no server of it is known", lambda: puppet.status("a"))
    assert servers(three) == []
    page.status, page.text = 200, f"127.0.0.1:{three.registries[0].port}"
    puppet.do("wait a UP 15000")
    assert puppet.status("a")["text"] == ""
