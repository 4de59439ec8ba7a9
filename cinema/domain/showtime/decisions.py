"""What a showtime answers to each command: an event, or a refusal.

`decide` reads the state and changes nothing. When several refusals apply, the first of this order
is given (each has a test): the key's (`IDEMPOTENCY_MISMATCH`), impossible seats (`UNKNOWN_SEAT`,
`DUPLICATE_SEAT`, `UNKNOWN_CATEGORY`), sales (`SALES_CLOSED`, `SALES_PAUSED`), limits
(`HOLD_LIMIT`), seats (`SEAT_UNAVAILABLE`, `NOT_ENOUGH_SEATS`), rules (`COMPANION_ONLY`,
`ORPHAN_SEAT`); for an existing hold or booking: `NOT_FOUND`, `HOLD_ENDED` or `BOOKING_ENDED`,
`SHOWTIME_STARTED`, impossible seats, limits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from cinema.domain.best_available import find_best_available
from cinema.domain.limits import EXPIRIES_PER_COMMAND
from cinema.domain.rejections import Rejection
from cinema.domain.seating_rules import companion_violations, orphaned_seats
from cinema.domain.seatmap import AVAILABLE, BLOCKED, SeatPlan, changed_seats, seat_mapping
from cinema.domain.showtime.commands import (
    AnyCommand,
    BlockSeats,
    BookHold,
    CancelBooking,
    ChangePlan,
    ExpireDue,
    ExtendHold,
    HoldBestAvailable,
    HoldSeats,
    PauseSales,
    ReleaseHold,
    ResumeSales,
    UnblockSeats,
)
from cinema.domain.showtime.events import (
    AnyEvent,
    BookingCancelled,
    HoldBooked,
    HoldExpired,
    HoldExtended,
    HoldReleased,
    PlanChanged,
    Recorded,
    SalesPaused,
    SalesResumed,
    SeatsBlocked,
    SeatsHeld,
    SeatsUnblocked,
)
from cinema.domain.showtime.packed import SeatGroup, customer_of, expiry_of, unpack
from cinema.domain.showtime.records import ReplyRecord
from cinema.domain.showtime.state import ENDED_NAMES, ShowtimeState
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.domain.times import format_time


class Nothing(msgspec.Struct, frozen=True):
    """The command asks for what already is: accepted, and nothing to record."""


class Replay(msgspec.Struct, frozen=True):
    """The command was carried out before under the same key; this is what it did."""

    record: ReplyRecord
    recorded: Recorded


class Recall(msgspec.Struct, frozen=True):
    """Whether `key` is known can only be said after a look into the archive."""

    key: bytes


class Archived(msgspec.Struct, frozen=True):
    """What the archive said about one id; None: not there."""

    reply: tuple[ReplyRecord, Recorded] | None = None
    ended: bytes | None = None


class Recalled(msgspec.Struct, frozen=True):
    """What the archive said about some ids while the state had `generation`.

    An answer counts only while nothing more was archived. Generations start anew with each
    restore: whoever discards a state must discard these too.
    """

    generation: int
    found: dict[bytes, Archived]


Decision = AnyEvent | Rejection | Nothing | Replay | Recall

NOTHING: Final = Nothing()
NOT_FOUND: Final = Rejection(code="NOT_FOUND")


def decide(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: AnyCommand,
    now_us: int,
    recalled: Recalled | None = None,
) -> Decision:
    """The showtime's answer at `now_us`; what is due by then must have been expired before."""
    if command.fingerprint:
        known = _known_reply(state, command, recalled)
        if known is not None:
            return known
    return _DECIDERS[type(command)](state, terms, command, now_us, recalled)


def due_expiries(state: ShowtimeState, due_us: int) -> list[HoldExpired]:
    """The holds whose deadline is not after `due_us`, earliest first, a bounded number."""
    if state.next_due_us > due_us:
        return []
    due = [
        (expiry_of(packed), hold_id)
        for hold_id, packed in state.holds.items()
        if expiry_of(packed) <= due_us
    ]
    due.sort()
    return [
        HoldExpired(hold_id, unpack(state.holds[hold_id]).seats)
        for _, hold_id in due[:EXPIRIES_PER_COMMAND]
    ]


def _known_reply(
    state: ShowtimeState, command: AnyCommand, recalled: Recalled | None
) -> Decision | None:
    stored = state.stored_reply(command.command_id)
    if stored is None and command.command_id in state.archive_filter:
        archived = _archived(recalled, state, command.command_id)
        if archived is None:
            return Recall(command.command_id)
        stored = archived.reply
    if stored is None:
        return None
    record, recorded = stored
    if recorded.fingerprint != command.fingerprint:
        return Rejection(code="IDEMPOTENCY_MISMATCH")
    return Replay(record, recorded)


def _archived(recalled: Recalled | None, state: ShowtimeState, key: bytes) -> Archived | None:
    """The archive's answer about `key`, if it has been asked and nothing was archived since."""
    if recalled is None or recalled.generation != state.archive_generation:
        return None
    return recalled.found.get(key)


def _hold_seats(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: HoldSeats,
    now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    seats = _indexes(terms.plan, command.labels)
    if isinstance(seats, Rejection):
        return seats
    refusal = _refuse_sale(state, terms, command.customer, len(seats), now_us)
    if refusal is not None:
        return refusal
    status = state.seats
    for seat in seats:
        if status[seat]:
            return _unavailable(state, terms.plan, seats)
    plan = terms.plan
    if terms.companions_need_accessible:
        lonely = companion_violations(plan, seats)
        if lonely:
            return Rejection(code="COMPANION_ONLY", details={"seats": _labels(plan, lonely)})
    if terms.protect_orphans:
        orphans = orphaned_seats(plan, status, seats)
        if orphans:
            return Rejection(code="ORPHAN_SEAT", details={"seats": _labels(plan, orphans)})
    return _held(terms, command.hold_id, command.customer, seats, now_us)


def _hold_best_available(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: HoldBestAvailable,
    now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    plan = terms.plan
    category = None
    if command.category is not None:
        if command.category not in plan.categories:
            details = {"category": command.category, "categories": list(plan.categories)}
            return Rejection(code="UNKNOWN_CATEGORY", details=details)
        category = plan.categories.index(command.category)
    refusal = _refuse_sale(state, terms, command.customer, command.quantity, now_us)
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
    return _held(terms, command.hold_id, command.customer, tuple(seats), now_us)


def _held(
    terms: ShowtimeTerms, hold_id: bytes, customer: bytes, seats: tuple[int, ...], now_us: int
) -> SeatsHeld:
    prices, category_of = terms.prices_minor, terms.plan.category_of
    lifetime_s = min(terms.hold_ttl_s, terms.hold_max_s)
    return SeatsHeld(
        hold_id,
        customer,
        seats,
        tuple([prices[category_of[seat]] for seat in seats]),
        now_us + lifetime_s * 1_000_000,
    )


def _refuse_sale(
    state: ShowtimeState, terms: ShowtimeTerms, customer: bytes, count: int, now_us: int
) -> Rejection | None:
    if not terms.sales_opens_at_us <= now_us < terms.sales_closes_at_us:
        details = {
            "opens_at": format_time(terms.sales_opens_at_us),
            "closes_at": format_time(terms.sales_closes_at_us),
        }
        return Rejection(code="SALES_CLOSED", details=details)
    if state.paused:
        return Rejection(code="SALES_PAUSED")
    if count > terms.seats_per_hold:
        return _limit("seats_per_hold", terms.seats_per_hold)
    limit = terms.live_holds_per_customer
    if len(state.holds) >= limit and state.live_holds_of(customer) >= limit:
        return _limit("live_holds_per_customer", limit)
    return None


def _extend_hold(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: ExtendHold,
    now_us: int,
    recalled: Recalled | None,
) -> Decision:
    group = _live_hold(state, command.hold_id, command.customer, recalled)
    if not isinstance(group, SeatGroup):
        return group
    cap_us = group.placed_at_us + terms.hold_max_s * 1_000_000
    if group.expires_at_us >= cap_us:
        return _limit("hold_max_s", terms.hold_max_s)
    wanted_us = min(now_us + terms.hold_ttl_s * 1_000_000, cap_us)
    return HoldExtended(
        command.hold_id,
        command.customer,
        group.seats,
        group.prices,
        max(group.expires_at_us, wanted_us),
    )


def _release_hold(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: ReleaseHold,
    _now_us: int,
    recalled: Recalled | None,
) -> Decision:
    group = _live_hold(state, command.hold_id, command.customer, recalled)
    if not isinstance(group, SeatGroup):
        return group
    parted = _part(terms.plan, group, command.labels)
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


def _book_hold(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: BookHold,
    _now_us: int,
    recalled: Recalled | None,
) -> Decision:
    group = _live_hold(state, command.hold_id, command.customer, recalled)
    if not isinstance(group, SeatGroup):
        return group
    return HoldBooked(
        command.hold_id,
        command.customer,
        group.seats,
        group.prices,
        command.booking_id,
        command.code,
        command.payment_id,
        command.payment_method,
        terms.currency,
    )


def _live_hold(
    state: ShowtimeState, hold_id: bytes, customer: bytes, recalled: Recalled | None
) -> SeatGroup | Rejection | Recall:
    """The customer's live hold; otherwise why there is none, without telling of others' holds."""
    packed = state.holds.get(hold_id)
    if packed is not None:
        return unpack(packed) if customer_of(packed) == customer else NOT_FOUND
    ended = ended_hold(state, hold_id, recalled)
    if isinstance(ended, Recall):
        return ended
    if ended is None or customer_of(ended[1:]) != customer:
        return NOT_FOUND
    return Rejection(code="HOLD_ENDED", details={"status": ENDED_NAMES[ended[0]]})


def ended_hold(
    state: ShowtimeState, hold_id: bytes, recalled: Recalled | None
) -> bytes | Recall | None:
    """Status byte and packed group of an ended hold; None if there was never such a hold."""
    ended = state.ended.get(hold_id)
    if ended is not None or hold_id not in state.archive_filter:
        return ended
    archived = _archived(recalled, state, hold_id)
    return Recall(hold_id) if archived is None else archived.ended


def _cancel_booking(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: CancelBooking,
    now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    packed = state.bookings.get(command.booking_id)
    if packed is None:
        return Rejection(code="BOOKING_ENDED")
    group = unpack(packed)
    if command.customer is not None:
        if command.customer != group.customer:
            return NOT_FOUND
        if now_us >= terms.starts_at_us:
            return Rejection(code="SHOWTIME_STARTED")
    parted = _part(terms.plan, group, command.labels)
    if isinstance(parted, Rejection):
        return parted
    gone, gone_prices, kept, kept_prices = parted
    return BookingCancelled(
        command.booking_id, group.customer, gone, gone_prices, kept, kept_prices
    )


def _block_seats(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: BlockSeats,
    _now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    seats = _indexes(terms.plan, command.labels)
    if isinstance(seats, Rejection):
        return seats
    if any(state.seats[seat] not in (AVAILABLE, BLOCKED) for seat in seats):
        sellable = [seat for seat in seats if state.seats[seat] != BLOCKED]
        return _unavailable(state, terms.plan, sellable)
    free = tuple(seat for seat in seats if state.seats[seat] == AVAILABLE)
    return SeatsBlocked(free) if free else NOTHING


def _unblock_seats(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: UnblockSeats,
    _now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    seats = _indexes(terms.plan, command.labels)
    if isinstance(seats, Rejection):
        return seats
    blocked = tuple(seat for seat in seats if state.seats[seat] == BLOCKED)
    return SeatsUnblocked(blocked) if blocked else NOTHING


def _pause_sales(
    state: ShowtimeState,
    _terms: ShowtimeTerms,
    _command: PauseSales,
    _now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    return NOTHING if state.paused else SalesPaused()


def _resume_sales(
    state: ShowtimeState,
    _terms: ShowtimeTerms,
    _command: ResumeSales,
    _now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    return SalesResumed() if state.paused else NOTHING


def _change_plan(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: ChangePlan,
    _now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    old, new = terms.plan, command.plan
    if new.version == old.version:
        return NOTHING
    affected = [label for label in changed_seats(old, new) if state.seats[old.index[label]]]
    if affected:
        return Rejection(code="PLAN_IN_USE", details={"seats": sorted(affected)})
    return PlanChanged(old.version, new.version, new.seat_count, tuple(seat_mapping(old, new)))


def _expire_due(
    _state: ShowtimeState,
    _terms: ShowtimeTerms,
    _command: ExpireDue,
    _now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    return NOTHING


_Decider = Callable[[ShowtimeState, ShowtimeTerms, Any, int, Recalled | None], Decision]

_DECIDERS: Final[dict[type, _Decider]] = {
    HoldSeats: _hold_seats,
    HoldBestAvailable: _hold_best_available,
    ExtendHold: _extend_hold,
    ReleaseHold: _release_hold,
    BookHold: _book_hold,
    CancelBooking: _cancel_booking,
    BlockSeats: _block_seats,
    UnblockSeats: _unblock_seats,
    PauseSales: _pause_sales,
    ResumeSales: _resume_sales,
    ChangePlan: _change_plan,
    ExpireDue: _expire_due,
}


def _indexes(plan: SeatPlan, labels: Sequence[str]) -> tuple[int, ...] | Rejection:
    """The seats of their labels, or why they cannot be meant."""
    index = plan.index
    try:
        seats = tuple([index[label] for label in labels])
    except KeyError:
        unknown = [label for label in labels if label not in index]
        return Rejection(code="UNKNOWN_SEAT", details={"seats": unknown})
    if not seats:
        return Rejection(code="UNKNOWN_SEAT", details={"seats": []})
    if len(seats) > 1 and len(set(seats)) != len(seats):
        twice = sorted({label for label in labels if labels.count(label) > 1})
        return Rejection(code="DUPLICATE_SEAT", details={"seats": twice})
    return seats


def _part(
    plan: SeatPlan, group: SeatGroup, labels: Sequence[str] | None
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]] | Rejection:
    """Splits a group into what goes and what stays: seats and prices of each."""
    if labels is None:
        return group.seats, group.prices, (), ()
    gone = _indexes(plan, labels)
    if isinstance(gone, Rejection):
        return gone
    foreign = [plan.labels[seat] for seat in gone if seat not in group.seats]
    if foreign:
        return Rejection(code="UNKNOWN_SEAT", details={"seats": foreign})
    price_of = dict(zip(group.seats, group.prices, strict=True))
    kept = tuple(seat for seat in group.seats if seat not in gone)
    return (
        gone,
        tuple(price_of[seat] for seat in gone),
        kept,
        tuple(price_of[seat] for seat in kept),
    )


def _labels(plan: SeatPlan, seats: Sequence[int]) -> list[str]:
    return [plan.labels[seat] for seat in seats]


def _unavailable(state: ShowtimeState, plan: SeatPlan, seats: Sequence[int]) -> Rejection:
    taken = [plan.labels[seat] for seat in seats if state.seats[seat]]
    return Rejection(code="SEAT_UNAVAILABLE", details={"seats": taken})


def _limit(name: str, value: int) -> Rejection:
    return Rejection(code="HOLD_LIMIT", details={"limit": name, "value": value})


__all__ = [
    "NOTHING",
    "Decision",
    "Nothing",
    "Recall",
    "Recalled",
    "Replay",
    "decide",
    "due_expiries",
    "ended_hold",
]
