"""The stored form of a whole showtime, versioned.

A snapshot is for speed only: the journal up to its seq holds the same truth.
"""

from __future__ import annotations

from itertools import islice

import msgspec

from cinema.domain.seatmap import BOOKED, HELD
from cinema.domain.showtime.events import decode_recorded
from cinema.domain.showtime.records import ArchiveFilter, ReplyRecord
from cinema.domain.showtime.state import NO_CHANNELS, NOTHING_YET, ShowtimeState, Surplus

FORMAT = 1


class SnapshotFormatError(Exception):
    """The snapshot was written by another version of the server, or is damaged."""


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    format: int
    seq: int
    at_us: int
    layout_version: int
    paused: bool
    seats: bytes
    holds: dict[bytes, bytes]
    bookings: dict[bytes, bytes]
    ended: dict[bytes, bytes]
    records: list[ReplyRecord]
    filter_layers: list[bytes]
    filter_count: int
    old_plans: dict[int, tuple[int, ...]]
    terms_version: int = 0
    cancelled: bool = False
    told_starts_us: tuple[int, int] = (0, 0)
    paying: dict[bytes, bytes] = {}
    sold_by: dict[bytes, bytes] = {}
    waitlist: dict[bytes, bytes] = {}
    offered: dict[bytes, bytes] = {}
    channels: bytes = b""
    late_channels: dict[bytes, int] = {}


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode


def encode_snapshot(state: ShowtimeState, surplus: Surplus) -> bytes:
    """The bytes of a showtime at its seq, without what is archived together with it."""
    archive_filter = surplus.archive_filter(state)
    leaving = dict(surplus.ended)
    return _encode(
        _Stored(
            format=FORMAT,
            seq=state.seq,
            at_us=state.at_us,
            layout_version=state.layout_version,
            paused=state.paused,
            seats=bytes(state.seats),
            holds=state.holds,
            bookings=dict(state.bookings),
            ended={key: packed for key, packed in state.ended.items() if key not in leaving},
            records=list(islice(state.records, surplus.reply_count, None)),
            filter_layers=[bytes(layer) for layer in archive_filter.layers],
            filter_count=archive_filter.count,
            old_plans=dict(state.old_plans),
            terms_version=state.terms_version,
            cancelled=state.cancelled,
            told_starts_us=state.told_starts_us,
            paying=dict(state.paying),
            sold_by=dict(state.sold_by),
            waitlist=dict(state.waitlist),
            offered=dict(state.offered),
            channels=bytes(state.channels),
            late_channels={
                key: channel for key, channel in state.late_channels.items() if key not in leaving
            },
        )
    )


def decode_snapshot(payload: bytes) -> ShowtimeState:
    """The showtime of a snapshot's bytes; raises `SnapshotFormatError`."""
    try:
        stored = _decode(payload)
    except msgspec.MsgspecError as error:
        raise SnapshotFormatError(str(error)) from error
    if stored.format != FORMAT:
        raise SnapshotFormatError(f"format {stored.format}, this server reads {FORMAT}")
    state = ShowtimeState(0, stored.layout_version)
    state.seq = stored.seq
    state.at_us = stored.at_us
    state.paused = stored.paused
    state.cancelled = stored.cancelled
    state.terms_version = stored.terms_version
    state.told_starts_us = stored.told_starts_us
    state.old_plans = stored.old_plans or NOTHING_YET
    state.seats = bytearray(stored.seats)
    state.holds = stored.holds
    state.bookings = stored.bookings or NOTHING_YET
    state.taken = state.seats.count(HELD) + state.seats.count(BOOKED)
    state.paying = stored.paying or NOTHING_YET
    state.sold_by = stored.sold_by or NOTHING_YET
    state.waitlist = stored.waitlist or NOTHING_YET
    state.offered = stored.offered or NOTHING_YET
    state.channels = bytearray(stored.channels) if stored.channels else NO_CHANNELS
    state.late_channels = stored.late_channels or NOTHING_YET
    state.ended = stored.ended or NOTHING_YET
    for record in stored.records:
        state.records.add(decode_recorded(record.payload).command_id, record)
    state.archive_filter = ArchiveFilter(stored.filter_layers, stored.filter_count)
    state.earliest_due_us()
    return state
