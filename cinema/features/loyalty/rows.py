"""Which bookings may have earned points, written with the events that decide what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from cinema.domain.showtime.events import HoldBooked, SeatsChanged
from cinema.storage.journal.branches import Happened, RowBranch


class EarningRow(msgspec.Struct, frozen=True, gc=False):
    """A booking that was confirmed, or has other seats."""

    booking_id: str
    confirmed: bool


def _due(happened: Happened) -> Sequence[EarningRow]:
    event = happened.event
    assert isinstance(event, HoldBooked | SeatsChanged)
    return [EarningRow(event.booking_id.hex(), isinstance(event, HoldBooked))]


# The rate is that of the confirmation: what is paid or goes back later counts by the same.
LOYALTY_DUE: Final = RowBranch(
    name="loyalty_due",
    events=(HoldBooked, SeatsChanged),
    rows=_due,
    columns="booking_id uuid, confirmed boolean",
    sql="""
    insert into loyalty_due (booking_id, percent, valid_months)
    select r.booking_id, case when r.confirmed then c.points_percent end,
        case when r.confirmed then c.points_valid_months end
    from $rows r
    join showtimes t on t.id = r.showtime_id
    join cinemas c on c.id = t.cinema_id and (c.points_percent > 0 or not r.confirmed)""",
)

LOYALTY_BRANCHES: Final = (LOYALTY_DUE,)
