"""From the labels that clients name to seats, or to the refusal that says which cannot be meant."""

from __future__ import annotations

from collections.abc import Sequence

from cinema.domain.rejections import Rejection
from cinema.domain.seatmap import SeatPlan
from cinema.domain.showtime.packed import SeatGroup
from cinema.domain.showtime.state import ShowtimeState


def seats_named(plan: SeatPlan, labels: Sequence[str]) -> tuple[int, ...] | Rejection:
    """The seats of their labels, or why they cannot be meant."""
    index = plan.index
    try:
        seats = tuple(map(index.__getitem__, labels))
    except KeyError:
        unknown = [label for label in labels if label not in index]
        return Rejection(code="UNKNOWN_SEAT", details={"seats": unknown})
    if not seats:
        return Rejection(code="UNKNOWN_SEAT", details={"seats": []})
    if len(seats) > 1 and len(set(seats)) != len(seats):
        twice = sorted({seat for seat in seats if seats.count(seat) > 1})
        named = [plan.labels[seat] for seat in twice]
        return Rejection(code="DUPLICATE_SEAT", details={"seats": named})
    return seats


def part(
    plan: SeatPlan, group: SeatGroup, labels: Sequence[str] | None
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]] | Rejection:
    """Splits a group into what goes and what stays: seats and prices of each."""
    if labels is None:
        return group.seats, group.prices, (), ()
    gone = seats_named(plan, labels)
    if isinstance(gone, Rejection):
        return gone
    foreign = [plan.labels[seat] for seat in gone if seat not in group.seats]
    if foreign:
        return Rejection(code="SEAT_NOT_INCLUDED", details={"seats": foreign})
    price_of = dict(zip(group.seats, group.prices, strict=True))
    kept = tuple(seat for seat in group.seats if seat not in gone)
    return (
        gone,
        tuple(price_of[seat] for seat in gone),
        kept,
        tuple(price_of[seat] for seat in kept),
    )


def unavailable(state: ShowtimeState, plan: SeatPlan, seats: Sequence[int]) -> Rejection:
    """The refusal that names those of the seats that are not free."""
    taken = [plan.labels[seat] for seat in seats if state.seats[seat]]
    return Rejection(code="SEAT_UNAVAILABLE", details={"seats": taken})
