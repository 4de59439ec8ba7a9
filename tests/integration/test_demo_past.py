"""The demo's past: made once, by the rules of the house, and told to nobody."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from cinema.app.features import silent_branches
from cinema.app.settings_parts import sale_rules
from cinema.demo import past, past_jobs
from cinema.demo.past import Happenings
from cinema.demo.past_jobs import DEMO_PAST_MADE, add_past
from cinema.demo.seed import seed
from cinema.demo.store import DemoShowtime
from cinema.domain.showtime.events import HoldBooked, decode_recorded
from cinema.features.reports.figure_jobs import FiguresKept
from cinema.features.reports.funnel_store import FunnelRepository
from cinema.features.reports.metrics import FigureCounts
from cinema.features.reports.projection_store import ProjectionRepository
from cinema.settings import Settings
from cinema.storage.database.address import DatabaseAddress
from cinema.storage.database.transactions import Pool
from cinema.storage.journal.store import StoreUnavailable

pytestmark = pytest.mark.postgres

SETTINGS = Settings(bcrypt_cost=10)
NOW = datetime(2026, 10, 22, 15, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def few_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "DAYS", 2)


async def make(pool: Pool, database: str, now: datetime = NOW) -> None:
    address = DatabaseAddress(database)
    await add_past(
        pool, address, silent_branches(), sale_rules(SETTINGS), SETTINGS.bcrypt_cost, now
    )


async def rows_of(pool: Pool) -> dict[str, int]:
    """How many rows each table has that the past fills."""
    tables = (
        *("showtimes", "users", "guests", "bookings", "booking_seats", "payments", "ledger"),
        *("showtime_journal", "ticket_entries", "ticket_scans", "reviews", "showtime_visits"),
        *("recommendation_exposures", "recommendation_events"),
    )
    return {table: await pool.fetchval(f"select count(*) from {table}") for table in tables}


async def test_the_past_is_what_its_journals_say_and_nobody_is_told_of_it(
    pool: Pool, database: str
) -> None:
    await seed(pool, SETTINGS, NOW)
    with capture_logs() as logs:
        await make(pool, database)
    assert {one["event"] for one in logs} == {DEMO_PAST_MADE}
    assert logs[-1]["showtimes"] == logs[-1]["of"] > 10
    made = await rows_of(pool)
    assert all(made.values()), made
    sold: Counter[UUID] = Counter()
    for row in await pool.fetch("select showtime_id, payload from showtime_journal"):
        event = decode_recorded(row["payload"]).event
        if isinstance(event, HoldBooked):
            sold[row["showtime_id"]] += len(event.seats)
    counted = await pool.fetch(
        "select showtime_id, count(*) from booking_seats where live group by showtime_id"
    )
    assert {row["showtime_id"]: row["count"] for row in counted} == dict(sold)
    assert sum(sold.values()) > 30
    assert await pool.fetchval("select bool_and(created_at < $1) from bookings", NOW)
    assert await pool.fetchval(
        "select bool_and(b.created_at < t.starts_at) from bookings b"
        " join showtimes t on t.id = b.showtime_id"
    )
    # Everything has been paid, and the books balance.
    owed = await pool.fetchval(
        "select count(*) from (select account, sum(amount) as left from ledger l"
        " cross join lateral unnest(l.accounts, l.amounts) as line (account, amount)"
        " where account = 'customer' group by 1 having sum(amount) <> 0) unpaid"
    )
    assert owed == 0
    for table in ("outbox", "public_events", "messages"):
        assert await pool.fetchval(f"select count(*) from {table}") == 0, table
    # Invoices are numbered for all of it.
    due = await pool.fetchval("select count(distinct booking_id) from invoices_due")
    assert due == made["bookings"]


async def test_a_second_start_adds_nothing(pool: Pool, database: str) -> None:
    await seed(pool, SETTINGS, NOW)
    await make(pool, database)
    first = await rows_of(pool)
    await make(pool, database, NOW + timedelta(hours=1))
    assert await rows_of(pool) == first


async def test_what_was_cut_short_goes_on_at_the_next_start(
    pool: Pool, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await seed(pool, SETTINGS, NOW)
    asked: list[UUID] = []

    def cut_short(showtime: DemoShowtime, *rest: Any) -> Happenings:
        asked.append(showtime.id)
        if len(asked) == 5:
            raise StoreUnavailable("it is gone")
        return past.happenings(showtime, *rest)

    monkeypatch.setattr(past_jobs, "happenings", cut_short)
    with capture_logs() as logs:
        await make(pool, database)
    assert [one["event"] for one in logs] == [past_jobs.DEMO_PAST_NOT_MADE]
    before = await rows_of(pool)
    assert before["bookings"]
    await make(pool, database, NOW + timedelta(hours=1))
    after = await rows_of(pool)
    assert after["bookings"] > before["bookings"]
    assert after["showtimes"] == before["showtimes"]
    # The one at which it ended, and all behind it; what was made is not made again.
    assert len(asked) > len(set(asked)) == len(asked) - 1
    payloads = await pool.fetch("select payload from showtime_journal")
    events = [decode_recorded(row["payload"]).event for row in payloads]
    assert after["bookings"] == sum(isinstance(one, HoldBooked) for one in events)


async def test_reports_and_films_show_the_past(pool: Pool, database: str) -> None:
    await seed(pool, SETTINGS, NOW)
    await pool.execute("update projections set rebuilt_to = null where name = 'reports'")
    await make(pool, database)
    kept = FiguresKept(
        ProjectionRepository(pool), FunnelRepository(pool), FigureCounts(), now=lambda: NOW
    )
    await kept.round()
    figures = await pool.fetchrow(
        "select sum(sold) as sold, sum(admitted) as admitted, sum(gross_minor) as gross"
        " from showtime_figures"
    )
    assert figures is not None
    assert figures["sold"] == await pool.fetchval("select count(*) from booking_seats where live")
    assert figures["sold"] > figures["admitted"] > figures["sold"] // 2
    assert figures["gross"] == await pool.fetchval("select sum(total_minor) from bookings")
    funnel = await pool.fetchrow(
        "select sum(holds) as holds, sum(expired) as expired, sum(confirmed) as confirmed"
        " from showtime_funnels"
    )
    assert funnel is not None
    assert funnel["holds"] > funnel["confirmed"] > funnel["expired"]
    assert await pool.fetchval("select sum(rating_count) from movies") == await pool.fetchval(
        "select count(*) from reviews"
    )
    # A model is built with all of it as soon as somebody looks.
    assert await pool.fetchval("select built_at is null from recommendation_model")


def test_the_same_day_has_the_same_past_everywhere() -> None:
    shown = past.showtimes(NOW)
    assert shown == past.showtimes(NOW)
    assert list(past.parties(shown)) == list(past.parties(shown))
    assert all(one.times.ends_at <= NOW for one in shown)
    visits: Counter[tuple[UUID, UUID]] = Counter()
    for showtime, came in past.parties(shown):
        for party in came:
            assert party.at_us < past.to_us(showtime.times.starts_at)
            if party.person is not None and party.ending == "booked":
                visits[party.person.id, showtime.movie_id] += 1
    # Nobody sees a film twice.
    assert set(visits.values()) == {1}
