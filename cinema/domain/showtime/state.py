"""A showtime in memory, and how each event changes it.

`evolve` is the only writer. It is deterministic: the same events in the same order give the same
state on every machine. It trusts its input, since `decide` has checked what it records.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from struct import Struct
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, TypeVar, assert_never

import msgspec

from cinema.domain.limits import ENDED_HOLDS_KEPT, IDEMPOTENCY_TTL_S, REPLY_RECORDS_KEPT
from cinema.domain.seatmap import AVAILABLE, BLOCKED, BOOKED, HELD
from cinema.domain.showtime.channels import carry, moved
from cinema.domain.showtime.events import (
    AnyEvent,
    BookingCancelled,
    HoldBooked,
    HoldExpired,
    HoldExtended,
    HoldReleased,
    Offer,
    Offers,
    PaymentEnded,
    PaymentReturned,
    PaymentStarted,
    PlanChanged,
    Prices,
    Recorded,
    SalesPaused,
    SalesResumed,
    Seats,
    SeatsBlocked,
    SeatsChanged,
    SeatsHeld,
    SeatsUnblocked,
    ShowtimeCancelled,
    SoldBy,
    TermsChanged,
    WaitlistJoined,
    WaitlistLeft,
    decode_recorded,
    encode_recorded,
)
from cinema.domain.showtime.packed import (
    CUSTOMER_BYTES,
    customer_of,
    expiry_of,
    mark_of,
    pack,
    priced_by,
    seats_in,
    unpack,
)
from cinema.domain.showtime.records import ArchiveFilter, ReplyRecord, ReplyRecords
from cinema.domain.showtime.replan import Mapping as SeatMapping
from cinema.domain.showtime.replan import composed, moved_event, moved_group
from cinema.domain.showtime.tariffs import Tariffs
from cinema.domain.showtime.waiting import entry_id_of, packed_entry

NEVER_US: Final = 2**62
"""Later than every other time: nothing is due."""

ENDED_RELEASED: Final = 1
ENDED_EXPIRED: Final = 2
ENDED_BOOKED: Final = 3
HoldStatus = Literal["active", "paying", "booked", "released", "expired"]

ENDED_NAMES: Final[dict[int, HoldStatus]] = {
    ENDED_RELEASED: "released",
    ENDED_EXPIRED: "expired",
    ENDED_BOOKED: "booked",
}

_WAITING: Final = Struct("<16sqiqqq")
_WAITING_BEFORE: Final = Struct("<16sqi")
"""From builds whose bookings had no fees and taxes."""

_BESIDE: Final = Struct("<qqq")


class AwaitedPayment(NamedTuple):
    """What is known of a payment that is waited for.

    Its booking, until when it should come, and how many seconds before the start that is (-1: it
    does not depend on the start); the rest as in `PaymentStarted`.
    """

    booking_id: bytes
    pay_until_us: int
    before_start_s: int
    fees_minor: int = 0
    tax_minor: int = 0
    fees_tax_minor: int = 0

    @property
    def beside(self) -> tuple[int, int, int]:
        """What is not in the prices of the seats: fees, the tax in all of it, and in the fees."""
        return self.fees_minor, self.tax_minor, self.fees_tax_minor


def waiting_for(packed: bytes) -> AwaitedPayment:
    """What `ShowtimeState.paying` knows of a payment."""
    if len(packed) == _WAITING_BEFORE.size:
        return AwaitedPayment(*_WAITING_BEFORE.unpack(packed))
    return AwaitedPayment(*_WAITING.unpack(packed))


_UNPAID: Final = 8
"""A bit of the status of a hold that ended while it waited for a payment: its booking follows."""

_WITH_FEES: Final = 16
"""Another one, if the booking had fees or taxes: these follow behind it."""

COUNTING_FROM: Final = 24
"""Live holds from which on a count by customer costs less than looking at each hold."""


_encode_sold_by = msgspec.msgpack.Encoder().encode
decode_sold_by = msgspec.msgpack.Decoder(SoldBy).decode

NOTHING_YET: Final[Mapping[Any, Any]] = MappingProxyType({})
"""Stands for an empty dict: most of 20,000 residents have no booking, or no ended hold, yet."""

NO_CHANNELS: Final = bytearray()
"""The channels of all showtimes that have sold without quotas; nothing is added to it."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class ShowtimeState:
    """Seats, holds, bookings and stored replies of one showtime at `seq`.

    `seats` has one status byte a seat. `holds` and `bookings` map ids to packed groups, `ended`
    maps ids of finished holds to how they ended (`ended_as`). `paying` maps the holds that
    wait for a payment to their pending bookings (`waiting_for`). `old_plans` carries seats of
    each former layout version to today's. `next_due_us` is a lower
    bound of the earliest deadline among the live holds, `NEVER_US` without any. `terms_version` is
    that of the terms which the last change of them brought, 0 before the first; `told_starts_us` is
    the same's. `taken` counts the seats that are held or booked. `sold_by` keeps for holds what
    their prices follow from if the terms have changed since; `tariffs` is a memo of
    `prices.prices_now`. `waitlist` maps the customers who wait for seats to their packed entries,
    in order; `offered` those of live holds that were offered to theirs, maybe of ended ones too.
    `channels` has one byte a seat once some were sold under quotas (`channels.py`); `late_channels`
    are those of holds that ended while they waited for their payment, which may still come.
    `epoch` is the one under which it was brought into memory; `archive_generation` changes whenever
    what the archive said before may no longer be so.
    """

    __slots__ = (
        "_holders",
        "archive_filter",
        "archive_generation",
        "at_us",
        "bookings",
        "cancelled",
        "channels",
        "ended",
        "epoch",
        "holds",
        "late_channels",
        "layout_version",
        "next_due_us",
        "offered",
        "old_plans",
        "paused",
        "paying",
        "records",
        "seats",
        "seq",
        "sold_by",
        "taken",
        "tariffs",
        "terms_version",
        "told_starts_us",
        "unpaid",
        "waitlist",
    )

    def __init__(self, seat_count: int, layout_version: int) -> None:
        self.seq = 0
        self.at_us = 0
        self.layout_version = layout_version
        self.old_plans: Mapping[int, SeatMapping] = NOTHING_YET
        self.paused = False
        self.cancelled = False
        self.terms_version = 0
        self.told_starts_us = (0, 0)
        self.seats = bytearray(seat_count)
        self.channels = NO_CHANNELS
        self.late_channels: Mapping[bytes, int] = NOTHING_YET
        self.taken = 0
        self.tariffs: Tariffs | None = None
        self.sold_by: Mapping[bytes, bytes] = NOTHING_YET
        self.holds: dict[bytes, bytes] = {}
        self.bookings: Mapping[bytes, bytes] = NOTHING_YET
        self.paying: Mapping[bytes, bytes] = NOTHING_YET
        self.ended: Mapping[bytes, bytes] = NOTHING_YET
        self.waitlist: Mapping[bytes, bytes] = NOTHING_YET
        self.offered: Mapping[bytes, bytes] = NOTHING_YET
        self.records = ReplyRecords()
        self.archive_filter = ArchiveFilter()
        self.archive_generation = 0
        self.epoch = 0
        self.next_due_us = NEVER_US
        self._holders: dict[bytes, int] | None = None
        self.unpaid: dict[bytes, int] | None = None

    def live_holds_of(self, customer: bytes) -> int:
        """How many live holds a customer has; counted only once there are many holds."""
        if self._holders is None:
            if len(self.holds) <= COUNTING_FROM:
                return len([1 for packed in self.holds.values() if packed.startswith(customer)])
            self._holders = {}
            for packed in self.holds.values():
                holder = customer_of(packed)
                self._holders[holder] = self._holders.get(holder, 0) + 1
        return self._holders.get(customer, 0)

    def earliest_due_us(self) -> int:
        """The earliest deadline exactly; also tightens `next_due_us`."""
        self.next_due_us = min(map(expiry_of, self.holds.values()), default=NEVER_US)
        return self.next_due_us

    def stored_reply(self, command_id: bytes) -> tuple[ReplyRecord, Recorded] | None:
        """The stored success of a keyed command, if it is still in memory."""
        for record in self.records.matching(command_id):
            recorded = decode_recorded(record.payload)
            if recorded.command_id == command_id:
                return record, recorded
        return None

    def put_hold(self, hold_id: bytes, packed: bytes, expires_at_us: int) -> None:
        """Add or replace a live hold."""
        before = self.holds.get(hold_id)
        self.holds[hold_id] = packed
        self.next_due_us = min(self.next_due_us, expires_at_us)
        if before is not None and customer_of(before) != customer_of(packed):
            # Staff have held it for somebody whose it is from now on.
            self._count_holder(before, -1)
            if self.unpaid is not None:
                count_unpaid(self.unpaid, before, -seats_in(before))
            before = None
        if before is None and self._holders is not None:
            self._count_holder(packed, 1)
        if self.unpaid is not None:
            if before is None:
                count_unpaid(self.unpaid, packed, seats_in(packed))
            elif len(packed) != len(before):
                count_unpaid(self.unpaid, packed, seats_in(packed) - seats_in(before))

    def end_hold(self, hold_id: bytes, status: int, packed: bytes | None = None) -> None:
        """Move a live hold to the ended ones."""
        last = self.holds.pop(hold_id)
        how = bytes((status,))
        waiting = self.paying.get(hold_id)
        if waiting is not None:
            self.paying = _without(self.paying, hold_id)
            if status != ENDED_BOOKED:
                how = _ended_unpaid(status, waiting_for(waiting))
        if hold_id in self.sold_by:
            self.sold_by = _without(self.sold_by, hold_id)
        self._count_holder(last, -1)
        if self.unpaid is not None:
            count_unpaid(self.unpaid, last, -seats_in(last))
        self.ended = _with(self.ended, hold_id, how + (packed or last))
        if not self.holds:
            self.next_due_us = NEVER_US

    def _count_holder(self, packed: bytes, change: int) -> None:
        if self._holders is None:
            return
        holder = customer_of(packed)
        count = self._holders.get(holder, 0) + change
        if count:
            self._holders[holder] = count
        else:
            del self._holders[holder]


def count_unpaid(counts: dict[bytes, int], packed: bytes, change: int) -> None:
    """Count seats of a hold for its customer; a customer without any has no entry."""
    customer = packed[:CUSTOMER_BYTES]
    count = counts.get(customer, 0) + change
    if count:
        counts[customer] = count
    else:
        del counts[customer]


class EndedHold(NamedTuple):
    """How a hold ended: its status, its packed group, and the booking for which it was not paid."""

    status: int
    packed: bytes
    booking_id: bytes | None


def ended_as(ended: bytes) -> EndedHold:
    """How a hold ended, from the bytes in which that is kept."""
    status = ended[0]
    if status & _WITH_FEES:
        return EndedHold(status & ~(_UNPAID | _WITH_FEES), ended[17 + _BESIDE.size :], ended[1:17])
    if status & _UNPAID:
        return EndedHold(status & ~_UNPAID, ended[17:], ended[1:17])
    return EndedHold(status, ended[1:], None)


def beside_ended(ended: bytes) -> tuple[int, int, int]:
    """`AwaitedPayment.beside` of a booking that was not paid in time."""
    if not ended[0] & _WITH_FEES:
        return 0, 0, 0
    fees_minor, tax_minor, fees_tax_minor = _BESIDE.unpack_from(ended, 17)
    return fees_minor, tax_minor, fees_tax_minor


def _ended_unpaid(status: int, waiting: AwaitedPayment) -> bytes:
    """How a hold ended that waited for a payment, without the hold itself."""
    if not any(waiting.beside):
        return bytes((status | _UNPAID,)) + waiting.booking_id
    beside = _BESIDE.pack(*waiting.beside)
    return bytes((status | _UNPAID | _WITH_FEES,)) + waiting.booking_id + beside


def moved_ended(ended: bytes, mapping: SeatMapping) -> bytes:
    """An ended hold under the new plan."""
    packed = ended_as(ended).packed
    return ended[: -len(packed)] + moved_group(packed, mapping)


class Surplus:
    """What the next snapshot moves from memory to the archive: the oldest ended holds and replies.

    Replies past their time are dropped instead. Memory keeps all of it until the archive has it.
    """

    __slots__ = ("_filter", "archived_ids", "ended", "replies", "reply_count")

    def __init__(self, state: ShowtimeState, now_us: int) -> None:
        too_many = max(0, len(state.ended) - ENDED_HOLDS_KEPT)
        self.ended = list(islice(state.ended.items(), too_many))
        self.reply_count = 0
        self.replies: list[tuple[bytes, ReplyRecord]] = []
        keep_from = len(state.records) - REPLY_RECORDS_KEPT
        oldest_us = now_us - IDEMPOTENCY_TTL_S * 1_000_000
        for position, record in enumerate(state.records):
            alive = record.recorded_at_us >= oldest_us
            if alive and position >= keep_from:
                break
            self.reply_count = position + 1
            if alive:
                self.replies.append((decode_recorded(record.payload).command_id, record))
        self.archived_ids = [hold_id for hold_id, _ in self.ended]
        self.archived_ids.extend(command_id for command_id, _ in self.replies)
        self._filter: ArchiveFilter | None = None

    def archive_filter(self, state: ShowtimeState) -> ArchiveFilter:
        """The filter of all that is in the archive once this is too."""
        if self._filter is None:
            self._filter = state.archive_filter
            if self.archived_ids:
                self._filter = state.archive_filter.copy()
                self._filter.update(self.archived_ids)
        return self._filter

    def remove_from(self, state: ShowtimeState) -> None:
        """Forget it in memory, once the archive has it; the filter says where to look."""
        for hold_id, packed in self.ended:
            # One that was booked or given back meanwhile says something else by now: it stays.
            if state.ended.get(hold_id, b"")[:1] == packed[:1]:
                state.ended = _without(state.ended, hold_id)
                _forget_channel(state, hold_id)
        state.records.drop_oldest(self.reply_count)
        # One snapshot at a time is under way: nothing else has come into the filter meanwhile.
        state.archive_filter = self.archive_filter(state)
        if self.archived_ids:
            state.archive_generation += 1


def evolve(
    state: ShowtimeState,
    seq: int,
    epoch: int,
    at_us: int,
    command_id: bytes,
    fingerprint: bytes,
    event: AnyEvent,
    payload: bytes,
) -> None:
    """Apply one recorded event. `seq` must follow the state's; `payload` is its journal form."""
    if seq != state.seq + 1:
        raise ValueError(f"event {seq} cannot follow {state.seq}")
    change(state, at_us, event)
    state.seq = seq
    state.at_us = at_us
    if fingerprint:
        state.records.add(command_id, ReplyRecord(seq, epoch, at_us, payload))


def change(  # noqa: C901, PLR0912, PLR0915
    state: ShowtimeState, at_us: int, event: AnyEvent
) -> None:
    """What an event does to seats, holds and bookings."""
    match event:
        case SeatsHeld():
            _hold(state, at_us, event)
        case HoldExtended():
            _extend(state, event)
        case HoldReleased():
            _free(state, event.released)
            _release(state, event)
            _offer(state, at_us, event.offers)
        case HoldExpired(hold_id, seats, offers):
            _free(state, seats)
            state.end_hold(hold_id, ENDED_EXPIRED)
            _offer(state, at_us, offers)
        case HoldBooked():
            _book(state, at_us, event)
        case BookingCancelled():
            _free(state, event.cancelled)
            if event.seats:
                booked_at_us = unpack(state.bookings[event.booking_id]).placed_at_us
                packed = pack(event.customer, booked_at_us, at_us, event.seats, event.prices)
                state.bookings = _with(state.bookings, event.booking_id, packed)
            else:
                state.bookings = _without(state.bookings, event.booking_id)
            _offer(state, at_us, event.offers)
        case SeatsBlocked(seats):
            _set(state.seats, seats, BLOCKED)
        case SeatsUnblocked(seats, offers):
            _set(state.seats, seats, AVAILABLE)
            _offer(state, at_us, offers)
        case SalesPaused():
            state.paused = True
        case SalesResumed(offers):
            state.paused = False
            _offer(state, at_us, offers)
        case PlanChanged():
            _change_plan(state, at_us, event)
            _offer(state, at_us, event.offers)
        case TermsChanged():
            state.terms_version = event.version
            _sell_by(state, at_us, event)
            _offer(state, at_us, event.offers)
        case ShowtimeCancelled():
            _cancel(state, event)
        case PaymentStarted():
            _start_payment(state, event)
        case PaymentEnded(hold_id=hold_id, seats=seats, expired=expired):
            _keep_channel(state, hold_id, seats)
            _free(state, seats)
            state.end_hold(hold_id, ENDED_EXPIRED if expired else ENDED_RELEASED)
            _offer(state, at_us, event.offers)
        case PaymentReturned():
            _forget_payment(state, at_us, event)
            _offer(state, at_us, event.offers)
        case SeatsChanged():
            _change_seats(state, at_us, event)
            _offer(state, at_us, event.offers)
        case WaitlistJoined():
            entry = packed_entry(at_us, event)
            state.waitlist = _with(state.waitlist, event.customer, entry)
        case WaitlistLeft(customer=customer):
            state.waitlist = _without(state.waitlist, customer)
        case _:
            assert_never(event)


def _hold(state: ShowtimeState, at_us: int, event: SeatsHeld | Offer) -> None:
    """Free seats are held."""
    seats = event.seats
    _set(state.seats, seats, HELD)
    if event.channel:
        _sell_through(state, seats, event.channel)
    state.taken += len(seats)
    packed = pack(event.customer, at_us, event.expires_at_us, seats, event.prices)
    if event.book_version:
        packed += priced_by(event.book_version, event.taken)
    state.put_hold(event.hold_id, packed, event.expires_at_us)


def _offer(state: ShowtimeState, at_us: int, offers: Offers) -> None:
    """Hold free seats for some who have waited, whose entries end."""
    if not offers:
        return
    holds = state.holds
    state.offered = {
        customer: entry for customer, entry in state.offered.items() if entry_id_of(entry) in holds
    }
    for offer in offers:
        _hold(state, at_us, offer)
        state.offered[offer.customer] = state.waitlist[offer.customer]
        state.waitlist = _without(state.waitlist, offer.customer)


def _forget_payment(state: ShowtimeState, at_us: int, event: PaymentReturned) -> None:
    """The hold ends, and no longer says for which booking it was not paid.

    It is the newest of the ended ones, wherever its former end is by now.
    """
    if event.waited:
        _free(state, event.seats)
        state.end_hold(event.hold_id, ENDED_RELEASED)
    if event.hold_id in state.ended:
        state.ended = _without(state.ended, event.hold_id)
    _forget_channel(state, event.hold_id)
    status = ENDED_EXPIRED if event.expired else ENDED_RELEASED
    packed = pack(event.customer, at_us, at_us, event.seats, event.prices)
    state.ended = _with(state.ended, event.hold_id, bytes((status,)) + packed)


def _book(state: ShowtimeState, at_us: int, event: HoldBooked) -> None:
    _set(state.seats, event.seats, BOOKED)
    packed = pack(event.customer, at_us, at_us, event.seats, event.prices)
    if event.hold_id in state.holds:
        state.end_hold(event.hold_id, ENDED_BOOKED)
    else:
        state.taken += len(event.seats)
        # It had ended when its payment came; no later payment may book it again. It is the newest
        # of the ended ones, wherever its former end is by now.
        if event.hold_id in state.ended:
            state.ended = _without(state.ended, event.hold_id)
        state.ended = _with(state.ended, event.hold_id, bytes((ENDED_BOOKED,)) + packed)
        if event.channel:
            _sell_through(state, event.seats, event.channel)
        _forget_channel(state, event.hold_id)
    state.bookings = _with(state.bookings, event.booking_id, packed)


def _change_seats(state: ShowtimeState, at_us: int, event: SeatsChanged) -> None:
    channels = state.channels
    if channels:
        channels = bytearray(channels)
        carry(channels, event)
    _free(state, event.left)
    for hold in event.holds:
        _free(state, hold.used)
        if hold.seats:
            _keep_held(state, hold.hold_id, hold.seats, hold.prices)
        else:
            state.end_hold(hold.hold_id, ENDED_BOOKED)
    _set(state.seats, event.chosen, BOOKED)
    state.channels = channels
    state.taken += len(event.chosen)
    booked_at_us = unpack(state.bookings[event.booking_id]).placed_at_us
    packed = pack(event.customer, booked_at_us, at_us, event.seats, event.prices)
    state.bookings = _with(state.bookings, event.booking_id, packed)


def _keep_held(state: ShowtimeState, hold_id: bytes, seats: Seats, prices: Prices) -> None:
    """A live hold goes on with some of its seats."""
    packed = state.holds[hold_id]
    group = unpack(packed)
    packed = pack(*group[:3], seats, prices, mark_of(packed))
    state.put_hold(hold_id, packed, group.expires_at_us)


def _extend(state: ShowtimeState, event: HoldExtended | PaymentStarted) -> None:
    """A later deadline for a live hold, which maybe has other prices from now on."""
    before = state.holds[event.hold_id]
    placed_at_us, mark = unpack(before).placed_at_us, mark_of(before)
    packed = pack(
        event.customer, placed_at_us, event.expires_at_us, event.seats, event.prices, mark
    )
    state.put_hold(event.hold_id, packed, event.expires_at_us)


def _start_payment(state: ShowtimeState, event: PaymentStarted) -> None:
    _extend(state, event)
    waiting = _WAITING.pack(
        event.booking_id,
        event.pay_until_us,
        event.before_start_s,
        event.fees_minor,
        event.tax_minor,
        event.fees_tax_minor,
    )
    state.paying = _with(state.paying, event.hold_id, waiting)


def _with(mapping: Mapping[Key, Value], key: Key, value: Value) -> Mapping[Key, Value]:
    """The same dict with one more entry, or its first."""
    if isinstance(mapping, dict):
        mapping[key] = value
        return mapping
    return {key: value}


def _without(mapping: Mapping[Key, Value], key: Key) -> Mapping[Key, Value]:
    """The same dict without one of its entries; `KeyError` if it has no such entry."""
    if not isinstance(mapping, dict):
        raise KeyError(key)
    del mapping[key]
    return mapping


def _set(seats: bytearray, indexes: tuple[int, ...], status: int) -> None:
    for index in indexes:
        seats[index] = status


def _sell_through(state: ShowtimeState, indexes: tuple[int, ...], channel: int) -> None:
    """Seats count for a channel of sale."""
    if not state.channels:
        state.channels = bytearray(len(state.seats))
    _set(state.channels, indexes, channel)


def _keep_channel(state: ShowtimeState, hold_id: bytes, seats: Seats) -> None:
    """A hold ends unpaid: should its payment come late, it is sold through the same channel."""
    if state.channels and seats and state.channels[seats[0]]:
        state.late_channels = _with(state.late_channels, hold_id, state.channels[seats[0]])


def _forget_channel(state: ShowtimeState, hold_id: bytes) -> None:
    if hold_id in state.late_channels:
        state.late_channels = _without(state.late_channels, hold_id)


def _free(state: ShowtimeState, indexes: tuple[int, ...]) -> None:
    """Seats that were held or booked are not any longer."""
    _set(state.seats, indexes, AVAILABLE)
    if state.channels:
        _set(state.channels, indexes, 0)
    state.taken -= len(indexes)


def _keep_sold_by(state: ShowtimeState, before: SoldBy | None) -> None:
    """Every live hold keeps what it was sold by, unless it keeps something older already."""
    if before is None:
        return
    encoded = _encode_sold_by(before)
    for hold_id in state.holds:
        kept = state.sold_by.get(hold_id)
        if kept is None:
            state.sold_by = _with(state.sold_by, hold_id, encoded)
        elif before.categories:
            older = decode_sold_by(kept)
            categories = tuple((dict(before.categories) | dict(older.categories)).items())
            older = msgspec.structs.replace(older, categories=categories)
            state.sold_by = _with(state.sold_by, hold_id, _encode_sold_by(older))


def _release(state: ShowtimeState, event: HoldReleased) -> None:
    if event.seats:
        _keep_held(state, event.hold_id, event.seats, event.prices)
    else:
        state.end_hold(event.hold_id, ENDED_RELEASED)


def _cancel(state: ShowtimeState, event: ShowtimeCancelled) -> None:
    _free(state, event.seats)
    for hold_id in event.holds:
        state.end_hold(hold_id, ENDED_RELEASED)
    state.cancelled = True
    state.waitlist = state.offered = NOTHING_YET
    state.terms_version = event.version


def _sell_by(state: ShowtimeState, at_us: int, changed: TermsChanged) -> None:
    """Other terms, on this screen or another."""
    state.told_starts_us = changed.told_starts_us
    _keep_sold_by(state, changed.before)
    _move_payments(state, at_us, changed.conditions.starts_at_us)


def _move_payments(state: ShowtimeState, at_us: int, starts_at_us: int) -> None:
    """Reservations that are to be paid before the start move with it."""
    for hold_id, before in list(state.paying.items()):
        waiting = waiting_for(before)
        if waiting.before_start_s < 0:
            continue
        moved_us = max(at_us, starts_at_us - waiting.before_start_s * 1_000_000)
        packed = state.holds[hold_id]
        group = unpack(packed)
        group = group._replace(expires_at_us=group.expires_at_us - waiting.pay_until_us + moved_us)
        state.put_hold(hold_id, pack(*group, mark_of(packed)), group.expires_at_us)
        moved = _WAITING.pack(*waiting._replace(pay_until_us=moved_us))
        state.paying = _with(state.paying, hold_id, moved)


def _change_plan(state: ShowtimeState, at_us: int, event: PlanChanged) -> None:
    mapping = event.mapping
    seats = bytearray(event.seat_count)
    for old, new in enumerate(mapping):
        if new >= 0:
            seats[new] = state.seats[old]
    state.seats = seats
    if state.channels:
        state.channels = moved(state.channels, mapping, event.seat_count)
    state.holds = {key: moved_group(packed, mapping) for key, packed in state.holds.items()}
    state.bookings = {key: moved_group(packed, mapping) for key, packed in state.bookings.items()}
    state.ended = {key: moved_ended(ended, mapping) for key, ended in state.ended.items()}
    state.records = _moved_records(state.records, mapping)
    old_plans = {version: composed(older, mapping) for version, older in state.old_plans.items()}
    old_plans[state.layout_version] = mapping
    # What was archived under the version that is pinned again needs no carrying.
    old_plans.pop(event.layout_version, None)
    state.old_plans = old_plans
    state.layout_version = event.layout_version
    state.terms_version = event.terms_version or state.terms_version
    _keep_sold_by(state, event.before)
    if event.moved is not None:
        _sell_by(state, at_us, event.moved)
    # What the archive has said so far was told in seats of the former plan.
    state.archive_generation += 1


def _moved_records(records: ReplyRecords, mapping: SeatMapping) -> ReplyRecords:
    moved = ReplyRecords()
    for record in records:
        command_id, fingerprint, event = msgspec.structs.astuple(decode_recorded(record.payload))
        payload = encode_recorded(command_id, fingerprint, moved_event(event, mapping))
        moved.add(command_id, record._replace(payload=payload))
    return moved
