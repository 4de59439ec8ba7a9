"""A price book made ready for quotes, and which of its rules count for a showtime."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import msgspec

from cinema.domain.pricing.book import (
    GROUPS,
    SEAT_PRICE_LIMIT_MINOR,
    Conditions,
    GroupDiscount,
    PriceBook,
    Rule,
    TicketType,
)
from cinema.domain.pricing.showing import Moment, ShowtimeFacts

HOUR_US: Final = 3_600_000_000
_DAY: Final = timedelta(days=1)


class ReadyBook(msgspec.Struct, frozen=True, kw_only=True):
    """A book with its parts in the order and form in which quotes need them."""

    book: PriceBook
    types: dict[str, TicketType]
    groups: tuple[tuple[Rule, ...], ...]
    group_discounts: tuple[GroupDiscount, ...]
    ceiling_minor: int


class Candidate(msgspec.Struct, frozen=True):
    """A rule that may count for a showtime, with what is still to be asked; None asks nothing."""

    rule: Rule
    ref: str
    categories: frozenset[str] | None
    ticket_types: frozenset[str] | None


class ReadyShowtime(msgspec.Struct, frozen=True, kw_only=True):
    """A showtime under a book, with the rules that its film, format and start leave."""

    ready: ReadyBook
    facts: ShowtimeFacts
    groups: tuple[tuple[Candidate, ...], ...]


def ready_book(book: PriceBook) -> ReadyBook:
    """Put a book in order; done once for each version."""
    settings = book.settings
    rules = sorted(book.rules, key=lambda rule: (rule.priority, rule.id))
    ceiling = settings.ceiling
    return ReadyBook(
        book=book,
        types={one.code: one for one in settings.ticket_types},
        groups=tuple(tuple(rule for rule in rules if rule.group == group) for group in GROUPS),
        group_discounts=tuple(
            sorted(settings.group_discounts, key=lambda one: (-one.tickets_min, one.code))
        ),
        ceiling_minor=SEAT_PRICE_LIMIT_MINOR if ceiling is None else ceiling,
    )


def ready_showtime(ready: ReadyBook, facts: ShowtimeFacts) -> ReadyShowtime:
    """Leave out the rules that are not for this showtime, whoever comes and when."""
    return ReadyShowtime(
        ready=ready,
        facts=facts,
        groups=tuple(
            tuple(
                Candidate(
                    rule,
                    str(rule.id),
                    frozenset(rule.when.categories) or None,
                    frozenset(rule.when.ticket_types) or None,
                )
                for rule in group
                if _for_showtime(rule.when, facts)
            )
            for group in ready.groups
        ),
    )


def at_moment(show: ReadyShowtime, moment: Moment) -> list[list[Candidate]]:
    """The rules of each group that count at a moment, by priority."""
    before_us = show.facts.starts_at_us - moment.at_us
    return [
        [one for one in group if _counts_at(one.rule.when, before_us, moment)]
        for group in show.groups
    ]


def _for_showtime(when: Conditions, facts: ShowtimeFacts) -> bool:
    if when.formats and facts.format not in when.formats:
        return False
    if when.movie_ids and all(movie.bytes != facts.movie_id for movie in when.movie_ids):
        return False
    day, minute = facts.local.day, facts.local.minute
    first = 0 if when.starts_from is None else _minutes(when.starts_from)
    end = 24 * 60 if when.starts_until is None else _minutes(when.starts_until)
    over_midnight = first >= end
    if over_midnight:
        if end <= minute < first:
            return False
        if minute < end:
            day -= _DAY
    elif not first <= minute < end:
        return False
    if when.weekdays and day.isoweekday() not in when.weekdays:
        return False
    return not when.days or any(one.first <= day <= one.last for one in when.days)


def _counts_at(when: Conditions, before_us: int, moment: Moment) -> bool:
    if when.hours_before_min is not None and before_us < when.hours_before_min * HOUR_US:
        return False
    if when.hours_before_max is not None and before_us >= when.hours_before_max * HOUR_US:
        return False
    taken, total = moment.taken_seats * 100, moment.total_seats
    if when.taken_min is not None and taken < when.taken_min * total:
        return False
    return when.taken_max is None or taken < when.taken_max * total


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])
