"""What a reader sees of a state."""

from __future__ import annotations

import msgspec

from cinema.actors.messages import (
    EntrySeen,
    HoldSeen,
    ReadHold,
    ReadWaitlist,
    SeatsSeen,
    WaitlistSeen,
)
from cinema.domain.rejections import Rejection
from cinema.domain.showtime.decisions import NOT_FOUND, Recall, Recalled, ended_hold
from cinema.domain.showtime.packed import customer_of, unpack
from cinema.domain.showtime.prices import price_inputs_of, prices_now
from cinema.domain.showtime.state import (
    ENDED_NAMES,
    HoldStatus,
    ShowtimeState,
    ended_as,
    waiting_for,
)
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.domain.showtime.waiting import entry_id_of, unpacked_entry, waitlist_ends_us


def seats_seen(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    epoch: int,
    customer: bytes | None,
    guests: tuple[bytes, ...] = (),
    *,
    with_holders: bool = False,
    with_channels: bool = False,
    now_us: int,
) -> SeatsSeen:
    """The seat map of a state, with the seats of one customer, and of their guests, marked.

    Its prices are those for which seats can be held now.
    """
    mine: frozenset[int] = frozenset()
    if customer is not None:
        owners = (customer, *guests)
        groups = (*state.holds.values(), *state.bookings.values())
        mine = frozenset(
            seat for packed in groups if packed.startswith(owners) for seat in unpack(packed).seats
        )
    prices_minor = prices_now(state, terms, now_us)
    if prices_minor is not terms.prices_minor:
        terms = msgspec.structs.replace(terms, prices_minor=prices_minor)
    holders: frozenset[bytes] = frozenset()
    if with_holders:
        holders = frozenset(map(customer_of, state.holds.values()))
    channels = bytes(state.channels) if with_channels and terms.channels else b""
    return SeatsSeen(
        *(epoch, state.seq, bytes(state.seats), mine, state.paused, terms, holders, channels)
    )


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
    waiting = state.paying.get(query.hold_id)
    if packed is None:
        ended = ended_hold(state, query.hold_id, recalled)
        if isinstance(ended, Recall):
            return ended
        if ended is not None:
            how = ended_as(ended)
            packed, status = how.packed, ENDED_NAMES[how.status]
    if packed is None or customer_of(packed) != query.customer:
        return NOT_FOUND
    group = unpack(packed)
    if waiting is not None:
        # Nobody is told how much longer the seats are kept: the payment should be there before.
        status, group = "paying", group._replace(expires_at_us=waiting_for(waiting).pay_until_us)
    price_inputs = None
    if query.with_price_inputs and status == "active":
        price_inputs = price_inputs_of(state, terms, query.hold_id, packed, group)
    return HoldSeen(query.hold_id, status, group, epoch, state.seq, terms, price_inputs)


def waitlist_seen(
    state: ShowtimeState, terms: ShowtimeTerms, epoch: int, query: ReadWaitlist, now_us: int
) -> WaitlistSeen:
    """Who waits, and who was offered seats and has not booked or lost them.

    Nobody waits any longer once the list has ended, whatever the state still remembers.
    """
    wanted = None if query.customer is None else {query.customer, *query.guests}
    entries = []
    if now_us < waitlist_ends_us(terms.starts_at_us, terms.sales_closes_at_us):
        entries = [
            _entry(position, customer, packed)
            for position, (customer, packed) in enumerate(state.waitlist.items(), 1)
            if wanted is None or customer in wanted
        ]
    for customer, packed in state.offered.items():
        held = state.holds.get(entry_id_of(packed))
        if held is None or (wanted is not None and customer not in wanted):
            continue
        group, waiting = unpack(held), state.paying.get(entry_id_of(packed))
        if waiting is not None:
            group = group._replace(expires_at_us=waiting_for(waiting).pay_until_us)
        entries.append(
            msgspec.structs.replace(
                _entry(0, customer, packed), offer=group, is_paying=waiting is not None
            )
        )
    return WaitlistSeen(epoch, state.seq, tuple(entries), terms)


def _entry(position: int, customer: bytes, packed: bytes) -> EntrySeen:
    entry_id, joined_at_us, wish = unpacked_entry(packed)
    return EntrySeen(position, customer, entry_id, joined_at_us, *wish)
