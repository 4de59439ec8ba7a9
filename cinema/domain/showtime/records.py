"""The successes that answer a repeated idempotency key, packed; and the trace of archived ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import NamedTuple

_PREFIX_BYTES = 8
# Bytes behind it, seq (its upper 16 of 48 bits, the lower 32), epoch, recorded_at_us.
_HEAD = Struct("<IHIIq")
_SIZE = Struct("<I")
# How a journal payload with a client's key begins: an array of three, 16 bytes of id, 8 of
# fingerprint, each behind its msgpack header; then the event.
_OPENING = b"\x93\xc4\x10"
_BETWEEN = b"\xc4\x08"
_REST_BYTES = 8
_REST_OF_ID = slice(len(_OPENING) + _PREFIX_BYTES, len(_OPENING) + 16)
_FINGERPRINT = len(_OPENING) + 16 + len(_BETWEEN)
_EXACT_BYTES = 8192
"""Up to here records are kept without room to grow: a copy is cheap, the room of thousands not."""

_FIRST_FILTER_BYTES = 64
_FILTER_BITS_PER_KEY = 16
_PROBES = 5


class ReplyRecord(NamedTuple):
    """One stored success: the event that answered, as the journal keeps it."""

    seq: int
    epoch: int
    recorded_at_us: int
    payload: bytes


class ReplyRecords:
    """Recent successes by command id, oldest first.

    The search runs over 8-byte prefixes of the ids laid end to end, so that a miss, the usual
    case, costs one scan of a few hundred bytes and a record costs no object. A hit walks over the
    records before it.
    """

    __slots__ = ("_data", "_prefixes")

    def __init__(self) -> None:
        self._prefixes = bytearray()
        self._data: bytes | bytearray = b""

    def __len__(self) -> int:
        return len(self._prefixes) // _PREFIX_BYTES

    def add(self, command_id: bytes, record: ReplyRecord) -> None:
        """Remember one success; its payload begins with the id and the fingerprint."""
        self._prefixes += command_id[:_PREFIX_BYTES]
        # The ids' framing is the same for all: only what differs is kept.
        kept = record.payload[_REST_OF_ID] + record.payload[_FINGERPRINT:]
        seq_high, seq_low = divmod(record.seq, 1 << 32)
        head = _HEAD.pack(len(kept), seq_high, seq_low, record.epoch, record.recorded_at_us)
        if type(self._data) is bytes and len(self._data) > _EXACT_BYTES:
            self._data = bytearray(self._data)
        self._data += head + kept

    def matching(self, command_id: bytes) -> Iterator[ReplyRecord]:
        """The records whose id starts like `command_id`; the caller compares the whole id."""
        prefix = command_id[:_PREFIX_BYTES]
        at = self._prefixes.find(prefix)
        while at >= 0:
            if at % _PREFIX_BYTES == 0:
                yield self._record(at, self._start_of(at // _PREFIX_BYTES))
            at = self._prefixes.find(prefix, at + 1)

    def __iter__(self) -> Iterator[ReplyRecord]:
        start = 0
        for at in range(0, len(self._prefixes), _PREFIX_BYTES):
            yield self._record(at, start)
            start = self._end_of(start)

    def drop_oldest(self, count: int) -> None:
        """Forget the first `count` records."""
        if count <= 0:
            return
        self._data = bytes(self._data[self._start_of(count) :])
        self._prefixes = self._prefixes[count * _PREFIX_BYTES :]

    def _start_of(self, position: int) -> int:
        start = 0
        for _ in range(position):
            start = self._end_of(start)
        return start

    def _end_of(self, start: int) -> int:
        size: int = _SIZE.unpack_from(self._data, start)[0]
        return start + _HEAD.size + size

    def _record(self, at: int, start: int) -> ReplyRecord:
        """The record at `start` whose prefix is at `at`."""
        _, seq_high, seq_low, epoch, recorded_at_us = _HEAD.unpack_from(self._data, start)
        kept = bytes(self._data[start + _HEAD.size : self._end_of(start)])
        prefix = bytes(self._prefixes[at : at + _PREFIX_BYTES])
        rest, behind = kept[:_REST_BYTES], kept[_REST_BYTES:]
        payload = _OPENING + prefix + rest + _BETWEEN + behind
        return ReplyRecord((seq_high << 32) + seq_low, epoch, recorded_at_us, payload)


class ArchiveFilter:
    """A scalable Bloom filter over the ids a showtime has moved to its archive table.

    "No" is certain, so that most commands need no look at the table; "maybe" is wrong for about
    one id in a hundred. Source: Almeida et al., "Scalable Bloom Filters", 2007 (here with a fixed
    ratio of bits: layers double). Ids must be uniformly distributed (digests, UUIDs' last bytes).
    """

    __slots__ = ("_count", "layers")

    def __init__(self, layers: Sequence[bytes] = (), count: int = 0) -> None:
        self.layers: Sequence[bytearray] = tuple(bytearray(layer) for layer in layers)
        self._count = count

    @property
    def count(self) -> int:
        """Ids in the newest layer."""
        return self._count

    def copy(self) -> ArchiveFilter:
        """An independent filter with the same ids."""
        return ArchiveFilter([bytes(layer) for layer in self.layers], self._count)

    def update(self, keys: Sequence[bytes]) -> None:
        """Remember 16-byte ids."""
        for key in keys:
            self.add(key)

    def add(self, key: bytes) -> None:
        """Remember a 16-byte id."""
        if not self.layers or self._count * _FILTER_BITS_PER_KEY >= len(self.layers[-1]) * 8:
            size = len(self.layers[-1]) * 2 if self.layers else _FIRST_FILTER_BYTES
            self.layers = (*self.layers, bytearray(size))
            self._count = 0
        layer = self.layers[-1]
        mask = len(layer) * 8 - 1
        for bit in _probe_bits(key):
            layer[(bit & mask) >> 3] |= 1 << (bit & 7)
        self._count += 1

    def __contains__(self, key: bytes) -> bool:
        if not self.layers:
            return False
        bits = _probe_bits(key)
        for layer in self.layers:
            mask = len(layer) * 8 - 1
            if all(layer[(bit & mask) >> 3] & (1 << (bit & 7)) for bit in bits):
                return True
        return False


def _probe_bits(key: bytes) -> list[int]:
    """Probes by double hashing over the id's last 7 bytes, the random end of a UUIDv7."""
    first = int.from_bytes(key[9:12], "little")
    step = int.from_bytes(key[12:16], "little") | 1
    return [first + probe * step for probe in range(_PROBES)]
