"""The figures of reports follow the events, from any moment on, by one node at a time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from cinema.cli.rebuild_reports import run_rebuild_reports
from cinema.features.reports import projection_store
from cinema.features.reports.figure_jobs import FIGURES_BEGUN_AGAIN, FiguresKept
from cinema.features.reports.funnel_store import FunnelRepository
from cinema.features.reports.metrics import FigureCounts
from cinema.features.reports.projection_store import (
    SCANS_OVERLAP,
    SHOWTIMES_AT_ONCE,
    SHOWTIMES_TOGETHER,
    Followed,
    ProjectionRepository,
)
from cinema.settings import Secret, Settings
from cinema.storage.database.transactions import Pool, transaction
from tests.support.catalog_rows import INSERT_SHOWTIMES

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def nothing_of_before(pool: Pool) -> None:
    await pool.execute("update projections set rebuilt_to = null")


async def showtimes_of(pool: Pool, count: int) -> list[UUID]:
    """Showtimes of a calendar, in the order of their ids."""
    ids = sorted(uuid4() for _ in range(count))
    await pool.execute(INSERT_SHOWTIMES, ids)
    return ids


async def tell(pool: Pool, *showtimes: UUID) -> None:
    """Something happened at showtimes, in this order."""
    await pool.executemany(
        "insert into public_events (id, type, showtime_id, booking_id, sequence, data, at)"
        " values ($1, 'booking.confirmed', $2, $1, 1, '{}', $3)",
        [(uuid4(), showtime_id, NOW) for showtime_id in showtimes],
    )


async def sell(pool: Pool, showtime_id: UUID, price_minor: int) -> None:
    """A confirmed booking of a seat, in the tables alone."""
    booking_id = uuid4()
    await pool.execute(
        "insert into bookings (id, code, showtime_id, user_id, hold_id, status, total_minor,"
        " currency, created_at) values ($1, $2, $3, $1, $1, 'confirmed', $4, 'EUR', $5)",
        *(booking_id, booking_id.hex, showtime_id, price_minor, NOW),
    )
    await pool.execute(
        "insert into booking_seats (booking_id, position, showtime_id, seat, category, price_minor)"
        " values ($1, 0, $2, $3, 'regular', $4)",
        *(booking_id, showtime_id, booking_id.hex, price_minor),
    )
    await pool.execute(
        "insert into ledger (kind, source, booking_id, showtime_id, currency, at, accounts,"
        " amounts) values ('sale', $1, $1, $2, 'EUR', $3, array['customer', 'revenue'],"
        " array[$4::bigint, -$4::bigint])",
        *(booking_id, showtime_id, NOW, price_minor),
    )


async def counted(pool: Pool) -> dict[UUID, tuple[int, int]]:
    """Seats and money of the showtimes that have figures."""
    rows = await pool.fetch("select showtime_id, sold, gross_minor from showtime_figures")
    return {row["showtime_id"]: (row["sold"], row["gross_minor"]) for row in rows}


async def mark(pool: Pool) -> tuple[int, UUID | None]:
    row = await pool.fetchrow("select position, rebuilt_to from projections where name = 'reports'")
    assert row is not None
    return row["position"], row["rebuilt_to"]


async def last(pool: Pool) -> int:
    found: int = await pool.fetchval("select max(position) from public_events")
    return found


def kept(pool: Pool, counts: FigureCounts | None = None) -> FiguresKept:
    return FiguresKept(
        ProjectionRepository(pool),
        FunnelRepository(pool),
        counts or FigureCounts(),
        now=lambda: NOW + timedelta(seconds=90),
    )


async def test_events_are_followed_in_pages_of_showtimes(pool: Pool) -> None:
    showtimes = [uuid4() for _ in range(2 * SHOWTIMES_TOGETHER + 3)]
    await tell(pool, *showtimes)
    await tell(pool, *showtimes[-3:])
    repository = ProjectionRepository(pool, clock=lambda: 0.0)
    pages = [await repository.follow() for _ in range(4)]
    assert pages == [
        Followed(showtimes=SHOWTIMES_TOGETHER, is_full=True),
        Followed(showtimes=SHOWTIMES_TOGETHER, is_full=True),
        Followed(showtimes=3),
        Followed(showtimes=0),
    ]
    assert (await counted(pool)).keys() == set(showtimes)
    assert await mark(pool) == (await last(pool), None)


async def test_what_is_not_counted_in_time_is_left_to_the_next_page(pool: Pool) -> None:
    showtimes = [uuid4() for _ in range(SHOWTIMES_AT_ONCE + 2)]
    await tell(pool, *showtimes, *showtimes[:2])
    late = iter(range(100))
    repository = ProjectionRepository(pool, clock=lambda: float(next(late)))
    assert await repository.follow() == Followed(showtimes=SHOWTIMES_AT_ONCE, is_full=True)
    assert (await counted(pool)).keys() == set(showtimes[:SHOWTIMES_AT_ONCE])
    # The next page has the two that are left, and two that have come once more.
    assert await repository.follow() == Followed(showtimes=4)
    assert (await counted(pool)).keys() == set(showtimes)
    assert await mark(pool) == (await last(pool), None)


async def test_what_fails_in_between_leaves_all_as_it_was_and_is_done_again(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    showtime_id = uuid4()
    await sell(pool, showtime_id, 700)
    await tell(pool, showtime_id)
    before = await mark(pool)
    with monkeypatch.context() as broken:
        broken.setattr(projection_store, "REACH", "select 1 / ($2::bigint * 0), $1::text")
        with pytest.raises(Exception, match=r".+"):
            await ProjectionRepository(pool).follow()
    assert (await counted(pool), await mark(pool)) == ({}, before)
    await ProjectionRepository(pool).follow()
    assert await counted(pool) == {showtime_id: (1, 700)}
    # An event that is read twice changes nothing.
    await pool.execute("update projections set position = $1 where name = 'reports'", before[0])
    await ProjectionRepository(pool).follow()
    assert await counted(pool) == {showtime_id: (1, 700)}


async def test_one_node_counts_at_a_time(pool: Pool) -> None:
    await tell(pool, uuid4())
    repository = ProjectionRepository(pool)
    async with transaction(pool) as other:
        await other.execute("select from projections where name = 'reports' for update")
        assert await repository.follow() is None
        assert await repository.follow_scans(NOW) is None
        assert await repository.rebuild() is None
        assert await kept(pool).step() is False
    assert await repository.follow() == Followed(showtimes=1)


async def test_nodes_that_count_at_the_same_time_come_to_what_there_is(pool: Pool) -> None:
    showtimes = [uuid4() for _ in range(4)]
    nodes = [kept(pool) for _ in range(3)]

    async def sales() -> None:
        for number in range(40):
            await sell(pool, showtimes[number % 4], 100)
            await tell(pool, showtimes[number % 4])

    async def count(node: FiguresKept, until: asyncio.Event) -> None:
        while not until.is_set():
            await node.step()

    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for node in nodes:
            group.create_task(count(node, done))
        await sales()
        done.set()
    await nodes[0].round()
    assert await counted(pool) == dict.fromkeys(showtimes, (10, 1000))


@pytest.mark.parametrize(
    "loss",
    [
        "update projections set position = position + 1000 where name = 'reports'",
        "update public_event_horizon set position = position + 1000",
    ],
)
async def test_figures_begin_again_when_events_are_gone(pool: Pool, loss: str) -> None:
    (showtime_id,) = await showtimes_of(pool, 1)
    await sell(pool, showtime_id, 700)
    await pool.execute(loss)
    with capture_logs() as logs:
        await kept(pool).round()
    assert [one["event"] for one in logs] == [FIGURES_BEGUN_AGAIN]
    assert await counted(pool) == {showtime_id: (1, 700)}
    with capture_logs() as logs:
        await kept(pool).round()
    assert logs == []


async def test_doors_are_looked_at_again_for_a_while(pool: Pool) -> None:
    """A scan may become visible a little later than its time says."""
    showtime_id, booking_id = uuid4(), uuid4()
    repository = ProjectionRepository(pool)
    await pool.execute("update projections set scanned_at = $1", NOW)
    assert await repository.follow_scans(NOW + timedelta(seconds=30)) == Followed(showtimes=0)
    await pool.execute(
        "insert into ticket_entries values ($1, 0, $2, true, $3, null, $1, 'Door')",
        *(booking_id, showtime_id, NOW),
    )
    await pool.execute(
        "insert into ticket_scans (id, booking_id, place, showtime_id, cinema_id, direction,"
        " outcome, at, recorded_at, scanner_id, scanner)"
        " values ($1, $1, 0, $2, $1, 'entry', 'admitted', $3, $3, $1, 'Door')",
        *(booking_id, showtime_id, NOW + timedelta(seconds=29)),
    )
    assert await repository.follow_scans(NOW + timedelta(seconds=60)) == Followed(showtimes=1)
    found = await pool.fetchval("select admitted from showtime_figures")
    assert found == 1
    later = NOW + timedelta(seconds=60) + SCANS_OVERLAP
    assert await repository.follow_scans(later) == Followed(showtimes=1)
    assert await repository.follow_scans(later) == Followed(showtimes=0)


async def test_a_rebuild_goes_on_where_it_was_left(pool: Pool) -> None:
    showtimes = await showtimes_of(pool, 3)
    for showtime_id in showtimes:
        await sell(pool, showtime_id, 300)
    repository = ProjectionRepository(pool)
    assert await repository.rebuild() == Followed(showtimes=0)
    await repository.begin_rebuild()
    assert (await repository.backlog()).rebuilding
    await pool.execute(
        "update projections set rebuilt_to = $1 where name = 'reports'", showtimes[0]
    )
    assert await repository.rebuild() == Followed(showtimes=2)
    assert (await counted(pool)).keys() == set(showtimes[1:])
    assert not (await repository.backlog()).rebuilding


async def test_the_command_counts_all_showtimes_anew(
    pool: Pool, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (showtime_id,) = await showtimes_of(pool, 1)
    await sell(pool, showtime_id, 300)
    await pool.execute(
        "insert into showtime_figures values ($1, 9, 9, 9, 9, 9, 9, 9, '[]', '[]')", showtime_id
    )
    settings = Settings(database_url=Secret(database))
    await asyncio.to_thread(run_rebuild_reports, settings)
    assert "the figures of 1 showtimes were counted here" in capsys.readouterr().out
    assert await counted(pool) == {showtime_id: (1, 300)}


async def test_metrics_tell_what_waits(pool: Pool) -> None:
    counts = FigureCounts()
    await tell(pool, uuid4(), uuid4())
    counts.note(await ProjectionRepository(pool).backlog(), NOW + timedelta(seconds=90))
    assert (counts.waiting, counts.late_s) == (2, 90.0)
    await kept(pool, counts).round()
    assert (counts.waiting, counts.late_s, counts.showtimes) == (0, 0.0, 2)
