from __future__ import annotations

import msgspec
import pytest

from cinema.domain.limits import IDEMPOTENCY_TTL_S
from cinema.domain.showtime import state as state_module
from cinema.domain.showtime.records import ArchiveFilter
from cinema.domain.showtime.snapshot import SnapshotFormatError, decode_snapshot, encode_snapshot
from cinema.domain.showtime.state import NEVER_US, ShowtimeState, Surplus
from tests.unit.domain.showtime.story import (
    START_US,
    Story,
    block,
    book,
    change_plan,
    given,
    hold,
    id_of,
    join,
    pause,
    release,
    second,
    terms,
)
from tests.unit.domain.showtime.world import contents

# What servers have stored must stay readable: a change of these bytes needs a new FORMAT.
BEFORE_WAITLISTS = bytes.fromhex(
    "dc00120108cf00060a24181e400002c3c405010002030081c4101c6616224336f5d2"
    "ea1e55c74768eac0c426d8963d899008cf8c05369be7b904271500401e18240a0600"
    "0086e13b240a06000000e803000081c41075383bf935f76b252e446a63ec7fe2ebc4"
    "26d8963d899008cf8c05369be7b904271500401e18240a060000401e18240a060002"
    "00e803000082c4101b12f70d815aaa77e84cb540ce4f9233c42703d8963d899008cf"
    "8c05369be7b904271500401e18240a06000086e13b240a06000200e8030000c4101a"
    "29100df994bc770204179607490825c4270105cf8e6a8c713212772cac9e6f1ea948"
    "00401e18240a06000086e13b240a06000100e803000091940103cf00060a24181e40"
    "00c45493c41061f5dc14830084d8dc2d1ebc02ef3decc40839f03b342c298c959801"
    "c4101c6616224336f5d2ea1e55c74768eac0c410d8963d899008cf8c05369be7b904"
    "2715910091cd03e8cf00060a243be18600000091c440002000000000000000000000"
    "08000000000000000000000000000000040000000000000000000001000000000000"
    "000000000000000080000000000000000000018101940001020302c29200008081c4"
    "101c6616224336f5d2ea1e55c74768eac0c42597c4105e5615d6c24971211d859099"
    "9fa00ae7cd03e890a23244cf00060a25c54588000490"
)

STORED = b"\xdc\x00\x14" + BEFORE_WAITLISTS[3:] + b"\x80\x80"
"""The same with nobody who waits, or was offered seats: two more fields."""

_HELD_BEFORE = bytes.fromhex("c45493"), bytes.fromhex("9801"), bytes.fromhex("86000000") + b"\x91"
_HELD = bytes.fromhex("c45593"), bytes.fromhex("9901"), bytes.fromhex("8600000000") + b"\x91"
_REPLY = slice(STORED.index(_HELD_BEFORE[0]), STORED.index(_HELD_BEFORE[2]) + 5)
BEFORE_LATE_CHANNELS = (
    b"\xdc\x00\x15"
    + STORED[3 : _REPLY.start]
    + STORED[_REPLY]
    .replace(_HELD_BEFORE[0], _HELD[0])
    .replace(_HELD_BEFORE[1], _HELD[1])
    .replace(_HELD_BEFORE[2], _HELD[2])
    + STORED[_REPLY.stop :]
    + b"\xc4\x00"
)
"""The same with no seats that were sold under quotas: one more field, also in the stored hold."""

WRITTEN = b"\xdc\x00\x16" + BEFORE_LATE_CHANNELS[3:] + b"\x80"
"""The same with no holds that ended unpaid under quotas: one more field."""

_SOLD_BY_BYTES = 58

BEFORE_BOOKS = b"\xdc\x00\x11" + BEFORE_WAITLISTS[3:-_SOLD_BY_BYTES]
"""The same from builds whose holds knew no price books: without the last field."""

BEFORE_TERMS_CHANGED = b"\x9d" + BEFORE_BOOKS[3:-6]
"""The same from builds whose showtimes kept their terms: without the last four fields."""

BEFORE_STARTS_TOLD = b"\x9f" + BEFORE_BOOKS[3:-4]
"""The same from builds that remembered only one start: without the last two fields."""

BEFORE_PAYMENTS = b"\xdc\x00\x10" + BEFORE_BOOKS[3:-1]
"""The same from builds whose holds did not wait for payments: without the last field."""


def _everything() -> Story:
    story = given(
        hold("A1", "first", key="k"),
        hold("B1", "second"),
        book("second"),
        hold("A2", "third", by="bob"),
        release(None, "third", by="bob"),
        block("B2"),
        change_plan("rr", "rrr"),
        pause(),
        its_terms=terms("rr", "rr"),
    )
    story.state.archive_filter.add(id_of("archived"))
    return story


def test_the_stored_form_of_a_snapshot_is_stable() -> None:
    state = _everything().state
    assert encode_snapshot(state, Surplus(state, START_US)) == WRITTEN


def test_a_stored_snapshot_is_read_back_whole() -> None:
    state = decode_snapshot(WRITTEN)
    assert contents(state) == contents(_everything().state)
    assert state.next_due_us == second(600)
    assert id_of("archived") in state.archive_filter
    assert state.stored_reply(id_of("k")) is not None
    assert (state.seq, state.paused, state.layout_version) == (8, True, 2)


def test_a_snapshot_from_before_late_payments_had_channels_is_read_back() -> None:
    state = decode_snapshot(BEFORE_LATE_CHANNELS)
    assert contents(state) == contents(decode_snapshot(WRITTEN))
    assert not state.late_channels


def test_a_snapshot_from_before_channels_had_quotas_is_read_back() -> None:
    state, now = decode_snapshot(STORED), decode_snapshot(WRITTEN)
    assert contents(state) | {"records": 0} == contents(now) | {"records": 0}
    assert not state.channels


def test_a_snapshot_from_before_terms_could_change_is_read_back() -> None:
    state, now = decode_snapshot(BEFORE_TERMS_CHANGED), decode_snapshot(STORED)
    assert contents(state) == contents(now) | {"terms_version": 0, "sold_by": {}}
    assert (now.terms_version, state.cancelled) == (2, False)


def test_a_snapshot_from_before_starts_were_remembered_is_read_back() -> None:
    now = contents(decode_snapshot(STORED)) | {"sold_by": {}}
    assert contents(decode_snapshot(BEFORE_STARTS_TOLD)) == now


def test_a_snapshot_from_before_holds_waited_for_payments_is_read_back() -> None:
    now = contents(decode_snapshot(STORED)) | {"sold_by": {}}
    assert contents(decode_snapshot(BEFORE_PAYMENTS)) == now


def test_a_snapshot_from_before_price_books_is_read_back() -> None:
    state = decode_snapshot(BEFORE_BOOKS)
    assert contents(state) == contents(decode_snapshot(STORED)) | {"sold_by": {}}
    assert state.taken == 2


def test_a_snapshot_from_before_wait_lists_is_read_back() -> None:
    assert contents(decode_snapshot(BEFORE_WAITLISTS)) == contents(decode_snapshot(STORED))


def test_a_snapshot_keeps_the_order_of_the_wait_list_and_the_open_offers() -> None:
    steps = (hold("A1"), hold("A2", "other"), join(by="dan"), join(by="bob"), join(by="cyd"))
    story = given(*steps, release(), its_terms=terms("rr"))
    state = story.state
    assert list(state.waitlist) == [id_of("bob"), id_of("cyd")]
    assert list(state.offered) == [id_of("dan")]
    restored = decode_snapshot(encode_snapshot(state, Surplus(state, START_US)))
    assert contents(restored) == contents(state)
    entry = id_of("entry of bob") + bytes.fromhex("00401e18240a0600 0100 00")
    assert restored.waitlist[id_of("bob")] == entry


def test_an_empty_showtime_is_read_back_empty() -> None:
    state = ShowtimeState(3, 7)
    restored = decode_snapshot(encode_snapshot(state, Surplus(state, START_US)))
    assert contents(restored) == contents(state)
    assert restored.next_due_us == NEVER_US


@pytest.mark.parametrize("other", [0, 2, 255])
def test_a_snapshot_of_another_format_is_refused(other: int) -> None:
    fields = msgspec.msgpack.decode(STORED)
    payload = msgspec.msgpack.encode([other, *fields[1:]])
    with pytest.raises(SnapshotFormatError, match=f"format {other}, this server reads 1"):
        decode_snapshot(payload)


@pytest.mark.parametrize(
    "payload", [b"", STORED[:-1], STORED[:100], b"\xc1" + STORED[1:], b"{}", b"\x91\x01"]
)
def test_a_damaged_snapshot_is_refused(payload: bytes) -> None:
    with pytest.raises(SnapshotFormatError):
        decode_snapshot(payload)


# --- what a snapshot moves to the archive


@pytest.fixture
def _little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "ENDED_HOLDS_KEPT", 2)
    monkeypatch.setattr(state_module, "REPLY_RECORDS_KEPT", 3)


def _five_ended_holds() -> Story:
    steps = [
        step
        for name in "12345"
        for step in (hold("A1", name, key=f"hold {name}"), release(None, name))
    ]
    return given(*steps)


@pytest.mark.usefixtures("_little_memory")
def test_the_oldest_ended_holds_and_replies_leave_memory_once_they_are_archived() -> None:
    state = _five_ended_holds().state
    packed = dict(state.ended)
    surplus = Surplus(state, START_US)
    assert surplus.ended == [(id_of(name), packed[id_of(name)]) for name in "123"]
    assert [key for key, _ in surplus.replies] == [id_of("hold 1"), id_of("hold 2")]
    assert [record.seq for _, record in surplus.replies] == [1, 3]
    assert len(state.ended) == 5  # Memory keeps all of it until the archive has it.
    surplus.remove_from(state)
    assert list(state.ended) == [id_of("4"), id_of("5")]
    assert [record.seq for record in state.records] == [5, 7, 9]
    for gone in ("1", "2", "3", "hold 1", "hold 2"):
        assert id_of(gone) in state.archive_filter
    assert id_of("4") not in state.archive_filter
    assert state.archive_generation == 1


@pytest.mark.usefixtures("_little_memory")
def test_a_snapshot_is_without_its_surplus_but_knows_of_it() -> None:
    state = _five_ended_holds().state
    surplus = Surplus(state, START_US)
    restored = decode_snapshot(encode_snapshot(state, surplus))
    assert id_of("1") not in state.archive_filter
    surplus.remove_from(state)
    assert contents(restored) == contents(state)


@pytest.mark.usefixtures("_little_memory")
def test_events_between_a_snapshot_and_its_storing_stay_in_memory() -> None:
    story = _five_ended_holds()
    surplus = Surplus(story.state, START_US)
    story.when(hold("A1", "6", key="hold 6")).when(release(None, "6"))
    surplus.remove_from(story.state)
    assert list(story.state.ended) == [id_of("4"), id_of("5"), id_of("6")]
    assert [record.seq for record in story.state.records] == [5, 7, 9, 11]


def test_replies_past_their_time_are_dropped_and_not_archived() -> None:
    story = given(hold("A1", "1", key="first")).when(hold("A2", "2", key="second"), 10)
    moment = second(10 + IDEMPOTENCY_TTL_S)
    surplus = Surplus(story.state, moment)
    assert (surplus.reply_count, surplus.replies, surplus.archived_ids) == (1, [], [])
    surplus.remove_from(story.state)
    assert [record.seq for record in story.state.records] == [2]
    assert id_of("first") not in story.state.archive_filter
    assert story.state.archive_generation == 0
    Surplus(story.state, moment + 1).remove_from(story.state)
    assert len(story.state.records) == 0


def test_a_small_showtime_has_no_surplus() -> None:
    state = _five_ended_holds().state
    surplus = Surplus(state, START_US)
    assert (surplus.ended, surplus.replies, surplus.reply_count) == ([], [], 0)
    before = contents(state)
    surplus.remove_from(state)
    assert contents(state) == before
    assert isinstance(state.archive_filter, ArchiveFilter)
