"""How the job that tells events leaves room to others: it rests the longer the more they do."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from cinema.features import rounds
from cinema.features.events import jobs as module
from cinema.features.events.jobs import (
    LATE,
    PERIOD_S,
    REST_LEAST_S,
    REST_LIMIT_S,
    RESTS_BUSY,
    RESTS_IDLE,
    RESTS_LATE,
    Publishing,
)
from cinema.features.events.metrics import EventCounts
from cinema.features.events.store import EventsRepository, OutboxBacklog, Published
from cinema.features.events.tail import EventTail

NOW = datetime(2026, 6, 1, 17, 31, tzinfo=UTC)
FULL_PAGES = 3


class Machine:
    """A node that uses `load` of a core for other things, and takes `page_s` for a transaction."""

    def __init__(self, load: float, page_s: float) -> None:
        self.load = load
        self.page_s = page_s
        self.now_s = 0.0
        self.used_s = 0.0

    def time(self) -> float:
        return self.now_s

    def processor_s(self) -> float:
        return self.used_s


class Pages(EventsRepository):
    """Full pages of rows that have waited for so long, and then none."""

    def __init__(self, machine: Machine, waited: timedelta) -> None:
        self._machine = machine
        self._oldest_at = NOW - waited
        self._full = FULL_PAGES

    async def publish(self, now: datetime, limit: int, *, refunds: bool = True) -> Published:
        self._machine.now_s += self._machine.page_s
        # Its own work is no load.
        self._machine.used_s += self._machine.page_s
        self._full -= 1
        is_full = self._full >= 0
        oldest_at = self._oldest_at if is_full else None
        return Published(types=[], unclear=[], is_full=is_full, last=None, oldest_at=oldest_at)

    async def last(self) -> int:
        return 0

    async def backlog(self) -> OutboxBacklog:
        return OutboxBacklog(0, None)


@pytest.mark.parametrize(
    ("load", "page_s", "waited", "rested_s"),
    [
        (0.0, 0.02, timedelta(), 0.02 * RESTS_IDLE),
        (1.0, 0.02, timedelta(), 0.02 * RESTS_BUSY),
        (0.5, 0.02, timedelta(), 0.02 * (RESTS_IDLE + RESTS_BUSY) / 2),
        # Several threads use more than one core.
        (1.7, 0.02, timedelta(), 0.02 * RESTS_BUSY),
        (1.0, 0.02, LATE, 0.02 * RESTS_BUSY),
        (1.0, 0.02, LATE + timedelta(seconds=1), 0.02 * RESTS_LATE),
        (0.0, 0.02, LATE + timedelta(seconds=1), 0.02 * RESTS_IDLE),
        (0.0, 0.001, timedelta(), REST_LEAST_S),
        (1.0, 3.0, timedelta(), REST_LIMIT_S),
    ],
)
async def test_it_rests_the_longer_the_more_else_is_done_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, load: float, page_s: float, waited: timedelta, rested_s: float
) -> None:
    machine, rested = Machine(load, page_s), list[float]()

    async def rest(seconds: float) -> None:
        rested.append(seconds)
        machine.now_s += seconds
        machine.used_s += seconds * machine.load
        if seconds == PERIOD_S:
            raise asyncio.CancelledError

    kept = SimpleNamespace(sleep=rest, get_running_loop=lambda: machine)
    monkeypatch.setattr(module, "asyncio", kept)
    monkeypatch.setattr(rounds, "asyncio", kept)
    job = Publishing(
        Pages(machine, waited),
        EventTail(),
        EventCounts(),
        now=lambda: NOW,
        rest=rest,
        processor_s=machine.processor_s,
    )
    with pytest.raises(asyncio.CancelledError):
        await job.run()
    # What is done besides is known behind the first page; behind the last one is the look that
    # found none, and after it the one for refunds.
    assert rested[1:FULL_PAGES] == [pytest.approx(rested_s)] * (FULL_PAGES - 1)
    assert rested[-1] == PERIOD_S
