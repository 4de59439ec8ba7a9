"""Two nodes at one address are restarted one after the other under an open seat map.

It starts a cluster of its own, since the server of the other tests is one node: up to 20 s.
"""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.steps import a_row_of, choose, open_seats, pay_as_guest, seat
from tests.browser.windows import visitor
from tests.support.local_cluster import LocalCluster
from tests.support.server_process import ServerProcess

NODES = 2
PATIENCE_S = 180.0
LOOK_EVERY_MS = 100


def _beside_the_browser(work: Coroutine[Any, Any, object]) -> None:
    """Its loop lets no other one run in this thread."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


@pytest.fixture
def cluster(pages: Path, page: Page, tmp_path: Path) -> Iterator[LocalCluster]:
    assert pages.is_dir()
    two = LocalCluster(tmp_path / "two", nodes=NODES, DEMO_DATA="true")
    two.launch()
    try:
        _until(page, two, lambda: len(two.node_urls) == NODES)
        yield two
    finally:
        _beside_the_browser(two.__aexit__())


def _until(page: Page, cluster: LocalCluster, there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not there():
        assert time.monotonic() < deadline, cluster.log()[-4000:]
        page.wait_for_timeout(LOOK_EVERY_MS)


def _restart(cluster: LocalCluster, page: Page) -> None:
    cluster.process.send_signal(signal.SIGUSR1)
    _until(page, cluster, lambda: '"rolling_restart_finished"' in cluster.log())


def test_an_open_map_goes_on_over_a_rolling_restart(
    browser: Browser, server: ServerProcess, cluster: LocalCluster
) -> None:
    where = {"base_url": cluster.url}
    with visitor(browser, server, **where) as page, visitor(browser, server, **where) as other:
        lines: list[str] = []
        page.on("websocket", lambda line: lines.append(line.url))
        address = open_seats(page)
        (first, second, third, fourth) = a_row_of(page, 4)
        choose(page, [first, second])
        before = len(lines)
        former = {process.pid for process in cluster.nodes()}
        _restart(cluster, page)
        assert former.isdisjoint(process.pid for process in cluster.nodes())
        # The node that it was watched at is gone: it is watched at another one.
        page.locator(".line.live").wait_for()
        assert len(lines) > before
        for label in (first, second):
            expect(seat(page, label)).to_have_class(re.compile(r"\bchosen\b"))
        other.goto(address)
        other.locator(".line.live").wait_for()
        choose(other, [third, fourth])
        other.get_by_role("button", name="Continue").click()
        other.locator(".sum .total").wait_for()
        expect(seat(page, third)).to_have_class(re.compile(r"\bheld\b"))
        page.get_by_role("button", name="Continue").click()
        page.locator(".sum .total").wait_for()
        pay_as_guest(page, "guest@cinema.example")
        expect(page.locator(".ticket .big")).to_have_text(f"{first}, {second}")
