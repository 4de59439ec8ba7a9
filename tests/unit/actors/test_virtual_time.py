"""A test that is stuck ends, whatever its tasks do on their way out."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.actors.virtual_time import Stuck, VirtualTimeLoop


def test_who_waits_on_the_way_out_of_a_stuck_test_does_not_wait_for_ever() -> None:
    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1.0)

    loop = VirtualTimeLoop()
    task = loop.create_task(waits())
    with pytest.raises(Stuck, match="nothing is left"):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(Stuck, match="on the way out"):
        loop.run_until_complete(task)
    # What sleeps is cancelled once more, and that ends it.
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
