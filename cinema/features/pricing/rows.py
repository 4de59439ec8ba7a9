"""What becomes of uses of promo codes, written with the events of their bookings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from cinema.domain.showtime.events import (
    BookingCancelled,
    HoldBooked,
    PaymentEnded,
    PaymentReturned,
    PaymentStarted,
    ShowtimeCancelled,
)
from cinema.storage.journal.branches import Happened, RowBranch


class UseRow(msgspec.Struct, frozen=True, gc=False):
    """A booking whose use of a code is settled, or has ended."""

    booking_id: str
    state: str


def _uses(happened: Happened) -> Sequence[UseRow]:
    event = happened.event
    match event:
        case HoldBooked() | PaymentStarted():
            # A pending booking that is confirmed may have ended before: its payment came late.
            settled = event.promo_code or (isinstance(event, HoldBooked) and event.pending)
            return [UseRow(event.booking_id.hex(), "used")] if settled else []
        case PaymentEnded() | PaymentReturned():
            return [UseRow(event.booking_id.hex(), "ended")]
        case BookingCancelled(seats=()):
            return [UseRow(event.booking_id.hex(), "ended")]
        case ShowtimeCancelled():
            return [UseRow(one.hex(), "ended") for one in event.unpaid]
        case _:
            return []


PROMO_USES: Final = RowBranch(
    name="promo_uses",
    events=(
        HoldBooked,
        PaymentStarted,
        PaymentEnded,
        PaymentReturned,
        BookingCancelled,
        ShowtimeCancelled,
    ),
    rows=_uses,
    columns="booking_id uuid, state text",
    sql="""
    update promo_uses t
    set state = r.state
    from $rows r
    where t.booking_id = r.booking_id and t.state not in ('returned', r.state)""",
    updates=True,
)

PRICING_BRANCHES: Final = (PROMO_USES,)
