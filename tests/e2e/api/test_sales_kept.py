"""What the law keeps, once the journal of its month is gone."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from cinema.domain.ids import parse_id
from cinema.features.bookings.store import BookingsRepository
from cinema.jobs.housekeeping import Housekeeping
from cinema.storage.database.pool import close_pool, open_pool
from cinema.storage.journal.months import Month, attached_months
from cinema.storage.journal.postgres import PostgresJournal
from tests.e2e.api.house import House, open_house

RETENTION_DAYS = 30
KEPT = {
    "bookings": "id",
    "booking_seats": "booking_id, position",
    "payments": "id",
    "showtimes": "id",
    "showtime_snapshots": "showtime_id",
}


async def _rows(house: House) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table: [
            tuple(row)
            for row in await house.database.fetch(f"select * from {table} order by {key}")
        ]
        for table, key in KEPT.items()
    }


async def test_sales_of_a_month_outlive_its_journal_and_can_be_read(database: str) -> None:
    async with open_house(database) as house:
        showtime_id = await house.showtime()
        whole = await house.booked("ada", showtime_id, "A1", "A2")
        partly = await house.booked("ada", showtime_id, "B1", "B2")
        cancelled = await house.booked("ada", showtime_id, "A4")
        assert (await house.ask("ada", "DELETE", f"bookings/{partly}?seats=B2")).status == 200
        assert (await house.ask("ada", "DELETE", f"bookings/{cancelled}")).status == 200
        paths = [f"bookings/{one}" for one in (whole, partly, cancelled)]
        paths += ["bookings", f"showtimes/{showtime_id}/seats"]
        told = [(await house.ask("ada", "GET", path)).data for path in paths]
        kernel = house.node.kernel
        raw = parse_id(showtime_id)
        assert raw is not None
        await kernel.release(raw)
        kept = await _rows(house)
        assert [len(kept[table]) for table in ("bookings", "booking_seats", "payments")] == [
            3,
            5,
            3,
        ]
        events = "select count(*) from showtime_journal"
        assert await house.database.fetchval(events) > 0
        await _drop_months(house, database)
        assert await house.database.fetchval(events) == 0
        assert await _rows(house) == kept
        assert [(await house.ask("ada", "GET", path)).data for path in paths] == told


async def _drop_months(house: House, database: str) -> None:
    """Rounds of housekeeping half a year later, when this month and the next ones are over."""
    before = await attached_months(house.database)
    now_us = house.node.kernel.clock.now_us() + int(timedelta(days=400) / timedelta(microseconds=1))
    later: Any = SimpleNamespace(
        clock=SimpleNamespace(now_us=lambda: now_us), truncate=house.node.kernel.truncate
    )
    pool = await open_pool(database, size=2)
    journal = await PostgresJournal.open(
        database, connections=2, statement_timeout_s=5.0, lock_timeout_s=2.0
    )
    sweeps = {"booking-keys": BookingsRepository(pool).forget_keys}
    await Housekeeping(journal, pool, later, RETENTION_DAYS, sweeps).round()
    await journal.close()
    await close_pool(pool)
    assert before
    left = await attached_months(house.database)
    assert left == [], [Month(one.year, one.number).table for one in left]
