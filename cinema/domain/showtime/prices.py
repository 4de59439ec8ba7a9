"""What seats cost now, and from what the prices of a hold follow.

A hold keeps the version of the price book, its time, and how many seats were taken before it. What
else its prices follow from is in the terms; when these change, `ShowtimeState.sold_by` keeps what
they were. So the prices of a hold can be worked out for all types of tickets as long as it lives.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cinema.domain.pricing.showing import Moment
from cinema.domain.seatmap import SeatPlan
from cinema.domain.showtime.events import ShowConditions, SoldBy
from cinema.domain.showtime.packed import SeatGroup, book_and_taken, unpack
from cinema.domain.showtime.state import ShowtimeState, decode_sold_by
from cinema.domain.showtime.tariffs import Tariffs
from cinema.domain.showtime.terms import ShowtimeTerms


def prices_now(state: ShowtimeState, terms: ShowtimeTerms, now_us: int) -> tuple[int, ...]:
    """What an adult pays now, in the order of the plan's categories."""
    book = terms.book
    if book is None:
        return terms.prices_minor
    memo, taken = state.tariffs, state.taken
    if memo is not None and memo.terms is terms:
        tariff = memo.tariff
        if (
            tariff.from_us <= now_us < tariff.until_us
            and tariff.taken_from <= taken < tariff.taken_until
        ):
            return tariff.prices_minor
        return memo.renew(Moment(now_us, taken, terms.plan.seat_count)).prices_minor
    state.tariffs = memo = Tariffs(terms, book, Moment(now_us, taken, terms.plan.seat_count))
    return memo.tariff.prices_minor


class PriceInputs(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """From what the prices of a hold follow, whatever has changed since it was placed.

    `book_version` is 0 if it was priced by no book; `categories` are those of its seats.
    """

    book_version: int
    at_us: int
    taken: int
    seat_count: int
    movie_id: bytes
    base_price_minor: int
    price_overrides: tuple[tuple[str, int], ...]
    format: str
    starts_at_us: int
    categories: tuple[str, ...]


def price_inputs_of(
    state: ShowtimeState, terms: ShowtimeTerms, hold_id: bytes, packed: bytes, group: SeatGroup
) -> PriceInputs:
    """From what the prices of a live hold follow."""
    kept = state.sold_by.get(hold_id)
    sold_by = sold_now(terms) if kept is None else decode_sold_by(kept)
    book_version, taken = book_and_taken(packed)
    plan, former = terms.plan, dict(sold_by.categories)
    return PriceInputs(
        book_version,
        group.placed_at_us,
        taken,
        sold_by.seat_count,
        sold_by.movie_id,
        sold_by.base_price_minor,
        sold_by.price_overrides,
        sold_by.format,
        sold_by.starts_at_us,
        tuple(
            [
                former.get(plan.labels[seat], plan.categories[plan.category_of[seat]])
                for seat in group.seats
            ]
        ),
    )


def sold_now(terms: ShowtimeTerms) -> SoldBy:
    """What prices follow from under the present terms."""
    return SoldBy(
        terms.movie_id,
        terms.base_price_minor,
        terms.price_overrides,
        terms.format,
        terms.starts_at_us,
        terms.plan.seat_count,
    )


def sold_before(
    state: ShowtimeState, terms: ShowtimeTerms, wanted: ShowConditions | None, plan: SeatPlan
) -> SoldBy | None:
    """What holds must remember of the terms before other conditions, or another plan, are used.

    None if nobody holds seats, or nothing of it changes.
    """
    if not state.holds:
        return None
    before = after = sold_now(terms)
    if wanted is not None:
        after = SoldBy(
            wanted.movie_id,
            wanted.base_price_minor,
            wanted.price_overrides,
            wanted.format,
            wanted.starts_at_us,
            terms.plan.seat_count,
        )
    if plan is not terms.plan:
        after = msgspec.structs.replace(after, seat_count=plan.seat_count)
        held = [seat for packed in state.holds.values() for seat in unpack(packed).seats]
        before = msgspec.structs.replace(before, categories=_others(terms.plan, held, plan))
    return None if before == after else before


def _others(old: SeatPlan, seats: Sequence[int], new: SeatPlan) -> tuple[tuple[str, str], ...]:
    """The categories of seats that have another one in a new plan, by label."""
    others = []
    for seat in seats:
        label, category = old.labels[seat], old.categories[old.category_of[seat]]
        if category != new.categories[new.category_of[new.index[label]]]:
            others.append((label, category))
    return tuple(others)
