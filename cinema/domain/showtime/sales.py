"""What a hold is booked for: what its quote says, unless that is for another hold."""

from __future__ import annotations

from typing import Any, Final

from cinema.domain.limits import PRICE_LIMIT_MINOR
from cinema.domain.rejections import Rejection
from cinema.domain.showtime.commands import Sale
from cinema.domain.showtime.packed import SeatGroup, book_and_taken
from cinema.domain.showtime.state import ShowtimeState, decode_sold_by
from cinema.domain.showtime.terms import ShowtimeTerms

HOLD_CHANGED: Final = Rejection(code="HOLD_CHANGED")


def sale_of(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    hold_id: bytes,
    group: SeatGroup,
    offered: Sale | None,
) -> Sale | Rejection:
    """The sale of a live hold; HOLD_CHANGED if what is offered was not made for it as it is.

    The showtime cannot quote, but it takes no amounts that cannot be right.
    """
    book_version, _ = book_and_taken(state.holds[hold_id])
    labels = tuple([terms.plan.labels[seat] for seat in group.seats])
    if offered is None:
        return Sale(
            book_version=book_version, labels=labels, types=(), prices=group.prices, taxes=()
        )
    count = len(labels)
    amounts = (
        *(*offered.prices, *offered.taxes),
        *(offered.fees_minor, offered.tax_minor, offered.fees_tax_minor),
    )
    if (
        offered.book_version != book_version
        or offered.labels != labels
        or len(offered.prices) != count
        or len(offered.types) not in {0, count}
        or len(offered.taxes) not in {0, count}
        or min(amounts) < 0
        or max(offered.prices) > PRICE_LIMIT_MINOR
    ):
        return HOLD_CHANGED
    return offered


def price_inputs_kept(state: ShowtimeState, hold_id: bytes, group: SeatGroup) -> dict[str, Any]:
    """From what the prices of a hold follow, as its booking remembers it.

    What the terms still say need not be said again.
    """
    kept: dict[str, Any] = {}
    book_version, taken = book_and_taken(state.holds[hold_id])
    if book_version:
        kept = {"book_version": book_version, "priced_at_us": group.placed_at_us, "taken": taken}
    sold_by = state.sold_by.get(hold_id)
    if sold_by is not None:
        kept["sold_by"] = decode_sold_by(sold_by)
    return kept
