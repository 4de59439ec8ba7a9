"""Price books and promo codes on a real Postgres: no change is lost, no version changes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
import structlog

from cinema.domain.pricing.book import (
    RULES_LIMIT,
    BookSettings,
    Conditions,
    Discount,
    Effect,
    PriceBook,
)
from cinema.domain.pricing.rules import ReadyBook
from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.shapes import Client
from cinema.features.catalog.shapes import Cinema, CinemaSettings
from cinema.features.pricing import jobs
from cinema.features.pricing.book_service import Books
from cinema.features.pricing.jobs import NewPrices
from cinema.features.pricing.promo_service import PromosService
from cinema.features.pricing.promo_store import PromosRepository
from cinema.features.pricing.service import PricesService
from cinema.features.pricing.shapes import (
    PriceRule,
    PromoCode,
    PromoInput,
    PromoQuery,
    PromoTerms,
    RuleFields,
    RuleInput,
    RuleQuery,
)
from cinema.features.pricing.store import PricesRepository
from cinema.storage.database.transactions import Pool
from tests.integration.features.catalog_house import ADMIN, FIRST, House, refusal

pytestmark = pytest.mark.postgres

HERE = Client("192.0.2.1", "tests", "request-1")
OFF = Discount(kind="percent", value=1000)


def fields(name: str = "Matinee", value: int = -2000, **when: Any) -> dict[str, Any]:
    return {
        "name": name,
        "group": "time",
        "when": Conditions(**when),
        "effect": Effect(kind="percent", value=value),
    }


class Office:
    """A cinema, and what sets its prices."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.house = House(pool)
        self.store = PricesRepository(pool)
        made: dict[str, Any] = {"new_id": self.house.new_id, "now": lambda: self.house.now}
        self.prices = PricesService(self.store, **made)
        self.promos = PromosService(PromosRepository(pool), **made)

    async def rule(self, cinema: Cinema, name: str = "Matinee", **when: Any) -> PriceRule:
        request = RuleInput(cinema_id=cinema.id, **fields(name, **when))
        return await self.prices.add_rule(ADMIN, request, HERE, None)

    async def promo(self, code: str, by: Principal = ADMIN, **terms: Any) -> PromoCode:
        request = PromoInput(code=code, **{"discount": OFF, **terms})
        return await self.promos.add(by, request, HERE, None)

    async def book(self, cinema: Cinema, version: int | None = None) -> PriceBook:
        head = await self.pool.fetchval(
            "select version from price_books where cinema_id = $1", cinema.id
        )
        book = await self.store.book(cinema.id, version or head)
        assert book is not None
        assert book.version == (version or head)
        return book

    async def audit(self) -> list[tuple[str, Any, Any]]:
        rows = await self.pool.fetch(
            "select action, before::text, after::text from audit_log order by at, id"
        )
        return [(row[0], msgspec.json.decode(row[1]), msgspec.json.decode(row[2])) for row in rows]


@pytest.fixture
def office(pool: Pool) -> Office:
    return Office(pool)


# --- books


async def test_a_new_cinema_has_a_book_that_sells_as_before(office: Office) -> None:
    cinema = await office.house.cinema()
    book = await office.book(cinema)
    assert book == PriceBook(
        version=1, currency="EUR", time_zone="Europe/Berlin", settings=BookSettings()
    )


async def test_each_change_makes_a_version_and_leaves_those_before_it(office: Office) -> None:
    cinema = await office.house.cinema()
    rule = await office.rule(cinema)
    await office.prices.change_rule(
        ADMIN, rule.id, RuleFields(**fields("Morning")), frozenset({1}), HERE
    )
    settings = BookSettings(rounding_step=10)
    changed = await office.prices.change_settings(ADMIN, cinema.id, settings, FIRST, HERE)
    assert (changed.version, changed.book_version) == (2, 4)
    await office.house.catalog.change_settings(
        ADMIN, cinema.id, CinemaSettings(tax_rates={"standard": 1900}), FIRST
    )
    await office.prices.delete_rule(ADMIN, rule.id, frozenset({2}), HERE, None)
    books = [await office.book(cinema, version) for version in range(1, 7)]
    assert [[one.name for one in book.rules] for book in books] == [
        [],
        ["Matinee"],
        ["Morning"],
        ["Morning"],
        ["Morning"],
        [],
    ]
    assert [book.settings.rounding_step for book in books] == [1, 1, 1, 10, 10, 10]
    assert [book.tax_rates for book in books] == [{}] * 4 + [{"standard": 1900}] * 2
    assert books[1].rules[0].id == rule.id


async def test_what_is_not_about_prices_makes_no_version(office: Office) -> None:
    cinema = await office.house.cinema()
    await office.house.catalog.change_settings(
        ADMIN, cinema.id, CinemaSettings(ads_minutes=5), FIRST
    )
    assert (await office.book(cinema)).version == 1


async def test_changes_at_the_same_time_are_all_in_the_last_version(office: Office) -> None:
    cinema = await office.house.cinema()
    rules = [await office.rule(cinema, f"Old {number}") for number in range(4)]
    await asyncio.gather(
        *(office.rule(cinema, f"New {number}") for number in range(4)),
        *(
            office.prices.change_rule(
                ADMIN, rule.id, RuleFields(**fields(f"Changed {at}")), FIRST, HERE
            )
            for at, rule in enumerate(rules)
        ),
        office.prices.change_settings(ADMIN, cinema.id, BookSettings(floor=7), FIRST, HERE),
        office.house.catalog.change_settings(
            ADMIN, cinema.id, CinemaSettings(tax_rates={"reduced": 700}), FIRST
        ),
    )
    book = await office.book(cinema)
    assert sorted(one.name for one in book.rules) == [
        *(f"Changed {at}" for at in range(4)),
        *(f"New {number}" for number in range(4)),
    ]
    assert (book.settings.floor, book.tax_rates) == (7, {"reduced": 700})
    # Each change has its version, one after the other, with those before it.
    assert book.version == 1 + 4 + 10
    sizes = [len((await office.book(cinema, version)).rules) for version in range(1, 16)]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(
    "statement",
    [
        "update price_book_versions set book = '{}'",
        "delete from price_book_versions",
        "truncate price_book_versions",
    ],
)
async def test_the_database_refuses_to_change_a_version(office: Office, statement: str) -> None:
    await office.house.cinema()
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="never change"):
        await office.pool.execute(statement)


async def test_of_two_managers_the_second_is_told_of_the_first(office: Office) -> None:
    cinema = await office.house.cinema()
    rule = await office.rule(cinema)
    change = RuleFields(**fields("One"))
    await office.prices.change_rule(ADMIN, rule.id, change, FIRST, HERE)
    for call in (
        office.prices.change_rule(ADMIN, rule.id, change, FIRST, HERE),
        office.prices.delete_rule(ADMIN, rule.id, FIRST, HERE, None),
        office.prices.change_settings(ADMIN, cinema.id, BookSettings(), frozenset({9}), HERE),
    ):
        assert (await refusal(call))[0] == "PRECONDITION_FAILED"
    for call in (
        office.prices.change_rule(ADMIN, rule.id, change, None, HERE),
        office.prices.delete_rule(ADMIN, rule.id, None, HERE, None),
        office.prices.change_settings(ADMIN, cinema.id, BookSettings(), None, HERE),
    ):
        assert (await refusal(call))[0] == "PRECONDITION_REQUIRED"
    assert len(await office.audit()) == 2


async def test_rules_of_a_cinema_are_bounded(office: Office) -> None:
    cinema = await office.house.cinema()
    await office.pool.execute(
        "insert into price_rules (id, cinema_id, rule, created_at)"
        " select gen_random_uuid(), $1, '{}', now() from generate_series(1, $2)",
        cinema.id,
        RULES_LIMIT - 1,
    )
    both = await asyncio.gather(
        office.rule(cinema, "A"), office.rule(cinema, "B"), return_exceptions=True
    )
    refused = [one for one in both if isinstance(one, Refused)]
    assert [one.rejection.code for one in refused] == ["PRICE_RULE_LIMIT"]


async def test_settings_have_to_fit_the_taxes_of_the_cinema(office: Office) -> None:
    cinema = await office.house.cinema()
    settings = BookSettings(ticket_tax="standard")
    call = office.prices.change_settings(ADMIN, cinema.id, settings, FIRST, HERE)
    assert await refusal(call) == ("VALIDATION_ERROR", "$.ticket_tax")


async def test_unknown_rules_and_cinemas(office: Office) -> None:
    nowhere = UUID(int=9)
    request = RuleInput(cinema_id=nowhere, **fields())
    assert await refusal(office.prices.add_rule(ADMIN, request, HERE, None)) == (
        "UNKNOWN_REFERENCE",
        "$.cinema_id",
    )
    for call in (
        office.prices.ticket_types(nowhere),
        office.prices.rule(ADMIN, nowhere),
        office.prices.rules(ADMIN, RuleQuery(cinema_id=nowhere)),
        office.prices.delete_rule(ADMIN, nowhere, FIRST, HERE, None),
        office.promos.promo(ADMIN, nowhere),
        office.promos.delete(ADMIN, nowhere, FIRST, HERE, None),
        office.promos.delete(ADMIN, nowhere, None, HERE, None),
    ):
        assert (await refusal(call))[0] == "NOT_FOUND"
    assert await office.store.book(nowhere, 1) is None
    assert await office.store.book_of_showtime(nowhere) is None


async def test_changes_of_prices_are_in_the_audit_log(office: Office) -> None:
    cinema = await office.house.cinema()
    rule = await office.rule(cinema)
    await office.prices.change_rule(ADMIN, rule.id, RuleFields(**fields("B")), FIRST, HERE)
    await office.prices.delete_rule(ADMIN, rule.id, frozenset({2}), HERE, None)
    await office.prices.change_settings(ADMIN, cinema.id, BookSettings(floor=1), FIRST, HERE)
    promo = await office.promo("SUMMER")
    await office.promos.change(ADMIN, promo.id, PromoTerms(discount=OFF), FIRST, HERE)
    await office.promos.delete(ADMIN, promo.id, frozenset({2}), HERE, None)
    told = [
        (action, before.get("name"), after.get("name"))
        for action, before, after in await office.audit()
    ]
    assert told == [
        ("price_rule_added", None, "Matinee"),
        ("price_rule_changed", "Matinee", "B"),
        ("price_rule_deleted", "B", None),
        ("price_settings_changed", None, None),
        ("promo_code_added", None, None),
        ("promo_code_changed", None, None),
        ("promo_code_deleted", None, None),
    ]
    row = await office.pool.fetchrow("select * from audit_log order by at, id limit 1")
    assert row is not None
    assert (row["actor_id"].bytes, row["request_id"]) == (ADMIN.user_id, "request-1")
    assert row["target_id"] == rule.id


# --- promo codes


async def test_a_code_is_given_once_whatever_its_case(office: Office) -> None:
    await office.promo("Summer-26")
    assert await refusal(office.promo("SUMMER-26")) == ("NAME_TAKEN", "$.code")
    both = await asyncio.gather(
        office.promo("autumn"), office.promo("AUTUMN"), return_exceptions=True
    )
    assert sum(isinstance(one, PromoCode) for one in both) == 1


async def test_a_code_that_was_deleted_can_be_given_again(office: Office) -> None:
    promo = await office.promo("SUMMER")
    await office.promos.delete(ADMIN, promo.id, FIRST, HERE, None)
    again = await office.promo("SUMMER")
    assert again.id != promo.id
    assert [one.id for one in (await office.promos.promos(ADMIN, PromoQuery())).items] == [again.id]


async def test_managers_see_codes_of_their_cinemas_and_change_those_of_no_other(
    office: Office,
) -> None:
    own, other = await office.house.cinema(), await office.house.cinema()
    manager = Principal(bytes(15) + b"m", "manager", bytes(16), 0.0, frozenset({own.id.bytes}))
    mine = await office.promo("MINE", manager, cinema_ids=[own.id])
    shared = await office.promo("SHARED", cinema_ids=[own.id, other.id])
    theirs = await office.promo("THEIRS", cinema_ids=[other.id])
    everywhere = await office.promo("ALL")
    for cinema_ids in ([], [other.id], [own.id, other.id]):
        call = office.promo("NEW", manager, cinema_ids=cinema_ids)
        assert (await refusal(call))[0] == "FORBIDDEN"
    listed = await office.promos.promos(manager, PromoQuery())
    assert [one.id for one in listed.items] == [mine.id, shared.id]
    of_other = await office.promos.promos(ADMIN, PromoQuery(cinema_id=other.id, limit=1))
    assert [one.id for one in of_other.items] == [shared.id]
    rest = PromoQuery(cinema_id=other.id, cursor=of_other.next_cursor)
    assert [one.id for one in (await office.promos.promos(ADMIN, rest)).items] == [theirs.id]
    terms = PromoTerms(discount=OFF, cinema_ids=[own.id])
    for promo, code in ((shared, "FORBIDDEN"), (theirs, "NOT_FOUND"), (everywhere, "NOT_FOUND")):
        for call in (
            office.promos.change(manager, promo.id, terms, FIRST, HERE),
            office.promos.delete(manager, promo.id, FIRST, HERE, None),
        ):
            assert (await refusal(call))[0] == code
    taken_away = office.promos.change(
        manager, mine.id, PromoTerms(discount=OFF, cinema_ids=[other.id]), FIRST, HERE
    )
    assert (await refusal(taken_away))[0] == "FORBIDDEN"
    changed = await office.promos.change(manager, mine.id, terms, FIRST, HERE)
    assert changed.version == 2
    stale = office.promos.change(manager, mine.id, terms, FIRST, HERE)
    assert (await refusal(stale))[0] == "PRECONDITION_FAILED"


async def test_what_a_code_names_has_to_exist(office: Office) -> None:
    for name in ("movie_ids", "cinema_ids"):
        call = office.promo("SUMMER", **{name: [UUID(int=5)]})
        assert await refusal(call) == ("UNKNOWN_REFERENCE", f"$.{name}")
    movie, cinema = await office.house.movie(), await office.house.cinema()
    made = await office.promo(
        "SUMMER",
        movie_ids=[movie.id],
        cinema_ids=[cinema.id],
        valid_until=datetime(2026, 7, 1, tzinfo=UTC),
        max_uses=3,
    )
    assert await office.promos.promo(ADMIN, made.id) == made


async def test_a_code_is_never_allowed_fewer_uses_than_it_had(office: Office) -> None:
    promo = await office.promo("SUMMER", max_uses=5)
    await office.pool.execute("update promo_codes set uses = 4")
    terms = PromoTerms(discount=OFF, max_uses=3)
    call = office.promos.change(ADMIN, promo.id, terms, FIRST, HERE)
    assert await refusal(call) == ("VALIDATION_ERROR", "$.max_uses")
    with pytest.raises(asyncpg.CheckViolationError):
        await office.pool.execute("update promo_codes set uses = 6")


# --- what showtimes are priced by


class Actors:
    """The showtimes of a node, as far as books concern them."""

    def __init__(self) -> None:
        self.versions: dict[bytes, int] = {}
        self.told: list[tuple[bytes, int, ReadyBook | None]] = []

    async def price_by(self, cinema_id: bytes, version: int, book: ReadyBook | None) -> int:
        self.versions[cinema_id] = version
        self.told.append((cinema_id, version, book))
        return 1


async def test_terms_are_loaded_with_the_book_of_their_cinema(office: Office) -> None:
    house = office.house
    cinema = await house.cinema()
    show = await house.show(await house.movie(), await house.screen(cinema), format="3D")
    plain = await house.terms.load_terms(show.id.bytes)
    assert plain is not None
    assert (plain.book, plain.book_version) == (None, 1)
    assert (plain.format, plain.time_zone) == ("3D", "Europe/Berlin")
    rule = await office.rule(cinema)
    for _ in range(2):
        ruled = await house.terms.load_terms(show.id.bytes)
        assert ruled is not None
        assert ruled.book is not None
        assert (ruled.book.book.version, ruled.book_version) == (2, 2)
        assert [one.id for group in ruled.book.groups for one in group] == [rule.id]
    with pytest.raises(LookupError):
        await house.terms.book(cinema.id.bytes, 99)


async def test_new_versions_reach_the_showtimes_of_their_cinema(office: Office) -> None:
    cinema, other = await office.house.cinema(), await office.house.cinema()
    actors = Actors()
    books = Books(office.store)
    following = NewPrices(office.store, books, lambda: actors.versions, actors.price_by)
    assert await following.round() == 0
    actors.versions = {cinema.id.bytes: 1, other.id.bytes: 1}
    assert await following.round() == 0
    rule = await office.rule(cinema)
    await office.rule(cinema, "Morning")
    assert await following.round() == 1
    ((told, version, book),) = actors.told
    assert (told, version) == (cinema.id.bytes, 3)
    assert book is await books.ready(cinema.id, 3)
    assert await following.round() == 0
    # A database that was restored to an earlier state counts too.
    actors.versions[cinema.id.bytes] = 77
    assert await following.round() == 1
    for one in (await office.prices.rules(ADMIN, RuleQuery(cinema_id=cinema.id))).items:
        await office.prices.delete_rule(ADMIN, one.id, frozenset({1}), HERE, None)
    assert await following.round() == 1
    assert actors.told[-1] == (cinema.id.bytes, 5, None)
    assert rule.version == 1


async def test_a_look_that_fails_is_tried_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    actors = Actors()
    following = NewPrices(
        office.store, Books(office.store), lambda: actors.versions, actors.price_by
    )
    looks = 0
    seen_twice = asyncio.Event()

    async def round_() -> int:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise refuse("RETRY")
        seen_twice.set()
        return 0

    monkeypatch.setattr(jobs, "PERIOD_S", 0)
    monkeypatch.setattr(following, "round", round_)
    with structlog.testing.capture_logs() as logged:
        running = asyncio.ensure_future(following.run())
        await seen_twice.wait()
        running.cancel()
    assert [(line["event"], line["reason"]) for line in logged] == [
        (jobs.BOOKS_NOT_FOLLOWED, "RETRY")
    ]


async def test_books_that_were_not_used_for_long_are_read_again(office: Office) -> None:
    cinema = await office.house.cinema()
    books = Books(office.store)
    first = await books.ready(cinema.id, 1)
    assert await books.ready(cinema.id, 1) is first
    assert await refusal(books.ready(cinema.id, 2)) == ("RETRY", None)
    assert books.plain("EUR", "UTC").book.version == 0
