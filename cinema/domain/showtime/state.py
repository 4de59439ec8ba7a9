"""A showtime in memory, and how each event changes it.

`evolve` is the only writer. It is deterministic: the same events in the same order give the same
state on every machine. It trusts its input, since `decide` has checked what it records.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar, assert_never

import msgspec

from cinema.domain.limits import ENDED_HOLDS_KEPT, IDEMPOTENCY_TTL_S, REPLY_RECORDS_KEPT
from cinema.domain.seatmap import AVAILABLE, BLOCKED, BOOKED, HELD
from cinema.domain.showtime.events import (
    AnyEvent,
    BookingCancelled,
    HoldBooked,
    HoldExpired,
    HoldExtended,
    HoldReleased,
    PlanChanged,
    Recorded,
    SalesPaused,
    SalesResumed,
    SeatsBlocked,
    SeatsHeld,
    SeatsUnblocked,
    ShowtimeCancelled,
    TermsChanged,
    decode_recorded,
    encode_recorded,
)
from cinema.domain.showtime.packed import (
    CUSTOMER_BYTES,
    HEAD_BYTES,
    SEAT_BYTES,
    customer_of,
    expiry_of,
    pack,
    seats_in,
    unpack,
)
from cinema.domain.showtime.records import ArchiveFilter, ReplyRecord, ReplyRecords
from cinema.domain.showtime.replan import Mapping as SeatMapping
from cinema.domain.showtime.replan import composed, moved_event, moved_group

NEVER_US: Final = 2**62
"""A moment later than any: nothing is due."""

ENDED_RELEASED: Final = 1
ENDED_EXPIRED: Final = 2
ENDED_BOOKED: Final = 3
HoldStatus = Literal["active", "paying", "booked", "released", "expired"]

ENDED_NAMES: Final[dict[int, HoldStatus]] = {
    ENDED_RELEASED: "released",
    ENDED_EXPIRED: "expired",
    ENDED_BOOKED: "booked",
}

_COUNTING_FROM: Final = 24
"""Live holds from which on a count by customer costs less than looking at each hold."""


NOTHING_YET: Final[Mapping[Any, Any]] = MappingProxyType({})
"""Stands for an empty dict: most of 20,000 residents have no booking, or no ended hold, yet."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class ShowtimeState:
    """Seats, holds, bookings and stored replies of one showtime at `seq`.

    `seats` has one status byte a seat. `holds` and `bookings` map ids to packed groups, `ended`
    maps ids of finished holds to a status byte and the packed group. `old_plans` carries seats of
    each former layout version to today's. `next_due_us` is a lower
    bound of the earliest deadline among the live holds, `NEVER_US` without any. `terms_version` is
    that of the terms which the last change of them brought, 0 before the first; `told_starts_us` is
    the same's. `epoch` is the one under which it was brought into memory; `archive_generation`
    changes whenever what the archive said before may no longer be so.
    """

    __slots__ = (
        "_holders",
        "archive_filter",
        "archive_generation",
        "at_us",
        "bookings",
        "cancelled",
        "ended",
        "epoch",
        "holds",
        "layout_version",
        "next_due_us",
        "old_plans",
        "paused",
        "records",
        "seats",
        "seq",
        "terms_version",
        "told_starts_us",
        "unpaid",
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
        self.holds: dict[bytes, bytes] = {}
        self.bookings: Mapping[bytes, bytes] = NOTHING_YET
        self.ended: Mapping[bytes, bytes] = NOTHING_YET
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
            if len(self.holds) <= _COUNTING_FROM:
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
        if before is None and self._holders is not None:
            self._count_holder(packed, 1)
        self.holds[hold_id] = packed
        if self.unpaid is not None:
            # Holds differ in length by their seats alone.
            more = len(packed) - (HEAD_BYTES if before is None else len(before))
            if more:
                count_unpaid(self.unpaid, packed, more // SEAT_BYTES)
        self.next_due_us = min(self.next_due_us, expires_at_us)

    def end_hold(self, hold_id: bytes, status: int, packed: bytes | None = None) -> None:
        """Move a live hold to the ended ones."""
        last = self.holds.pop(hold_id)
        self._count_holder(last, -1)
        if self.unpaid is not None:
            count_unpaid(self.unpaid, last, -seats_in(last))
        self.ended = _with(self.ended, hold_id, bytes((status,)) + (packed or last))
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


class Surplus:
    """What the next snapshot moves from memory to the archive: the oldest ended holds and replies.

    Replies past their time are dropped instead. Memory keeps all of it until the archive has it.
    """

    __slots__ = ("archived_ids", "ended", "replies", "reply_count")

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

    def remove_from(self, state: ShowtimeState) -> None:
        """Forget it in memory, once the archive has it; the filter says where to look."""
        for hold_id, _ in self.ended:
            if hold_id in state.ended:
                state.ended = _without(state.ended, hold_id)
        state.records.drop_oldest(self.reply_count)
        for key in self.archived_ids:
            state.archive_filter.add(key)
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


def change(state: ShowtimeState, at_us: int, event: AnyEvent) -> None:  # noqa: C901, PLR0912
    """What an event does to seats, holds and bookings."""
    match event:
        case SeatsHeld(hold_id, customer, seats, prices, expires_at_us):
            _set(state.seats, seats, HELD)
            packed = pack(customer, at_us, expires_at_us, seats, prices)
            state.put_hold(hold_id, packed, expires_at_us)
        case HoldExtended(hold_id, customer, seats, prices, expires_at_us):
            placed_at_us = unpack(state.holds[hold_id]).placed_at_us
            packed = pack(customer, placed_at_us, expires_at_us, seats, prices)
            state.put_hold(hold_id, packed, expires_at_us)
        case HoldReleased():
            _set(state.seats, event.released, AVAILABLE)
            _release(state, event)
        case HoldExpired(hold_id, seats):
            _set(state.seats, seats, AVAILABLE)
            state.end_hold(hold_id, ENDED_EXPIRED)
        case HoldBooked():
            _set(state.seats, event.seats, BOOKED)
            state.end_hold(event.hold_id, ENDED_BOOKED)
            packed = pack(event.customer, at_us, at_us, event.seats, event.prices)
            state.bookings = _with(state.bookings, event.booking_id, packed)
        case BookingCancelled():
            _set(state.seats, event.cancelled, AVAILABLE)
            if event.seats:
                packed = pack(event.customer, at_us, at_us, event.seats, event.prices)
                state.bookings = _with(state.bookings, event.booking_id, packed)
            else:
                state.bookings = _without(state.bookings, event.booking_id)
        case SeatsBlocked(seats):
            _set(state.seats, seats, BLOCKED)
        case SeatsUnblocked(seats):
            _set(state.seats, seats, AVAILABLE)
        case SalesPaused():
            state.paused = True
        case SalesResumed():
            state.paused = False
        case PlanChanged():
            _change_plan(state, event)
        case TermsChanged():
            state.terms_version = event.version
            state.told_starts_us = event.told_starts_us
        case ShowtimeCancelled():
            _cancel(state, event)
        case _:
            assert_never(event)


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


def _release(state: ShowtimeState, event: HoldReleased) -> None:
    group = unpack(state.holds[event.hold_id])
    if event.seats:
        packed = pack(
            group.customer, group.placed_at_us, group.expires_at_us, event.seats, event.prices
        )
        state.put_hold(event.hold_id, packed, group.expires_at_us)
    else:
        state.end_hold(event.hold_id, ENDED_RELEASED)


def _cancel(state: ShowtimeState, event: ShowtimeCancelled) -> None:
    _set(state.seats, event.seats, AVAILABLE)
    for hold_id in event.holds:
        state.end_hold(hold_id, ENDED_RELEASED)
    state.cancelled = True
    state.terms_version = event.version


def _change_plan(state: ShowtimeState, event: PlanChanged) -> None:
    mapping = event.mapping
    seats = bytearray(event.seat_count)
    for old, new in enumerate(mapping):
        if new >= 0:
            seats[new] = state.seats[old]
    state.seats = seats
    state.holds = {key: moved_group(packed, mapping) for key, packed in state.holds.items()}
    state.bookings = {key: moved_group(packed, mapping) for key, packed in state.bookings.items()}
    state.ended = {
        key: packed[:1] + moved_group(packed[1:], mapping) for key, packed in state.ended.items()
    }
    state.records = _moved_records(state.records, mapping)
    old_plans = {version: composed(older, mapping) for version, older in state.old_plans.items()}
    old_plans[state.layout_version] = mapping
    # What was archived under the version that is pinned again needs no carrying.
    old_plans.pop(event.layout_version, None)
    state.old_plans = old_plans
    state.layout_version = event.layout_version
    state.terms_version = event.terms_version or state.terms_version
    if event.moved is not None:
        state.told_starts_us = event.moved.told_starts_us
    # What the archive has said so far was told in seats of the former plan.
    state.archive_generation += 1


def _moved_records(records: ReplyRecords, mapping: SeatMapping) -> ReplyRecords:
    moved = ReplyRecords()
    for record in records:
        command_id, fingerprint, event = msgspec.structs.astuple(decode_recorded(record.payload))
        payload = encode_recorded(command_id, fingerprint, moved_event(event, mapping))
        moved.add(command_id, record._replace(payload=payload))
    return moved
