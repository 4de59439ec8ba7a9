"""What nodes say to each other arrives as it was said, and rubbish is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from cinema.actors.messages import (
    NO_SHOWTIME,
    Accepted,
    HoldSeen,
    Outcome,
    ReadSeats,
    SeatsSeen,
    SentMessage,
    Unavailable,
    WaitlistSeen,
)
from cinema.cluster.wire import (
    Answered,
    Ask,
    Failed,
    Notice,
    NotOwner,
    SentAccepted,
    SentHold,
    SentSeats,
    Tell,
    TermsVersion,
    Told,
    decode_frames,
    encode_frames,
    received,
    sent,
    terms_version_of,
)
from cinema.domain.rejections import Rejection
from cinema.domain.sale_rules import ChannelQuota
from cinema.domain.seatmap import grid_layout, parse_layout
from cinema.domain.showtime.commands import ExpireDue, HoldSeats
from cinema.domain.showtime.events import AnyEvent, SeatsHeld
from cinema.domain.showtime.terms import ShowtimeTerms


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """The log events of the test."""
    with structlog.testing.capture_logs() as events:
        yield events


PLAN = parse_layout(grid_layout(2, 3), 7)
TERMS = ShowtimeTerms(
    showtime_id=b"s" * 16,
    plan=PLAN,
    currency="EUR",
    prices_minor=(1250,) * len(PLAN.categories),
    starts_at_us=1,
    ends_at_us=2,
    sales_opens_at_us=0,
    sales_closes_at_us=1,
    hold_ttl_s=60,
    hold_max_s=180,
    seats_per_hold=10,
    live_holds_per_customer=5,
    seats_per_staff_hold=100,
    live_holds_per_staff=100,
    protect_orphans=False,
    companions_need_accessible=False,
)

_SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    # Its seats have bounds, which whoever receives it looks at.
    ChannelQuota: st.builds(
        ChannelQuota,
        channel=st.sampled_from(["web", "app", "box_office"]),
        seats=st.integers(0, 500),
        released_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    ),
    int: st.integers(-(2**63), 2**64 - 1),
    bytes: st.binary(max_size=20),
    str: st.text(max_size=20),
    bool: st.booleans(),
    type(None): st.none(),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """All values of a type that can be sent."""
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {UnionType, Union}:
        return st.one_of([values(one) for one in arguments])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple and arguments[1:] == (Ellipsis,):
        return st.lists(values(arguments[0]), max_size=4).map(tuple)
    if origin is tuple:
        return st.tuples(*[values(one) for one in arguments])
    if origin is list:
        return st.lists(values(arguments[0]), max_size=4)
    if origin is frozenset:
        return st.frozensets(values(arguments[0]), max_size=4)
    fields = {name: values(one) for name, one in get_type_hints(hint).items()}
    return st.builds(hint, **fields)


events = values(AnyEvent)
outcomes = st.one_of(
    st.builds(
        Accepted,
        st.none() | events,
        _SIMPLE[int],
        _SIMPLE[int],
        _SIMPLE[int],
        st.just(TERMS),
        st.booleans(),
    ),
    *(
        st.builds(
            kind,
            **{
                name: st.just(TERMS) if name == "terms" else values(hint)
                for name, hint in get_type_hints(kind).items()
            },
        )
        for kind in (SeatsSeen, HoldSeen, WaitlistSeen)
    ),
    st.builds(
        Rejection,
        code=st.text(max_size=10),
        message=st.text(max_size=10),
        details=st.none()
        | st.dictionaries(st.text(max_size=5), st.lists(st.text(max_size=3)) | st.integers(0, 9)),
    ),
    values(Unavailable),
    st.just(NO_SHOWTIME),
)


def arrived(*frames: Any) -> list[Any]:
    """The frames at the other end."""
    return decode_frames(encode_frames(frames))


@given(values(SentMessage), st.integers(0, 2**32), st.integers(0, 2**40))
def test_every_message_arrives_as_it_was_sent(message: Any, ref: int, version: int) -> None:
    tell = Tell(ref, version, 5000, b"i" * 16, message)
    (came,) = arrived(tell)
    assert came == tell
    assert type(came.message) is type(message)


@given(outcomes)
def test_every_outcome_arrives_as_the_owner_told_it(outcome: Outcome) -> None:
    (told,) = arrived(Told(3, sent(outcome)))
    assert told.ref == 3
    terms_version = terms_version_of(told.outcome)
    assert terms_version in {None, TermsVersion(7, TERMS.prices_minor, TERMS.version)}
    shown = received(told.outcome, None if terms_version is None else TERMS)
    assert shown == outcome
    assert type(shown) is type(outcome)
    if isinstance(outcome, Accepted):
        assert type(shown.event) is type(outcome.event)


@given(st.lists(values(NotOwner | Ask | Answered | Failed | Notice), max_size=6))
def test_frames_that_travel_together_arrive_in_order(frames: list[Any]) -> None:
    assert arrived(*frames) == frames


@given(st.binary(max_size=60))
def test_rubbish_is_refused_as_such(rubbish: bytes) -> None:
    try:
        frames = decode_frames(rubbish)
    except msgspec.MsgspecError:
        return
    assert decode_frames(encode_frames(frames)) == frames


@pytest.mark.parametrize("rubbish", [b"", b"\xc1", b"\x07", b"\x81\xa17\x01", b"\x92\x92\x07\x0c"])
def test_what_is_no_list_of_anything_is_refused(rubbish: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_frames(rubbish)


@pytest.mark.parametrize(
    "unknown",
    [["?", 1], [99, 1], [7], [7, "1"], [1, 1, 1, 1, b"i" * 16, [999]], {"7": 1}, 7, None],
)
def test_frames_this_version_does_not_know_take_nothing_else_along(unknown: Any) -> None:
    batch = [[7, 12], unknown, [3, 1, 2, None]]
    assert decode_frames(msgspec.msgpack.encode(batch)) == [Notice(12), NotOwner(1, 2, None)]


def test_what_is_a_nodes_own_business_cannot_be_received() -> None:
    expire: Any = ExpireDue(command_id=b"c" * 16)
    assert arrived(Tell(1, 1, 1, b"i" * 16, expire)) == []


def test_frames_of_a_later_version_with_more_fields_are_understood() -> None:
    (came,) = decode_frames(msgspec.msgpack.encode([[7, 12, "news", None]]))
    assert came == Notice(12)
    hold = [
        1,
        b"c" * 16,
        b"",
        b"h" * 16,
        b"a" * 16,
        ["A1"],
        0,
        False,
        [],
        0,
        False,
        1,
        False,
        "news",
    ]
    (came,) = decode_frames(msgspec.msgpack.encode([[1, 4, 2, 500, b"i" * 16, hold]]))
    wish = HoldSeats(command_id=b"c" * 16, hold_id=b"h" * 16, customer=b"a" * 16, labels=["A1"])
    assert came == Tell(4, 2, 500, b"i" * 16, wish)


def test_frames_look_as_they_did_in_the_first_version() -> None:
    """A cluster runs two versions during a deploy: what is said may grow, and never change."""
    terms_version = [7, [1250], 1]
    held = SeatsHeld(b"h", b"a", (1, 2), (1250, 1250), 99)
    accepted = Accepted(held, 5, 2, 77, msgspec.structs.replace(TERMS, prices_minor=(1250,)))
    said = {
        Tell(1, 2, 3, b"i", ReadSeats(customer=None), 8): [
            *(1, 1, 2, 3, b"i"),
            [101, None, [], False, False],
            8,
        ],
        Told(4, sent(Unavailable("RETRY", 2))): [2, 4, [5, "RETRY", 2]],
        Told(5, sent(NO_SHOWTIME)): [2, 5, [6]],
        Told(6, sent(accepted)): [
            2,
            6,
            [1, [1, b"h", b"a", [1, 2], [1250, 1250], 99, 0, 0, 0], 5, 2, 77, False, terms_version],
        ],
        NotOwner(7, 3, None): [3, 7, 3, None],
        Ask(8, "ping", b""): [4, 8, "ping", b""],
        Answered(9, b"x"): [5, 9, b"x"],
        Failed(10, "no"): [6, 10, "no"],
        Notice(11): [7, 11],
    }
    for frame, looks in said.items():
        assert msgspec.msgpack.decode(encode_frames([frame])) == [looks]
        # A later version may say more at the end.
        assert decode_frames(msgspec.msgpack.encode([[*looks, "news"]])) == [frame]


def test_holds_of_a_version_without_price_books_are_received() -> None:
    terms_version = [7, [1250], 1]
    said = [2, 6, [1, [1, b"h", b"a", [1], [1250], 99], 5, 2, 77, False, terms_version]]
    (came,) = decode_frames(msgspec.msgpack.encode([said]))
    assert isinstance(came, Told)
    assert isinstance(came.outcome, SentAccepted)
    assert came.outcome.event == SeatsHeld(b"h", b"a", (1,), (1250,), 99, 0, 0)
    said = [2, 7, [3, b"h", "active", [b"a", 1, 2, [0], [1250]], 2, 5, terms_version]]
    (came,) = decode_frames(msgspec.msgpack.encode([said]))
    assert isinstance(came, Told)
    assert isinstance(came.outcome, SentHold)
    assert came.outcome.price_inputs is None


def test_readers_of_seats_may_have_no_guests_yet_or_more_to_say() -> None:
    for said in ([101, b"c"], [101, b"c", []], [101, b"c", [], False, False, "news"]):
        (came,) = decode_frames(msgspec.msgpack.encode([[1, 1, 2, 3, b"i", said]]))
        assert came == Tell(1, 2, 3, b"i", ReadSeats(customer=b"c"))


def test_a_node_that_does_not_say_who_holds_seats_is_read_as_if_nobody_did() -> None:
    seen = SeatsSeen(1, 2, b"\1", frozenset(), False, TERMS, frozenset({b"c"}))
    fields = msgspec.msgpack.decode(msgspec.msgpack.encode(sent(seen)))
    told, before = (
        msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=SentSeats)
        for one in (fields, fields[:-2])
    )
    assert received(told, TERMS) == seen
    assert received(before, TERMS) == msgspec.structs.replace(seen, holders=frozenset())


def test_a_node_that_does_not_say_through_which_channel_seats_were_sold_is_read() -> None:
    seen = SeatsSeen(1, 2, b"\1", frozenset(), False, TERMS, channels=b"\1")
    fields = msgspec.msgpack.decode(msgspec.msgpack.encode(sent(seen)))
    told, before = (
        msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=SentSeats)
        for one in (fields, fields[:-1])
    )
    assert received(told, TERMS) == seen
    assert received(before, TERMS) == msgspec.structs.replace(seen, channels=b"")


def test_terms_of_a_node_that_does_not_say_their_version_are_of_any() -> None:
    """As before terms could change; and such a node leaves the version out of account."""
    said = msgspec.msgpack.encode([7, [1250]])
    assert msgspec.msgpack.decode(said, type=TermsVersion) == TermsVersion(7, (1250,), 0)


def test_an_outcome_that_shows_seats_cannot_be_shown_without_terms() -> None:
    seen = sent(SeatsSeen(1, 2, b"\0", frozenset(), False, TERMS))
    with pytest.raises(ValueError, match="SentSeats"):
        received(seen, None)
