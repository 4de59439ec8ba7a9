"""`outbox`: how fast what happened is told, and whether that is felt where seats are held.

Rows as bookings write them are put into the outbox by SQL, more than a rush of bookings makes.
They are told by the server's own job while seats are held. What is left then is taken away, and
some more are told while nothing else happens.
"""

import asyncio
import time

import asyncpg

from benchmarks.house import House
from benchmarks.results import Figures, Measurement, Outcome, Target
from benchmarks.scenarios.holds import CUSTOMERS, HoldRuns
from benchmarks.server import Server
from benchmarks.session import Bench, Options, Scenario, Subject

BACKLOG, QUICK_BACKLOG = 100_000, 10_000
"""Rows in the outbox at the beginning: more than are told in a window."""

DRAINED, QUICK_DRAINED = 10_000, 2_000
DRAIN_TIMEOUT_S = 300.0

OF_HOLDS = 0.95
MESSAGES_PER_S = 1000.0

SUMMARY = "events told from the outbox, and holds beside a backlog of them, 64 connections"

FILL = """
insert into outbox (showtime_id, seq, kind, payload)
select $1, n, 'booking.confirmed', jsonb_build_object(
    'booking_id', gen_random_uuid(), 'user_id', gen_random_uuid(),
    'seats', array['F7', 'F8'], 'total_minor', 2500, 'currency', 'EUR'
)
from generate_series(1, $2) n
"""
LEFT = "select count(*) from outbox"
CLEAR = "truncate outbox"


class Told:
    """The outbox of the server under test."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]", showtime: str) -> None:
        self._connection = connection
        self._showtime = showtime

    async def fill(self, rows: int) -> None:
        """So many bookings have been confirmed."""
        await self._connection.execute(FILL, self._showtime, rows)

    async def left(self) -> int:
        """How many are not told yet."""
        left: int = await self._connection.fetchval(LEFT)
        return left

    async def clear(self) -> None:
        """Nothing is left to tell: all of a large backlog would take minutes."""
        await self._connection.execute(CLEAR)

    async def drain(self) -> float:
        """How many a second are told until none is left."""
        rows, begun_s = await self.left(), time.monotonic()
        async with asyncio.timeout(DRAIN_TIMEOUT_S):
            while await self.left():  # noqa: ASYNC110  (another process empties it)
                await asyncio.sleep(0.02)
        return rows / (time.monotonic() - begun_s)


async def run_outbox(bench: Bench) -> Outcome:
    """Each run measures holds with and without a backlog, and a backlog alone."""
    figures = Figures()
    runs = HoldRuns(bench, "spread", figures)
    async with bench.cinema() as server:
        house = await House.open(server, CUSTOMERS)
        screen = await runs.screen(house)
        (showtime,) = await house.showtimes(screen, 1)
        connection = await asyncpg.connect(server.postgres.dsn)
        try:
            told = Told(connection, showtime)
            for run in range(bench.options.runs):
                for is_full in (False, True) if run % 2 else (True, False):
                    stage = await runs.stage("cinema", server, house, screen)
                    before = 0
                    if is_full:
                        before = QUICK_BACKLOG if bench.options.quick else BACKLOG
                        await told.fill(before)
                    begun_s = time.monotonic()
                    await runs.measure(_subject(server, is_full), stage, server, house)
                    if is_full:
                        left = await told.left()
                        rate = (before - left) / (time.monotonic() - begun_s)
                        figures.add(BESIDE, "events", "/s", Measurement(value=rate))
                        if not left:
                            figures.problem("the backlog ended before the run did")
                    await told.clear()
                await told.fill(QUICK_DRAINED if bench.options.quick else DRAINED)
                alone = Measurement(value=await told.drain())
                figures.add("outbox", "events", "/s", alone)
                bench.step()
        finally:
            await connection.close()
    ratio = figures.of(BESIDE, "holds").median / figures.of("cinema", "holds").median
    return Outcome(
        scenario="outbox",
        summary=SUMMARY,
        figures=figures.all(),
        targets=[
            _at_least("of the rate of holds, beside a backlog", "×", OF_HOLDS, ratio),
            _at_least("events told", "/s", MESSAGES_PER_S, figures.of("outbox", "events").median),
        ],
        problems=figures.problems,
    )


BESIDE = "beside a backlog"


def _subject(server: Server, is_full: bool) -> Subject:
    return Subject(name=BESIDE if is_full else "cinema", port=server.port, observed=server.observed)


def _at_least(text: str, unit: str, wanted: float, measured: float) -> Target:
    return Target(text=text, unit=unit, wanted=wanted, measured=measured, at_least=True)


def steps(options: Options) -> int:
    return 3 * options.runs


OUTBOX = Scenario(name="outbox", summary=SUMMARY, steps=steps, run=run_outbox)
