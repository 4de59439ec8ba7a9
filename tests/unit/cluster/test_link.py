"""Two links over one connection: who is there, what gets across, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from cinema.cluster.link import (
    BATCH_BYTES_MAX,
    CHALLENGE_BYTES,
    GREETING_BYTES_MAX,
    GREETING_TIMEOUT_S,
    PROTOCOL_VERSION,
    ClusterSecrets,
    Hello,
    Identity,
    Link,
    Proof,
    Welcome,
)
from cinema.cluster.wire import Answered, Ask, Frame, Notice, encode_frames
from cinema.telemetry.logging import LogLimit
from tests.support import inspection
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.unit.cluster.members import node_id
from tests.unit.cluster.wires import End, Listener, Wire, identity


@in_virtual_time
async def test_a_flood_of_strangers_is_logged_a_few_times_and_counted(logged: list[Any]) -> None:
    now_s = 0.0
    refusals = LogLimit(lines=5, now_s=lambda: now_s)

    def knock() -> None:
        link = Link(identity(2), Listener(), refusals=refusals)
        link.connection_made(End(link))
        link.data_received(b"\xff" * 8)

    for _ in range(100):
        knock()
    now_s = 61.0
    knock()
    assert [one["suppressed"] for one in logged] == [0, 0, 0, 0, 0, 95]


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """The log events of the test."""
    with structlog.testing.capture_logs() as events:
        yield events


class Pair:
    """A link that dials and one that listens, connected."""

    def __init__(
        self,
        dials: Identity | None = None,
        listens: Identity | None = None,
        expected: bytes = node_id(2),
    ) -> None:
        self.here, self.there = Listener(), Listener()
        self.dials = Link(dials or identity(1), self.here, expected)
        self.listens = Link(listens or identity(2), self.there)
        self.wire = Wire(self.dials, self.listens)

    @property
    def is_open(self) -> tuple[bool, bool]:
        """Whether each side takes the other for known."""
        return self.dials.is_open, self.listens.is_open


def opened(piece_bytes: int = 1 << 30) -> Pair:
    """A pair whose sides know each other."""
    pair = Pair()
    pair.wire.carry(piece_bytes)
    assert pair.is_open == (True, True)
    return pair


def framed(body: bytes) -> bytes:
    """A body behind its length."""
    return len(body).to_bytes(4, "big") + body


def greeting(said: Hello | Welcome | Proof) -> bytes:
    """A greeting as it is written."""
    return framed(msgspec.msgpack.encode(said))


class Stranger:
    """Somebody who writes what it likes to a link that listens."""

    def __init__(self, me: Identity | None = None) -> None:
        self.user = Listener()
        self.link = Link(me or identity(2), self.user)
        self.end = End(self.link)
        self.link.connection_made(self.end)

    def says(self, data: bytes) -> bytes:
        """Write some bytes; what comes back."""
        self.end.said.clear()
        self.link.data_received(data)
        return bytes(self.end.said)

    @property
    def was_refused(self) -> bool:
        """Whether it was hung up on without becoming known."""
        return self.end.was_closed == "abort" and not self.user.opened_links


# --- greetings


@in_virtual_time
async def test_two_nodes_that_know_the_secret_get_to_know_each_other() -> None:
    pair = Pair()
    assert pair.is_open == (False, False)
    pair.wire.carry()
    assert pair.is_open == (True, True)
    assert (pair.dials.peer_id, pair.listens.peer_id) == (node_id(2), node_id(1))
    assert (pair.here.opened_links, pair.there.opened_links) == ([pair.dials], [pair.listens])
    await asyncio.sleep(2 * GREETING_TIMEOUT_S)
    assert not any(end.was_closed for end in pair.wire.ends)


@pytest.mark.parametrize(
    ("dials", "listens"),
    [
        (identity(1, secret=b"another cluster's"), identity(2)),
        (identity(1), identity(2, secret=b"another cluster's")),
    ],
)
@in_virtual_time
async def test_a_node_without_the_secret_is_refused(dials: Identity, listens: Identity) -> None:
    pair = Pair(dials, listens)
    pair.wire.carry()
    assert pair.is_open == (False, False)
    assert (pair.here.opened_links, pair.there.opened_links) == ([], [])
    assert (pair.here.closed_links, pair.there.closed_links) == ([pair.dials], [pair.listens])


OLD, NEW = b"the secret of last year", b"the secret of this year"


@pytest.mark.parametrize(
    ("dials", "listens"),
    [
        ([OLD], [OLD, NEW]),
        ([OLD, NEW], [OLD]),
        ([OLD, NEW], [NEW, OLD]),
        ([NEW, OLD], [OLD, NEW]),
        ([NEW], [NEW, OLD]),
        ([NEW, OLD], [NEW]),
    ],
)
@in_virtual_time
async def test_a_secret_changes_from_node_to_node(dials: list[bytes], listens: list[bytes]) -> None:
    """First all know the new one, then it comes first, and then the old one is taken out."""
    pair = Pair(identity(1, secrets=dials), identity(2, secrets=listens))
    pair.wire.carry()
    assert pair.is_open == (True, True)


@in_virtual_time
async def test_secrets_change_while_nodes_run_and_links_stay() -> None:
    known = [ClusterSecrets([OLD]) for _ in range(2)]
    nodes = [
        Identity(node_id(number), one, lambda: b"c" * CHALLENGE_BYTES)
        for number, one in enumerate(known, start=1)
    ]
    first = Pair(*nodes)
    first.wire.carry()
    for step in ([OLD, NEW], [NEW, OLD], [NEW]):
        for one in known:
            one.replace(step)
            pair = Pair(*nodes)
            pair.wire.carry()
            assert pair.is_open == (True, True), step
    assert first.is_open == (True, True)
    former = Pair(nodes[0], identity(2, secrets=[OLD]))
    former.wire.carry()
    assert former.is_open == (False, False)
    with pytest.raises(ValueError, match="has to stay"):
        known[0].replace([OLD])
    assert known[0].known == (NEW,)


@in_virtual_time
async def test_the_listening_side_checks_for_itself_who_dialled() -> None:
    """A dialling side that trusts everybody gets no further for it."""
    here = Listener()
    impostor = Link(identity(1, secret=b"guessed"), here, node_id(2))
    inspection.trust_anybody(impostor)
    there = Listener()
    wire = Wire(impostor, Link(identity(2), there))
    wire.carry()
    assert here.opened_links == [impostor]
    assert there.opened_links == []


@in_virtual_time
async def test_another_node_at_the_address_is_not_taken_for_the_one_that_was_dialled() -> None:
    pair = Pair(listens=identity(3), expected=node_id(2))
    pair.wire.carry()
    assert pair.is_open == (False, False)


@in_virtual_time
async def test_a_proof_is_good_for_one_connection_only() -> None:
    pair = opened()
    hello, proof = _spoken(pair.wire.ends[0])
    again = Stranger(identity(2, challenge=b"another challenge"[:16]))
    again.says(hello)
    again.says(proof)
    assert again.was_refused


@in_virtual_time
async def test_a_node_cannot_be_made_to_prove_the_other_part() -> None:
    """What the listening side says is no proof for whoever sends it back."""
    stranger = Stranger()
    welcome = stranger.says(greeting(Hello(PROTOCOL_VERSION, node_id(1), b"c" * 16)))
    said = msgspec.msgpack.decode(welcome[4:], type=Welcome)
    stranger.says(greeting(Proof(said.proof)))
    assert stranger.was_refused


def _spoken(end: End) -> tuple[bytes, bytes]:
    """The two greetings of a dialling side."""
    size = int.from_bytes(end.said[:4], "big") + 4
    return bytes(end.said[:size]), bytes(end.said[size:])


@pytest.mark.parametrize(
    "said",
    [
        Hello(PROTOCOL_VERSION + 1, node_id(1), b"c" * 16),
        Hello(PROTOCOL_VERSION, node_id(1), b"short"),
        Hello(PROTOCOL_VERSION, b"short", b"c" * 16),
        Hello(PROTOCOL_VERSION, b"", b""),
        Welcome(node_id(1), b"c" * 16, b"p" * 32),
        Proof(b"p" * 32),
    ],
)
@in_virtual_time
async def test_greetings_that_are_wrong_or_out_of_turn_are_refused(
    said: Hello | Welcome | Proof,
) -> None:
    stranger = Stranger()
    assert stranger.says(greeting(said)) == b""
    assert stranger.was_refused


@in_virtual_time
async def test_a_second_hello_is_refused() -> None:
    stranger = Stranger()
    hello = greeting(Hello(PROTOCOL_VERSION, node_id(1), b"c" * 16))
    assert stranger.says(hello)
    stranger.says(hello)
    assert stranger.was_refused


@pytest.mark.parametrize(
    "said",
    [
        Hello(PROTOCOL_VERSION, node_id(2), b"c" * 16),
        Proof(b"p" * 32),
        Welcome(node_id(2), b"short", b"p" * 32),
    ],
)
@in_virtual_time
async def test_a_dialling_side_takes_only_a_welcome(said: Hello | Welcome | Proof) -> None:
    here = Listener()
    link = Link(identity(1), here, node_id(2))
    end = End(link)
    link.connection_made(end)
    link.data_received(greeting(said))
    assert end.was_closed == "abort"
    assert here.opened_links == []


@in_virtual_time
async def test_whoever_stays_anonymous_is_hung_up_on() -> None:
    silent, slow = Stranger(), Stranger()
    slow.says(greeting(Hello(PROTOCOL_VERSION, node_id(1), b"c" * 16)))
    await asyncio.sleep(GREETING_TIMEOUT_S - 0.1)
    assert not silent.end.was_closed
    await asyncio.sleep(0.2)
    assert silent.was_refused
    assert slow.was_refused


@in_virtual_time
async def test_a_dialled_side_that_says_nothing_is_given_up() -> None:
    here = Listener()
    link = Link(identity(1), here, node_id(2))
    end = End(link)
    link.connection_made(end)
    await asyncio.sleep(GREETING_TIMEOUT_S + 0.1)
    assert end.was_closed == "abort"


@in_virtual_time
async def test_nothing_long_is_read_from_somebody_unknown() -> None:
    stranger = Stranger()
    stranger.says((GREETING_BYTES_MAX).to_bytes(4, "big"))
    assert not stranger.end.was_closed
    other = Stranger()
    other.says((GREETING_BYTES_MAX + 1).to_bytes(4, "big"))
    assert other.was_refused


@in_virtual_time
async def test_frames_of_somebody_unknown_are_not_handed_on(logged: list[Any]) -> None:
    stranger = Stranger()
    stranger.says(framed(encode_frames([Notice(7)])))
    assert stranger.was_refused
    assert stranger.user.frames == []
    assert [one["event"] for one in logged] == ["link_refused"]


@in_virtual_time
async def test_greeting_and_frames_may_come_in_one_piece() -> None:
    pair = Pair()
    sender, receiver = pair.wire.ends
    pair.listens.data_received(bytes(sender.written))
    sender.written.clear()
    pair.dials.data_received(bytes(receiver.written))
    receiver.written.clear()
    pair.dials.send(Notice(1))
    await settle()
    pair.listens.data_received(bytes(sender.written))
    assert pair.there.frames == [Notice(1)]


@in_virtual_time
async def test_no_rubbish_makes_anybody_known() -> None:
    @given(st.lists(st.binary(max_size=80), max_size=6))
    def rubbish(pieces: list[bytes]) -> None:
        stranger = Stranger()
        for piece in pieces:
            if not stranger.end.was_closed:
                stranger.says(piece)
        assert stranger.user.opened_links == []
        assert stranger.user.frames == []
        stranger.link.connection_lost(None)

    rubbish()


@in_virtual_time
async def test_greetings_with_rubbish_in_them_make_nobody_known() -> None:
    @given(st.data())
    def nearly_right(data: st.DataObject) -> None:
        stranger = Stranger()
        hello = Hello(
            data.draw(st.sampled_from([PROTOCOL_VERSION, 0])),
            data.draw(st.sampled_from([node_id(1), node_id(2), b""])),
            data.draw(st.binary(min_size=15, max_size=16)),
        )
        stranger.says(greeting(hello))
        if not stranger.end.was_closed:
            stranger.says(greeting(Proof(data.draw(st.binary(min_size=32, max_size=32)))))
        assert stranger.was_refused
        stranger.link.connection_lost(None)

    nearly_right()


# --- frames


@in_virtual_time
async def test_frames_sent_within_one_step_travel_together_and_in_order() -> None:
    pair = opened()
    said: list[Frame] = [Notice(1), Ask(2, "topic", b"payload"), Notice(3)]
    for frame in said:
        pair.dials.send(frame)
    assert pair.wire.ends[0].written == b""
    await settle()
    pair.wire.carry()
    assert pair.there.frames == said
    assert pair.there.batches == 1
    pair.listens.send(Answered(2, b"there"))
    await settle()
    pair.wire.carry()
    assert pair.here.frames == [Answered(2, b"there")]


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 5, 7, 64, 1000])
@in_virtual_time
async def test_frames_arrive_whole_however_they_are_cut(piece_bytes: int) -> None:
    pair = opened(piece_bytes)
    said: list[Frame] = []
    for number in range(60):
        frame = Ask(number, "topic" * (number % 7), bytes([number]) * (number * 5 % 90))
        said.append(frame)
        pair.dials.send(frame)
        if number % 3 == 0:
            await settle()
    await settle()
    pair.wire.carry(piece_bytes)
    assert pair.there.frames == said
    assert pair.is_open == (True, True)


@in_virtual_time
async def test_a_batch_may_be_cut_at_every_byte() -> None:
    body = framed(encode_frames([Notice(1), Ask(2, "topic", b"payload")]))
    twice = body + body
    for at in range(len(twice) + 1):
        pair = opened()
        pair.listens.data_received(twice[:at])
        pair.listens.data_received(twice[at:])
        assert pair.there.frames == [Notice(1), Ask(2, "topic", b"payload")] * 2
        pair.wire.cut()


@in_virtual_time
async def test_batches_that_are_too_long_end_the_link() -> None:
    pair = opened()
    pair.listens.data_received(BATCH_BYTES_MAX.to_bytes(4, "big"))
    assert not pair.wire.ends[1].was_closed
    pair = opened()
    pair.listens.data_received((BATCH_BYTES_MAX + 1).to_bytes(4, "big"))
    assert pair.wire.ends[1].was_closed == "abort"


@in_virtual_time
async def test_rubbish_ends_the_link_and_what_came_before_it_counts() -> None:
    pair = opened()
    good = framed(encode_frames([Notice(1)]))
    pair.listens.data_received(good + framed(b"\xc1") + good)
    assert pair.there.frames == [Notice(1)]
    assert pair.wire.ends[1].was_closed == "abort"


@in_virtual_time
async def test_no_rubbish_harms_a_link_beyond_ending_it() -> None:
    @given(st.lists(st.binary(max_size=40), max_size=6))
    def rubbish(pieces: list[bytes]) -> None:
        pair = opened()
        for piece in pieces:
            if not pair.wire.ends[1].was_closed:
                pair.listens.data_received(framed(piece))
        assert pair.listens.is_open or not pieces
        pair.wire.cut()
        assert pair.there.closed_links == [pair.listens]

    rubbish()


@in_virtual_time
async def test_an_empty_batch_is_nothing() -> None:
    pair = opened()
    pair.listens.data_received(framed(encode_frames([])))
    assert pair.there.batches == 0
    assert pair.is_open == (True, True)


@in_virtual_time
async def test_nothing_is_handed_on_after_the_connection_is_gone() -> None:
    class Leaving(Listener):
        def received(self, link: Link, frames: list[Frame]) -> None:
            super().received(link, frames)
            link.connection_lost(None)

    pair = opened()
    there = Leaving()
    inspection.hand_to(pair.listens, there)
    good = framed(encode_frames([Notice(1)]))
    pair.listens.data_received(good + good)
    assert there.frames == [Notice(1)]


@in_virtual_time
async def test_frames_for_a_link_that_is_not_open_are_dropped() -> None:
    pair = Pair()
    pair.dials.send(Notice(1))
    await settle()
    pair.wire.carry()
    assert pair.is_open == (True, True)
    assert pair.there.frames == []
    pair.wire.cut()
    pair.dials.send(Notice(2))
    await settle()
    assert pair.wire.ends[0].written == b""


# --- the end


@in_virtual_time
async def test_both_sides_are_told_once_that_the_connection_is_gone() -> None:
    pair = opened()
    pair.wire.cut()
    pair.wire.cut()
    assert (pair.here.closed_links, pair.there.closed_links) == ([pair.dials], [pair.listens])
    assert pair.is_open == (False, False)
    await asyncio.sleep(2 * GREETING_TIMEOUT_S)


@in_virtual_time
async def test_what_was_said_before_a_close_still_goes() -> None:
    pair = opened()
    pair.dials.send(Notice(1))
    pair.dials.close()
    pair.wire.carry()
    assert pair.there.frames == [Notice(1)]
    assert pair.there.closed_links == [pair.listens]


@in_virtual_time
async def test_a_link_can_be_ended_whatever_became_of_its_connection() -> None:
    link = Link(identity(1), Listener(), node_id(2))
    link.abort()
    link.close()
    pair = opened()
    pair.wire.cut()
    pair.dials.abort()
    pair.dials.close()
    assert [end.was_closed for end in pair.wire.ends] == ["", ""]
