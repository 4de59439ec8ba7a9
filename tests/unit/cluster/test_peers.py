"""All that is on its way to another node is answered, refused, lost or given up: once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from cinema.actors.messages import ReadSeats
from cinema.cluster import peers as peers_module
from cinema.cluster.link import Link
from cinema.cluster.peers import ASKS_AT_ONCE, DIAL_TIMEOUT_S, Peer, PeerLost, PeerRefused, Peers
from cinema.cluster.wire import (
    Answered,
    Failed,
    Farewell,
    Frame,
    Notice,
    NotOwner,
    SentNoShowtime,
    Tell,
    Told,
)
from cinema.domain.membership import Member
from tests.support import inspection
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.unit.cluster.members import member, node_id
from tests.unit.cluster.small_cluster import Cable, Network
from tests.unit.cluster.wires import identity

SHOWTIME = b"s" * 16


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """The log events of the test."""
    with structlog.testing.capture_logs() as events:
        yield events


class Kept:
    """An errand that keeps what became of it."""

    def __init__(self, deadline_ns: int = 0) -> None:
        self.deadline_ns = deadline_ns
        self.came: list[Any] = []

    def frame(self, ref: int) -> Tell:
        return Tell(ref, 1, 1000, SHOWTIME, ReadSeats())

    def told(self, outcome: Told) -> None:
        self.came.append(outcome.outcome)

    def not_owner(self, answer: NotOwner) -> None:
        self.came.append(answer.owner)

    def lost(self, *, sent: bool) -> None:
        self.came.append("lost after it was sent" if sent else "lost unsent")

    def give_up(self) -> None:
        self.came.append("given up")

    def too_many(self) -> None:
        self.came.append("too many")


class Nobody:
    """A `LinkUser` whom nothing concerns."""

    def opened(self, link: Link) -> None:
        """See `LinkUser`."""

    def received(self, link: Link, frames: list[Any]) -> None:
        """See `LinkUser`."""

    def closed(self, link: Link) -> None:
        """See `LinkUser`."""


class NotesFarewell(Link):
    """A link from a peer that notes when it is told of an end."""

    def __init__(self, number: int, peers: Peers, told: list[bytes]) -> None:
        super().__init__(identity(2), peers)
        self.peer_id = node_id(number)
        self._told = told

    def send(self, frame: Frame) -> None:
        assert isinstance(frame, Farewell)
        self._told.append(self.peer_id)


class Servant:
    """What a node does for its peers, when the test says so."""

    def __init__(self) -> None:
        self.tells: list[tuple[Link, Tell]] = []
        self.versions: list[int] = []

    def serve(self, link: Link, tell: Tell) -> None:
        self.tells.append((link, tell))

    def heard_of(self, version: int) -> None:
        self.versions.append(version)


class Street:
    """Two nodes' peers on one network; `there` is how the first reaches the second."""

    def __init__(self, asks_at_once: int = ASKS_AT_ONCE) -> None:
        self._asks_at_once = asks_at_once
        self.network = Network()
        self.here, self.servant_here = self.node(1)
        self.yonder, self.servant = self.node(2)

    def node(self, number: int) -> tuple[Peers, Servant]:
        """One more node that listens."""
        made = Peers(identity(number), self.network.dial, asks_at_once=self._asks_at_once)
        servant = Servant()
        made.serve_with(servant)
        self.network.listeners[member(number).cluster_port] = made.accept
        return made, servant

    @property
    def there(self) -> Peer:
        return self.here.peer(member(2))

    def hang_up_here(self) -> None:
        """Nobody listens any more; what is connected stays."""
        del self.network.listeners[member(2).cluster_port]


@asynccontextmanager
async def street(asks_at_once: int = ASKS_AT_ONCE) -> AsyncIterator[Street]:
    """Two nodes that are not connected yet."""
    made = Street(asks_at_once)
    try:
        yield made
    finally:
        await made.here.close()
        await made.yonder.close()


# --- errands


@in_virtual_time
async def test_errands_share_one_connection_and_get_each_its_own_answer() -> None:
    async with street() as made:
        errands = [Kept() for _ in range(3)]
        for errand in errands[:2]:
            made.there.send(errand)
        await settle()
        made.there.send(errands[2])
        await settle()
        assert len(made.network.cables) == 1
        first, second, third = made.servant.tells
        refs = [tell.ref for _, tell in made.servant.tells]
        assert len(set(refs)) == 3
        # In any order, and each once.
        third[0].send(Told(refs[2], SentNoShowtime()))
        first[0].send(NotOwner(refs[0], 1, b"owner"))
        first[0].send(NotOwner(refs[0], 2, b"another"))
        second[0].send(Told(refs[1], SentNoShowtime()))
        second[0].send(Told(refs[1], SentNoShowtime()))
        second[0].send(NotOwner(refs[1], 1, None))
        second[0].send(Told(999, SentNoShowtime()))
        second[0].send(NotOwner(999, 1, None))
        await settle()
        assert [one.came for one in errands] == [[b"owner"], [SentNoShowtime()], [SentNoShowtime()]]


@in_virtual_time
async def test_errands_know_whether_they_were_sent_when_the_connection_breaks() -> None:
    async with street() as made:
        sent, unsent = Kept(), Kept()
        made.there.send(sent)
        await settle()
        made.network.cut()
        await settle()
        assert sent.came == ["lost after it was sent"]
        made.hang_up_here()
        made.there.send(unsent)
        await settle()
        assert unsent.came == ["lost unsent"]


@in_virtual_time
async def test_a_lost_connection_is_dialled_again_by_the_next_errand() -> None:
    async with street() as made:
        made.there.send(Kept())
        await settle()
        made.network.cut()
        await settle()
        again = Kept()
        made.there.send(again)
        await settle()
        link, tell = made.servant.tells[-1]
        link.send(Told(tell.ref, SentNoShowtime()))
        await settle()
        assert again.came == [SentNoShowtime()]


@in_virtual_time
async def test_a_connection_that_opens_in_the_step_in_which_its_time_ends_is_kept() -> None:
    """A busy loop reads the last greeting together with the timer: what was sent by then must not
    be lost.
    """
    async with street() as made:
        clock_resolution_s = time.get_clock_info("monotonic").resolution
        made.network.delay_s = (DIAL_TIMEOUT_S - clock_resolution_s / 2) / 2
        errand = Kept()
        made.there.send(errand)
        await asyncio.sleep(2 * DIAL_TIMEOUT_S)
        [(link, tell)] = made.servant.tells
        link.send(Told(tell.ref, SentNoShowtime()))
        await asyncio.sleep(DIAL_TIMEOUT_S)
        assert errand.came == [SentNoShowtime()]


@in_virtual_time
async def test_an_answer_that_comes_after_the_connection_broke_is_nobodys() -> None:
    async with street() as made:
        errand = Kept()
        made.there.send(errand)
        await settle()
        link, tell = made.servant.tells[0]
        made.network.cut()
        await settle()
        again = Kept()
        made.there.send(again)
        await settle()
        link.send(Told(tell.ref, SentNoShowtime()))
        await settle()
        assert errand.came == ["lost after it was sent"]
        assert again.came == []


@in_virtual_time
async def test_errands_past_their_deadline_are_given_up_once() -> None:
    async with street() as made:
        early, late = Kept(deadline_ns=100), Kept(deadline_ns=200)
        for errand in (early, late):
            made.there.send(errand)
        await settle()
        made.here.give_up_late(100)
        assert early.came == []
        made.here.give_up_late(101)
        made.here.give_up_late(150)
        assert (early.came, late.came) == (["given up"], [])
        for link, tell in made.servant.tells:
            link.send(Told(tell.ref, SentNoShowtime()))
        await settle()
        assert (early.came, late.came) == (["given up"], [SentNoShowtime()])


@in_virtual_time
async def test_more_errands_than_may_be_on_their_way_are_turned_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peers_module, "ERRANDS_MAX", 3)
    async with street() as made:
        errands = [Kept() for _ in range(6)]
        for errand in errands[:4]:
            made.there.send(errand)
        assert errands[3].came == ["too many"]
        await settle()
        made.there.send(errands[4])
        assert [one.came for one in errands[:5]] == [[], [], [], ["too many"], ["too many"]]
        link, tell = made.servant.tells[0]
        link.send(Told(tell.ref, SentNoShowtime()))
        await settle()
        made.there.send(errands[5])
        assert errands[5].came == []


# --- dialling


@in_virtual_time
async def test_a_peer_that_does_not_greet_in_time_is_lost() -> None:
    async with street() as made:
        made.network.swallows_answers = True
        errand = Kept()
        made.there.send(errand)
        await asyncio.sleep(DIAL_TIMEOUT_S - 0.1)
        assert errand.came == []
        await asyncio.sleep(0.2)
        assert errand.came == ["lost unsent"]
        made.network.swallows_answers = False
        again = Kept()
        made.there.send(again)
        await settle()
        assert len(made.servant.tells) == 1


@in_virtual_time
async def test_a_dial_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with street() as made:

        async def hang(*_: Any) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(made.here, "dial", hang)
        errand = Kept()
        made.there.send(errand)
        with pytest.raises(PeerLost):
            await made.there.ask("topic", b"", 10 * DIAL_TIMEOUT_S)
        assert errand.came == ["lost unsent"]


@in_virtual_time
async def test_another_node_at_a_members_address_is_nobody_to_talk_to() -> None:
    async with street() as made:
        other, servant = made.node(3)
        made.network.listeners[member(2).cluster_port] = other.accept
        errand = Kept()
        made.there.send(errand)
        await settle()
        assert errand.came == ["lost unsent"]
        assert servant.tells == []


@in_virtual_time
async def test_a_peer_that_is_closed_while_it_is_dialled_loses_what_waits() -> None:
    async with street() as made:
        peer = made.there
        errand = Kept()
        peer.send(errand)
        peer.close()
        assert errand.came == ["lost unsent"]
        await settle()
        assert made.servant.tells == []
        assert not any(one.dialled.protocol.is_open for one in made.network.cables)


# --- questions


@in_virtual_time
async def test_a_question_is_answered_by_whoever_knows_its_topic() -> None:
    async with street() as made:
        made.yonder.answer("echo", lambda peer_id, payload: _echo(peer_id + payload))
        first, second = await asyncio.gather(
            made.there.ask("echo", b"1", 1.0), made.there.ask("echo", b"2", 1.0)
        )
        assert (first, second) == (node_id(1) + b"1", node_id(1) + b"2")
        with pytest.raises(PeerRefused, match="no such topic"):
            await made.there.ask("riddle", b"", 1.0)
        assert len(made.network.cables) == 1


async def _echo(payload: bytes) -> bytes:
    await asyncio.sleep(0.1)
    return payload


@in_virtual_time
async def test_a_question_may_be_refused_and_a_bug_is_not_told(logged: list[Any]) -> None:
    async def refuse(_peer_id: bytes, _payload: bytes) -> bytes:
        raise PeerRefused("not today")

    async def fail(_peer_id: bytes, _payload: bytes) -> bytes:
        raise RuntimeError("a secret")

    async with street() as made:
        made.yonder.answer("refuse", refuse)
        made.yonder.answer("fail", fail)
        with pytest.raises(PeerRefused, match="not today"):
            await made.there.ask("refuse", b"", 1.0)
        with pytest.raises(PeerRefused, match="internal error"):
            await made.there.ask("fail", b"", 1.0)
        assert [one["event"] for one in logged] == ["question_failed"]


@in_virtual_time
async def test_a_question_without_an_answer_in_time_is_lost() -> None:
    async def hang(_peer_id: bytes, _payload: bytes) -> bytes:
        await asyncio.sleep(2.0)
        return b"late"

    async with street() as made:
        made.yonder.answer("hang", hang)
        with pytest.raises(PeerLost):
            await made.there.ask("hang", b"", 1.0)
        assert inspection.questions_of(made.there) == {}
        # The late answer is nobody's.
        await asyncio.sleep(2.0)
        made.yonder.answer("echo", lambda _peer_id, payload: _echo(payload))
        assert await made.there.ask("echo", b"x", 1.0) == b"x"


@in_virtual_time
async def test_a_question_is_lost_with_its_connection() -> None:
    async def hang(_peer_id: bytes, _payload: bytes) -> bytes:
        await asyncio.sleep(100)
        return b""

    async with street() as made:
        made.yonder.answer("hang", hang)
        asked = asyncio.ensure_future(made.there.ask("hang", b"", 50.0))
        await settle()
        made.network.cut()
        await settle()
        assert asked.done()
        with pytest.raises(PeerLost):
            await asked
        made.hang_up_here()
        with pytest.raises(PeerLost):
            await made.there.ask("hang", b"", 1.0)


@in_virtual_time
async def test_a_question_that_is_answered_twice_was_answered_once() -> None:
    async with street() as made:
        made.yonder.answer("hang", lambda _peer_id, _payload: asyncio.sleep(9, b""))
        asked = asyncio.ensure_future(made.there.ask("hang", b"", 5.0))
        await settle()
        (cable,) = made.network.cables
        for answer in (Answered(1, b"first"), Answered(1, b"second"), Failed(1, "third")):
            cable.accepted.protocol.send(answer)
        assert await asked == b"first"
        assert cable.dialled.protocol.is_open


@in_virtual_time
async def test_no_more_questions_are_answered_at_once_than_may_be() -> None:
    async with street(asks_at_once=2) as made:
        made.yonder.answer("echo", lambda _peer_id, payload: _echo(payload))
        asked = [made.there.ask("echo", b"x", 1.0) for _ in range(3)]
        came = await asyncio.gather(*asked, return_exceptions=True)
        assert came[:2] == [b"x", b"x"]
        assert isinstance(came[2], PeerRefused)
        assert await made.there.ask("echo", b"y", 1.0) == b"y"


# --- news


@in_virtual_time
async def test_a_view_is_announced_to_all_connected_or_not() -> None:
    async with street() as made:
        _, third = made.node(3)
        made.there.send(Kept())
        await settle()
        made.here.announce([member(2), member(3)], 7)
        await settle()
        assert (made.servant.versions, third.versions) == ([7], [7])


@in_virtual_time
async def test_of_news_that_could_not_be_said_only_the_latest_is() -> None:
    async with street() as made:
        listeners = dict(made.network.listeners)
        made.hang_up_here()
        made.here.announce([member(2)], 7)
        made.here.announce([member(2)], 8)
        await settle()
        made.network.listeners = listeners
        made.there.send(Kept())
        await settle()
        assert made.servant.versions == [8]
        made.network.cut()
        await settle()
        made.there.send(Kept())
        await settle()
        assert made.servant.versions == [8]


@in_virtual_time
async def test_whoever_dialled_gives_no_orders_back_and_takes_none() -> None:
    """Frames that only the other side of a connection may send are ignored."""
    async with street() as made:
        errand = Kept()
        made.there.send(errand)
        await settle()
        link, tell = made.servant.tells[0]
        link.send(Tell(1, 1, 1000, SHOWTIME, ReadSeats()))
        link.send(Notice(99))
        (cable,) = made.network.cables
        cable.dialled.protocol.send(Told(1, SentNoShowtime()))
        await settle()
        assert (made.servant_here.tells, made.servant_here.versions) == ([], [])
        link.send(Told(tell.ref, SentNoShowtime()))
        await settle()
        assert errand.came == [SentNoShowtime()]


# --- who is kept


@in_virtual_time
async def test_who_is_no_member_any_more_is_hung_up_on() -> None:
    async with street() as made:
        made.node(3)
        errands = {number: Kept() for number in (2, 3)}
        for number, errand in errands.items():
            made.here.peer(member(number)).send(errand)
        await settle()
        made.here.keep_only([member(3)])
        assert errands[2].came == ["lost after it was sent"]
        assert errands[3].came == []
        await settle()
        assert [one.dialled.closing for one in made.network.cables] == [True, False]


@in_virtual_time
async def test_a_new_start_of_a_node_is_another_peer() -> None:
    async with street() as made:
        anew = Member(node_id=node_id(9), host="10.0.0.1", port=8002, cluster_port=9002)
        assert made.here.peer(anew) is not made.there
        assert made.here.peer(member(2)) is made.there


@in_virtual_time
async def test_no_more_connections_are_accepted_than_may_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peers_module, "LINKS_IN_MAX", 1)
    async with street() as made:
        third, _ = made.node(3)
        made.there.send(Kept())
        await settle()
        surplus = Kept()
        third.peer(member(2)).send(surplus)
        await settle()
        assert surplus.came
        assert len(made.servant.tells) == 1
        made.network.cut()
        await settle()
        third.peer(member(2)).send(Kept())
        await settle()
        assert len(made.servant.tells) == 2
        await third.close()


@in_virtual_time
async def test_closing_hangs_up_on_both_sides_and_ends_what_is_under_way() -> None:
    async with street() as made:
        made.yonder.answer("echo", lambda _peer_id, payload: _echo(payload))
        errand = Kept()
        made.there.send(errand)
        asked = asyncio.ensure_future(made.there.ask("echo", b"x", 1.0))
        await settle()
        await made.yonder.close()
        with pytest.raises(PeerLost):
            await asked
        assert errand.came == ["lost after it was sent"]
        assert not any(one.accepted.protocol.is_open for one in made.network.cables)


# --- farewell


@in_virtual_time
async def test_who_hears_a_farewell_gets_all_answers_and_then_hangs_up() -> None:
    async with street() as made:
        slow, quick = Kept(), Kept()
        made.there.send(slow)
        await settle()
        link, first = made.servant.tells[0]
        parting = asyncio.ensure_future(made.yonder.say_farewell())
        # It is on its way before the farewell has come.
        made.there.send(quick)
        await settle()
        _, second = made.servant.tells[1]
        assert not parting.done()
        link.send(NotOwner(second.ref, 3, None))
        await settle()
        assert not parting.done()
        link.send(Told(first.ref, SentNoShowtime()))
        await settle()
        assert parting.done()
        assert (slow.came, quick.came) == ([SentNoShowtime()], [None])
        assert inspection.leaving_peers(made.here) == []


@in_virtual_time
async def test_nothing_is_sent_to_a_node_that_has_said_farewell() -> None:
    async with street() as made:
        before = Kept()
        made.there.send(before)
        await settle()
        parting = asyncio.ensure_future(made.yonder.say_farewell())
        await settle()
        late = Kept()
        made.there.send(late)
        await settle()
        assert late.came == ["lost unsent"]
        link, tell = made.servant.tells[0]
        link.send(Told(tell.ref, SentNoShowtime()))
        await settle()
        assert parting.done()
        assert len(made.servant.tells) == 1


@in_virtual_time
async def test_a_link_that_is_being_greeted_hears_the_farewell_too() -> None:
    """It may have been told who we are, and its first messages may be under way."""
    async with street() as made:
        made.network.delay_s = 0.1
        errand, late = Kept(), Kept()
        made.there.send(errand)
        await asyncio.sleep(0.15)
        parting = asyncio.ensure_future(made.yonder.say_farewell())
        await asyncio.sleep(0.2)
        [(link, tell)] = made.servant.tells
        made.there.send(late)
        link.send(Told(tell.ref, SentNoShowtime()))
        await asyncio.sleep(0.2)
        assert errand.came == [SentNoShowtime()]
        link.send(NotOwner(made.servant.tells[1][1].ref, 3, None))
        await asyncio.sleep(0.2)
        assert late.came == [None]
        assert parting.done()


@in_virtual_time
async def test_a_farewell_waits_for_nobody_who_has_said_nothing() -> None:
    """Anybody can connect to the port."""
    async with street() as made:
        silent = made.yonder.accept()
        cable = Cable(Link(identity(1), Nobody(), member(2).node_id), silent, made.network)
        silent.connection_made(cable.accepted)
        await made.yonder.say_farewell()
        assert cable.accepted.closing


@in_virtual_time
async def test_a_farewell_is_said_in_the_order_in_which_peers_came() -> None:
    """Not in that of their addresses in memory: a simulated run would not go the same way twice."""
    async with street() as made:
        told: list[bytes] = []
        links = [NotesFarewell(number, made.yonder, told) for number in range(3, 23)]
        for link in links:
            made.yonder.opened(link)
        parting = asyncio.ensure_future(made.yonder.say_farewell())
        await settle()
        for link in links:
            made.yonder.closed(link)
        await settle()
        assert parting.done()
        assert told == [link.peer_id for link in links]


@in_virtual_time
async def test_a_farewell_is_over_when_the_last_link_breaks() -> None:
    async with street() as made:
        made.there.send(Kept())
        await settle()
        parting = asyncio.ensure_future(made.yonder.say_farewell())
        await settle()
        assert not parting.done()
        made.network.cut()
        await settle()
        assert parting.done()
