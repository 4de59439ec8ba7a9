"""Windows of visitors, each with cookies of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.support.server_process import ServerProcess

PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def visitor(browser: Browser, server: ServerProcess, **options: Any) -> Iterator[Page]:
    """A window with cookies of its own; it fails its test if a script of ours fails."""
    size = {"width": 1280, "height": 900}
    chosen = {"locale": "en-GB", "viewport": size, "base_url": server.url, **options}
    context = browser.new_context(**chosen)
    context.set_default_timeout(PATIENCE_MS)
    failures: list[str] = []
    try:
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(str(error)))
        yield page
    finally:
        context.close()
    assert failures == []
