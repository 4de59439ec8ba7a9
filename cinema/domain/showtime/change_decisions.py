"""Decisions about tickets that get other seats."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cinema.domain.limits import PRICE_LIMIT_MINOR
from cinema.domain.rejections import Rejection
from cinema.domain.seating_rules import companion_violations, orphaned_seats
from cinema.domain.seatmap import AVAILABLE, HELD
from cinema.domain.showtime.booking_decisions import BOOKING_CHANGED, share_of
from cinema.domain.showtime.commands import ChangeSeats
from cinema.domain.showtime.events import HoldUsed, Seats, SeatsChanged
from cinema.domain.showtime.named_seats import part, seats_named
from cinema.domain.showtime.outcomes import NOT_FOUND, Decision
from cinema.domain.showtime.packed import SeatGroup, customer_of, unpack
from cinema.domain.showtime.recall import Recalled
from cinema.domain.showtime.state import ShowtimeState
from cinema.domain.showtime.terms import ShowtimeTerms


def change_seats(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: ChangeSeats,
    now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    """Gives tickets of a booking other seats, all or none; customers only before the start."""
    packed = state.bookings.get(command.booking_id)
    if packed is None:
        return Rejection(code="BOOKING_ENDED")
    group = unpack(packed)
    refusal = _refuse_change(state, terms, command, group, now_us)
    if refusal is not None:
        return refusal
    parted = part(terms.plan, group, command.left)
    if isinstance(parted, Rejection):
        return parted
    left, left_prices, kept, _ = parted
    chosen = seats_named(terms.plan, command.chosen)
    if isinstance(chosen, Rejection):
        return chosen
    holds = _holds_with(state, {group.customer, command.holder}, set(chosen).difference(left))
    refusal = _refuse_seats(state, terms, group, (left, kept, chosen), holds)
    if refusal is not None:
        return refusal
    if not _is_for(terms, command, group, len(left), len(chosen)):
        return BOOKING_CHANGED
    more_minor = sum(command.prices) - sum(left_prices)
    is_paid = more_minor > 0
    if is_paid and not command.payment_method:
        details = {"amount": {"amount": more_minor, "currency": terms.currency}}
        return Rejection(code="PAYMENT_REQUIRED", details=details)
    others = dict(zip(left, zip(chosen, command.prices, strict=True), strict=True))
    now = [others.get(one[0], one) for one in zip(group.seats, group.prices, strict=True)]
    return SeatsChanged(
        command.booking_id,
        group.customer,
        left,
        left_prices,
        chosen,
        command.prices,
        tuple([seat for seat, _ in now]),
        tuple([price for _, price in now]),
        terms.currency,
        holds,
        command.types,
        command.taxes,
        command.payment_id if is_paid else b"",
        command.payment_method if is_paid else "",
        command.tax_minor if is_paid else 0,
        share_of(max(0, -more_minor), terms, group, command.refund_bp, now_us),
    )


def _refuse_change(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: ChangeSeats,
    group: SeatGroup,
    now_us: int,
) -> Rejection | None:
    """Why nothing of this booking can be changed by this caller, now."""
    by_customer = command.customer is not None
    if by_customer and command.customer != group.customer:
        return NOT_FOUND
    if state.cancelled:
        return Rejection(code="SHOWTIME_CANCELLED")
    if by_customer and now_us >= terms.starts_at_us:
        return Rejection(code="SHOWTIME_STARTED")
    if by_customer and state.paused:
        return Rejection(code="SALES_PAUSED")
    return None


def _holds_with(
    state: ShowtimeState, customers: Collection[bytes], wanted: Collection[int]
) -> tuple[HoldUsed, ...]:
    """What the live holds of these customers have of these seats; not those that are being paid."""
    if not any(state.seats[seat] == HELD for seat in wanted):
        return ()
    holds = []
    for hold_id, packed in state.holds.items():
        if customer_of(packed) not in customers or hold_id in state.paying:
            continue
        group = unpack(packed)
        used = tuple([seat for seat in group.seats if seat in wanted])
        if used:
            pairs = zip(group.seats, group.prices, strict=True)
            stays = [(seat, price) for seat, price in pairs if seat not in used]
            seats, prices = [seat for seat, _ in stays], [price for _, price in stays]
            holds.append(HoldUsed(hold_id, used, tuple(seats), tuple(prices)))
    return tuple(holds)


def _refuse_seats(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    group: SeatGroup,
    seats: tuple[Seats, Seats, Seats],
    holds: Sequence[HoldUsed],
) -> Rejection | None:
    """Why the chosen seats cannot be had, by the rules for holds.

    What the booking leaves, and what is taken from holds, counts as free before.
    """
    plan, (left, kept, chosen) = terms.plan, seats
    status = bytearray(state.seats)
    for freed in (left, *(hold.used for hold in holds)):
        for seat in freed:
            status[seat] = AVAILABLE
    taken = [plan.labels[seat] for seat in chosen if status[seat] != AVAILABLE]
    if taken:
        return Rejection(code="SEAT_UNAVAILABLE", details={"seats": taken})
    if terms.companions_need_accessible:
        before = companion_violations(plan, group.seats)
        after = companion_violations(plan, (*kept, *chosen))
        lonely = [plan.labels[seat] for seat in after if seat not in before]
        if lonely:
            return Rejection(code="COMPANION_ONLY", details={"seats": lonely})
    if terms.protect_orphans:
        orphans = [plan.labels[seat] for seat in orphaned_seats(plan, status, chosen)]
        if orphans:
            return Rejection(code="ORPHAN_SEAT", details={"seats": orphans})
    return None


def _is_for(
    terms: ShowtimeTerms, command: ChangeSeats, group: SeatGroup, left: int, chosen: int
) -> bool:
    """Whether the prices were worked out for this booking as it is, and can be right.

    The showtime cannot quote. One old seat is exchanged for one new one.
    """
    labels = terms.plan.labels
    pairs, prices = zip(group.seats, group.prices, strict=True), command.prices
    return (
        left == chosen == len(prices)
        and command.layout_version == terms.plan.version
        and dict(command.seen) == {labels[seat]: price for seat, price in pairs}
        and len(command.types) in {0, chosen}
        and len(command.taxes) in {0, chosen}
        and min((*prices, *command.taxes, command.tax_minor)) >= 0
        and max(prices) <= PRICE_LIMIT_MINOR
    )
