"""One attempt to bring a showtime into memory, as its owner or only for reading."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from cinema.actors.neighbours import ALONE, Neighbours
from cinema.actors.restore import DamagedJournal, RestoredShowtime, replayed
from cinema.actors.slices import Slices
from cinema.domain.limits import (
    ACTIVATIONS_AT_ONCE,
    FORGOTTEN_PER_TICK,
    INHERITED_AT_ONCE,
    INHERITED_KEPT,
    INHERITED_KEPT_S,
    LEFT_BEHIND_PAGE,
)
from cinema.domain.seatmap import SeatPlan
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.storage.journal.clock import Clock
from cinema.storage.journal.store import HeldBy, JournalRow, JournalStore, Loaded, StoreUnavailable

if TYPE_CHECKING:
    from cinema.actors.actor import ShowtimeActor


NextPage: TypeAlias = Callable[[], Awaitable[Sequence[bytes] | None]]
"""The next of some showtimes each time, None behind the last. Raises `StoreUnavailable`."""


class TermsLoader(Protocol):
    """Where a showtime's terms come from. May raise what a lost connection raises."""

    async def load_terms(self, showtime_id: bytes) -> ShowtimeTerms | None:
        """The terms as they are now, or None if there is no such showtime."""

    async def load_layout(self, screen_id: bytes, version: int) -> SeatPlan | None:
        """A version of a screen's seat plan, or None if there is no such version."""


class _Bumped(NamedTuple):
    """A showtime of a raised epoch, which a statement sent at `sent_ns` has seen.

    It may serve from `serve_from_ns` on (boot time), when the former owner's lease is over.
    """

    restored: RestoredShowtime
    sent_ns: int
    serve_from_ns: int


class _Search:
    """Looks through all heads, a page each time, for those that none of `living` owns."""

    def __init__(self, store: JournalStore, living: Sequence[bytes]) -> None:
        self._store = store
        self._living = living
        self._after: bytes | None = None
        self._is_over = False

    async def next_page(self) -> Sequence[bytes] | None:
        """See `NextPage`."""
        if self._is_over:
            return None
        page = await self._store.left_behind(self._living, self._after, LEFT_BEHIND_PAGE)
        self._after = page.after
        self._is_over = page.after is None
        return page.left


class Activation:
    """Takes showtimes over, loads and replays them; a bounded number at once.

    `lease_ns` is how long an owner may believe that it is current. `wait_ns` is how long a new
    owner waits until the former one no longer believes it. Raises `StoreUnavailable`, and
    `DamagedJournal` only of a showtime that was this node's when it was read.
    """

    def __init__(
        self, store: JournalStore, terms: TermsLoader, clock: Clock, *, lease_ns: int, wait_ns: int
    ) -> None:
        self._store = store
        self._terms = terms
        self._clock = clock
        self._lease_ns = lease_ns
        self._wait_ns = wait_ns
        self.neighbours: Neighbours = ALONE
        self._inherited: dict[bytes, tuple[int, int]] = {}
        self._at_once = asyncio.Semaphore(ACTIVATIONS_AT_ONCE)

    async def terms(self, showtime_id: bytes) -> ShowtimeTerms | None:
        """The terms of a showtime; None if there is no such showtime."""
        try:
            return await self._terms.load_terms(showtime_id)
        except Exception as error:
            raise StoreUnavailable(str(error)) from error

    async def plan(self, screen_id: bytes, version: int) -> SeatPlan | None:
        """A version of a screen's seat plan; None if there is none."""
        try:
            return await self._terms.load_layout(screen_id, version)
        except Exception as error:
            raise StoreUnavailable(str(error)) from error

    async def look(self, showtime_id: bytes) -> RestoredShowtime | None:
        """A showtime as it is stored, without owning it; None if there is nothing to see."""
        try:
            seen = await self._seen(showtime_id)
        except DamagedJournal:
            # Its owner may have changed the plan behind the terms: then all of it fits now.
            seen = await self._seen(showtime_id)
        await self._store.confirmed()
        return seen

    async def _seen(self, showtime_id: bytes) -> RestoredShowtime | None:
        read = await self._read(showtime_id)
        return None if read is None else replayed(*read)

    async def _read(self, showtime_id: bytes) -> tuple[Loaded, ShowtimeTerms] | None:
        """What is stored of a showtime that another node may own; None if there is none.

        The journal is read after the terms. So it contains every change of plan that is
        newer than the terms, and `replayed` finds that they do not fit. In the other order
        it could not find that.
        """
        terms = await self.terms(showtime_id)
        loaded = None if terms is None else await self._store.load(showtime_id)
        return None if terms is None or loaded is None else (loaded, terms)

    async def take_over(
        self, actor: ShowtimeActor, serving_epoch: int | None
    ) -> RestoredShowtime | None:
        """Let the actor serve; None if somebody else took over meanwhile.

        None as well if there is no such showtime, and then the actor vanishes; or if it is another
        node's, and then the actor moves away. An actor that served `serving_epoch` itself need not
        wait until its own lease has ended.
        """
        showtime_id = actor.showtime_id
        if not self.neighbours.owns(showtime_id) and await self._settled_elsewhere(actor):
            actor.move_away()
            return None
        held = await self._bumped(actor, serving_epoch, self.neighbours.living_others)
        if isinstance(held, HeldBy):
            # Outside the semaphore: a wait for a neighbour must not delay the others.
            await self.neighbours.ask_back(held.owner, showtime_id)
            if not self.neighbours.owns(showtime_id) and await self._settled_elsewhere(actor):
                actor.move_away()
                return None
            held = await self._bumped(actor, serving_epoch, ())
        if not isinstance(held, _Bumped):
            return None
        await self._sleep_until(held.serve_from_ns)
        actor.resume(held.restored, held.sent_ns + self._lease_ns)
        return held.restored

    def left_behind(self) -> NextPage:
        """Looks through all heads for what dead nodes have left."""
        everybody = (*self.neighbours.living_others, self.neighbours.node_id)
        living = [node_id for node_id in everybody if node_id is not None]
        return _Search(self._store, living).next_page

    async def inherit(self, heir: bytes, next_page: NextPage) -> int:
        """Fence dead nodes off from all showtimes that are now this node's; returns how many.

        Their leases end together. So a later activation neither waits for a lease nor
        raises the epoch again: no node serves the epoch raised here before that activation.
        `next_page` names what dead nodes have left, whosever it is now.
        """
        count = 0
        living = [heir, *self.neighbours.living_others]
        slices = Slices(self._clock.boot_ns)
        mine: list[bytes] = []
        while (page := await next_page()) is not None:
            for one in page:
                if self.neighbours.owns(one):
                    mine.append(one)
                await slices.give_way()
            while len(mine) >= INHERITED_AT_ONCE:
                count += await self._inherit_some(mine[:INHERITED_AT_ONCE], living, heir)
                del mine[:INHERITED_AT_ONCE]
        if mine:
            count += await self._inherit_some(mine, living, heir)
        return count

    async def _inherit_some(
        self, showtime_ids: Sequence[bytes], living: Sequence[bytes], heir: bytes
    ) -> int:
        epochs = await self._store.inherit(showtime_ids, living, heir)
        serve_from_ns = self._clock.boot_ns() + self._wait_ns
        for showtime_id, epoch in epochs.items():
            # Taken out first: the order of the dict is that of the moments.
            self._inherited.pop(showtime_id, None)
            self._inherited[showtime_id] = (epoch, serve_from_ns)
        return len(epochs)

    def forget_inherited(self) -> None:
        """Forget what nobody asked for in a long time, a bounded number at a time."""
        before_ns = self._clock.boot_ns() - INHERITED_KEPT_S * 1_000_000_000
        inherited = self._inherited
        for _ in range(min(FORGOTTEN_PER_TICK, len(inherited))):
            showtime_id = next(iter(inherited))
            if len(inherited) <= INHERITED_KEPT and inherited[showtime_id][1] >= before_ns:
                return
            del inherited[showtime_id]

    async def _bumped(
        self, actor: ShowtimeActor, serving_epoch: int | None, unless: Sequence[bytes]
    ) -> _Bumped | HeldBy | None:
        """Raise the epoch and load, unless one of the nodes `unless` still has the showtime."""
        showtime_id = actor.showtime_id
        async with self._at_once:
            inherited = self._inherited.pop(showtime_id, None)
            if inherited is not None:
                bumped = await self._loaded(actor, *inherited)
                if bumped is not None:
                    return bumped
            sent_ns = self._clock.boot_ns()
            bump = await self._store.take_over(showtime_id, self.neighbours.node_id, unless)
            answered_ns = self._clock.boot_ns()
            if isinstance(bump, HeldBy):
                return bump
            if bump is None:
                actor.vanish()
                return None
            waits = not bump.was_released and serving_epoch != bump.epoch - 1
            serve_from_ns = answered_ns + self._wait_ns if waits else 0
            bumped = await self._loaded(actor, bump.epoch, serve_from_ns)
            if bumped is None and await self.terms(showtime_id) is None:
                actor.vanish()
        return None if bumped is None else bumped._replace(sent_ns=sent_ns)

    async def _loaded(self, actor: ShowtimeActor, epoch: int, serve_from_ns: int) -> _Bumped | None:
        """What is stored of a showtime whose epoch was raised to `epoch`.

        None if it rose again, or if there is no such showtime. All of it is read after the epoch
        was raised, so no other node changes it before a later takeover. The journal is read after
        the terms, as in `_read`, and not at the same time. A step of a busy loop takes longer than
        an answer of Postgres, and two tasks need more steps than two answers.
        """
        sent_ns = self._clock.boot_ns()
        read = await self._read(actor.showtime_id)
        if read is None or read[0].epoch != epoch:
            return None
        loaded, terms = read
        restored = replayed(loaded, terms, await self._older(actor, loaded))
        return _Bumped(restored, sent_ns, serve_from_ns)

    async def _settled_elsewhere(self, actor: ShowtimeActor) -> bool:
        """Settle an actor's doubts without owning its showtime; False if only a takeover can.

        Under a later epoch nothing of the actor can still become durable: the journal shows what
        did. Under its own epoch a statement may still be in flight.
        """
        if not actor.doubts:
            return True
        async with self._at_once:
            read = await self._read(actor.showtime_id)
            if read is None or read[0].epoch <= actor.epoch:
                return False
            older = await self._older(actor, read[0])
            # An event may be there that its standby has not: nobody's commit came behind it yet.
            await self._store.confirmed()
            try:
                actor.settle(replayed(*read, older))
            except DamagedJournal as error:
                # Its owner may have changed the plan behind the terms, and judges the journal.
                raise StoreUnavailable(str(error)) from error
        return True

    async def _older(self, actor: ShowtimeActor, loaded: Loaded) -> list[JournalRow]:
        """The events before the snapshot that commands in doubt wait for."""
        rows: list[JournalRow] = []
        doubtful = {doubt.seq for doubt in actor.doubts if doubt.seq <= loaded.snapshot_seq}
        for seq in sorted(doubtful):
            rows.extend(await self._store.history(actor.showtime_id, seq - 1, 1))
        return [row for row in rows if row.seq <= loaded.snapshot_seq]

    async def _sleep_until(self, boot_ns: int) -> None:
        left_ns = boot_ns - self._clock.boot_ns()
        if left_ns > 0:
            await asyncio.sleep(left_ns / 1e9)
            await self._sleep_until(boot_ns)
