"""Versions of price books, ready for quotes; a version never changes, so it is read once."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from cinema.domain.pricing.book import plain_book
from cinema.domain.pricing.rules import ReadyBook, ready_book
from cinema.domain.rejections import refuse
from cinema.features.pricing.store import PricesRepository

BOOKS_KEPT: Final = 256
"""Books that are kept ready, of some kilobytes each: those of the cinemas that are asked for."""


class Books:
    """The versions that were used last."""

    def __init__(self, prices: PricesRepository) -> None:
        self._prices = prices
        self._books: dict[tuple[UUID, int], ReadyBook] = {}

    async def ready(self, cinema_id: UUID, version: int) -> ReadyBook:
        """A version of a book. Refuses RETRY, also if the database that was asked is behind."""
        key = (cinema_id, version)
        ready = self._books.pop(key, None)
        if ready is None:
            book = await self._prices.book(cinema_id, version)
            if book is None:
                raise refuse("RETRY")
            ready = ready_book(book)
        self._books[key] = ready  # The last one used comes last, and so is kept.
        if len(self._books) > BOOKS_KEPT:
            del self._books[next(iter(self._books))]
        return ready

    @staticmethod
    def plain(currency: str, time_zone: str) -> ReadyBook:
        """The book by which seats are priced without one."""
        return ready_book(plain_book(currency, time_zone))
