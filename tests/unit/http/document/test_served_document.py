"""The document is made once, when somebody first asks for it, and not on the loop."""

import asyncio
import threading
from typing import Any

import pytest

from cinema.http.document.assets import content_tag
from cinema.http.document.openapi import ServedDocument


async def test_it_is_made_once_when_first_asked_for_and_by_a_thread() -> None:
    threads: list[int] = []

    def make() -> dict[str, Any]:
        threads.append(threading.get_ident())
        return {"openapi": "3.1.0"}

    document = ServedDocument(make)
    assert threads == []
    first, second = await asyncio.gather(document.body_and_tag(), document.body_and_tag())
    assert first == second == await document.body_and_tag()
    assert first == (b'{"openapi":"3.1.0"}', content_tag(b'{"openapi":"3.1.0"}'))
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


async def test_whoever_hangs_up_takes_it_from_nobody() -> None:
    go = threading.Event()
    made: list[str] = []

    def make() -> dict[str, Any]:
        go.wait()
        made.append("the document")
        return {}

    document = ServedDocument(make)
    first, second = (asyncio.ensure_future(document.body_and_tag()) for _ in range(2))
    try:
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    finally:
        go.set()
    assert await second == (b"{}", content_tag(b"{}"))
    assert made == ["the document"]
