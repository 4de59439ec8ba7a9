"""Offers of which somebody has to be told, written with the events that make them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, get_args

import msgspec

from cinema.domain.showtime.events import Offering
from cinema.storage.journal.branches import Happened, RowBranch


class OfferRow(msgspec.Struct, frozen=True, gc=False):
    """A hold that was made for somebody who waited."""

    hold_id: str
    user_id: str
    offered_at_us: int
    expires_at_us: int


def _offers(happened: Happened) -> Sequence[OfferRow]:
    event = happened.event
    assert isinstance(event, Offering)
    return [
        OfferRow(offer.hold_id.hex(), offer.customer.hex(), happened.at_us, offer.expires_at_us)
        for offer in event.offers
    ]


WAITLIST_OFFERS: Final = RowBranch(
    name="waitlist_offers",
    events=get_args(Offering),
    rows=_offers,
    columns="hold_id uuid, user_id uuid, offered_at_us bigint, expires_at_us bigint",
    sql="""
    insert into waitlist_offers (hold_id, showtime_id, user_id, offered_at, expires_at)
    select r.hold_id, r.showtime_id, r.user_id,
        'epoch'::timestamptz + r.offered_at_us * interval '1 microsecond',
        'epoch'::timestamptz + r.expires_at_us * interval '1 microsecond'
    from $rows r""",
    seldom=True,
)

WAITLIST_BRANCHES: Final = (WAITLIST_OFFERS,)
