"""A real browser in front of a real server with demo data.

These tests run in a process of their own: after a test with the browser's blocking interface, an
asynchronous one would fail.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from cinema.features.website.service import BUILT
from tests.browser.backstage import Backstage
from tests.browser.windows import FLAGS, visitor
from tests.support.programs import program
from tests.support.server_process import ROOT, ServerProcess

BUILD_TIMEOUT_S = 600.0


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path, or the reason to skip."""
    return program("chromium", package="chromium")


@pytest.fixture(scope="session")
def pages(chromium: str) -> Path:
    """The built pages, of these sources."""
    for step in ("install", "build"):
        subprocess.run([ROOT / "bin" / "web", step], check=True, timeout=BUILD_TIMEOUT_S)
    return BUILT


@pytest.fixture(scope="session")
def server(pages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server as a newcomer starts it, with no limit on what one address opens."""
    one = ServerProcess(
        tmp_path_factory.mktemp("browser") / "data",
        DEMO_DATA="true",
        GUESTS_PER_HOUR_PER_ADDRESS="1000",
        REGISTRATIONS_PER_HOUR_PER_ADDRESS="1000",
        LEASE_MS="1000",
    )
    try:
        asyncio.run(one.start())
        yield one
    finally:
        asyncio.run(one.stop())


@pytest.fixture(scope="session")
def browser(chromium: str, server: ServerProcess) -> Iterator[Browser]:
    """One browser, started after the server and ended before it: its loop lets no other one run."""
    assert server.running
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, server: ServerProcess) -> Iterator[Page]:
    """A window of a visitor."""
    with visitor(browser, server) as opened:
        yield opened


@pytest.fixture
def backstage(page: Page, server: ServerProcess) -> Backstage:
    """What is done by the API meanwhile."""
    return Backstage(page, server)
