"""Decisions about what only staff ask for: blocked seats, paused sales, another seat plan.

A command with a client's key is recorded even if it changes nothing. If the client repeats it
later, when it would change something, it must not.
"""

from __future__ import annotations

from cinema.domain.rejections import Rejection
from cinema.domain.seatmap import AVAILABLE, BLOCKED, changed_seats, seat_mapping
from cinema.domain.showtime.commands import (
    BlockSeats,
    ChangePlan,
    PauseSales,
    ResumeSales,
    UnblockSeats,
)
from cinema.domain.showtime.events import (
    PlanChanged,
    SalesPaused,
    SalesResumed,
    SeatsBlocked,
    SeatsUnblocked,
)
from cinema.domain.showtime.named_seats import seats_named, unavailable
from cinema.domain.showtime.offers import with_offers
from cinema.domain.showtime.outcomes import NOTHING, Decision
from cinema.domain.showtime.prices import sold_before
from cinema.domain.showtime.recall import Recalled
from cinema.domain.showtime.state import ShowtimeState
from cinema.domain.showtime.terms import ShowtimeTerms


def block_seats(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: BlockSeats,
    _now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    """Takes free seats off sale. Seats that are off sale already stay off sale."""
    seats = seats_named(terms.plan, command.labels)
    if isinstance(seats, Rejection):
        return seats
    if any(state.seats[seat] not in (AVAILABLE, BLOCKED) for seat in seats):
        sellable = [seat for seat in seats if state.seats[seat] != BLOCKED]
        return unavailable(state, terms.plan, sellable)
    free = tuple(seat for seat in seats if state.seats[seat] == AVAILABLE)
    return SeatsBlocked(free) if free or command.fingerprint else NOTHING


def unblock_seats(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: UnblockSeats,
    now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    """Puts the blocked seats among those named back on sale.

    With no seats it offers those who wait what is kept for no channel any longer.
    """
    if not command.labels and not command.fingerprint:
        event = SeatsUnblocked(())
        if state.waitlist:
            event = with_offers(state, terms, command, event, now_us)
        return event if event.offers else NOTHING
    seats = seats_named(terms.plan, command.labels)
    if isinstance(seats, Rejection):
        return seats
    blocked = tuple(seat for seat in seats if state.seats[seat] == BLOCKED)
    return SeatsUnblocked(blocked) if blocked or command.fingerprint else NOTHING


def pause_sales(
    state: ShowtimeState,
    _terms: ShowtimeTerms,
    command: PauseSales,
    _now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    """Refuses new holds from now on."""
    return SalesPaused() if command.fingerprint or not state.paused else NOTHING


def resume_sales(
    state: ShowtimeState,
    _terms: ShowtimeTerms,
    command: ResumeSales,
    _now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    """Accepts holds again."""
    return SalesResumed() if command.fingerprint or state.paused else NOTHING


def change_plan(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: ChangePlan,
    _now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    """Pins another version of the plan, unless it changes seats that are not free."""
    if state.cancelled:
        return Rejection(code="SHOWTIME_CANCELLED")
    if command.seen and terms.version not in command.seen:
        return Rejection(code="PRECONDITION_FAILED", details={"version": terms.version})
    old, new = terms.plan, command.plan
    if new.version == old.version:
        return NOTHING
    affected = [label for label in changed_seats(old, new) if state.seats[old.index[label]]]
    if affected:
        return Rejection(code="PLAN_IN_USE", details={"seats": affected})
    return PlanChanged(
        old.version,
        new.version,
        new.seat_count,
        tuple(seat_mapping(old, new)),
        terms.version + 1,
        before=sold_before(state, terms, None, new),
        by=command.by,
    )
