"""Connections to the other members: dialled on first use, kept, and shared by all messages."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Protocol

import structlog

from cinema.actors.tasks import Tasks
from cinema.cluster.link import REFUSALS_LOGGED, Identity, Link
from cinema.cluster.wire import (
    Answered,
    Ask,
    Failed,
    Farewell,
    Frame,
    Notice,
    NotOwner,
    Tell,
    Told,
)
from cinema.domain.membership import Member
from cinema.telemetry.logging import LogLimit

DIAL_TIMEOUT_S: Final = 1.0
"""How long a peer may take to accept a connection and greet."""

LINKS_IN_MAX: Final = 256
"""Most connections of other nodes at a time: a cluster has tens of nodes."""

ERRANDS_MAX: Final = 65_536
"""Most messages on their way to one peer: beyond it this node refuses instead of queueing."""

ASKS_AT_ONCE: Final = 4096
"""Most questions of peers being answered at a time.

When nodes come and go, busy showtimes are asked for as fast as clients do, and each takes two
commits to leave. A showtime whose question is refused is taken over without its owner: commands
that the owner has not committed fail, and the takeover waits for a lease.
"""

QUESTION_FAILED: Final = "question_failed"
DIAL_FAILED: Final = "dial_failed"

log = structlog.get_logger(__name__)

Dial = Callable[[Callable[[], Link], str, int], Awaitable[object]]
"""Connects a protocol to a host and port; `loop.create_connection` does."""

AskHandler = Callable[[bytes, bytes], Awaitable[bytes]]
"""Answers a question, given the asker's node id and the payload. What it raises reaches the
asker."""


class PeerLost(Exception):
    """The peer could not be asked, or did not answer; it is unknown whether it acted."""


class PeerUnproven(PeerLost):
    """The peer does not know this node's secret."""


class PeerRefused(Exception):
    """The peer says that it cannot answer."""


class Errand(Protocol):
    """A message on its way to a peer; after `frame` exactly one of the others is called, once.

    `deadline_ns` is on the clock's boot time.
    """

    deadline_ns: int

    def frame(self, ref: int) -> Tell:
        """What to send; asked for when a connection is there."""

    def told(self, outcome: Told) -> None:
        """The peer answered."""

    def not_owner(self, answer: NotOwner) -> None:
        """The peer is not the owner."""

    def lost(self, *, sent: bool) -> None:
        """No answer will come; if it was sent, the peer may have acted."""

    def give_up(self) -> None:
        """No answer came in time; the peer may have acted, or act yet."""

    def too_many(self) -> None:
        """It was not queued: too much is on its way already."""


class Peer:
    """One other member, and everything that is on its way to it."""

    def __init__(self, member: Member, peers: Peers) -> None:
        self.member = member
        self._peers = peers
        self._link: Link | None = None
        self._dialling: Link | None = None
        self._refs = 0
        self._waiting: list[Errand] = []
        self._notice: Notice | None = None
        self._is_unproven = False
        self._errands: dict[int, Errand] = {}
        self._questions: dict[int, asyncio.Future[bytes]] = {}
        self._opened: asyncio.Event = asyncio.Event()

    def send(self, errand: Errand) -> None:
        """Send an errand there; dial first if necessary."""
        if len(self._errands) + len(self._waiting) >= ERRANDS_MAX:
            errand.too_many()
            return
        link = self._link
        if link is None:
            self._waiting.append(errand)
            self._dial()
            return
        self._refs += 1
        ref = self._refs
        self._errands[ref] = errand
        link.send(errand.frame(ref))

    async def ask(self, topic: str, payload: bytes, timeout_s: float) -> bytes:
        """Ask a question. Raises `PeerLost`, `PeerUnproven` among it, and `PeerRefused`."""
        ref = 0
        try:
            async with asyncio.timeout(timeout_s):
                if self._link is None:
                    self._opened.clear()
                    self._dial()
                    await self._opened.wait()
                    if self._link is None:
                        lost = PeerUnproven if self._is_unproven else PeerLost
                        raise lost(f"no connection to {self.member.address}")
                self._refs += 1
                ref = self._refs
                answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
                self._questions[ref] = answer
                self._link.send(Ask(ref, topic, payload))
                return await answer
        except TimeoutError as error:
            raise PeerLost(f"{self.member.address} did not answer in {timeout_s} s") from error
        finally:
            self._questions.pop(ref, None)

    def notify(self, frame: Notice) -> None:
        """Send something that may be lost."""
        if self._link is not None:
            self._link.send(frame)
        else:
            self._notice = frame
            self._dial()

    @property
    def is_busy(self) -> bool:
        """Whether anything is on its way there."""
        return bool(self._errands or self._waiting or self._questions)

    def give_up_late(self, before_ns: int) -> None:
        """Give up the errands whose deadline was before `before_ns`."""
        late = [ref for ref, one in self._errands.items() if one.deadline_ns < before_ns]
        for ref in late:
            self._errands.pop(ref).give_up()

    def close(self) -> None:
        """Give up what is on its way and hang up."""
        link, dialling = self._link, self._dialling
        self._drop()
        if link is not None:
            link.abort()
        if dialling is not None:
            dialling.abort()

    # --- the connection

    def _dial(self) -> None:
        if self._dialling is not None:
            return
        member = self.member
        link = Link(self._peers.me, self, member.node_id, self._peers.refusals)
        self._dialling = link
        self._peers.tasks.start("dial", self._connect(link), member.address)

    async def _connect(self, link: Link) -> None:
        member = self.member
        try:
            async with asyncio.timeout(DIAL_TIMEOUT_S):
                await self._peers.dial(lambda: link, member.host, member.cluster_port)
                while self._dialling is link and not link.is_open:
                    self._opened.clear()
                    await self._opened.wait()
        except (OSError, TimeoutError):
            self._not_reached(link)
        except Exception:
            # An invalid name, or a bug: those that wait must not wait for ever.
            log.exception(DIAL_FAILED, peer=member.address)
            self._not_reached(link)

    def _not_reached(self, link: Link) -> None:
        if self._dialling is not link:
            # It was opened in the very step in which its time ended, and is in use.
            return
        link.abort()
        self._drop()

    def opened(self, link: Link) -> None:
        """See `LinkUser.opened`."""
        if link is not self._dialling:
            link.abort()
            return
        self._link, self._dialling = link, None
        self._opened.set()
        if self._notice is not None:
            link.send(self._notice)
            self._notice = None
        waiting, self._waiting = self._waiting, []
        for errand in waiting:
            self.send(errand)

    def closed(self, link: Link) -> None:
        """See `LinkUser.closed`."""
        if link is self._link or link is self._dialling:
            self._is_unproven = link.is_unproven
            self._drop()

    def _drop(self) -> None:
        self._link = self._dialling = None
        self._opened.set()
        waiting, self._waiting = self._waiting, []
        errands, self._errands = self._errands, {}
        questions, self._questions = self._questions, {}
        for answer in questions.values():
            if not answer.done():
                answer.set_exception(PeerLost(f"lost the connection to {self.member.address}"))
        for errand in errands.values():
            errand.lost(sent=True)
        for errand in waiting:
            errand.lost(sent=False)

    def received(self, _link: Link, frames: list[Frame]) -> None:
        """See `LinkUser.received`: answers, mostly."""
        for frame in frames:
            match frame:
                case Told(ref):
                    errand = self._errands.pop(ref, None)
                    if errand is not None:
                        errand.told(frame)
                case NotOwner(ref):
                    errand = self._errands.pop(ref, None)
                    if errand is not None:
                        errand.not_owner(frame)
                case Answered(ref, payload):
                    self._settle(ref, payload)
                case Failed(ref, reason):
                    self._settle(ref, PeerRefused(reason))
                case Farewell():
                    self._peers.part_from(self)
                case _:
                    # A dialled peer only answers.
                    continue
        self._peers.close_idle()

    def _settle(self, ref: int, answer: bytes | Exception) -> None:
        question = self._questions.get(ref)
        if question is None or question.done():
            return
        if isinstance(answer, bytes):
            question.set_result(answer)
        else:
            question.set_exception(answer)


class Service(Protocol):
    """What this node does for its peers."""

    def serve(self, link: Link, tell: Tell) -> None:
        """Answer a message on its link, now or later."""

    def heard_of(self, version: int) -> None:
        """A peer knows the view of `version`."""


class Peers:
    """All connections of this node: those it dials, by member, and those it accepts."""

    def __init__(
        self,
        me: Identity,
        dial: Dial,
        task_failures: Counter[str] | None = None,
        *,
        asks_at_once: int = ASKS_AT_ONCE,
    ) -> None:
        self.me = me
        self.dial = dial
        self.tasks = Tasks(task_failures)
        self.refusals = LogLimit(lines=REFUSALS_LOGGED)
        self._peers: dict[bytes, Peer] = {}
        self._leaving: list[Peer] = []
        # In the order of their coming: a set's order is that of addresses in memory, and each run
        # would say farewell in another order.
        self._accepted: dict[Link, None] = {}
        self._greeting: dict[Link, None] = {}
        self._is_parting = False
        self._parted: asyncio.Future[None] | None = None
        self._service: Service
        self._answers: dict[str, AskHandler] = {}
        self._asks_at_once = asks_at_once
        self._answering = 0

    def serve_with(self, service: Service) -> None:
        """Who answers messages; set before the first connection."""
        self._service = service

    def answer(self, topic: str, answer: AskHandler) -> None:
        """Who answers the questions of a topic."""
        self._answers[topic] = answer

    # --- dialled

    def peer(self, member: Member) -> Peer:
        """The way to a member."""
        peer = self._peers.get(member.node_id)
        if peer is None:
            peer = self._peers[member.node_id] = Peer(member, self)
        return peer

    def keep_only(self, members: Iterable[Member]) -> None:
        """Hang up on all other nodes: what is on its way there will not be answered."""
        kept = {member.node_id for member in members}
        for node_id in [one for one in self._peers if one not in kept]:
            self._peers.pop(node_id).close()

    def let_go(self, members: Iterable[Member]) -> None:
        """Send nothing more to members that leave in order; their last answers may still come."""
        for member in members:
            peer = self._peers.get(member.node_id)
            if peer is not None:
                self.part_from(peer)

    def part_from(self, peer: Peer) -> None:
        """Send nothing more over its connection, and hang up once its last answers are here."""
        node_id = peer.member.node_id
        if self._peers.get(node_id) is peer:
            del self._peers[node_id]
            self._leaving.append(peer)
        self.close_idle()

    def announce(self, members: Iterable[Member], version: int) -> None:
        """Tell all of them of a view."""
        for member in members:
            self.peer(member).notify(Notice(version))

    def give_up_late(self, before_ns: int) -> None:
        """Give up what should have been answered before `before_ns`."""
        # An answer may bring the next message, and that one a new peer.
        for peer in [*self._peers.values(), *self._leaving]:
            peer.give_up_late(before_ns)
        self.close_idle()

    def close_idle(self) -> None:
        """Hang up on those of the leaving peers that owe no answer."""
        for peer in [one for one in self._leaving if not one.is_busy]:
            self._leaving.remove(peer)
            peer.close()

    # --- accepted

    def accept(self) -> Link:
        """A protocol for the next connection of a peer; from `say_farewell` on it hangs up."""
        link = Link(self.me, self, refusals=self.refusals, hangs_up=self._is_parting)
        self._greeting[link] = None
        return link

    @property
    def accepted_count(self) -> int:
        """Connections of other nodes that are open."""
        return len(self._accepted)

    async def say_farewell(self) -> None:
        """Wait until all peers have the answers to what they sent, and have hung up.

        They send nothing more over links that they know to end. Without this, what is on its way
        when a link ends is in doubt: this node could not say that it has not even read it.
        """
        self._is_parting = True
        for link in self._accepted:
            link.send(Farewell())
        for link in [one for one in self._greeting if not one.peer_id]:
            # Nothing was said to it yet, so it has sent no message.
            link.abort()
        while self._accepted or self._greeting:
            self._parted = asyncio.get_running_loop().create_future()
            await self._parted

    def opened(self, link: Link) -> None:
        """See `LinkUser.opened`."""
        self._greeting.pop(link, None)
        for former in [one for one in self._accepted if one.peer_id == link.peer_id]:
            # The peer has given this link up: what still comes was sent again, or given up too.
            former.abort()
        if len(self._accepted) >= LINKS_IN_MAX:
            link.abort()
            return
        self._accepted[link] = None
        if self._is_parting:
            link.send(Farewell())

    def closed(self, link: Link) -> None:
        """See `LinkUser.closed`."""
        self._accepted.pop(link, None)
        self._greeting.pop(link, None)
        if not self._accepted and self._parted is not None and not self._parted.done():
            self._parted.set_result(None)

    def received(self, link: Link, frames: list[Frame]) -> None:
        """See `LinkUser.received`: messages and questions."""
        for frame in frames:
            match frame:
                case Tell():
                    self._service.serve(link, frame)
                case Ask():
                    self._ask(link, frame)
                case Notice(version):
                    self._service.heard_of(version)
                case _:
                    # The dialling side only receives answers.
                    continue

    def _ask(self, link: Link, ask: Ask) -> None:
        if self._answering >= self._asks_at_once:
            link.send(Failed(ask.ref, "too many questions"))
            return
        self._answering += 1
        self.tasks.start("answer", self._answer(link, ask), ask.topic)

    async def _answer(self, link: Link, ask: Ask) -> None:
        try:
            answer = self._answers.get(ask.topic)
            if answer is None:
                link.send(Failed(ask.ref, f"no such topic: {ask.topic}"))
                return
            link.send(Answered(ask.ref, await answer(link.peer_id, ask.payload)))
        except PeerRefused as refusal:
            link.send(Failed(ask.ref, str(refusal)))
        except Exception:
            log.exception(QUESTION_FAILED, topic=ask.topic)
            link.send(Failed(ask.ref, "internal error"))
        finally:
            self._answering -= 1

    async def close(self) -> None:
        """Hang up everywhere."""
        peers, self._peers = [*self._peers.values(), *self._leaving], {}
        self._leaving = []
        for peer in peers:
            peer.close()
        for link in [*self._accepted, *self._greeting]:
            link.close()
        await self.tasks.cancel()
