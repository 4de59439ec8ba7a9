"""Decisions about holds: placing, extending and releasing them."""

from __future__ import annotations

from collections.abc import Sequence

from cinema.domain.best_available import find_best_available
from cinema.domain.ids import format_id
from cinema.domain.rejections import Rejection
from cinema.domain.seating_rules import companion_violations, orphaned_seats
from cinema.domain.seatmap import AVAILABLE, SeatPlan
from cinema.domain.showtime.channels import left_for, sold_out
from cinema.domain.showtime.commands import (
    ExtendHold,
    HoldBestAvailable,
    HoldSeats,
    ReleaseHold,
    channel_of,
    sells,
)
from cinema.domain.showtime.events import HoldExtended, HoldReleased, SeatsHeld
from cinema.domain.showtime.named_seats import part, seats_named, unavailable
from cinema.domain.showtime.outcomes import NOT_FOUND, Decision, Recall
from cinema.domain.showtime.packed import SeatGroup, customer_of, unpack
from cinema.domain.showtime.prices import prices_now
from cinema.domain.showtime.recall import Recalled, ended_hold
from cinema.domain.showtime.state import ENDED_NAMES, ShowtimeState, ended_as, waiting_for
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.domain.times import format_time


def hold_seats(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: HoldSeats,
    now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    """Holds the seats named, all or none."""
    seats = seats_named(terms.plan, command.labels)
    if isinstance(seats, Rejection):
        return seats
    refusal = _refuse_sale(state, terms, command, len(seats), now_us)
    if refusal is not None:
        return refusal
    status = state.seats
    for seat in seats:
        if status[seat]:
            return unavailable(state, terms.plan, seats)
    plan = terms.plan
    if terms.companions_need_accessible:
        lonely = companion_violations(plan, seats)
        if lonely:
            return Rejection(code="COMPANION_ONLY", details={"seats": _labels(plan, lonely)})
    if terms.protect_orphans:
        orphans = orphaned_seats(plan, status, seats)
        if orphans:
            return Rejection(code="ORPHAN_SEAT", details={"seats": _labels(plan, orphans)})
    return _held(state, terms, command, seats, now_us)


def hold_best_available(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: HoldBestAvailable,
    now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    """Holds the best free seats of the quantity asked for."""
    plan = terms.plan
    category = None
    if command.category is not None:
        if command.category not in plan.categories:
            details = {"category": command.category, "categories": list(plan.categories)}
            return Rejection(code="UNKNOWN_CATEGORY", details=details)
        category = plan.categories.index(command.category)
    refusal = _refuse_sale(state, terms, command, command.quantity, now_us)
    if refusal is not None:
        return refusal
    seats = find_best_available(
        plan,
        state.seats,
        command.quantity,
        category=category,
        accessible=command.accessible,
        protect_orphans=terms.protect_orphans,
    )
    if seats is None:
        return Rejection(code="NOT_ENOUGH_SEATS", details={"quantity": command.quantity})
    return _held(state, terms, command, tuple(seats), now_us)


def _held(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: HoldSeats | HoldBestAvailable,
    seats: tuple[int, ...],
    now_us: int,
) -> SeatsHeld:
    hold_id, customer = command.hold_id, command.customer
    category_of, lifetime_s = terms.plan.category_of, min(terms.hold_ttl_s, terms.hold_max_s)
    expires_at_us = now_us + lifetime_s * 1_000_000
    book_version, taken, prices = 0, 0, terms.prices_minor
    if terms.book is not None:
        book_version, taken, prices = (
            terms.book_version,
            state.taken,
            prices_now(state, terms, now_us),
        )
    seat_prices = tuple([prices[category_of[seat]] for seat in seats])
    if not terms.channels:
        return SeatsHeld(hold_id, customer, seats, seat_prices, expires_at_us, book_version, taken)
    channel = channel_of(command, terms.cinema_id)
    return SeatsHeld(
        hold_id, customer, seats, seat_prices, expires_at_us, book_version, taken, channel
    )


def _refuse_sale(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: HoldSeats | HoldBestAvailable,
    count: int,
    now_us: int,
) -> Rejection | None:
    if state.cancelled:
        return Rejection(code="SHOWTIME_CANCELLED")
    if not terms.sales_opens_at_us <= now_us < terms.sales_closes_at_us and not (
        now_us < terms.sales_opens_at_us and _comes_early(terms, command, now_us)
    ):
        return _sales_closed(terms)
    if state.paused:
        return Rejection(code="SALES_PAUSED")
    by_staff = sells(command, terms.cinema_id)
    most_seats = terms.seats_per_staff_hold if by_staff else terms.seats_per_hold
    if count > most_seats:
        name = "seats_per_staff_hold" if by_staff else "seats_per_hold"
        return limit_refusal(name, most_seats, f"At most {most_seats} seats in one hold.")
    most_holds = terms.live_holds_per_staff if by_staff else terms.live_holds_per_customer
    if len(state.holds) >= most_holds and state.live_holds_of(command.customer) >= most_holds:
        name = "live_holds_per_staff" if by_staff else "live_holds_per_customer"
        message = f"At most {most_holds} holds at a time for this showtime: book or release one."
        return limit_refusal(name, most_holds, message)
    return _refuse_channel(state, terms, command, count, now_us) if terms.channels else None


def _refuse_channel(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: HoldSeats | HoldBestAvailable,
    count: int,
    now_us: int,
) -> Rejection | None:
    """Why the channel of a hold has not so many seats; never because the room has too few."""
    channel = channel_of(command, terms.cinema_id)
    left = left_for(terms.channels, state.seats, state.channels, channel, now_us)
    if count <= left or left == state.seats.count(AVAILABLE):
        return None
    return sold_out(channel, left)


def _comes_early(terms: ShowtimeTerms, command: HoldSeats | HoldBestAvailable, now_us: int) -> bool:
    """Whether a code lets the caller in; or sales are open to members, the caller or a customer."""
    if command.presale:
        return True
    if not terms.early_access_minutes or now_us < _early_access_us(terms):
        return False
    return command.member or sells(command, terms.cinema_id)


def _early_access_us(terms: ShowtimeTerms) -> int:
    return terms.sales_opens_at_us - terms.early_access_minutes * 60_000_000


def _sales_closed(terms: ShowtimeTerms) -> Rejection:
    details = {
        "opens_at": format_time(terms.sales_opens_at_us),
        "closes_at": format_time(terms.sales_closes_at_us),
    }
    if terms.early_access_minutes:
        details["early_access_at"] = format_time(_early_access_us(terms))
    return Rejection(code="SALES_CLOSED", details=details)


def extend_hold(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: ExtendHold,
    now_us: int,
    recalled: Recalled | None,
) -> Decision:
    """Gives a live hold its full time again, up to the cap of its whole life."""
    group = unpaid_hold(state, command.hold_id, command.customer, recalled)
    if not isinstance(group, SeatGroup):
        return group
    cap_us = group.placed_at_us + terms.hold_max_s * 1_000_000
    if group.expires_at_us >= cap_us:
        message = (
            f"This hold cannot be extended further: a hold lives {terms.hold_max_s} s at most."
        )
        expires_at = format_time(group.expires_at_us)
        return limit_refusal("hold_max_s", terms.hold_max_s, message, expires_at=expires_at)
    wanted_us = min(now_us + terms.hold_ttl_s * 1_000_000, cap_us)
    return HoldExtended(
        command.hold_id,
        command.customer,
        group.seats,
        group.prices,
        max(group.expires_at_us, wanted_us),
    )


def release_hold(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: ReleaseHold,
    _now_us: int,
    recalled: Recalled | None,
) -> Decision:
    """Gives back a live hold or some of its seats."""
    group = unpaid_hold(state, command.hold_id, command.customer, recalled)
    if not isinstance(group, SeatGroup):
        return group
    parted = part(terms.plan, group, command.labels)
    if isinstance(parted, Rejection):
        return parted
    gone, gone_prices, kept, kept_prices = parted
    return HoldReleased(
        command.hold_id,
        command.customer,
        gone,
        gone_prices,
        kept,
        kept_prices,
        group.expires_at_us,
    )


def live_hold(
    state: ShowtimeState, hold_id: bytes, customer: bytes, recalled: Recalled | None
) -> SeatGroup | Rejection | Recall:
    """The customer's live hold; otherwise why there is none, without telling of others' holds."""
    packed = state.holds.get(hold_id)
    if packed is not None:
        return unpack(packed) if customer_of(packed) == customer else NOT_FOUND
    ended = ended_hold(state, hold_id, recalled)
    if isinstance(ended, Recall):
        return ended
    if ended is None:
        return NOT_FOUND
    status, packed, _ = ended_as(ended)
    if customer_of(packed) != customer:
        return NOT_FOUND
    return Rejection(code="HOLD_ENDED", details={"status": ENDED_NAMES[status]})


def unpaid_hold(
    state: ShowtimeState, hold_id: bytes, customer: bytes, recalled: Recalled | None
) -> SeatGroup | Rejection | Recall:
    """The customer's live hold, unless it waits for a payment; otherwise why there is none."""
    group = live_hold(state, hold_id, customer, recalled)
    waiting = state.paying.get(hold_id)
    if waiting is None or not isinstance(group, SeatGroup):
        return group
    booking_id, pay_until_us, *_ = waiting_for(waiting)
    details = {"booking_id": format_id(booking_id), "pay_until": format_time(pay_until_us)}
    return Rejection(code="PAYMENT_IN_PROGRESS", details=details)


def _labels(plan: SeatPlan, seats: Sequence[int]) -> list[str]:
    return [plan.labels[seat] for seat in seats]


def limit_refusal(name: str, value: int, message: str, **more: str) -> Rejection:
    """Why a hold, or a wish for one, is more than its customer may have."""
    details = {"limit": name, "value": value, **more}
    return Rejection(code="HOLD_LIMIT", message=message, details=details)
