"""Work beside requests: new versions of price books, and uses of codes that go back.

Showtimes in memory are priced by new versions of their cinemas' price books. Every node looks twice
a second, in one statement for all cinemas whose books it has seen. Versions are compared and not
counted, so nothing is missed that was committed late, or while Postgres was away.

Uses of promo codes go back when their bookings have ended, or never came. Every node looks every
five seconds. Bound: `RETURNED_AT_ONCE`. Telemetry: the log events below.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

import structlog

from cinema.domain.pricing.book import is_plain
from cinema.domain.pricing.rules import ReadyBook
from cinema.features.pricing.book_service import Books
from cinema.features.pricing.promo_use_store import PromoUsesRepository
from cinema.features.pricing.store import PricesRepository
from cinema.features.rounds import Rounds

BOOK_CHANGED: Final = "price_book_changed"
BOOKS_NOT_FOLLOWED: Final = "price_books_not_followed"

USES_NOT_RETURNED: Final = "promo_uses_not_returned"

RETURN_PERIOD_S: Final = 5.0
"""Time between two looks for uses of codes that go back."""

RETURNED_AT_ONCE: Final = 100

PERIOD_S: Final = 0.5
"""Time between two looks: with it a change counts on all nodes in less than a second."""

log = structlog.get_logger(__name__)


class NewPrices:
    """Follows the versions of price books."""

    def __init__(
        self,
        prices: PricesRepository,
        books: Books,
        versions: Callable[[], dict[bytes, int]],
        price_by: Callable[[bytes, int, ReadyBook | None], Awaitable[int]],
    ) -> None:
        self._prices = prices
        self._books = books
        self._versions = versions
        self._price_by = price_by

    async def run(self) -> None:
        """Run as long as the node runs."""
        await Rounds(log.warning, BOOKS_NOT_FOLLOWED, PERIOD_S).run(self.round)

    async def round(self) -> int:
        """Price by all versions that are new; how many these are. Refuses RETRY."""
        seen = self._versions()
        changed = await self._prices.changed_versions(seen) if seen else {}
        for cinema_id, version in changed.items():
            book = await self._books.ready(cinema_id, version)
            given = None if is_plain(book.book) else book
            showtimes = await self._price_by(cinema_id.bytes, version, given)
            log.info(BOOK_CHANGED, cinema=str(cinema_id), version=version, showtimes=showtimes)
        return len(changed)


class UsesGivenBack:
    """Returns uses of promo codes whose bookings have ended, or never came; on every node."""

    def __init__(self, uses: PromoUsesRepository, *, now: Callable[[], datetime]) -> None:
        self._uses = uses
        self._now = now

    async def run(self) -> None:
        """Run as long as the node runs."""
        await Rounds(log.warning, USES_NOT_RETURNED, RETURN_PERIOD_S).run(self.round)

    async def round(self) -> int:
        """Return all that is to be returned now; how many. Refuses RETRY."""
        returned = 0
        while count := await self._uses.return_ended(self._now(), RETURNED_AT_ONCE):
            returned += count
        return returned
