"""The daily check of documents: gaps are told, missing invoices are made."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from structlog.testing import capture_logs

from cinema.cli.check_invoices import run_check_invoices
from cinema.features.invoices.checking_store import EVERY, NEWEST
from cinema.settings import Secret, Settings
from tests.integration.features.invoices_house import Till

pytestmark = pytest.mark.postgres


@pytest.fixture
def till(pool: asyncpg.Pool[asyncpg.Record]) -> Till:
    return Till(pool)


async def _lose(till: Till, *numbers: int) -> None:
    """What no program does."""
    async with till.pool.acquire() as connection, connection.transaction():
        await connection.execute("set local session_replication_role = replica")
        await connection.execute("delete from invoices where seq = any($1)", list(numbers))


async def test_all_is_well_with_all_documents(till: Till) -> None:
    (showtime_id, *_) = await till.showtimes()
    for _ in range(3):
        await till.give_back(await till.confirm(showtime_id, 1000))
    await till.issue_all()
    till.now += NEWEST
    assert await till.checking().check() == ([], [])
    await till.checking().round()
    assert (till.checked.gaps, till.checked.missing, till.checked.age_s) == (0, 0, 0.0)


async def test_numbers_without_a_document_are_named(till: Till) -> None:
    (showtime_id, *_) = await till.showtimes()
    for _ in range(5):
        await till.confirm(showtime_id, 1000)
    await till.issue_all()
    await _lose(till, 2, 5)
    # Their bookings would get new invoices; here it is about the numbers.
    await till.pool.execute("update bookings set status = 'pending'")
    await till.pool.execute("update payments set status = 'pending'")
    with capture_logs() as logs:
        ((gap,), _) = await till.checking().check()
    assert (gap.kind, gap.year, gap.missing, gap.beyond) == ("invoice", 2026, 2, 0)
    assert gap.numbers == [2, 5]
    assert [one["event"] for one in logs] == ["invoice_gap_found"]
    await till.checking().round()
    assert till.checked.gaps == 2


async def test_documents_beyond_their_counter_are_told(till: Till) -> None:
    (showtime_id, *_) = await till.showtimes()
    for _ in range(3):
        await till.confirm(showtime_id, 1000)
    await till.issue_all()
    async with till.pool.acquire() as connection, connection.transaction():
        await connection.execute("set local session_replication_role = replica")
        await connection.execute("delete from invoice_counters")
    with capture_logs():
        ((gap,), _) = await till.checking().check()
    assert (gap.missing, gap.beyond, gap.numbers) == (0, 3, [])


async def test_a_booking_that_nobody_told_of_gets_its_invoice(till: Till) -> None:
    (showtime_id, *_) = await till.showtimes()
    kept = await till.confirm(showtime_id, 1000)
    ended = await till.confirm(showtime_id, 700)
    unpaid = await till.confirm(showtime_id, 500)
    await till.pool.execute("delete from invoices_due")
    await till.pool.execute(
        "update bookings set status = 'cancelled' where id = any($1)", [ended.id, unpaid.id]
    )
    await till.pool.execute("update payments set status = 'refunded' where id = $1", ended.id)
    await till.pool.execute("update payments set status = 'failed' where id = $1", unpaid.id)
    till.now += NEWEST - timedelta(seconds=1)
    assert await till.checking().check() == ([], [])
    till.now += timedelta(seconds=1)
    waiting = await till.confirm(showtime_id, 300)
    with capture_logs() as logs:
        _, unbilled = await till.checking().check()
    assert [one.booking_id for one in unbilled] == [kept.id, ended.id]
    assert [one["event"] for one in logs] == ["invoice_missed"] * 2
    assert {one.booking.id for one in await till.documents()} == {kept.id, ended.id}
    await till.issue_all()
    assert len(await till.documents(waiting)) == 1
    assert await till.checking().check() == ([], [])


async def test_one_node_checks_once_a_day(till: Till) -> None:
    first, second = till.checking(), till.checking()
    await first.round()
    (showtime_id, *_) = await till.showtimes()
    await till.confirm(showtime_id, 1000)
    await till.pool.execute("delete from invoices_due")
    till.now += EVERY - timedelta(seconds=1)
    await second.round()
    assert (till.checked.missing, till.checked.age_s) == (0, EVERY.total_seconds() - 1)
    till.now += timedelta(seconds=1)
    with capture_logs():
        await second.round()
        await first.round()
    assert (till.checked.missing, till.checked.age_s) == (1, 0.0)


def test_it_is_checked_by_hand(
    till: Till, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_check_invoices(Settings(database_url=Secret(database))) == 0
    assert "0 counters with gaps, 0 missing invoices" in capsys.readouterr().out


async def test_gaps_end_the_command_with_an_error(
    till: Till, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    till.now = datetime.now(UTC)
    (showtime_id, *_) = await till.showtimes()
    for _ in range(3):
        await till.confirm(showtime_id, 1000)
    await till.issue_all()
    await _lose(till, 2)
    settings = Settings(database_url=Secret(database))
    with capture_logs():
        code = await asyncio.to_thread(run_check_invoices, settings)
    assert code == 1
    assert "1 numbers have no document (2)" in capsys.readouterr().err
