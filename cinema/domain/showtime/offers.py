"""Seats that become free are held for those who wait, in the event that frees them.

So nobody sees them free in between, and no other command can take them. The list is gone through
in its order, and whoever cannot be given all of their seats keeps the place. Nothing else can make
seats that would do for somebody who waits: an entry begins only where there are none, and holds and
bookings only make fewer (`seats_for`). Quotas that are released by the time alone are no event: a
job has the seats offered soon after (`UnblockSeats` without any).
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from cinema.domain.limits import OFFER_TTL_S
from cinema.domain.pricing.showing import Moment
from cinema.domain.sale_rules import WEB
from cinema.domain.seatmap import AVAILABLE, BOOKED, HELD
from cinema.domain.showtime.changes import seat_changes
from cinema.domain.showtime.channels import channels_after, left_for
from cinema.domain.showtime.commands import AnyCommand
from cinema.domain.showtime.events import (
    Offer,
    Offering,
    Offers,
    PlanChanged,
    Prices,
    SalesResumed,
    TermsChanged,
)
from cinema.domain.showtime.state import ShowtimeState
from cinema.domain.showtime.tariffs import Tariffs
from cinema.domain.showtime.terms import ShowtimeTerms, terms_after
from cinema.domain.showtime.waiting import Wish, seats_for, unpacked_entry, waitlist_ends_us

Freeing = TypeVar("Freeing", bound=Offering)


def with_offers(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: AnyCommand | None,
    event: Freeing,
    now_us: int,
) -> Freeing:
    """An event with what is offered of the seats that are free behind it.

    `state` is that before the event, `command` None for what the clock has caused.
    """
    if state.paused and not isinstance(event, SalesResumed):
        return event
    if command is not None and isinstance(event, PlanChanged | TermsChanged):
        terms = terms_after(terms, command, event)
    if now_us >= waitlist_ends_us(terms.starts_at_us, terms.sales_closes_at_us):
        return event
    seats = _seats_after(state, event)
    channels = bytearray()
    if terms.channels:
        channels = channels_after(state.channels or bytes(len(state.seats)), event)
        for seat, status in enumerate(seats):
            if status == AVAILABLE:
                channels[seat] = 0
    offers = _offers(state, terms, seats, channels, now_us)
    return msgspec.structs.replace(event, offers=offers) if offers else event


def _seats_after(state: ShowtimeState, event: Offering) -> bytearray:
    if isinstance(event, PlanChanged):
        seats = bytearray(event.seat_count)
        for old, new in enumerate(event.mapping):
            if new >= 0:
                seats[new] = state.seats[old]
        return seats
    seats = bytearray(state.seats)
    for seat, status in seat_changes(event):
        seats[seat] = status
    return seats


def _offers(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    seats: bytearray,
    channels: bytearray,
    now_us: int,
) -> Offers:
    """What each who waits is offered, if all of it is there for them.

    `seats` and `channels` change with each offer.
    """
    offers: list[Offer] = []
    in_vain: set[Wish] = set()
    free = seats.count(AVAILABLE)
    tariffs: Tariffs | None = None
    for customer, packed in state.waitlist.items():
        if not free:
            break
        entry_id, _, wish = unpacked_entry(packed)
        # What was not there for somebody further up is not there for anybody behind.
        if wish.quantity > free or wish in in_vain:
            continue
        if terms.channels and wish.quantity > left_for(
            terms.channels, seats, channels, WEB, now_us
        ):
            continue
        found = seats_for(terms.plan, seats, wish, protect_orphans=terms.protect_orphans)
        if found is None:
            in_vain.add(wish)
            continue
        taken = seats.count(HELD) + seats.count(BOOKED)
        prices_minor = terms.prices_minor
        if terms.book is not None:
            moment = Moment(now_us, taken, terms.plan.seat_count)
            if tariffs is None:
                tariffs = Tariffs(terms, terms.book, moment)
            prices_minor = tariffs.renew(moment).prices_minor
        offers.append(
            Offer(
                entry_id,
                customer,
                found,
                _prices(terms, prices_minor, found),
                now_us + OFFER_TTL_S * 1_000_000,
                terms.book_version if terms.book is not None else 0,
                taken if terms.book is not None else 0,
                WEB if terms.channels else 0,
            )
        )
        for seat in found:
            seats[seat] = HELD
            if terms.channels:
                channels[seat] = WEB
        free -= len(found)
    return tuple(offers)


def _prices(terms: ShowtimeTerms, prices_minor: tuple[int, ...], seats: tuple[int, ...]) -> Prices:
    category_of = terms.plan.category_of
    return tuple([prices_minor[category_of[seat]] for seat in seats])
