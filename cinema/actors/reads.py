"""What a reader sees of a state."""

from __future__ import annotations

from cinema.actors.messages import HoldSeen, ReadHold, SeatsSeen
from cinema.domain.rejections import Rejection
from cinema.domain.showtime.decisions import NOT_FOUND, Recall, Recalled, ended_hold
from cinema.domain.showtime.packed import customer_of, unpack
from cinema.domain.showtime.state import ENDED_NAMES, HoldStatus, ShowtimeState
from cinema.domain.showtime.terms import ShowtimeTerms


def seats_seen(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    epoch: int,
    customer: bytes | None,
    guests: tuple[bytes, ...] = (),
) -> SeatsSeen:
    """The seat map of a state, with the seats of one customer, and of their guests, marked."""
    mine: frozenset[int] = frozenset()
    if customer is not None:
        owners = (customer, *guests)
        groups = (*state.holds.values(), *state.bookings.values())
        mine = frozenset(
            seat for packed in groups if packed.startswith(owners) for seat in unpack(packed).seats
        )
    return SeatsSeen(epoch, state.seq, bytes(state.seats), mine, state.paused, terms)


def hold_seen(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    epoch: int,
    query: ReadHold,
    recalled: Recalled | None,
) -> HoldSeen | Rejection | Recall:
    """A customer's hold, live or ended; `Recall` if only the archive can tell."""
    packed = state.holds.get(query.hold_id)
    status: HoldStatus = "active"
    if packed is None:
        ended = ended_hold(state, query.hold_id, recalled)
        if isinstance(ended, Recall):
            return ended
        if ended is not None:
            packed, status = ended[1:], ENDED_NAMES[ended[0]]
    if packed is None or customer_of(packed) != query.customer:
        return NOT_FOUND
    return HoldSeen(query.hold_id, status, unpack(packed), epoch, state.seq, terms)
