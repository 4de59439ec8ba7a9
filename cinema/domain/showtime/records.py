"""The successes that answer a repeated idempotency key, packed; and the trace of archived ones."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

_PREFIX_BYTES = 8
_HEAD = Struct("<QIq")  # seq, epoch, recorded_at_us
# How a journal payload with a client's key begins: an array of three, 16 bytes of id, 8 of
# fingerprint, each behind its msgpack header; then the event.
_OPENING = b"\x93\xc4\x10"
_BETWEEN = b"\xc4\x08"
_REST_BYTES = 8
_REST_OF_ID = slice(len(_OPENING) + _PREFIX_BYTES, len(_OPENING) + 16)
_FINGERPRINT = len(_OPENING) + 16 + len(_BETWEEN)
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
    case, costs one scan of a few hundred bytes and a record costs no object.
    """

    __slots__ = ("_data", "_ends", "_prefixes")

    def __init__(self) -> None:
        self._prefixes = bytearray()
        self._ends = array("I")
        self._data = bytearray()

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, command_id: bytes, record: ReplyRecord) -> None:
        """Remember one success; its payload begins with the id and the fingerprint."""
        self._prefixes += command_id[:_PREFIX_BYTES]
        self._data += _HEAD.pack(record.seq, record.epoch, record.recorded_at_us)
        # The ids' framing is the same for all: only what differs is kept.
        self._data += record.payload[_REST_OF_ID] + record.payload[_FINGERPRINT:]
        self._ends.append(len(self._data))

    def matching(self, command_id: bytes) -> Iterator[ReplyRecord]:
        """The records whose id starts like `command_id`; the caller compares the whole id."""
        prefix = command_id[:_PREFIX_BYTES]
        at = self._prefixes.find(prefix)
        while at >= 0:
            if at % _PREFIX_BYTES == 0:
                yield self._record(at // _PREFIX_BYTES)
            at = self._prefixes.find(prefix, at + 1)

    def __iter__(self) -> Iterator[ReplyRecord]:
        return (self._record(position) for position in range(len(self._ends)))

    def drop_oldest(self, count: int) -> None:
        """Forget the first `count` records."""
        if count <= 0:
            return
        cut = self._ends[count - 1]
        self._prefixes = self._prefixes[count * _PREFIX_BYTES :]
        self._data = self._data[cut:]
        self._ends = array("I", (end - cut for end in self._ends[count:]))

    def _record(self, position: int) -> ReplyRecord:
        start = self._ends[position - 1] if position else 0
        seq, epoch, recorded_at_us = _HEAD.unpack_from(self._data, start)
        kept = bytes(self._data[start + _HEAD.size : self._ends[position]])
        prefix = bytes(self._prefixes[position * _PREFIX_BYTES : (position + 1) * _PREFIX_BYTES])
        rest, behind = kept[:_REST_BYTES], kept[_REST_BYTES:]
        payload = _OPENING + prefix + rest + _BETWEEN + behind
        return ReplyRecord(seq, epoch, recorded_at_us, payload)


class ArchiveFilter:
    """A scalable Bloom filter over the ids a showtime has moved to its archive table.

    "No" is certain, so that most commands need no look at the table; "maybe" is wrong for about
    one id in a hundred. Source: Almeida et al., "Scalable Bloom Filters", 2007 (here with a fixed
    ratio of bits: layers double). Ids must be uniformly distributed (digests, UUIDs' last bytes).
    """

    __slots__ = ("_count", "layers")

    def __init__(self, layers: list[bytes] | None = None, count: int = 0) -> None:
        self.layers = [bytearray(layer) for layer in layers or ()]
        self._count = count

    @property
    def count(self) -> int:
        """Ids in the newest layer."""
        return self._count

    def copy(self) -> ArchiveFilter:
        """An independent filter with the same ids."""
        return ArchiveFilter([bytes(layer) for layer in self.layers], self._count)

    def add(self, key: bytes) -> None:
        """Remember a 16-byte id."""
        if not self.layers or self._count * _FILTER_BITS_PER_KEY >= len(self.layers[-1]) * 8:
            size = len(self.layers[-1]) * 2 if self.layers else _FIRST_FILTER_BYTES
            self.layers.append(bytearray(size))
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
