"""Tells sockets of their places, after each round that this node has seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final
from uuid import UUID

from cinema.domain.rejections import Refused
from cinema.features.waitingroom.service import WaitingRoomService
from cinema.features.waitingroom.shapes import WaitingRoom

TOLD_PER_TURN: Final = 100
"""Followers that are told before others get a turn of the loop."""

LOOK_EVERY: Final = 5
"""Rounds between two looks for who no longer waits: each costs a statement."""

Told = Callable[[WaitingRoom], None]


class _Follower:
    __slots__ = ("last", "showtime_id", "token", "told")

    def __init__(self, showtime_id: UUID, token: str, told: Told, last: WaitingRoom) -> None:
        self.showtime_id = showtime_id
        self.token = token
        self.told = told
        self.last = last


class PlaceFeed:
    """Who is told of a place whenever it changes; as many as there are sockets, at most."""

    def __init__(self, rooms: WaitingRoomService) -> None:
        self._rooms = rooms
        self._followers: dict[int, _Follower] = {}
        self._next = 0
        self._rounds = 0

    @property
    def follower_count(self) -> int:
        """How many are told."""
        return len(self._followers)

    async def follow(self, showtime_id: bytes, token: str, told: Told) -> Callable[[], None]:
        """Tell of a place now and when it changes, until what this returns is called.

        Refuses NOT_FOUND, RETRY.
        """
        showtime = UUID(bytes=showtime_id)
        seen = await self._rooms.room(showtime, token)
        number, self._next = self._next, self._next + 1
        self._followers[number] = _Follower(showtime, token, told, seen)
        told(seen)

        def unfollow() -> None:
            self._followers.pop(number, None)

        return unfollow

    async def tell(self) -> None:
        """Tell all whose place has changed. Refuses RETRY."""
        self._rounds += 1
        await self._rooms.learn()
        for done, (number, one) in enumerate(list(self._followers.items()), 1):
            if done % TOLD_PER_TURN == 0:
                await asyncio.sleep(0)
            waits = one.last.place is not None and one.last.place.status == "waiting"
            if not waits and (self._rounds + number) % LOOK_EVERY:
                continue
            try:
                seen = await self._rooms.room(one.showtime_id, one.token)
            except Refused:
                continue
            if seen != one.last and number in self._followers:
                one.last = seen
                one.told(seen)
