"""The terms a showtime's actor sells on, loaded when it is activated."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from functools import lru_cache
from sys import intern
from typing import Final

import msgspec

from cinema.domain.ids import format_id, parse_id
from cinema.domain.limits_catalog import DATABASE_WAIT_S, LAYOUTS_KEPT
from cinema.domain.pricing.book import PriceBook, is_plain
from cinema.domain.pricing.categories import category_prices
from cinema.domain.pricing.rules import ReadyBook, ready_book
from cinema.domain.sale_rules import Rules, SaleRules, ShowtimeRules, effective_rules
from cinema.domain.seatmap import Layout, SeatPlan, parse_layout
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.domain.times import to_us
from cinema.storage.database.driver import Record
from cinema.storage.database.failures import UNREACHABLE
from cinema.storage.database.transactions import Pool, borrowed
from cinema.storage.journal.store import StoreUnavailable

_TERMS: Final = """
select showtime.cinema_id::text, showtime.screen_id::text, showtime.layout_version,
       showtime.currency, showtime.base_price_minor, showtime.price_overrides::text,
       showtime.starts_at, showtime.ends_at, showtime.sales_opens_at, showtime.sales_closes_at,
       showtime.rules::text, screen.rules::text as screen_rules, showtime.version,
       showtime.movie_id::text, showtime.promised_starts_at, showtime.free_refund_until,
       showtime.format, cinema.time_zone, head.version as book_version
from showtimes showtime
join screens screen on screen.id = showtime.screen_id
join cinemas cinema on cinema.id = showtime.cinema_id
left join price_books head on head.cinema_id = showtime.cinema_id
where showtime.id = $1::text::uuid
"""

_LAYOUT: Final = """
select layout::text from screen_layouts where screen_id = $1::text::uuid and version = $2
"""

# One that was moved had other screens before, each from a version of its plan on.
_SCREEN_OF: Final = """
select coalesce(
    (
        select moved.screen_id from showtime_screens moved
        where moved.showtime_id = showtime.id and moved.from_version <= $2
        order by moved.from_version desc limit 1
    ),
    showtime.screen_id
)::text
from showtimes showtime where showtime.id = $1::text::uuid
"""

_BOOK: Final = """
select book::text from price_book_versions where cinema_id = $1::text::uuid and version = $2
"""

_RULES: Final = msgspec.json.Decoder(Rules)
_OWN_RULES: Final = msgspec.json.Decoder(ShowtimeRules)
_OVERRIDES: Final = msgspec.json.Decoder(dict[str, int])
_STORED_LAYOUT: Final = msgspec.json.Decoder(Layout)
_STORED_BOOK: Final = msgspec.json.Decoder(PriceBook)

BOOKS_KEPT: Final = 1024
"""Versions of price books that are kept ready; a plain one takes no room."""


# Many showtimes have the same values: these are read once and shared.


@lru_cache(maxsize=1024)
def _rules(defaults: SaleRules, screen: str, showtime: str) -> SaleRules:
    return effective_rules(defaults, _RULES.decode(screen), _OWN_RULES.decode(showtime))


@lru_cache(maxsize=1024)
def _prices(base_minor: int, categories: tuple[str, ...], overrides: str) -> tuple[int, ...]:
    return category_prices(base_minor, categories, _OVERRIDES.decode(overrides))


@lru_cache(maxsize=1024)
def _overrides(text: str) -> tuple[tuple[str, int], ...]:
    """In the order of events; Postgres puts the keys of an object into one of its own."""
    return tuple(sorted(_OVERRIDES.decode(text).items()))


_shared_id: Final = lru_cache(maxsize=4096)(parse_id)
"""Screens, films and cinemas have many showtimes each."""


def _us(moment: datetime | None) -> int:
    return 0 if moment is None else to_us(moment)


class TermsSource:
    """Loads terms in one query; a seat plan is parsed once and shared by its showtimes.

    So is a version of a price book.

    Raises `StoreUnavailable` when Postgres does not answer.
    """

    def __init__(self, pool: Pool, defaults: SaleRules, *, plans_limit: int = LAYOUTS_KEPT) -> None:
        self._pool = pool
        self._defaults = defaults
        self._plans_limit = plans_limit
        self._plans: OrderedDict[tuple[str, int], SeatPlan] = OrderedDict()
        self._books: OrderedDict[tuple[str, int], ReadyBook | None] = OrderedDict()

    async def load_terms(self, showtime_id: bytes) -> ShowtimeTerms | None:
        """The terms of a showtime on the plan it has now; None if there is no such showtime."""
        row = await self._row(_TERMS, format_id(showtime_id))
        if row is None:
            return None
        plan = await self._plan(row["screen_id"], row["layout_version"])
        rules = _rules(self._defaults, row["screen_rules"], row["rules"])
        prices = _prices(row["base_price_minor"], plan.categories, row["price_overrides"])
        currency, book_version = intern(row["currency"]), row["book_version"] or 0
        book = await self._book(row["cinema_id"], book_version)
        return ShowtimeTerms(
            showtime_id=showtime_id,
            plan=plan,
            currency=currency,
            prices_minor=prices,
            starts_at_us=to_us(row["starts_at"]),
            ends_at_us=to_us(row["ends_at"]),
            sales_opens_at_us=to_us(row["sales_opens_at"]),
            sales_closes_at_us=to_us(row["sales_closes_at"]),
            **msgspec.structs.asdict(rules),
            cinema_id=_shared_id(row["cinema_id"]) or b"",
            version=row["version"],
            movie_id=_shared_id(row["movie_id"]) or b"",
            screen_id=_shared_id(row["screen_id"]) or b"",
            base_price_minor=row["base_price_minor"],
            price_overrides=_overrides(row["price_overrides"]),
            promised_start_us=_us(row["promised_starts_at"]),
            free_refund_until_us=_us(row["free_refund_until"]),
            format=intern(row["format"]),
            time_zone=intern(row["time_zone"]),
            book=book,
            book_version=book_version,
        )

    async def load_layout(self, screen_id: bytes, version: int) -> SeatPlan | None:
        """A version of a screen's seat plan, or None."""
        try:
            return await self._plan(format_id(screen_id), version)
        except LookupError:
            return None

    async def load_plan(self, showtime_id: bytes, version: int) -> SeatPlan | None:
        """A version of the seat plan that the showtime had on the screen of that time, or None."""
        screen = await self._row(_SCREEN_OF, format_id(showtime_id), version)
        if screen is None:
            return None
        try:
            return await self._plan(screen[0], version)
        except LookupError:
            return None

    async def _plan(self, screen_id: str, version: int) -> SeatPlan:
        key = (screen_id, version)
        plan = self._plans.get(key)
        if plan is None:
            stored = await self._row(_LAYOUT, screen_id, version)
            if stored is None:
                raise LookupError(f"screen {screen_id} has no layout {version}")
            # Looked up again, so that all callers of the meantime share one plan.
            plan = self._plans.get(key) or parse_layout(_STORED_LAYOUT.decode(stored[0]), version)
        self._plans[key] = plan
        self._plans.move_to_end(key)
        if len(self._plans) > self._plans_limit:
            self._plans.popitem(last=False)
        return plan

    async def book(self, cinema_id: bytes, version: int) -> ReadyBook | None:
        """A version of a cinema's price book, ready for quotes; None for a plain one.

        Raises `LookupError` if there is no such version.
        """
        return await self._book(format_id(cinema_id), version)

    async def _book(self, cinema_id: str, version: int) -> ReadyBook | None:
        if not version:
            return None
        key = (cinema_id, version)
        if key not in self._books:
            stored = await self._row(_BOOK, cinema_id, version)
            if stored is None:
                raise LookupError(f"cinema {cinema_id} has no price book {version}")
            book = _STORED_BOOK.decode(stored[0])
            self._books.setdefault(key, None if is_plain(book) else ready_book(book))
        self._books.move_to_end(key)
        if len(self._books) > BOOKS_KEPT:
            self._books.popitem(last=False)
        return self._books[key]

    async def _row(self, statement: str, *values: object) -> Record | None:
        try:
            async with borrowed(self._pool) as reading:
                return await reading.fetchrow(statement, *values, timeout=DATABASE_WAIT_S)
        except UNREACHABLE as error:
            raise StoreUnavailable(str(error)) from error
