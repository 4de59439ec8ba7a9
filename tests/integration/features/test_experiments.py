"""What recommendations reached is counted by customer, in the arm that each was in first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from cinema.features.reports.experiment_store import ExperimentsRepository
from cinema.features.reports.figure_shapes import ExperimentRow
from cinema.storage.database.reads import PrimaryReads
from cinema.storage.database.transactions import Pool
from tests.support.catalog_rows import INSERT_SHOWTIMES

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 6, 30, 12, 0, tzinfo=UTC)
SINCE, UNTIL = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 20, tzinfo=UTC)
SHOWN = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


class Past:
    """What customers were shown and did, in the tables alone."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.showtimes: dict[str, UUID] = {}
        self.films: dict[str, UUID] = {}

    async def make(self) -> Past:
        for title in ("shown", "other"):
            showtime_id = self.showtimes[title] = uuid4()
            await self.pool.execute(INSERT_SHOWTIMES, [showtime_id])
            self.films[title] = await self.pool.fetchval(
                "select movie_id from showtimes where id = $1", showtime_id
            )
        return self

    async def show(self, customer: UUID, arm: str, **more: Any) -> UUID:
        exposure_id = uuid4()
        await self.pool.execute(
            "insert into recommendation_exposures (id, user_id, movie_id, place, propensity,"
            " explored, reason, model_version, shown_at, experiment, arm, is_control)"
            " values ($1, $2, $3, 1, 1, false, 'new_this_week', 1, $4, $5, $6, $7)",
            *(exposure_id, customer, self.films["shown"], more.get("at", SHOWN)),
            *(more.get("experiment", "ranking"), arm, arm == "popular"),
        )
        return exposure_id

    async def click(self, customer: UUID, exposure_id: UUID, kind: str = "click") -> None:
        await self.pool.execute(
            "insert into recommendation_events (id, user_id, movie_id, kind, exposure_id, at)"
            " values ($1, $2, $3, $4, $5, $6)",
            *(uuid4(), customer, self.films["shown"], kind, exposure_id, SHOWN),
        )

    async def book(
        self, customer: UUID, film: str, at: datetime, status: str = "confirmed"
    ) -> None:
        await self.pool.execute(
            "insert into bookings (id, code, showtime_id, user_id, hold_id, status, total_minor,"
            " currency, created_at) values ($1, $2, $3, $4, $1, $5, 1000, 'EUR', $6)",
            *(uuid4(), uuid4().hex, self.showtimes[film], customer, status, at),
        )

    async def rows(self, now: datetime = NOW) -> dict[tuple[str, str], ExperimentRow]:
        store = ExperimentsRepository(PrimaryReads(self.pool))
        found = await store.outcomes(SINCE, UNTIL, now)
        return {(one.measure, one.arm): one for one in found}


@pytest.fixture
async def past(pool: Pool) -> Past:
    return await Past(pool).make()


async def test_each_measure_counts_customers_once(past: Past) -> None:
    ada, bob, cem, dan = (uuid4() for _ in range(4))
    for customer in (ada, bob, cem):
        shown = await past.show(customer, "full")
        await past.show(customer, "full", at=SHOWN + DAY)
        await past.click(customer, shown, "click" if customer == ada else "impression")
    await past.click(ada, shown)
    await past.show(dan, "popular")
    await past.book(ada, "shown", SHOWN + 2 * DAY)
    await past.book(ada, "shown", SHOWN + 3 * DAY)
    await past.book(bob, "other", SHOWN + 2 * DAY)
    rows = await past.rows()
    assert list(rows) == [
        (measure, arm)
        for measure in ("clicked", "booked_shown", "booked")
        for arm in ("popular", "full")
    ]
    full = [rows[measure, "full"] for measure in ("clicked", "booked_shown", "booked")]
    assert [one.reached for one in full] == [1, 1, 2]
    for one in full:
        assert (one.customers, one.films_shown, one.maturing) == (3, 6, 0)
        assert one.share == round(100 * one.reached / 3, 2)
        assert one.share_low is not None
        assert one.share_high is not None
        assert 0 < one.share_low < one.share < one.share_high < 100
        assert one.difference == one.share
    control = rows["booked", "popular"]
    assert (control.customers, control.reached, control.share) == (1, 0, 0.0)
    assert (control.is_control, control.difference, control.difference_low) == (True, None, None)


@pytest.mark.parametrize(
    ("film", "after", "status", "reached"),
    [
        ("shown", 7 * DAY, "confirmed", (1, 1)),
        ("shown", 7 * DAY + timedelta(seconds=1), "confirmed", (0, 0)),
        ("shown", -timedelta(seconds=1), "confirmed", (0, 0)),
        ("shown", DAY, "cancelled", (0, 0)),
        ("other", DAY, "confirmed", (0, 1)),
    ],
)
async def test_a_booking_within_seven_days_counts(
    past: Past, film: str, after: timedelta, status: str, reached: tuple[int, int]
) -> None:
    ada = uuid4()
    await past.show(ada, "full")
    await past.book(ada, film, SHOWN + after, status)
    rows = await past.rows()
    assert (rows["booked_shown", "full"].reached, rows["booked", "full"].reached) == reached
    # There is no control to compare with.
    assert rows["booked", "full"].difference is None


async def test_the_days_after_each_showing_count_for_its_film(past: Past) -> None:
    ada = uuid4()
    await past.show(ada, "full", at=SHOWN - 5 * DAY)
    await past.show(ada, "full")
    await past.book(ada, "shown", SHOWN + 4 * DAY)
    rows = await past.rows()
    assert (rows["booked_shown", "full"].reached, rows["booked", "full"].reached) == (1, 0)


async def test_who_is_still_within_the_days_is_told(past: Past) -> None:
    for hours in (0, 30):
        await past.show(uuid4(), "full", at=SHOWN + timedelta(hours=hours))
    maturing = {
        after: (await past.rows(SHOWN + after))["booked", "full"].maturing
        for after in (timedelta(hours=40), 7 * DAY + timedelta(hours=1), 9 * DAY)
    }
    assert list(maturing.values()) == [2, 1, 0]


async def test_a_guest_is_the_account_that_has_claimed_it(past: Past) -> None:
    ada, guest = uuid4(), uuid4()
    await past.pool.execute(
        "insert into guests (id, created_at, expires_at, claimed_by, claimed_at)"
        " values ($1, $2, $2::timestamptz + interval '1 day', $3, $2)",
        *(guest, SHOWN, ada),
    )
    await past.show(guest, "popular")
    await past.show(ada, "full", at=SHOWN + DAY)
    await past.book(guest, "shown", SHOWN + 2 * DAY)
    rows = await past.rows()
    assert {arm for _, arm in rows} == {"popular"}
    assert (rows["booked", "popular"].customers, rows["booked", "popular"].reached) == (1, 1)


async def test_who_has_opted_out_is_in_no_arm_nor_is_a_guest_of_theirs(past: Past) -> None:
    ada, guest = uuid4(), uuid4()
    await past.pool.execute(
        "insert into users (id, email, email_key, password_hash, role, created_at)"
        " values ($1, 'ada@example.org', 'ada@example.org', 'none', 'customer', $2)",
        *(ada, SHOWN),
    )
    await past.pool.execute(
        "insert into guests (id, created_at, expires_at, claimed_by, claimed_at)"
        " values ($1, $2, $2::timestamptz + interval '1 day', $3, $2)",
        *(guest, SHOWN, ada),
    )
    await past.show(guest, "popular")
    await past.show(uuid4(), "full")
    opted = (
        "insert into recommendation_preferences (user_id, opted_out, updated_at)"
        " values ($1, $2, $3) on conflict (user_id) do update set opted_out = excluded.opted_out"
    )
    await past.pool.execute(opted, ada, False, SHOWN)
    assert {arm for _, arm in await past.rows()} == {"popular", "full"}
    await past.pool.execute(opted, ada, True, SHOWN)
    assert {arm for _, arm in await past.rows()} == {"full"}


async def test_only_experiments_of_the_days_count(past: Past) -> None:
    await past.show(uuid4(), "full", experiment="")
    await past.show(uuid4(), "full", at=UNTIL)
    await past.show(uuid4(), "full", at=SINCE - timedelta(seconds=1))
    assert await past.rows() == {}
    await past.show(uuid4(), "full", at=SINCE)
    assert {one.customers for one in (await past.rows()).values()} == {1}


async def test_customers_stand_at_the_day_on_which_they_were_first_shown_a_film(
    past: Past,
) -> None:
    ada, bob, cem = uuid4(), uuid4(), uuid4()
    for customer, arm, days in ((ada, "full", 0), (bob, "popular", 0), (cem, "full", 1)):
        await past.show(customer, arm, at=SHOWN + days * DAY)
        await past.show(customer, arm, at=SHOWN + (days + 1) * DAY)
        await past.book(customer, "shown", SHOWN + 3 * DAY)
    store = ExperimentsRepository(PrimaryReads(past.pool))
    rows = await store.outcomes(SINCE, UNTIL, NOW, by_day=True)
    booked = {(one.date, one.arm): one for one in rows if one.measure == "booked"}
    assert {key: (one.customers, one.reached) for key, one in booked.items()} == {
        ("2026-06-10", "popular"): (1, 1),
        ("2026-06-10", "full"): (1, 1),
        ("2026-06-11", "full"): (1, 1),
    }
    # Beside control of the same day; on the second there is none.
    assert booked["2026-06-10", "full"].difference == 0.0
    assert booked["2026-06-11", "full"].difference is None
    assert len({one.key for one in rows}) == len(rows) == 9


async def test_bookings_elsewhere_are_no_outcome_of_a_cinema(past: Past) -> None:
    ada = uuid4()
    await past.click(ada, await past.show(ada, "full"))
    await past.book(ada, "other", SHOWN + DAY)
    store = ExperimentsRepository(PrimaryReads(past.pool))
    cinemas = {
        title: await past.pool.fetchval("select cinema_id from showtimes where id = $1", one)
        for title, one in past.showtimes.items()
    }
    for title, reached in (("shown", [1, 0, 0]), ("other", [1, 0, 1])):
        rows = await store.outcomes(SINCE, UNTIL, NOW, [cinemas[title]])
        assert [one.reached for one in rows] == reached, title
    assert [one.reached for one in await store.outcomes(SINCE, UNTIL, NOW, [])] == [1, 0, 0]
