"""Decisions about a showtime that is being sold: it gets other terms, or it is cancelled.

A command names the version that its sender has seen, so that no change of others is lost.
"""

from __future__ import annotations

import msgspec

from cinema.domain.limits import FREE_REFUND_S, MOVED_START_LIMIT_S
from cinema.domain.rejections import Rejection
from cinema.domain.seatmap import AVAILABLE, SeatPlan, seat_mapping
from cinema.domain.showtime.commands import (
    CancelShowtime,
    ChangeLayout,
    ChangeTerms,
    MoveShowtime,
)
from cinema.domain.showtime.events import (
    PlanChanged,
    ShowConditions,
    ShowtimeCancelled,
    TermsChanged,
)
from cinema.domain.showtime.outcomes import NOTHING, Decision, FindPlan
from cinema.domain.showtime.packed import unpack
from cinema.domain.showtime.prices import sold_before
from cinema.domain.showtime.recall import Recalled
from cinema.domain.showtime.state import ShowtimeState, waiting_for
from cinema.domain.showtime.terms import ShowtimeTerms

CANCELLED = Rejection(code="SHOWTIME_CANCELLED")


def change_terms(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: ChangeTerms,
    now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    """Sells by other terms from now on. What is held or booked keeps its price."""
    if state.cancelled:
        return CANCELLED
    if terms.version not in command.seen:
        return Rejection(code="PRECONDITION_FAILED", details={"version": terms.version})
    wanted = command.conditions
    plan = terms.plan
    if isinstance(command, MoveShowtime):
        plan = command.plan
    elif wanted.screen_id != terms.screen_id:
        return FindPlan(wanted.screen_id, command.layout_version, terms.version)
    if wanted.starts_at_us != terms.starts_at_us and now_us >= terms.starts_at_us:
        return Rejection(code="SHOWTIME_STARTED")
    for category, _ in wanted.price_overrides:
        if category not in plan.categories:
            details = {"category": category, "categories": sorted(plan.categories)}
            return Rejection(code="UNKNOWN_CATEGORY", details=details)
    in_use = bool(state.holds or state.bookings)
    if in_use and wanted.movie_id != terms.movie_id:
        message = "Seats are held or booked for another film: cancel this showtime instead."
        return Rejection(code="SHOWTIME_IN_USE", message=message, details={"field": "movie_id"})
    changed = _starting(state, terms, wanted, now_us, in_use=in_use)
    is_moved = plan is not terms.plan
    if is_moved:
        refusal = _lacks(state, terms.plan, plan)
        if refusal is not None:
            return refusal
    before = sold_before(state, terms, wanted, plan)
    changed = msgspec.structs.replace(changed, before=before, by=command.by)
    if (state.bookings or state.paying) and (is_moved or _is_far(changed, terms)):
        changed = msgspec.structs.replace(changed, job_id=command.job_id)
    return _moved(terms.plan, plan, changed) if is_moved else changed


def _lacks(state: ShowtimeState, old: SeatPlan, new: SeatPlan) -> Rejection | None:
    """Why it cannot move to another screen: that has not every seat that is held or booked here."""
    missing = [
        label
        for label, seat in old.index.items()
        if state.seats[seat] != AVAILABLE and not _is_there(old, seat, new)
    ]
    if not missing:
        return None
    message = "The other screen lacks seats that are taken."
    details = {"field": "screen_id", "seats": missing}
    return Rejection(code="SHOWTIME_IN_USE", message=message, details=details)


def _moved(old: SeatPlan, new: SeatPlan, changed: TermsChanged) -> PlanChanged:
    return PlanChanged(
        old.version,
        new.version,
        new.seat_count,
        tuple(seat_mapping(old, new)),
        changed.version,
        changed,
        by=changed.by,
    )


def _is_there(old: SeatPlan, seat: int, new: SeatPlan) -> bool:
    """Whether a seat is there under its label, and for the same people.

    A wheelchair needs its place. Whoever comes without one needs a chair, which such a place may
    lack, and would take it from somebody.
    """
    twin = new.index.get(old.labels[seat])
    return twin is not None and _is_for(old, seat) == _is_for(new, twin)


def _is_for(plan: SeatPlan, seat: int) -> tuple[int, int]:
    return plan.accessible[seat], plan.companion[seat]


def _is_far(changed: TermsChanged, terms: ShowtimeTerms) -> bool:
    """Whether the start moves so far that customers may now give everything back."""
    return changed.free_refund_until_us != terms.free_refund_until_us


def change_layout(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: ChangeLayout,
    _now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    """Asks for the plan, unless the decision does not need it."""
    if state.cancelled:
        return CANCELLED
    if terms.version not in command.seen:
        return Rejection(code="PRECONDITION_FAILED", details={"version": terms.version})
    if command.layout_version == terms.plan.version:
        return NOTHING
    return FindPlan(terms.screen_id, command.layout_version, terms.version)


def _starting(
    state: ShowtimeState, terms: ShowtimeTerms, wanted: ShowConditions, now_us: int, *, in_use: bool
) -> TermsChanged:
    """The change, with the start that was promised, and the time until which all can be given back.

    At each start since the promise, somebody may have got a seat. The distance counts from each of
    these starts. So many small moves count as a large one, and so does a move from one end of the
    allowed time to the other.
    """
    version, starts_us = terms.version + 1, wanted.starts_at_us
    refund_until_us, fresh = terms.free_refund_until_us, (starts_us, starts_us)
    if not in_use:
        return TermsChanged(version, wanted, starts_us, refund_until_us, fresh)
    promised_us = terms.promised_start_us or terms.starts_at_us
    told_us = (promised_us, terms.starts_at_us, *filter(None, state.told_starts_us), starts_us)
    earliest_us, latest_us = min(told_us), max(told_us)
    limit_us = MOVED_START_LIMIT_S * 1_000_000
    if starts_us - earliest_us <= limit_us and latest_us - starts_us <= limit_us:
        told = (earliest_us, latest_us)
        return TermsChanged(version, wanted, promised_us, refund_until_us, told)
    return TermsChanged(version, wanted, starts_us, now_us + FREE_REFUND_S * 1_000_000, fresh)


def cancel_showtime(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: CancelShowtime,
    now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    """Ends all holds and refuses new ones. Bookings wait for their refund."""
    if state.cancelled:
        return NOTHING
    if terms.version not in command.seen and not command.unless_booked:
        return Rejection(code="PRECONDITION_FAILED", details={"version": terms.version})
    if now_us >= terms.ends_at_us:
        return Rejection(code="SHOWTIME_STARTED", message="The showtime is over.")
    if state.bookings and command.unless_booked:
        return Rejection(code="SHOWTIME_IN_USE", details={"bookings": len(state.bookings)})
    return ShowtimeCancelled(
        terms.version + 1,
        command.reason,
        tuple(state.holds),
        tuple([seat for packed in state.holds.values() for seat in unpack(packed).seats]),
        len(state.bookings),
        command.job_id if state.bookings or state.paying else b"",
        tuple([waiting_for(waiting).booking_id for waiting in state.paying.values()]),
        command.by,
    )
