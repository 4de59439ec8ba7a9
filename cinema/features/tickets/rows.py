"""Tickets that get other seats are issued again, in the statement that changes the seats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from cinema.domain.showtime.events import SeatsChanged
from cinema.features.bookings.rules import PLACES_SOLD
from cinema.features.tickets.rules import GENERATION_LIMIT
from cinema.storage.journal.branches import Happened, RowBranch


class TicketLeft(msgspec.Struct, frozen=True, gc=False):
    """A seat whose ticket is for another one now."""

    booking_id: str
    seat: str


def _left(happened: Happened) -> Sequence[TicketLeft]:
    event, labels = happened.event, happened.terms.plan.labels
    assert isinstance(event, SeatsChanged)
    booking_id = event.booking_id.hex()
    return [TicketLeft(booking_id, labels[seat]) for seat in event.left]


# The code with the former seat on it is worth nothing from the moment that the seat is free.
TICKETS_REISSUED: Final = RowBranch(
    name="tickets_reissued",
    events=(SeatsChanged,),
    rows=_left,
    columns="booking_id uuid, seat text",
    sql=f"""
    insert into ticket_states as t (booking_id, place, generation)
    select r.booking_id, w.position % {PLACES_SOLD}, 2
    from $rows r
    join (
        select * from write_seats_left union all select * from write_seats_left_again
    ) w on w.booking_id = r.booking_id and w.seat = r.seat
    on conflict (booking_id, place) do update
    set generation = least(t.generation + 1, {GENERATION_LIMIT})""",  # noqa: S608
    updates=True,
)

TICKET_BRANCHES: Final = (TICKETS_REISSUED,)
