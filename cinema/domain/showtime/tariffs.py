"""The prices of a showtime for as long as they stay."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from cinema.domain.pricing.rules import ReadyBook, ReadyShowtime, ready_showtime
from cinema.domain.pricing.showing import Moment, ShowtimeFacts, local_start
from cinema.domain.pricing.tariffs import Tariff, tariff_at
from cinema.domain.showtime.terms import ShowtimeTerms


class Tariffs:
    """The tariff that was asked for last, and the showtime as its price book sees it.

    States keep one as a memo: it follows from the terms, and is no part of the state.
    """

    __slots__ = ("show", "tariff", "terms")

    def __init__(self, terms: ShowtimeTerms, book: ReadyBook, moment: Moment) -> None:
        self.terms = terms
        self.show = _ready(terms, book)
        self.tariff = self.renew(moment)

    def renew(self, moment: Moment) -> Tariff:
        """The tariff of this moment from now on."""
        self.tariff = tariff_at(self.show, self.terms.plan.categories, moment)
        return self.tariff


def _ready(terms: ShowtimeTerms, book: ReadyBook) -> ReadyShowtime:
    facts = ShowtimeFacts(
        movie_id=terms.movie_id,
        cinema_id=terms.cinema_id,
        base_minor=terms.base_price_minor,
        overrides=terms.price_overrides,
        format=terms.format,
        starts_at_us=terms.starts_at_us,
        local=local_start(terms.starts_at_us, ZoneInfo(book.book.time_zone)),
    )
    return ready_showtime(book, facts)
