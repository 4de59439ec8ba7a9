"""The holds whose time is over."""

from __future__ import annotations

from cinema.domain.limits import EXPIRIES_PER_COMMAND
from cinema.domain.showtime.commands import ExpireDue
from cinema.domain.showtime.events import HoldExpired
from cinema.domain.showtime.outcomes import NOTHING, Decision
from cinema.domain.showtime.packed import expiry_of, unpack
from cinema.domain.showtime.recall import Recalled
from cinema.domain.showtime.state import ShowtimeState
from cinema.domain.showtime.terms import ShowtimeTerms


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


def expire_due(
    _state: ShowtimeState,
    _terms: ShowtimeTerms,
    _command: ExpireDue,
    _now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    """Nothing more: what is due has expired before every command."""
    return NOTHING
