"""What was sold is earned when its showtime has started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio

from cinema.features.ledger.store import LedgerRepository
from tests.e2e.api.house import House, Site

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def ledger(site: Site) -> AsyncIterator[LedgerRepository]:
    async with asyncpg.create_pool(site.address, min_size=1, max_size=4) as pool:
        yield LedgerRepository(pool)


async def balances(house: House, showtime_id: str) -> dict[str, int]:
    """What is on the accounts of a showtime, without those of 0."""
    rows = await house.database.fetch(
        "select account, sum(amount)::bigint from ledger_lines where showtime_id = $1"
        " group by account having sum(amount) <> 0",
        showtime_id,
    )
    return {row[0]: row[1] for row in rows}


async def started(house: House, showtime_id: str, ago: timedelta) -> None:
    """As if it had started so long ago; its actor knows nothing of it."""
    await house.database.execute(
        "update showtimes set starts_at = $2, ends_at = $3, clear_at = $3 where id = $1",
        showtime_id,
        datetime.now(UTC) - ago,
        datetime.now(UTC) - ago + timedelta(hours=2),
    )


async def test_sales_are_owed_until_the_start_and_earned_from_then_on(
    house: House, ledger: LedgerRepository
) -> None:
    showtime_id, other_id = await house.showtime(), await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    await house.booked("bob", showtime_id, "B1")
    await house.booked("bob", other_id, "B1")
    await house.ask("ada", "DELETE", f"bookings/{booking_id}?seats=A2")
    now = datetime.now(UTC)
    assert await ledger.recognise(now, 100) == 0
    assert await balances(house, showtime_id) == {"deferred": -2250, "demo": 2250}
    await started(house, showtime_id, timedelta(minutes=14))
    assert await ledger.recognise(now, 100) == 0
    await started(house, showtime_id, timedelta(minutes=16))
    counts = await asyncio.gather(*(ledger.recognise(now, 100) for _ in range(4)))
    assert sum(counts) == 1
    assert await balances(house, showtime_id) == {"revenue": -2250, "demo": 2250}
    assert await balances(house, other_id) == {"deferred": -1250, "demo": 1250}
    assert await ledger.recognise(now, 100) == 0


async def test_what_was_given_back_as_a_whole_is_never_earned(
    house: House, ledger: LedgerRepository
) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1")
    await house.ask("ada", "DELETE", f"bookings/{booking_id}")
    await started(house, showtime_id, timedelta(hours=1))
    assert await ledger.recognise(datetime.now(UTC), 100) == 0
    assert await balances(house, showtime_id) == {}


async def test_a_bounded_number_of_showtimes_is_counted_at_once(
    house: House, ledger: LedgerRepository
) -> None:
    for number in range(3):
        showtime_id = await house.showtime()
        await house.booked("ada", showtime_id, f"A{number + 1}")
        await started(house, showtime_id, timedelta(hours=3 * number + 1))
    counts = [await ledger.recognise(datetime.now(UTC), 2) for _ in range(3)]
    assert counts == [2, 1, 0]
