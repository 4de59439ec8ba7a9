"""What becomes of exchanges that have not been decided when their new booking ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from cinema.domain.showtime.events import PaymentEnded, PaymentReturned, ShowtimeCancelled
from cinema.storage.journal.branches import Happened, RowBranch


class BookingGivenUp(msgspec.Struct, frozen=True, gc=False):
    """A pending booking that has ended, and will not be paid."""

    booking_id: str
    at_us: int


def _given_up(happened: Happened) -> Sequence[BookingGivenUp]:
    event = happened.event
    if isinstance(event, ShowtimeCancelled):
        return [BookingGivenUp(one.hex(), happened.at_us) for one in event.unpaid]
    assert isinstance(event, PaymentEnded | PaymentReturned)
    return [BookingGivenUp(event.booking_id.hex(), happened.at_us)]


# A cancelled showtime does not ask: who has given up seats for it gets all back.
EXCHANGES_CALLED_OFF: Final = RowBranch(
    name="exchanges_called_off",
    events=(ShowtimeCancelled,),
    rows=_given_up,
    columns="booking_id uuid, at_us bigint",
    sql="""
    update exchanges t
    set state = 'aborted',
        decided_at = 'epoch'::timestamptz + r.at_us * interval '1 microsecond'
    from $rows r
    where t.to_booking_id = r.booking_id and t.state = 'pending'""",
    updates=True,
)

# Whoever gives a booking up has aborted its exchange before. If one is committed all the same,
# Postgres refuses the event: its seats are paid.
EXCHANGES_GIVEN_UP: Final = RowBranch(
    name="exchanges_given_up",
    events=(PaymentEnded, PaymentReturned),
    rows=_given_up,
    columns="booking_id uuid, at_us bigint",
    sql="""
    update exchanges t
    set state = 'aborted',
        decided_at = 'epoch'::timestamptz + r.at_us * interval '1 microsecond'
    from $rows r
    where t.to_booking_id = r.booking_id and t.state in ('pending', 'committed')""",
    updates=True,
)

EXCHANGE_BRANCHES: Final = (EXCHANGES_CALLED_OFF, EXCHANGES_GIVEN_UP)
