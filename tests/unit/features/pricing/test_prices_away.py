"""Prices and codes while the database is away or behind, and how much of them is kept."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from cinema.actors.messages import HoldSeen
from cinema.domain.pricing.book import PriceBook
from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused, refuse
from cinema.domain.showtime.prices import PriceInputs
from cinema.features.pricing import book_service, jobs, sale_service
from cinema.features.pricing.book_service import Books
from cinema.features.pricing.code_service import CodesService
from cinema.features.pricing.quote_service import QuotesService
from cinema.features.pricing.sale_service import SalesService
from cinema.features.pricing.shapes import PromoCode, QuoteInput
from tests.unit.domain.pricing.making import book

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
CINEMA, BOOKING = UUID(int=1), UUID(int=2)
ANYTHING = cast("Any", None)
REFUSED = [("OUTCOME_UNKNOWN", "RETRY"), ("UNKNOWN_PROMO_CODE", "UNKNOWN_PROMO_CODE")]


class Prices:
    """A database that has the first versions of a book."""

    def __init__(self, newest: int) -> None:
        self.newest = newest
        self.asked = 0

    async def book(self, _cinema: UUID, version: int) -> PriceBook | None:
        self.asked += 1
        return replace(book(), version=version) if version <= self.newest else None


async def test_a_book_that_a_database_does_not_have_yet_is_asked_for_again() -> None:
    prices = Prices(newest=1)
    books = Books(cast("Any", prices))
    with pytest.raises(Refused, match="RETRY"):
        await books.ready(CINEMA, 2)
    prices.newest = 2
    assert (await books.ready(CINEMA, 2)).book.version == 2


async def test_the_books_that_were_used_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_service, "BOOKS_KEPT", 2)
    prices = Prices(newest=3)
    books = Books(cast("Any", prices))
    for version in (1, 2, 1, 3, 1, 2):
        await books.ready(CINEMA, version)
    assert prices.asked == 4


class Seen:
    """A hold, as far as its price goes."""

    labels: tuple[str, ...] = ("A1",)
    seats = (0,)
    cinema_id, currency, time_zone = CINEMA.bytes, "EUR", "Europe/Berlin"

    def __init__(self) -> None:
        self.terms = self.plan = self.group = self


async def test_the_showtimes_that_were_sold_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sale_service, "SHOWTIMES_KEPT", 2)
    prices = Prices(newest=9)
    sales = SalesService(Books(cast("Any", prices)))
    made = []
    for movie in (1, 2, 1, 3, 1, 2):
        basis = PriceInputs(1, 0, 0, 10, bytes([movie]) * 16, 1000, (), "2d", 0, ())
        made.append((await sales.priced(cast("Any", Seen()), basis)).showtime)
    assert [made[at] is made[0] for at in (2, 4)] == [True, True]
    assert made[5] is not made[1]


async def test_the_sales_of_a_showtime_that_are_kept_are_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sale_service, "SALES_KEPT", 1)
    sales = SalesService(Books(cast("Any", Prices(newest=9))))
    basis = PriceInputs(1, 0, 0, 10, bytes(16), 1000, (), "2d", 0, ("regular",))
    hold = await sales.priced(cast("Any", Seen()), basis)
    for type_ in ("adult", "complimentary", "adult"):
        sales.sale(hold, {"A1": type_}, "counter")
    assert len(hold.showtime.sales) == 1


class Uses:
    """The uses of codes, in a database that answers with this code."""

    def __init__(self, code: str | None) -> None:
        self._code = code
        self.names: list[list[str]] = []

    async def verified_email(self, _user: UUID) -> str | None:
        return None

    async def reserve(self, _use: object, names: list[str], _now: object) -> None:
        self.names.append(names)
        self._refuse()

    async def give_back(self, _booking: UUID) -> None:
        self._refuse()

    def _refuse(self) -> None:
        if self._code is not None:
            raise refuse(self._code)


def codes(uses: Uses) -> CodesService:
    return CodesService(ANYTHING, cast("Any", uses), ANYTHING, now_us=lambda: 0)


PROMO = cast("PromoCode", type("Promo", (), {"id": UUID(int=3)}))


@pytest.mark.parametrize(("code", "said"), REFUSED)
async def test_a_use_that_may_have_been_counted_is_no_reason_to_book(code: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        await codes(Uses(code)).reserve(PROMO, BOOKING, CINEMA, None)


async def test_nobody_is_counted_at_the_counter() -> None:
    uses = Uses(None)
    await codes(uses).reserve(PROMO, BOOKING, None, None)
    assert uses.names == [[]]


@pytest.mark.parametrize("code", [None, "RETRY"])
async def test_a_use_that_cannot_be_given_back_now_is_left_to_the_sweep(code: str | None) -> None:
    await codes(Uses(code)).give_back(BOOKING)


class Seats:
    """Seats whose owner is of a build that tells nothing about prices."""

    async def held(self, *_: object) -> HoldSeen:
        return HoldSeen(bytes(16), "active", ANYTHING, 1, 1, ANYTHING)


async def test_a_hold_whose_prices_are_not_told_is_asked_for_again() -> None:
    quotes = QuotesService(
        *(ANYTHING, ANYTHING, ANYTHING, cast("Any", Seats()), ANYTHING, ANYTHING),
        now_us=lambda: 0,
    )
    caller = Principal(user_id=bytes(16), role="customer", session_id=bytes(16), expires_at_s=0.0)
    with pytest.raises(Refused, match="RETRY"):
        await quotes.calculate(caller, QuoteInput(showtime_id=CINEMA, hold_id=BOOKING), "")


class Ended:
    """Uses whose bookings have ended, in a database that is away at first."""

    def __init__(self) -> None:
        self.rounds = 0
        self.all_done = asyncio.Event()

    async def return_ended(self, _now: object, _limit: int) -> int:
        self.rounds += 1
        if self.rounds == 1:
            raise refuse("RETRY")
        if self.rounds == 4:
            self.all_done.set()
        return 1 if self.rounds < 4 else 0


async def test_uses_are_given_back_once_the_database_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "RETURN_PERIOD_S", 0.0)
    ended = Ended()
    sweep = jobs.UsesGivenBack(cast("Any", ended), now=lambda: NOW)
    with capture_logs() as logs:
        running = asyncio.create_task(sweep.run())
        async with asyncio.timeout(30):
            await ended.all_done.wait()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert [one["reason"] for one in logs if one["event"] == jobs.USES_NOT_RETURNED] == ["RETRY"]
