"""Messages for showtimes: from any node to the node that owns the showtime."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec
import structlog

from cinema.actors.kernel import Kernel
from cinema.actors.messages import (
    IN_DOUBT,
    OUTCOME_UNKNOWN,
    TOO_BUSY,
    TRY_AGAIN,
    Letter,
    Message,
    OnOutcome,
    Outcome,
    ReadSeats,
    SeatFeed,
    SentMessage,
    TruncateJournal,
    Unavailable,
    Watch,
)
from cinema.actors.tasks import Tasks
from cinema.cluster.distant_terms import DistantTerms, TermsUnknown
from cinema.cluster.fanout import FanOut
from cinema.cluster.link import Link
from cinema.cluster.membership import Membership
from cinema.cluster.peers import PeerLost, PeerRefused, Peers
from cinema.cluster.placement import Placement
from cinema.cluster.wire import (
    NotOwner,
    SentOutcome,
    Tell,
    TermsVersion,
    Told,
    received,
    sent,
    terms_version_of,
)
from cinema.domain.membership import View
from cinema.domain.showtime.commands import ChangePlan, Command, ExpireDue, MoveShowtime
from cinema.storage.membership.views import ViewsUnavailable
from cinema.telemetry.logging import LogLimit

PARKED_S: Final = 0.05
"""How long a message waits before it is sent again, if no new view comes first."""

WOKEN_PER_STEP: Final = 512
"""Parked messages that are sent again in one step: some milliseconds."""

SWEEP_S: Final = 0.1
"""Period of the look for messages whose answer is late."""

LATE_ANSWER_NS: Final = 200_000_000
"""How much longer than the deadline an answer may take: the owner itself gives up at it."""

HOPS_MAX: Final = 2
"""Nodes that a message is sent to in a row; after that it waits for a new view."""

RELEASE_WAIT_S: Final = 1.0
"""How long a new owner waits for the former one to give a showtime back before it takes it."""

RELEASE_TOPIC: Final = "release"

ANSWER_FAILED: Final = "forwarded_answer_failed"
COMMAND_IN_DOUBT: Final = "forwarded_command_in_doubt"
SWEEP_FAILED: Final = "late_errands_failed"

log = structlog.get_logger(__name__)


class ForwarderMetrics:
    """Plain counters, exported when scraped."""

    __slots__ = ("forwarded", "in_doubt", "misdirected", "parked", "releases_asked", "served")

    def __init__(self) -> None:
        self.forwarded = 0
        self.served = 0
        self.misdirected = 0
        self.parked = 0
        self.in_doubt = 0
        self.releases_asked = 0


class Release(msgspec.Struct, frozen=True, array_like=True):
    """Asks an owner for a showtime, by the view of `version`."""

    version: int
    showtime_id: bytes


class _ForwardedErrand:
    """A message of this node for another's showtime; `reply` is called once, whatever happens.

    `in_doubt`: a peer may have carried the command out and can no longer say so; the text says
    what happened. From then on only a success or a refusal settles it. A later owner that cannot
    serve knows nothing about it, and is asked again until the deadline.
    """

    __slots__ = ("_forwarder", "deadline_ns", "hops", "in_doubt", "message", "reply", "showtime_id")

    def __init__(
        self,
        forwarder: Forwarder,
        showtime_id: bytes,
        message: SentMessage,
        reply: OnOutcome,
        deadline_ns: int,
    ) -> None:
        self._forwarder = forwarder
        self.showtime_id = showtime_id
        self.message = message
        self.reply = reply
        self.deadline_ns = deadline_ns
        self.hops = 0
        self.in_doubt = ""

    @property
    def is_repeatable(self) -> bool:
        """Whether carrying it out twice is the same as once."""
        message = self.message
        return not isinstance(message, Command) or bool(message.fingerprint)

    def frame(self, ref: int) -> Tell:
        forwarder = self._forwarder
        self.hops += 1
        clock = forwarder.clock
        left_ms = max(1, (self.deadline_ns - clock.boot_ns()) // 1_000_000)
        until_us = clock.now_us() + left_ms * 1000
        version = forwarder.placement.view.version
        return Tell(ref, version, left_ms, self.showtime_id, self.message, until_us)

    def answer(self, outcome: Outcome) -> None:
        """A failure of one caller must not harm the others whose answers came with it."""
        forwarder = self._forwarder
        if isinstance(outcome, Unavailable):
            if outcome.code == OUTCOME_UNKNOWN and not self.in_doubt:
                self.in_doubt = "the owner does not know"
            if self.in_doubt:
                if self.is_repeatable and forwarder.may_repeat(self):
                    forwarder.park(self)
                    return
                outcome = IN_DOUBT
                forwarder.metrics.in_doubt += 1
                forwarder.unanswered.write(
                    log.warning,
                    COMMAND_IN_DOUBT,
                    showtime=self.showtime_id.hex(),
                    reason=self.in_doubt,
                )
        forwarder.load.waiting -= 1
        try:
            self.reply(outcome)
        except Exception:
            log.exception(ANSWER_FAILED, showtime=self.showtime_id.hex())

    def give_up(self) -> None:
        """The deadline has passed with the message under way."""
        self.doubt("the owner did not answer in time")
        self.answer(TRY_AGAIN)

    def told(self, outcome: Told) -> None:
        self._forwarder.came_back(self, outcome.outcome)

    def not_owner(self, answer: NotOwner) -> None:
        self._forwarder.misdirected(self, answer)

    def lost(self, *, sent: bool) -> None:
        if sent:
            self.doubt("the connection to the owner was lost")
        if self.in_doubt and not self.is_repeatable:
            self.answer(IN_DOUBT)
        else:
            self._forwarder.park(self)

    def doubt(self, reason: str) -> None:
        """A peer may have acted; what only reads may simply be asked again."""
        if isinstance(self.message, Command):
            self.in_doubt = reason

    def too_many(self) -> None:
        self.answer(TOO_BUSY)


class _ReplyToPeer:
    """The answer to a peer's message, over the link on which it came; owed until it is given."""

    __slots__ = ("_forwarder", "_link", "_ref")

    def __init__(self, link: Link, ref: int, forwarder: Forwarder) -> None:
        self._link = link
        self._ref = ref
        self._forwarder = forwarder

    def __call__(self, outcome: Outcome) -> None:
        self._forwarder.pay(self)
        self._link.send(Told(self._ref, sent(outcome)))

    def not_owner(self, version: int, owner: bytes | None) -> None:
        """The message was not carried out here; its sender may send it to another node."""
        self._forwarder.pay(self)
        self._link.send(NotOwner(self._ref, version, owner))


class Forwarder:
    """Has the kernel's methods to reach a showtime, for all showtimes of the cluster.

    A message for another node's showtime goes to its owner, which answers, or names the right
    owner. While owners change, the message waits, up to the deadline that it would have here. A
    command whose connection broke is sent again only if it carries a key: the same command
    twice has one effect only then.
    """

    def __init__(
        self,
        kernel: Kernel,
        membership: Membership,
        placement: Placement,
        peers: Peers,
        terms: DistantTerms,
        fanout: FanOut,
    ) -> None:
        self.kernel = kernel
        self.load = kernel.load
        self.clock = kernel.clock
        self.placement = placement
        self.metrics = ForwarderMetrics()
        self._membership = membership
        self._peers = peers
        self._terms = terms
        self._fanout = fanout
        self._parked: list[_ForwardedErrand] = []
        self._waking: list[_ForwardedErrand] = []
        self._is_waking = False
        self._early: list[tuple[Link, Tell, int]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._owed: set[_ReplyToPeer] = set()
        self._paid: asyncio.Future[None] | None = None
        self._stopped = False
        self._tasks = Tasks(kernel.metrics.task_failures)
        self.unanswered = LogLimit()
        self._loop = asyncio.get_running_loop()
        peers.serve_with(self)
        peers.answer(RELEASE_TOPIC, self._give_back)

    def start(self) -> None:
        """Start giving up messages that are late."""
        self._tasks.keep("late-errands", self._sweep)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                self._peers.give_up_late(self.clock.boot_ns() - LATE_ANSWER_NS)
            except Exception:
                log.exception(SWEEP_FAILED)

    def pay(self, reply: _ReplyToPeer) -> None:
        """A peer gets its answer."""
        self._owed.discard(reply)
        if not self._owed and self._paid is not None and not self._paid.done():
            self._paid.set_result(None)

    async def answered(self) -> None:
        """Wait until no peer waits for an answer of this node; what came before has deadlines."""
        while self._owed:
            self._paid = self._loop.create_future()
            await self._paid

    async def stop(self) -> None:
        """Answer what waits; from now on answer at once what comes or loses its connection."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        await self._terms.stop()
        await self._tasks.cancel()
        parked = [*self._waking, *self._parked]
        self._waking, self._parked = [], []
        for errand in parked:
            errand.answer(TRY_AGAIN)
        self.load.waiting -= len(self._early)
        self._early.clear()

    # --- the kernel's ways

    def tell(
        self, showtime_id: bytes, message: Message, reply: OnOutcome, deadline_ns: int | None = None
    ) -> None:
        """See `Kernel.tell`."""
        owner = self.placement.owner_of(showtime_id)
        if owner is not None and owner.node_id == self.placement.node_id:
            self.kernel.tell(showtime_id, message, reply, deadline_ns)
            return
        if isinstance(message, Watch):
            self._fanout.watch(showtime_id, message.feed, self.ask, reply)
            return
        if isinstance(message, TruncateJournal | ChangePlan | MoveShowtime | ExpireDue):
            # The kernel's own message, for a showtime that is no longer this node's.
            reply(TRY_AGAIN)
            return
        if self.load.is_full():
            reply(TOO_BUSY)
            return
        self.load.waiting += 1
        deadline_ns = deadline_ns or self.clock.boot_ns() + self.kernel.deadline_ns
        self._send(_ForwardedErrand(self, showtime_id, message, reply, deadline_ns))

    async def ask(self, showtime_id: bytes, message: Message) -> Outcome:
        """See `Kernel.ask`."""
        if self.placement.owns(showtime_id):
            return await self.kernel.ask(showtime_id, message)
        answer: asyncio.Future[Outcome] = self._loop.create_future()

        def settle(outcome: Outcome) -> None:
            if not answer.done():
                answer.set_result(outcome)

        self.tell(showtime_id, message, settle)
        return await answer

    async def exists(self, showtime_id: bytes) -> bool:
        """See `Kernel.exists`: all nodes share the catalogue."""
        return await self.kernel.exists(showtime_id)

    async def read_seats(self, showtime_id: bytes, query: ReadSeats) -> Outcome:
        """See `Kernel.read_seats`."""
        if self.placement.owns(showtime_id):
            return await self.kernel.read_seats(showtime_id, query)
        return await self.ask(showtime_id, query)

    async def truncate(self, showtime_id: bytes) -> None:
        """See `Kernel.truncate`; another node's showtime is left to it."""
        if self.placement.owns(showtime_id):
            await self.kernel.truncate(showtime_id)

    def unwatch(self, showtime_id: bytes, feed: SeatFeed) -> None:
        """See `Kernel.unwatch`."""
        self.kernel.unwatch(showtime_id, feed)
        self._fanout.unwatch(showtime_id, feed)

    # --- there and back

    def _send(self, errand: _ForwardedErrand) -> None:
        owner = self.placement.owner_of(errand.showtime_id)
        if owner is None or errand.hops >= HOPS_MAX or self._stopped:
            self.park(errand)
        elif owner.node_id == self.placement.node_id:
            self.kernel.tell(errand.showtime_id, errand.message, errand.answer, errand.deadline_ns)
        else:
            self.metrics.forwarded += 1
            self._peers.peer(owner).send(errand)

    def came_back(self, errand: _ForwardedErrand, outcome: SentOutcome) -> None:
        """The owner answered: show it with the terms that this node looks up itself."""
        terms_version = terms_version_of(outcome)
        terms = (
            None if terms_version is None else self._terms.known(errand.showtime_id, terms_version)
        )
        if terms_version is not None and terms is None:
            self._tasks.start("distant-terms", self._show_later(errand, outcome, terms_version))
            return
        errand.answer(received(outcome, terms))

    async def _show_later(
        self, errand: _ForwardedErrand, outcome: SentOutcome, terms_version: TermsVersion
    ) -> None:
        shown: Outcome | None = None
        left_ns = errand.deadline_ns + LATE_ANSWER_NS - self.clock.boot_ns()
        try:
            async with asyncio.timeout(left_ns / 1e9):
                terms = await self._terms.load(errand.showtime_id, terms_version)
            shown = received(outcome, terms)
        except (TermsUnknown, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            self.unanswered.write(log.warning, ANSWER_FAILED, reason=reason)
        finally:
            if shown is None:
                errand.doubt("what its answer has to show could not be loaded")
                shown = TRY_AGAIN
            errand.answer(shown)

    def misdirected(self, errand: _ForwardedErrand, answer: NotOwner) -> None:
        """The peer is not the owner: continue by the newer view, or wait for one."""
        self.metrics.misdirected += 1
        if answer.version > self.placement.view.version:
            self._membership.heard_of(answer.version)
            self.park(errand)
            return
        owner = self.placement.owner_of(errand.showtime_id)
        if owner is not None and owner.node_id == answer.owner:
            self._send(errand)
        else:
            self.park(errand)

    def park(self, errand: _ForwardedErrand) -> None:
        """Try again with the next view, or shortly; until its deadline."""
        if not self.may_repeat(errand):
            errand.answer(TRY_AGAIN)
            return
        self.metrics.parked += 1
        self._parked.append(errand)
        self._wake_later()

    def may_repeat(self, errand: _ForwardedErrand) -> bool:
        """Whether there is time left to send it again."""
        return not self._stopped and errand.deadline_ns > self.clock.boot_ns()

    def _wake_later(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(PARKED_S, self._wake)

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waking += self._parked
        self._parked = []
        if not self._is_waking:
            self._wake_some()
        early, self._early = self._early, []
        for start in range(0, len(early), WOKEN_PER_STEP):
            # The first at once, as all that came with them expect.
            some = early[start : start + WOKEN_PER_STEP]
            if start:
                self._loop.call_soon(self._serve_early, some)
            else:
                self._serve_early(some)

    def _wake_some(self) -> None:
        """Send one step's share of the parked messages again; the others follow in later steps."""
        self._is_waking = False
        some, self._waking = self._waking[:WOKEN_PER_STEP], self._waking[WOKEN_PER_STEP:]
        for errand in some:
            errand.hops = 0
            if errand.deadline_ns <= self.clock.boot_ns():
                errand.answer(TRY_AGAIN)
            else:
                self._send(errand)
        if self._waking:
            self._is_waking = True
            self._loop.call_soon(self._wake_some)

    def _serve_early(self, early: list[tuple[Link, Tell, int]]) -> None:
        self.load.waiting -= len(early)
        for link, tell, deadline_ns in early:
            self._serve(link, tell, deadline_ns)

    def follow(self, view: View) -> None:
        """Go by a new view."""
        gone = [one for one in self.placement.others if view.member(one.node_id) is None]
        self.placement.follow(view)
        # A drained node has answered everything and hangs up itself: its last answers may be on
        # their way.
        self._peers.let_go(one for one in gone if one.draining)
        self._peers.keep_only(self.placement.others)
        self._wake()

    # --- for the peers

    def heard_of(self, version: int) -> None:
        """See `Service.heard_of`."""
        self._membership.heard_of(version)

    def serve(self, link: Link, tell: Tell) -> None:
        """See `Service.serve`."""
        self.metrics.served += 1
        left_ns = tell.wait_ms * 1_000_000
        if tell.until_us:
            left_ns = min(left_ns, (tell.until_us - self.clock.now_us()) * 1000)
            if left_ns <= 0:
                link.send(Told(tell.ref, sent(TRY_AGAIN)))
                return
        self._serve(link, tell, self.clock.boot_ns() + left_ns)

    def _serve(self, link: Link, tell: Tell, deadline_ns: int) -> None:
        if not link.is_open:
            # It waited for a view. Its sender asks elsewhere by now, or has given up.
            return
        version = self.placement.view.version
        if self.placement.owns(tell.showtime_id):
            ref, message = tell.ref, tell.message
            if isinstance(message, ReadSeats) and not self.kernel.is_resident(tell.showtime_id):
                self._tasks.start("read-seats", self._read(link, ref, tell.showtime_id, message))
                return

            reply = _ReplyToPeer(link, ref, self)
            self._owed.add(reply)
            self.kernel.tell(tell.showtime_id, message, reply, deadline_ns)
        elif (
            tell.version > version
            and deadline_ns > self.clock.boot_ns()
            and not self.load.is_full()
        ):
            # The peer knows more: judge by what it knows.
            self._membership.heard_of(tell.version)
            self.load.waiting += 1
            self._early.append((link, tell, deadline_ns))
            self._wake_later()
        else:
            owner = self.placement.owner_of(tell.showtime_id)
            link.send(NotOwner(tell.ref, version, None if owner is None else owner.node_id))

    async def _read(self, link: Link, ref: int, showtime_id: bytes, query: ReadSeats) -> None:
        """A seat map for a peer, without waking a showtime that nobody here uses."""
        outcome: Outcome = TRY_AGAIN
        try:
            outcome = await self.kernel.read_seats(showtime_id, query)
        finally:
            link.send(Told(ref, sent(outcome)))

    # --- handing over

    @property
    def node_id(self) -> bytes:
        """See `Neighbours.node_id`."""
        return self.placement.node_id

    @property
    def living_others(self) -> Sequence[bytes]:
        """See `Neighbours.living_others`."""
        return [member.node_id for member in self.placement.others]

    def owns(self, showtime_id: bytes) -> bool:
        """See `Neighbours.owns`."""
        return self.placement.owns(showtime_id)

    async def ask_back(self, owner: bytes, showtime_id: bytes) -> None:
        """See `Neighbours.ask_back`."""
        member = self.placement.view.member(owner)
        if member is None:
            return
        self.metrics.releases_asked += 1
        request = Release(self.placement.view.version, showtime_id)
        try:
            await self._peers.peer(member).ask(
                RELEASE_TOPIC, msgspec.msgpack.encode(request), RELEASE_WAIT_S
            )
        except PeerRefused:
            # It goes by a newer view, in which the showtime is its own.
            await self._refresh()
        except PeerLost:
            return

    async def _give_back(self, _peer_id: bytes, payload: bytes) -> bytes:
        """A peer asks for a showtime: give it back, unless it is ours by a view as new."""
        request = msgspec.msgpack.decode(payload, type=Release)
        if request.version > self.placement.view.version:
            await self._refresh()
        if self.placement.owns(request.showtime_id):
            raise PeerRefused("the showtime is this node's")
        try:
            async with asyncio.timeout(RELEASE_WAIT_S):
                await self.kernel.release(request.showtime_id)
        except TimeoutError as error:
            raise PeerRefused("the showtime has not settled yet") from error
        return b""

    async def _refresh(self) -> None:
        try:
            await self._membership.refresh()
        except ViewsUnavailable:
            return

    def pass_on(self, showtime_id: bytes, letter: Letter) -> None:
        """See `Neighbours.pass_on`; what came from a peer is left to that peer.

        Only one node may pass a message on. When the link is gone, the sender has asked the next
        owner itself, and was perhaps refused: a copy that comes later must have no effect.
        """
        if isinstance(letter.reply, _ReplyToPeer):
            owner = self.placement.owner_of(showtime_id)
            letter.reply.not_owner(
                self.placement.view.version, None if owner is None else owner.node_id
            )
            return
        self._loop.call_soon(
            self.tell, showtime_id, letter.message, letter.reply, letter.deadline_ns
        )
