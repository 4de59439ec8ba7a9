from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.domain.ids import RANDOM_BITS, new_id
from cinema.domain.showtime.events import SalesPaused, encode_recorded
from cinema.domain.showtime.records import ArchiveFilter, ReplyRecord, ReplyRecords

_KEYS = st.binary(min_size=16, max_size=16)
_ALIKE = st.sampled_from([bytes(8), b"\0" * 7 + b"\1", b"\1" + b"\0" * 7]).flatmap(
    lambda prefix: st.sampled_from([prefix + bytes(8), prefix + b"\1" * 8])
)
_RECORDS = st.builds(
    ReplyRecord,
    st.integers(0, 2**48 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**62),
    st.binary(max_size=40) | st.sampled_from([bytes(3000), bytes(9000)]),
)


def _as_journalled(
    entries: list[tuple[bytes, ReplyRecord]],
) -> list[tuple[bytes, ReplyRecord]]:
    """The records with payloads that begin as the journal's do: with the id and 8 bytes more."""
    return [
        (
            key,
            record._replace(
                payload=encode_recorded(key, key[::-2], SalesPaused()) + record.payload
            ),
        )
        for key, record in entries
    ]


@given(
    entries=st.lists(st.tuples(_KEYS | _ALIKE, _RECORDS), max_size=20),
    dropped=st.integers(-1, 20),
    later=st.lists(st.tuples(_KEYS | _ALIKE, _RECORDS), max_size=5),
)
def test_records_keep_what_was_added_and_drop_the_oldest(
    entries: list[tuple[bytes, ReplyRecord]],
    dropped: int,
    later: list[tuple[bytes, ReplyRecord]],
) -> None:
    entries, later = _as_journalled(entries), _as_journalled(later)
    records = ReplyRecords()
    for key, record in entries:
        records.add(key, record)
    dropped = min(dropped, len(entries))
    records.drop_oldest(dropped)
    for key, record in later:
        records.add(key, record)
    left = entries[max(dropped, 0) :] + later
    assert list(records) == [record for _, record in left]
    assert len(records) == len(left)
    for key, _ in left:
        alike = [record for other, record in left if other[:8] == key[:8]]
        assert list(records.matching(key)) == alike
    unknown = b"\xff" * 16
    expected = [record for other, record in left if other[:8] == unknown[:8]]
    assert list(records.matching(unknown)) == expected


def test_a_prefix_across_two_records_does_not_match() -> None:
    records = ReplyRecords()
    record = ReplyRecord(1, 1, 1, b"payload")
    records.add(b"aaaabbbb" + bytes(8), record)
    records.add(b"ccccdddd" + bytes(8), record._replace(seq=2))
    records.add(b"bbbbcccc" + bytes(8), record._replace(seq=3))
    assert [found.seq for found in records.matching(b"bbbbcccc" + bytes(8))] == [3]


@given(keys=st.lists(_KEYS, max_size=200))
def test_an_archived_id_is_never_denied(keys: list[bytes]) -> None:
    archive_filter = ArchiveFilter()
    for key in keys:
        archive_filter.add(key)
    assert all(key in archive_filter for key in keys)


def _digests(source: random.Random, count: int) -> list[bytes]:
    return [source.randbytes(16) for _ in range(count)]


def _uuids(source: random.Random, count: int) -> list[bytes]:
    return [
        new_id(1_700_000_000_000_000 + number, source.getrandbits(RANDOM_BITS))
        for number in range(count)
    ]


@pytest.mark.parametrize("ids", [_digests, _uuids])
@pytest.mark.parametrize(("archived", "at_most"), [(0, 0.0), (50, 0.01), (500, 0.02), (5000, 0.03)])
def test_few_unknown_ids_seem_archived(
    ids: Callable[[random.Random, int], list[bytes]], archived: int, at_most: float
) -> None:
    source = random.Random(archived)
    archive_filter = ArchiveFilter()
    known = ids(source, archived)
    for key in known:
        archive_filter.add(key)
    assert all(key in archive_filter for key in known)
    wrong = sum(key in archive_filter for key in ids(source, 4000))
    assert wrong / 4000 <= at_most


def test_the_filter_grows_by_doubling_and_takes_a_few_bytes_an_id() -> None:
    source = random.Random(1)
    archive_filter = ArchiveFilter()
    for key in _digests(source, 5000):
        archive_filter.add(key)
    sizes = [len(layer) for layer in archive_filter.layers]
    assert sizes == [64 << position for position in range(len(sizes))]
    assert 5000 <= sum(sizes) <= 8 * 5000


def test_the_filter_counts_the_ids_of_its_newest_layer_only() -> None:
    source = random.Random(3)
    archive_filter = ArchiveFilter()
    added = 0
    while len(archive_filter.layers) < 2:
        archive_filter.add(source.randbytes(16))
        added += 1
    first_layer_ids = added - 1
    assert archive_filter.count == 1
    for key in _digests(source, 2 * first_layer_ids):  # One more than a layer twice as big takes.
        archive_filter.add(key)
    assert (len(archive_filter.layers), archive_filter.count) == (3, 1)


def test_a_copy_of_a_filter_is_independent_and_grows_like_the_original() -> None:
    keys = _digests(random.Random(2), 90)
    original, whole = ArchiveFilter(), ArchiveFilter()
    for key in keys[:45]:
        original.add(key)
    for key in keys:
        whole.add(key)
    before = [bytes(layer) for layer in original.layers], original.count
    copy = original.copy()
    for key in keys[45:]:
        copy.add(key)
    assert (copy.layers, copy.count) == (whole.layers, whole.count)
    assert ([bytes(layer) for layer in original.layers], original.count) == before
