"""What a showtime answers to each command: an event, or a refusal.

`decide` reads the state and changes nothing. When several refusals apply, the first of this order
is given (each has a test): the key's (`IDEMPOTENCY_MISMATCH`), impossible seats (`UNKNOWN_SEAT`,
`DUPLICATE_SEAT`, `UNKNOWN_CATEGORY`), sales (`SHOWTIME_CANCELLED`, `SALES_CLOSED`,
`SALES_PAUSED`), limits (`HOLD_LIMIT`), quotas (`CHANNEL_SOLD_OUT`), seats (`SEAT_UNAVAILABLE`,
`NOT_ENOUGH_SEATS`), rules (`COMPANION_ONLY`, `ORPHAN_SEAT`); for an existing hold or booking:
`NOT_FOUND`, `HOLD_ENDED` or `BOOKING_ENDED`, `PAYMENT_IN_PROGRESS`, `SHOWTIME_STARTED`, impossible
seats, `SEAT_NOT_INCLUDED`, limits, `HOLD_CHANGED`; for other seats of a booking: as for a booking
and then as for seats of a hold, and last `BOOKING_CHANGED`, `PAYMENT_REQUIRED`; for other terms:
`SHOWTIME_CANCELLED`, `PRECONDITION_FAILED`, `SHOWTIME_STARTED`, `UNKNOWN_CATEGORY`,
`SHOWTIME_IN_USE`; for the wait list: as for a hold up to `SALES_PAUSED`, `WAITLIST_CLOSED`, the
number of seats, `ALREADY_WAITING`, the other limits, `NOT_ENOUGH_SEATS`, `SEATS_AVAILABLE`,
`WAITLIST_FULL`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from cinema.domain.rejections import Rejection
from cinema.domain.showtime.booking_decisions import book_hold, cancel_booking
from cinema.domain.showtime.change_decisions import change_seats
from cinema.domain.showtime.commands import (
    AbandonPayment,
    AnyCommand,
    BlockSeats,
    BookHold,
    CancelBooking,
    CancelShowtime,
    ChangeLayout,
    ChangePlan,
    ChangeSeats,
    ChangeTerms,
    ConfirmPayment,
    ExpireDue,
    ExtendHold,
    HoldBestAvailable,
    HoldSeats,
    JoinWaitlist,
    LeaveWaitlist,
    MoveShowtime,
    PauseSales,
    ReleaseHold,
    ResumeSales,
    ReturnPayment,
    StartPayment,
    UnblockSeats,
)
from cinema.domain.showtime.events import Offering
from cinema.domain.showtime.expiry import due_expiries, expire_due
from cinema.domain.showtime.hold_decisions import (
    extend_hold,
    hold_best_available,
    hold_seats,
    release_hold,
)
from cinema.domain.showtime.offers import with_offers
from cinema.domain.showtime.outcomes import (
    NOT_FOUND,
    NOTHING,
    Decision,
    FindPlan,
    Nothing,
    Recall,
    Replay,
)
from cinema.domain.showtime.payment_decisions import (
    abandon_payment,
    confirm_payment,
    return_payment,
    start_payment,
)
from cinema.domain.showtime.recall import Archived, Recalled, ended_hold, from_archive, with_answer
from cinema.domain.showtime.staff_decisions import (
    block_seats,
    change_plan,
    pause_sales,
    resume_sales,
    unblock_seats,
)
from cinema.domain.showtime.state import ShowtimeState
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.domain.showtime.terms_decisions import cancel_showtime, change_layout, change_terms
from cinema.domain.showtime.waitlist_decisions import join_waitlist, leave_waitlist


def decide(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: AnyCommand,
    now_us: int,
    recalled: Recalled | None = None,
) -> Decision:
    """The showtime's answer at `now_us`; the caller has expired what is due at that time."""
    if command.fingerprint:
        known = _known_reply(state, command, recalled)
        if known is not None:
            return known
    decision = _DECIDERS[type(command)](state, terms, command, now_us, recalled)
    if state.waitlist and isinstance(decision, Offering) and not decision.offers:
        return with_offers(state, terms, command, decision, now_us)
    return decision


def _known_reply(
    state: ShowtimeState, command: AnyCommand, recalled: Recalled | None
) -> Decision | None:
    stored = state.stored_reply(command.command_id)
    if stored is None and command.command_id in state.archive_filter:
        archived = from_archive(recalled, state, command.command_id)
        if archived is None:
            return Recall(command.command_id)
        stored = archived.reply
    if stored is None:
        return None
    record, recorded = stored
    if recorded.fingerprint != command.fingerprint:
        return Rejection(code="IDEMPOTENCY_MISMATCH")
    return Replay(record, recorded)


_Decider = Callable[[ShowtimeState, ShowtimeTerms, Any, int, Recalled | None], Decision]

_DECIDERS: Final[dict[type, _Decider]] = {
    HoldSeats: hold_seats,
    HoldBestAvailable: hold_best_available,
    ExtendHold: extend_hold,
    ReleaseHold: release_hold,
    BookHold: book_hold,
    CancelBooking: cancel_booking,
    ChangeSeats: change_seats,
    BlockSeats: block_seats,
    UnblockSeats: unblock_seats,
    PauseSales: pause_sales,
    ResumeSales: resume_sales,
    ChangeTerms: change_terms,
    MoveShowtime: change_terms,
    ChangeLayout: change_layout,
    CancelShowtime: cancel_showtime,
    ChangePlan: change_plan,
    ExpireDue: expire_due,
    StartPayment: start_payment,
    ConfirmPayment: confirm_payment,
    AbandonPayment: abandon_payment,
    ReturnPayment: return_payment,
    JoinWaitlist: join_waitlist,
    LeaveWaitlist: leave_waitlist,
}

__all__ = [
    "NOTHING",
    "NOT_FOUND",
    "Archived",
    "Decision",
    "FindPlan",
    "Nothing",
    "Recall",
    "Recalled",
    "Replay",
    "decide",
    "due_expiries",
    "ended_hold",
    "with_answer",
    "with_offers",
]
