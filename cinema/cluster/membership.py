"""One node's part in the cluster: heartbeats, a watch over the others, and the newest view."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final

import msgspec
import structlog

from cinema.actors.tasks import Tasks
from cinema.cluster.detector import FailureDetector
from cinema.domain.membership import NO_VIEW, Member, View
from cinema.storage.membership.views import (
    Beat,
    BeatsUnavailable,
    HeartbeatStore,
    ViewStore,
    ViewsUnavailable,
)
from cinema.telemetry.logging import LogLimit

BEATS_IN_TIMEOUT: Final = 5
"""Heartbeats within one time-out: four may be late or lost."""

WATCH_PAUSE_MIN_S: Final = 0.001
"""The least pause between two looks for silent members; timers may fire a hair early."""

VIEW_POLL_S: Final = 2.0
"""Period of the look at the newest view when no heartbeat tells of one."""

JOIN_PAUSE_S: Final = 0.2
"""Time between two attempts to join."""

VIEW_CHANGED: Final = "view_changed"
MEMBERSHIP_FROZEN: Final = "membership_frozen"
MEMBERSHIP_THAWED: Final = "membership_thawed"
MEMBER_SILENT: Final = "member_silent"
DECLARED_DEAD: Final = "declared_dead"
VIEWS_UNREACHABLE: Final = "views_unreachable"
MEMBERSHIP_FAILED: Final = "membership_failed"

log = structlog.get_logger(__name__)


class AddressTaken(Exception):
    """Another living node is a member at this node's address."""


class Membership:
    """Keeps `view` the newest this node knows of; `on_view` is called with each, in order.

    `announce` tells the others at once of a view this node made, which they would learn from its
    beats. `answers` asks a member directly whether it lives. No node is removed that was only
    silent in Redis: a node without Redis still serves well. `declared_dead` is set once a view
    leaves this node out although it did not leave: it must stop at once.
    """

    def __init__(
        self,
        node_id: bytes,
        beats: HeartbeatStore,
        views: ViewStore,
        *,
        timeout_s: float,
        answers: Callable[[Member], Awaitable[bool]],
        on_view: Callable[[View], None],
        announce: Callable[[View], None],
        task_failures: Counter[str] | None = None,
    ) -> None:
        self.me: Member
        self._node_id = node_id
        self.view = NO_VIEW
        self.frozen = False
        self.joined = False
        self.declared_dead = asyncio.Event()
        self._beats = beats
        self._views = views
        self._interval_s = timeout_s / BEATS_IN_TIMEOUT
        self._detector = FailureDetector(timeout_s=timeout_s, blind_after_s=timeout_s / 2)
        self._answers = answers
        self._on_view = on_view
        self._announce = announce
        self._count = 0
        self._unreachable = LogLimit()
        self._known_version = 0
        self._look = asyncio.Event()
        self._looked_s = float("-inf")
        self._leaving = False
        self._tasks = Tasks(task_failures)
        self._loop: asyncio.AbstractEventLoop

    # --- life

    async def join(self, me: Member) -> None:
        """Become the member `me`. Raises `AddressTaken`; waits for Postgres, not for Redis."""
        self.me = me
        self._loop = asyncio.get_running_loop()
        self._tasks.keep("heartbeats", self._run_beats)
        while True:
            try:
                await self.refresh()
                await self._check_address()
                if await self._propose(self.view.with_member(self.me)):
                    break
            except ViewsUnavailable as error:
                self._unreachable.write(log.warning, VIEWS_UNREACHABLE, reason=str(error))
            await asyncio.sleep(JOIN_PAUSE_S)
        self._tasks.keep("membership", self._run_watch)

    async def drain(self) -> None:
        """Own nothing more from the next view on; this node still forwards."""
        self.me = msgspec.structs.replace(self.me, draining=True)
        await self._propose_until(lambda: self.view.with_member(self.me), self._is_draining)

    async def leave(self) -> None:
        """Leave the cluster for good, also in the middle of joining it."""
        self._leaving = True
        if not self.joined:
            # A proposal that was given up may have been taken all the same.
            with suppress(ViewsUnavailable):
                await self.refresh()
        mine = frozenset({self._node_id})
        await self._propose_until(
            lambda: self.view.without(mine),
            lambda: self.view.member(self._node_id) is None,
        )

    async def stop(self) -> None:
        """Stop beating and watching; the others find out unless this node has left."""
        await self._tasks.cancel()

    def _is_draining(self) -> bool:
        member = self.view.member(self._node_id)
        return member is None or member.draining

    async def _propose_until(self, following: Callable[[], View], done: Callable[[], bool]) -> None:
        while not done() and not self.declared_dead.is_set():
            try:
                await self._propose(following())
            except ViewsUnavailable as error:
                self._unreachable.write(log.warning, VIEWS_UNREACHABLE, reason=str(error))
                await asyncio.sleep(JOIN_PAUSE_S)

    # --- views

    def heard_of(self, version: int) -> None:
        """Another node uses the view of `version`: look soon, if it is newer than ours."""
        if version > self._known_version:
            self._known_version = version
            self._look.set()

    async def refresh(self) -> View:
        """Use the newest view.

        Raises `ViewsUnavailable`.
        """
        view = await self._views.latest()
        self._looked_s = asyncio.get_running_loop().time()
        self._accept(view)
        return self.view

    def _accept(self, view: View) -> None:
        if view.version <= self.view.version:
            return
        self.view = view
        self._known_version = max(self._known_version, view.version)
        member = view.member(self._node_id)
        if member is not None:
            self.joined = True
        elif self.joined and not self._leaving:
            log.error(DECLARED_DEAD, version=view.version)
            self.declared_dead.set()
        log.info(
            VIEW_CHANGED,
            version=view.version,
            members=[one.address for one in view.members],
            draining=[one.address for one in view.members if one.draining],
        )
        self._on_view(view)

    async def _propose(self, view: View) -> bool:
        taken = await self._views.propose(view, self._node_id)
        if taken:
            self._accept(view)
            self._announce(view)
        else:
            await self.refresh()
        return taken

    async def _check_address(self) -> None:
        for member in self.view.members:
            if member.node_id == self._node_id:
                # The answer to an earlier proposal was lost: it was taken.
                continue
            if member.address == self.me.address and await self._answers(member):
                raise AddressTaken(f"another node serves at {member.address}")

    # --- heartbeats

    async def _run_beats(self) -> None:
        while True:
            started_s = self._loop.time()
            try:
                async with asyncio.timeout(self._interval_s):
                    await self._beat()
            except (BeatsUnavailable, TimeoutError) as error:
                self._freeze(str(error) or type(error).__name__)
            except Exception:
                # Whatever the error is, the heartbeat must go on.
                log.exception(MEMBERSHIP_FAILED)
                self._freeze("internal error")
            spent_s = self._loop.time() - started_s
            await asyncio.sleep(max(0.0, self._interval_s - spent_s))

    def _freeze(self, reason: str) -> None:
        if not self.frozen:
            self.frozen = True
            log.warning(MEMBERSHIP_FROZEN, reason=reason)

    async def _beat(self) -> None:
        self._count += 1
        beats = await self._beats.beat(self._node_id, Beat(self._count, self.view.version))
        now_s = self._loop.time()
        self._detector.observe(beats, now_s)
        if self.frozen:
            self.frozen = False
            log.info(MEMBERSHIP_THAWED)
        for beat in beats.values():
            self.heard_of(beat.version)
        members = frozenset(one.node_id for one in self.view.members)
        gone = self._detector.forget_all_but(members, now_s)
        if gone:
            await self._beats.forget(gone)

    # --- watching

    async def _run_watch(self) -> None:
        while not self.declared_dead.is_set():
            try:
                async with asyncio.timeout(self._watch_pause_s()):
                    await self._look.wait()
            except TimeoutError:
                pass
            self._look.clear()
            try:
                await self._watch()
            except ViewsUnavailable as error:
                self._unreachable.write(log.warning, VIEWS_UNREACHABLE, reason=str(error))
            except Exception:
                log.exception(MEMBERSHIP_FAILED)

    def _watch_pause_s(self) -> float:
        """Until the next silence is due, so that it is noticed then, and one beat at the most."""
        now_s = self._loop.time()
        left_s = self._detector.next_silence_s(self._others(), now_s) - now_s
        return min(max(left_s, WATCH_PAUSE_MIN_S), self._interval_s)

    def _others(self) -> list[Member]:
        return [one for one in self.view.members if one.node_id != self._node_id]

    async def _watch(self) -> None:
        now_s = self._loop.time()
        if self._known_version > self.view.version or now_s - self._looked_s >= VIEW_POLL_S:
            await self.refresh()
        suspects = self._detector.silent(self._others(), self._loop.time())
        dead = await self._dead(suspects) if suspects else frozenset()
        if dead:
            await self._propose(self.view.without(dead))

    async def _dead(self, suspects: Iterable[Member]) -> frozenset[bytes]:
        """Those of the suspects that do not answer either."""
        asked = list(suspects)
        answers = await asyncio.gather(*(self._answers(one) for one in asked))
        dead = []
        for member, lives in zip(asked, answers, strict=True):
            log.warning(MEMBER_SILENT, member=member.address, answers=lives)
            if lives:
                self._detector.heard(member.node_id, self._loop.time())
            else:
                dead.append(member.node_id)
        return frozenset(dead)
