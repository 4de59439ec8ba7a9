"""The newest version of each cinema's price book that this node has seen.

Versions come with terms that are loaded, and from a task that looks for changes. Whatever comes
first counts: an actor whose terms were read before a change is served by the version after it.
"""

from __future__ import annotations

import msgspec

from cinema.domain.pricing.rules import ReadyBook
from cinema.domain.showtime.terms import ShowtimeTerms


class SeenBook(msgspec.Struct, frozen=True):
    """A version of a book; None for a plain one."""

    version: int
    book: ReadyBook | None


class SeenBooks:
    """One book for each cinema that had a showtime in memory."""

    __slots__ = ("_books",)

    def __init__(self) -> None:
        self._books: dict[bytes, SeenBook] = {}

    def newest(self, terms: ShowtimeTerms) -> ShowtimeTerms:
        """The terms with the newest version of their book."""
        seen = self._books.get(terms.cinema_id)
        if seen is None or seen.version < terms.book_version:
            if terms.book_version:
                self._books[terms.cinema_id] = SeenBook(terms.book_version, terms.book)
            return terms
        if seen.version == terms.book_version:
            return terms
        return msgspec.structs.replace(terms, book=seen.book, book_version=seen.version)

    def note(self, cinema_id: bytes, version: int, book: ReadyBook | None) -> None:
        """This is the version that counts from now on."""
        self._books[cinema_id] = SeenBook(version, book)

    @property
    def versions(self) -> dict[bytes, int]:
        """The versions that were seen, by cinema."""
        return {cinema_id: seen.version for cinema_id, seen in self._books.items()}
