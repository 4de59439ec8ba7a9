"""A week that weights are tried on knows nothing of what came after its first moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from cinema.features.recommendations.model.facts import DAY_S
from cinema.features.recommendations.model.trials import TrialCustomer, TrialWeek, choices_of
from cinema.features.recommendations.rules import slot_of
from cinema.features.recommendations.trial_store import TrialsRepository
from cinema.storage.database.transactions import Pool
from tests.support.catalog_rows import INSERT_SHOWTIMES

pytestmark = pytest.mark.postgres

BEGINS = datetime(2026, 6, 8, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


class Chain:
    """Films with a showtime each, at cinemas of their own, three days after the week begins."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.showtimes: dict[str, UUID] = {}
        self.films: dict[str, UUID] = {}
        self.cinemas: dict[str, UUID] = {}

    async def make(self, *titles: str) -> Chain:
        for title in titles:
            showtime_id = self.showtimes[title] = uuid4()
            await self.pool.execute(INSERT_SHOWTIMES, [showtime_id])
            row = await self.pool.fetchrow(
                "update showtimes set starts_at = $2, ends_at = $4, clear_at = $4,"
                " sales_opens_at = $3"
                " where id = $1 returning movie_id, cinema_id",
                *(showtime_id, BEGINS + 3 * DAY, BEGINS - 30 * DAY, BEGINS + 3.1 * DAY),
            )
            assert row is not None
            self.films[title], self.cinemas[title] = row["movie_id"], row["cinema_id"]
        return self

    async def book(
        self, customer: UUID, title: str, at: datetime, status: str = "confirmed"
    ) -> None:
        await self.pool.execute(
            "insert into bookings (id, code, showtime_id, user_id, hold_id, status, total_minor,"
            " currency, created_at) values ($1, $2, $3, $4, $1, $5, 1000, 'EUR', $6)",
            *(uuid4(), uuid4().hex, self.showtimes[title], customer, status, at),
        )

    async def account(self, *, opted_out: bool, genres: tuple[str, ...] = ()) -> UUID:
        user_id = uuid4()
        await self.pool.execute(
            "insert into users (id, email, email_key, password_hash, role, created_at)"
            " values ($1, $2, $2, 'none', 'customer', now())",
            *(user_id, f"{user_id}@example.org"),
        )
        await self.pool.execute(
            "insert into recommendation_preferences (user_id, genres, opted_out, updated_at)"
            " values ($1, $2, $3, $4)",
            *(user_id, list(genres), opted_out, BEGINS - DAY),
        )
        return user_id

    async def week(self) -> TrialWeek:
        return await TrialsRepository(self.pool).week(BEGINS)


@pytest.fixture
async def chain(pool: Pool) -> Chain:
    return await Chain(pool).make("One", "Two", "Three")


def named(chain: Chain, week: TrialWeek, places: object) -> set[str]:
    """Titles of films by their places."""
    titles = {movie_id: title for title, movie_id in chain.films.items()}
    assert isinstance(places, list | tuple | dict | set)
    return {titles[week.films[place].id] for place in places}


def one_of(week: TrialWeek) -> TrialCustomer:
    (customer,) = week.customers
    return customer


async def test_what_was_booked_in_the_week_was_not_known_when_it_began(chain: Chain) -> None:
    ada = uuid4()
    await chain.book(ada, "One", BEGINS - DAY)
    await chain.book(ada, "Two", BEGINS + DAY)
    await chain.book(ada, "Three", BEGINS + 8 * DAY)
    week = await chain.week()
    customer = one_of(week)
    assert named(chain, week, customer.came) == {"Two"}
    assert named(chain, week, customer.history) == {"One"}
    assert named(chain, week, customer.saw) == {"One"}
    assert customer.cinemas == [chain.cinemas["One"]]
    slot = slot_of(BEGINS + 3 * DAY, "Europe/Berlin")
    assert customer.visits == [slot]
    assert [named(chain, week, one) for one in week.histories] == [{"One"}]
    assert set(week.popularity.chain) == {chain.films["One"]}
    assert named(chain, week, week.first_at_s) == {"One", "Two", "Three"}
    assert {one.cinema_id for one in week.showings} == set(chain.cinemas.values())
    assert all(one.slots == [slot] for one in week.showings)
    assert set(week.first_at_s.values()) == {BEGINS.timestamp() + 3 * DAY_S}


async def test_what_was_given_back_was_neither_seen_nor_chosen(chain: Chain) -> None:
    ada = uuid4()
    await chain.book(ada, "One", BEGINS - DAY, "cancelled")
    await chain.book(ada, "Two", BEGINS + DAY, "cancelled")
    assert (await chain.week()).customers == []
    await chain.book(ada, "Three", BEGINS + DAY)
    week = await chain.week()
    customer = one_of(week)
    assert named(chain, week, customer.history) == {"One"}
    assert customer.saw == ()
    (choice,) = choices_of(week)
    assert {one.film.id for one in choice.candidates} == set(chain.films.values())
    assert choice.came == {chain.films["Three"]}


async def test_who_has_opted_out_is_not_asked(chain: Chain) -> None:
    off, on = await chain.account(opted_out=True), await chain.account(opted_out=False)
    guest = uuid4()
    await chain.pool.execute(
        "insert into guests (id, created_at, expires_at, claimed_by, claimed_at)"
        " values ($1, $2, $2::timestamptz + interval '1 day', $3, $2)",
        *(guest, BEGINS, off),
    )
    for customer in (off, guest, on):
        await chain.book(customer, "One", BEGINS - DAY)
        await chain.book(customer, "Two", BEGINS + DAY)
    week = await chain.week()
    assert len(week.customers) == len(week.histories) == 1
    assert week.popularity.bookings == {chain.cinemas["One"]: {chain.films["One"]: 1}}


async def test_a_guest_is_the_account_that_has_claimed_it(chain: Chain) -> None:
    ada, guest = await chain.account(opted_out=False, genres=("Drama",)), uuid4()
    await chain.pool.execute(
        "insert into guests (id, created_at, expires_at, claimed_by, claimed_at)"
        " values ($1, $2, $2::timestamptz + interval '1 day', $3, $2)",
        *(guest, BEGINS, ada),
    )
    await chain.book(guest, "One", BEGINS - DAY)
    await chain.book(ada, "Two", BEGINS + DAY)
    customer = one_of(await chain.week())
    assert customer.genres == ["Drama"]
    assert customer.cinemas == [chain.cinemas["One"]]
    assert len(customer.history) == len(customer.visits) == 1


async def test_a_week_without_anything_is_empty(chain: Chain) -> None:
    week = await TrialsRepository(chain.pool).week(BEGINS + 20 * DAY)
    assert (week.customers, week.histories, week.showings, week.films) == ([], [], [], [])
