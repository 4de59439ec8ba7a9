"""Memberships of several nodes over the same views and heartbeats, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import msgspec

from cinema.cluster.membership import Membership
from cinema.domain.membership import Member, View
from cinema.storage.membership.memory import MemoryHeartbeats, MemoryViews
from cinema.storage.membership.views import Beat, BeatsUnavailable, ViewsUnavailable
from tests.unit.cluster.members import member

TIMEOUT_S = 5.0


class WayToViews:
    """One node's way to the views; `lose_answers` have their effect before they are lost."""

    def __init__(self, views: MemoryViews) -> None:
        self._views = views
        self.is_away = False
        self.lose_answers = 0
        self.proposals: list[View] = []

    async def latest(self) -> View:
        self._check()
        return await self._views.latest()

    async def propose(self, view: View, node_id: bytes) -> bool:
        self._check()
        self.proposals.append(view)
        taken = await self._views.propose(view, node_id)
        if self.lose_answers:
            self.lose_answers -= 1
            raise ViewsUnavailable("the answer was lost")
        return taken

    def _check(self) -> None:
        if self.is_away:
            raise ViewsUnavailable("away")


class WayToBeats:
    """One node's way to the heartbeats; `hangs` never answers."""

    def __init__(self, beats: MemoryHeartbeats) -> None:
        self._beats = beats
        self.is_away = False
        self.hangs = False
        self.forgotten: list[frozenset[bytes]] = []

    async def beat(self, node_id: bytes, beat: Beat) -> Mapping[bytes, Beat]:
        if self.hangs:
            await asyncio.Event().wait()
        if self.is_away:
            raise BeatsUnavailable("away")
        return await self._beats.beat(node_id, beat)

    async def forget(self, node_ids: frozenset[bytes]) -> None:
        self.forgotten.append(node_ids)
        await self._beats.forget(node_ids)

    async def close(self) -> None:
        """Nothing to give back."""


class Somebody:
    """One node: its membership, and what it was told of and asked."""

    def __init__(self, circle: Circle, me: Member) -> None:
        self.me = me
        self.views = WayToViews(circle.views)
        self.beats = WayToBeats(circle.beats)
        self.followed: list[View] = []
        self.announced: list[int] = []
        self.asked: list[bytes] = []
        self.on_view: Callable[[View], None] = self.followed.append
        self._circle = circle
        self.membership = Membership(
            me.node_id,
            self.beats,
            self.views,
            timeout_s=TIMEOUT_S,
            answers=self._answers,
            on_view=self._follow,
            announce=self._announce,
        )

    @property
    def view(self) -> View:
        """The view it goes by."""
        return self.membership.view

    @property
    def members(self) -> set[bytes]:
        """The ids of the members as it knows them."""
        return {one.node_id for one in self.view.members}

    async def join(self) -> Somebody:
        """Become a member."""
        await self.membership.join(self.me)
        return self

    async def die(self) -> None:
        """End as a killed process ends."""
        self._circle.reachable.discard(self.me.node_id)
        await self.membership.stop()

    def _follow(self, view: View) -> None:
        self.on_view(view)

    async def _answers(self, asked: Member) -> bool:
        self.asked.append(asked.node_id)
        await asyncio.sleep(0)
        return asked.node_id in self._circle.reachable

    def _announce(self, view: View) -> None:
        self.announced.append(view.version)
        for other in self._circle.everybody:
            if self._circle.hears_news and other is not self:
                other.membership.heard_of(view.version)


class Circle:
    """Some nodes, what they share, and who answers when asked directly."""

    def __init__(self) -> None:
        self.views = MemoryViews()
        self.beats = MemoryHeartbeats()
        self.everybody: list[Somebody] = []
        self.reachable: set[bytes] = set()
        self.hears_news = True

    def somebody(self, number: int, *, at: int | None = None) -> Somebody:
        """A node that has not joined, at an address of its own or at that of another number."""
        me = member(number)
        if at is not None:
            me = msgspec.structs.replace(me, port=member(at).port)
        made = Somebody(self, me)
        self.everybody.append(made)
        self.reachable.add(me.node_id)
        return made

    async def joined(self, *numbers: int) -> list[Somebody]:
        """Nodes that are members and know each other."""
        made = [await self.somebody(number).join() for number in numbers]
        await asyncio.sleep(2)
        assert {one.view for one in made} == {self.views.newest}
        return made


@asynccontextmanager
async def circle() -> AsyncIterator[Circle]:
    """Nobody yet."""
    made = Circle()
    try:
        yield made
    finally:
        for one in made.everybody:
            await one.membership.stop()
