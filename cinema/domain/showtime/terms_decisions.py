"""Decisions about a showtime that is being sold: other terms, or no showtime after all.

Whoever asks names the version that they have seen, so that nobody's change is lost.
"""

from __future__ import annotations

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
    Conditions,
    PlanChanged,
    ShowtimeCancelled,
    TermsChanged,
)
from cinema.domain.showtime.outcomes import NOTHING, Decision, FindPlan
from cinema.domain.showtime.packed import unpack
from cinema.domain.showtime.recall import Recalled
from cinema.domain.showtime.state import ShowtimeState
from cinema.domain.showtime.terms import ShowtimeTerms

CANCELLED = Rejection(code="SHOWTIME_CANCELLED")


def change_terms(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: ChangeTerms,
    now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    """Sells by other terms from here on; what is held or booked stays at its price."""
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
    return changed if plan is terms.plan else _moved(state, terms.plan, plan, changed)


def _moved(state: ShowtimeState, old: SeatPlan, new: SeatPlan, changed: TermsChanged) -> Decision:
    """Onto another screen, if everybody finds the seat there that they have here."""
    missing = [
        label
        for label, seat in old.index.items()
        if state.seats[seat] != AVAILABLE and not _is_there(old, seat, new)
    ]
    if missing:
        message = "The other screen lacks seats that are taken."
        details = {"field": "screen_id", "seats": sorted(missing)}
        return Rejection(code="SHOWTIME_IN_USE", message=message, details=details)
    return PlanChanged(
        old.version,
        new.version,
        new.seat_count,
        tuple(seat_mapping(old, new)),
        changed.version,
        changed,
    )


def _is_there(old: SeatPlan, seat: int, new: SeatPlan) -> bool:
    """Whether a seat is there under its label, and accessible if it is here."""
    twin = new.index.get(old.labels[seat])
    return twin is not None and new.accessible[twin] >= old.accessible[seat]


def change_layout(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: ChangeLayout,
    _now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    """Asks for the plan, unless there is nothing to decide with it."""
    if state.cancelled:
        return CANCELLED
    if terms.version not in command.seen:
        return Rejection(code="PRECONDITION_FAILED", details={"version": terms.version})
    if command.layout_version == terms.plan.version:
        return NOTHING
    return FindPlan(terms.screen_id, command.layout_version, terms.version)


def _starting(
    state: ShowtimeState, terms: ShowtimeTerms, wanted: Conditions, now_us: int, *, in_use: bool
) -> TermsChanged:
    """The change, with the start that customers count on, and until when they may give all back.

    Somebody may have got a seat at each start since the promise, and is moved away from that one:
    many small moves are a large one, and so is a move from one end of what is allowed to the other.
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
    """Ends what is held and refuses what would come; what is booked waits for its refund."""
    if state.cancelled:
        return NOTHING
    if terms.version not in command.seen:
        return Rejection(code="PRECONDITION_FAILED", details={"version": terms.version})
    if now_us >= terms.ends_at_us:
        return Rejection(code="SHOWTIME_STARTED", message="The showtime is over.")
    return ShowtimeCancelled(
        terms.version + 1,
        command.reason,
        tuple(state.holds),
        tuple([seat for packed in state.holds.values() for seat in unpack(packed).seats]),
        len(state.bookings),
        command.job_id if state.bookings else b"",
    )
