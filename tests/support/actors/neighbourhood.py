"""Nodes that know each other: whose a showtime is, asking for it, and sending letters after it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from cinema.actors.messages import Letter
from tests.support.actors.world import ANNA, Node, World, release, some_id


class Neighbour:
    """One node as its kernel sees the cluster.

    `instead` is what asking for a showtime does instead of asking its owner to release it.
    """

    def __init__(self, hood: Neighbourhood, node: Node) -> None:
        self.hood = hood
        self.node = node
        self.node_id = some_id()
        self.asked: list[tuple[bytes, bytes]] = []
        self.passed_on: list[Letter] = []
        self.instead: Callable[[], Awaitable[None]] | None = None
        node.kernel.join(self)

    @property
    def living_others(self) -> list[bytes]:
        return [one.node_id for one in self.hood.living if one is not self]

    def owns(self, showtime_id: bytes, /) -> bool:
        return self.hood.owner[showtime_id] is self

    async def ask_back(self, owner: bytes, showtime_id: bytes, /) -> None:
        self.asked.append((owner, showtime_id))
        if self.instead is not None:
            await self.instead()
            return
        (asked,) = (one for one in self.hood.living if one.node_id == owner)
        await asked.node.kernel.release(showtime_id)

    def pass_on(self, showtime_id: bytes, letter: Letter, /) -> None:
        self.passed_on.append(letter)
        kernel = self.hood.owner[showtime_id].node.kernel
        asyncio.get_running_loop().call_soon(
            kernel.tell, showtime_id, letter.message, letter.reply, letter.deadline_ns
        )


class Neighbourhood:
    """Who lives, and whose each showtime is; all nodes see a change at once."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.living: list[Neighbour] = []
        self.owner: dict[bytes, Neighbour] = {}

    async def moves_in(self, **settings: Any) -> Neighbour:
        """One more node."""
        neighbour = Neighbour(self, await self.world.node(**settings))
        self.living.append(neighbour)
        return neighbour


async def pair(world: World, **settings: Any) -> tuple[bytes, Neighbour, Neighbour]:
    """A showtime, the node that owns and serves it under a fresh lease, and another node."""
    hood = Neighbourhood(world)
    old, new = await hood.moves_in(**settings), await hood.moves_in(**settings)
    showtime = world.showtime()
    hood.owner[showtime] = old
    await old.node.ask(showtime, release(ANNA, some_id()))
    return showtime, old, new
