"""What a reader sees of a state."""

from __future__ import annotations

from cinema.actors.messages import SeatsSeen
from cinema.domain.showtime.packed import unpack
from cinema.domain.showtime.state import ShowtimeState
from cinema.domain.showtime.terms import ShowtimeTerms


def seats_seen(
    state: ShowtimeState, terms: ShowtimeTerms, epoch: int, customer: bytes | None
) -> SeatsSeen:
    """The seat map of a state, with the seats of one customer marked."""
    mine: frozenset[int] = frozenset()
    if customer is not None:
        groups = (*state.holds.values(), *state.bookings.values())
        mine = frozenset(
            seat
            for packed in groups
            if packed.startswith(customer)
            for seat in unpack(packed).seats
        )
    return SeatsSeen(epoch, state.seq, bytes(state.seats), mine, state.paused, terms)
