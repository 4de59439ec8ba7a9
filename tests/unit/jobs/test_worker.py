"""The loop that works off queues, over a queue in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from cinema.domain.rejections import refuse
from cinema.jobs.worker import AT_ONCE, QUEUE_FAILED, Worker


class Pile:
    """Pieces that are each done when the test says so."""

    def __init__(self, count: int) -> None:
        self.waiting = list(range(count))
        self.gates = {piece: asyncio.Event() for piece in self.waiting}
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.cut: list[int] = []
        self.claims: list[int] = []
        self.changed = asyncio.Event()

    async def claim(self, limit: int) -> Sequence[int]:
        self.claims.append(limit)
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken

    async def work(self, piece: int) -> None:
        self._note(self.begun, piece)
        try:
            await self.gates[piece].wait()
        except asyncio.CancelledError:
            self._note(self.cut, piece)
            raise
        self._note(self.ended, piece)

    async def until(self, what: str, count: int) -> None:
        while len(getattr(self, what)) < count:
            self.changed.clear()
            await self.changed.wait()

    def _note(self, notes: list[int], piece: int) -> None:
        notes.append(piece)
        self.changed.set()


class Broken(Pile):
    """A queue whose pieces fail, each in the way of its number."""

    async def work(self, piece: int) -> None:
        self._note(self.begun, piece)
        raise (refuse("RETRY"), ZeroDivisionError("a bug"))[piece]


class Away(Pile):
    """A queue whose database is away."""

    async def claim(self, limit: int) -> Sequence[int]:
        raise refuse("RETRY")


async def test_a_slow_piece_keeps_no_other_waiting() -> None:
    pile = Pile(3 * AT_ONCE)
    running = asyncio.ensure_future(Worker("pile", pile).run())
    for piece in range(1, 3 * AT_ONCE):
        pile.gates[piece].set()
    await pile.until("ended", 3 * AT_ONCE - 1)
    assert 0 not in pile.ended
    pile.gates[0].set()
    await pile.until("ended", 3 * AT_ONCE)
    running.cancel()
    await asyncio.wait({running})


async def test_no_more_pieces_are_under_way_than_there_is_room_for() -> None:
    pile = Pile(3 * AT_ONCE)
    running = asyncio.ensure_future(Worker("pile", pile).run())
    await pile.until("begun", AT_ONCE)
    assert len(pile.waiting) == 2 * AT_ONCE
    pile.gates[0].set()
    await pile.until("begun", AT_ONCE + 1)
    assert pile.claims == [AT_ONCE, 1]
    running.cancel()
    await asyncio.wait({running})
    assert sorted(pile.cut) == list(range(1, AT_ONCE + 1))


async def test_a_worker_that_is_cancelled_cancels_what_it_is_at() -> None:
    pile = Pile(2)
    running = asyncio.ensure_future(Worker("pile", pile).run())
    await pile.until("begun", 2)
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()
    assert sorted(pile.cut) == [0, 1]


async def test_a_piece_that_fails_is_logged_and_keeps_no_other() -> None:
    broken = Broken(2)
    with capture_logs() as logs:
        assert await Worker("pile", broken).round()
    assert sorted(broken.begun) == [0, 1]
    failed: list[Any] = [line for line in logs if line["event"] == QUEUE_FAILED]
    assert sorted(line["log_level"] for line in failed) == ["error", "warning"]


@pytest.mark.parametrize("count", [0, 1])
async def test_a_round_says_whether_there_was_anything(count: int) -> None:
    pile = Pile(count)
    for gate in pile.gates.values():
        gate.set()
    assert await Worker("pile", pile).round() is bool(count)


async def test_a_database_that_is_away_is_waited_for() -> None:
    with capture_logs() as logs:
        assert not await Worker("pile", Away(1)).round()
    assert [line["event"] for line in logs] == [QUEUE_FAILED]
