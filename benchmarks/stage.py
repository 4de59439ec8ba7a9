"""Free seats for a run, on each kind of subject."""

import math
import uuid

import asyncpg
import msgspec

from benchmarks.baselines.rowlock import CREATE, FILL
from benchmarks.house import House, Screen
from benchmarks.postgres import Postgres

BUDGET_PER_S = {"cinema": 40_000, "bare": 45_000, "rowlock": 9_000}
"""Seats made ready for each second of a run; a run that uses them up ends early and says so."""


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """Showtimes with all seats free, all of one plan."""

    showtimes: list[str]
    labels: list[str]


def showtimes_needed(seats: float, seats_each: int, *, at_least: int = 1) -> int:
    """How many showtimes hold that many seats."""
    return max(at_least, math.ceil(seats / seats_each))


async def cinema_stage(house: House, screen: Screen, count: int) -> Stage:
    """New showtimes on the server under test."""
    return Stage(showtimes=await house.showtimes(screen, count), labels=screen.labels)


def bare_stage(labels: list[str], count: int) -> Stage:
    """Names only: a bare handler has no seats."""
    return Stage(showtimes=[str(uuid.uuid4()) for _ in range(count)], labels=labels)


async def rowlock_stage(postgres: Postgres, labels: list[str], count: int) -> Stage:
    """Fresh rows for the row-lock server, with the planner's statistics up to date."""
    showtimes = [uuid.uuid4() for _ in range(count)]
    connection = await asyncpg.connect(postgres.dsn)
    try:
        await connection.execute(CREATE)
        await connection.execute("TRUNCATE rowlock.seats, rowlock.holds")
        await connection.execute(FILL, showtimes, labels)
        await connection.execute("VACUUM ANALYZE rowlock.seats")
    finally:
        await connection.close()
    return Stage(showtimes=[str(showtime) for showtime in showtimes], labels=labels)
