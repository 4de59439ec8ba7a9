"""Seat changes between nodes: any node serves the watchers of any showtime.

The owner publishes a showtime's changes over Redis, after their commit, while some node says that
it is interested. A node that misses some asks the owner for them, or reads them in the journal.
While Redis is away it always reads them there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import msgspec
import structlog

from cinema.actors.kernel import Kernel
from cinema.actors.messages import TRY_AGAIN, OnOutcome, Outcome, ReadSeats, SeatFeed, SeatsSeen
from cinema.actors.slices import Slices
from cinema.actors.tasks import Tasks
from cinema.cluster.inbound import InboundFeed
from cinema.cluster.membership import Membership
from cinema.cluster.outbound import (
    RECENT_CHANGES,
    Change,
    OutboundFeed,
    SentPosition,
    decode_changes,
    encode_changes,
)
from cinema.cluster.peers import PeerLost, PeerRefused, Peers
from cinema.cluster.placement import Placement
from cinema.domain.showtime.events import decode_recorded
from cinema.storage.journal.store import JournalStore, StoreUnavailable
from cinema.storage.redis.channels import Channels, ChannelsUnavailable

INTEREST_TOPIC: Final = "interest"
CHANGES_TOPIC: Final = "changes"

INTEREST_EVERY_S: Final = 1.0
"""Period in which a node repeats its interest; the answers also show it what it missed."""

INTEREST_S: Final = 10.0
"""How long an interest lasts that is not repeated."""

ASK_TIMEOUT_S: Final = 1.0

WATCHED_PER_STEP: Final = 256
"""Showtimes of other nodes' watchers that are looked at in one step; each may be activated."""

JOURNAL_EVERY_S: Final = 0.25
"""Period in which changes are read in the journal while Redis is away."""

HEAL_PAGE: Final = 500
"""Changes read at a time."""

PUBLISHED_AT_ONCE: Final = 1000
"""Showtimes whose changes wait for Redis; beyond it changes are dropped, and the gaps are filled
later."""

CHANGES_WAITING: Final = 512
"""Changes of one showtime that wait for Redis."""

FANOUT_FAILED: Final = "fanout_failed"
CHANGES_UNPUBLISHED: Final = "changes_unpublished"

_CHANNEL: Final = b"cinema:seats:"

log = structlog.get_logger(__name__)

_encode = msgspec.msgpack.Encoder().encode
_ids = msgspec.msgpack.Decoder(list[bytes]).decode
_positions = msgspec.msgpack.Decoder(list[SentPosition]).decode
_after = msgspec.msgpack.Decoder(tuple[bytes, int]).decode


ReadRemote = Callable[[bytes, ReadSeats], Awaitable[Outcome]]
"""Reads the seat map of another node's showtime."""


class FanOutMetrics:
    """Plain counters, exported when scraped."""

    __slots__ = ("gaps", "heard", "published", "unpublished")

    def __init__(self) -> None:
        self.published = 0
        self.unpublished = 0
        self.heard = 0
        self.gaps = 0


class FanOut:
    """Both directions of one node."""

    def __init__(
        self,
        kernel: Kernel,
        placement: Placement,
        peers: Peers,
        membership: Membership,
        channels: Channels,
        journal: JournalStore,
        *,
        recent_changes: int = RECENT_CHANGES,
    ) -> None:
        """`recent_changes` are kept for each showtime, to fill gaps of other nodes."""
        self.metrics = FanOutMetrics()
        self._kernel = kernel
        self._placement = placement
        self._peers = peers
        self._membership = membership
        self._channels = channels
        self._journal = journal
        self._recent_limit = recent_changes
        self._inbound: dict[bytes, InboundFeed] = {}
        self._outbound: dict[bytes, OutboundFeed] = {}
        self._waiting: dict[bytes, list[Change]] = {}
        self._has_waiting = asyncio.Event()
        self._renew = asyncio.Event()
        self._is_up = False
        self._has_moved = False
        self._tasks = Tasks(kernel.metrics.task_failures)
        self._loop = asyncio.get_running_loop()
        peers.answer(INTEREST_TOPIC, self._noted)
        peers.answer(CHANGES_TOPIC, self._recent_changes)

    def start(self) -> None:
        """Begin to listen, to publish and to look for gaps."""
        self._tasks.keep("fanout-listen", self._listen)
        self._tasks.keep("fanout-publish", self._run_publishing)
        self._tasks.keep("fanout-interest", self._run_interest)
        self._tasks.keep("fanout-journal", self._run_journal)

    async def stop(self) -> None:
        """Hang up."""
        await self._tasks.cancel()
        await self._channels.close()

    def view_changed(self) -> None:
        """Watch the showtimes at their present owners, soon: there may be many."""
        self._has_moved = True
        self._renew.set()

    async def _follow_moved(self) -> None:
        slices = Slices(self._kernel.clock.boot_ns)
        for inbound in list(self._inbound.values()):
            is_watched = self._inbound.get(inbound.showtime_id) is inbound
            if is_watched and self._placement.owns(inbound.showtime_id):
                # From now on the kernel of this node tells.
                self.unwatch(inbound.showtime_id, inbound.feed)
                inbound.lose()
            await slices.give_way()
        for showtime_id in list(self._outbound):
            if showtime_id in self._outbound and not self._placement.owns(showtime_id):
                self._outbound.pop(showtime_id).end()
            await slices.give_way()

    # --- for the watchers here

    def watch(self, showtime_id: bytes, feed: SeatFeed, read: ReadRemote, reply: OnOutcome) -> None:
        """The seat map of another node's showtime, and from its seq on every change to `feed`."""
        if isinstance(feed, OutboundFeed):
            # This feed was for other nodes, and the showtime has moved away meanwhile.
            reply(TRY_AGAIN)
            return
        inbound = self._inbound.get(showtime_id)
        if inbound is None or inbound.feed is not feed:
            inbound = self._inbound[showtime_id] = InboundFeed(showtime_id, feed)
        inbound.has_begun = False
        self._tasks.start("fanout-watch", self._watch(inbound, read, reply))

    def unwatch(self, showtime_id: bytes, feed: SeatFeed) -> None:
        """Stop telling a feed; the interest lapses by itself."""
        inbound = self._inbound.get(showtime_id)
        if inbound is not None and inbound.feed is feed:
            del self._inbound[showtime_id]
            inbound.end()
            self._tasks.start(
                "fanout-unsubscribe", self._channels.unsubscribe(_CHANNEL + showtime_id)
            )

    async def _watch(self, inbound: InboundFeed, read: ReadRemote, reply: OnOutcome) -> None:
        showtime_id = inbound.showtime_id
        outcome: Outcome = TRY_AGAIN
        try:
            await self._channels.subscribe(_CHANNEL + showtime_id)
            outcome = await read(showtime_id, ReadSeats())
        finally:
            if self._inbound.get(showtime_id) is not inbound:
                # Nobody watches now, or another task asks already.
                outcome = TRY_AGAIN
            elif isinstance(outcome, SeatsSeen):
                inbound.begin(outcome)
            else:
                self.unwatch(showtime_id, inbound.feed)
            reply(outcome)
        if inbound.has_begun:
            if not inbound.take_early():
                self._heal(inbound)
            self._renew.set()

    # --- hearing

    async def _listen(self) -> None:
        await self._channels.listen(self._on_message, self._on_up)

    def _on_up(self, is_up: bool) -> None:
        self._is_up = is_up
        if is_up:
            # Whatever was said before is lost.
            for inbound in self._inbound.values():
                self._heal(inbound)

    def _on_message(self, channel: bytes, payload: bytes) -> None:
        inbound = self._inbound.get(channel.removeprefix(_CHANNEL))
        if inbound is None:
            return
        try:
            changes = decode_changes(payload)
        except msgspec.MsgspecError:
            # A message of another program or a newer version: the journal has the change too.
            self._heal(inbound)
            return
        self.metrics.heard += len(changes)
        self._take(inbound, changes)

    def _take(self, inbound: InboundFeed, changes: Iterable[Change]) -> None:
        if not inbound.take(changes):
            self._heal(inbound)

    def _heal(self, inbound: InboundFeed) -> None:
        if inbound.has_begun and not inbound.heals:
            inbound.heals = True
            self.metrics.gaps += 1
            self._tasks.start("fanout-heal", self._healed(inbound))

    async def _healed(self, inbound: InboundFeed, *, by_owner: bool = True) -> None:
        try:
            changes = await self._from_owner(inbound) if by_owner else None
            if changes is None:
                changes = await self._from_journal(inbound)
        except StoreUnavailable:
            # The next look at the positions finds the gap again.
            return
        finally:
            inbound.heals = False
        if inbound.has_begun and not inbound.take(changes):
            # The journal has been truncated beyond our position.
            inbound.lose()

    async def _from_owner(self, inbound: InboundFeed) -> list[Change] | None:
        owner = self._placement.owner_of(inbound.showtime_id)
        if owner is None or owner.node_id == self._placement.node_id:
            return None
        question = _encode((inbound.showtime_id, inbound.seq))
        try:
            answer = await self._peers.peer(owner).ask(CHANGES_TOPIC, question, ASK_TIMEOUT_S)
        except (PeerLost, PeerRefused):
            return None
        return decode_changes(answer)

    async def _from_journal(self, inbound: InboundFeed) -> list[Change]:
        rows = await self._journal.history(inbound.showtime_id, inbound.seq, HEAL_PAGE)
        if rows:
            await self._journal.confirmed()
        return [Change(row.epoch, row.seq, decode_recorded(row.payload).event) for row in rows]

    async def _run_journal(self) -> None:
        """While Redis is away, read changes in the journal."""
        while True:
            await asyncio.sleep(JOURNAL_EVERY_S)
            if self._is_up and not self._membership.frozen:
                continue
            for inbound in list(self._inbound.values()):
                if inbound.has_begun and not inbound.heals:
                    inbound.heals = True
                    try:
                        await self._healed(inbound, by_owner=False)
                    except Exception:
                        # One journal that cannot be read must not keep the others from it.
                        log.exception(FANOUT_FAILED)

    # --- interest

    async def _run_interest(self) -> None:
        while True:
            try:
                async with asyncio.timeout(INTEREST_EVERY_S):
                    await self._renew.wait()
            except TimeoutError:
                pass
            self._renew.clear()
            if self._has_moved:
                self._has_moved = False
                await self._follow_moved()
            await self._drop_uninteresting()
            try:
                await self._say_interest()
            except Exception:
                log.exception(FANOUT_FAILED)

    async def _say_interest(self) -> None:
        by_owner: dict[bytes, list[bytes]] = {}
        slices = Slices(self._kernel.clock.boot_ns)
        for showtime_id in list(self._inbound):
            await slices.give_way()
            owner = self._placement.owner_of(showtime_id)
            if owner is not None and owner.node_id != self._placement.node_id:
                by_owner.setdefault(owner.node_id, []).append(showtime_id)
        await asyncio.gather(*(self._ask_owner(*one) for one in by_owner.items()))

    async def _ask_owner(self, node_id: bytes, showtime_ids: list[bytes]) -> None:
        member = self._placement.view.member(node_id)
        if member is None:
            return
        try:
            answer = await self._peers.peer(member).ask(
                INTEREST_TOPIC, _encode(showtime_ids), ASK_TIMEOUT_S
            )
        except (PeerLost, PeerRefused):
            return
        placed = {position.showtime_id: position for position in _positions(answer)}
        for showtime_id in showtime_ids:
            inbound = self._inbound.get(showtime_id)
            if inbound is None or not inbound.has_begun:
                continue
            position = placed.get(showtime_id)
            if position is None:
                # Just asked, or its owner has no room for another that is watched.
                if inbound.is_unplaced:
                    self._heal(inbound)
            elif position.seq > inbound.seq:
                self._heal(inbound)
            inbound.is_unplaced = position is None

    async def _noted(self, _peer_id: bytes, payload: bytes) -> bytes:
        """Another node is interested: answer with the position of each showtime that is ours."""
        positions = []
        slices = Slices(self._kernel.clock.boot_ns, WATCHED_PER_STEP)
        for showtime_id in _ids(payload):
            await slices.give_way()
            if not self._placement.owns(showtime_id):
                continue
            outbound = self._outbound.get(showtime_id)
            if outbound is None:
                outbound = self._outbound[showtime_id] = OutboundFeed(
                    showtime_id,
                    self._kernel,
                    self._placement.owns,
                    self._publish,
                    recent_limit=self._recent_limit,
                )
            outbound.interested_until_s = self._loop.time() + INTEREST_S
            outbound.begin()
            if outbound.position is not None:
                positions.append(outbound.position)
        return _encode(positions)

    async def _drop_uninteresting(self) -> None:
        now_s = self._loop.time()
        slices = Slices(self._kernel.clock.boot_ns)
        for showtime_id, outbound in list(self._outbound.items()):
            is_told = self._outbound.get(showtime_id) is outbound
            if is_told and outbound.interested_until_s < now_s:
                del self._outbound[showtime_id]
                outbound.end()
            await slices.give_way()

    async def _recent_changes(self, _peer_id: bytes, payload: bytes) -> bytes:
        showtime_id, seq = _after(payload)
        outbound = self._outbound.get(showtime_id)
        changes = None if outbound is None else outbound.since(seq)
        if changes is None:
            raise PeerRefused("not known here")
        return encode_changes(changes)

    # --- publishing

    def _publish(self, showtime_id: bytes, change: Change) -> None:
        waiting = self._waiting.get(showtime_id)
        if waiting is None:
            if len(self._waiting) >= PUBLISHED_AT_ONCE:
                self.metrics.unpublished += 1
                return
            self._waiting[showtime_id] = [change]
        elif len(waiting) < CHANGES_WAITING:
            waiting.append(change)
        else:
            self.metrics.unpublished += 1
        self._has_waiting.set()

    async def _run_publishing(self) -> None:
        while True:
            await self._has_waiting.wait()
            self._has_waiting.clear()
            waiting, self._waiting = self._waiting, {}
            count = sum(len(changes) for changes in waiting.values())
            try:
                await self._channels.publish(
                    [
                        (_CHANNEL + showtime_id, encode_changes(changes))
                        for showtime_id, changes in waiting.items()
                    ]
                )
                self.metrics.published += count
            except ChannelsUnavailable as error:
                self.metrics.unpublished += count
                log.debug(CHANGES_UNPUBLISHED, reason=str(error))
            except Exception:
                self.metrics.unpublished += count
                log.exception(FANOUT_FAILED)
