"""Views and heartbeats in memory: the same answers, for tests and simulation.

Every method yields to the loop where a server would, then acts in one step, as one statement does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from cinema.domain.membership import NO_VIEW, View
from cinema.storage.membership.views import Beat


class MemoryViews:
    """The views that all nodes of one process share, the newest last."""

    def __init__(self) -> None:
        self.views: list[View] = []

    @property
    def newest(self) -> View:
        """The newest view, without asking."""
        return self.views[-1] if self.views else NO_VIEW

    async def latest(self) -> View:
        """See `ViewStore.latest`."""
        await asyncio.sleep(0)
        return self.newest

    async def propose(self, view: View, _node_id: bytes) -> bool:
        """See `ViewStore.propose`."""
        await asyncio.sleep(0)
        if view.version != self.newest.version + 1:
            return False
        self.views.append(view)
        return True


class MemoryHeartbeats:
    """The signs of life that all nodes of one process share."""

    def __init__(self) -> None:
        self.beats: dict[bytes, Beat] = {}

    async def beat(self, node_id: bytes, beat: Beat) -> Mapping[bytes, Beat]:
        """See `HeartbeatStore.beat`."""
        await asyncio.sleep(0)
        self.beats[node_id] = beat
        return dict(self.beats)

    async def forget(self, node_ids: frozenset[bytes]) -> None:
        """See `HeartbeatStore.forget`."""
        await asyncio.sleep(0)
        for node_id in sorted(node_ids):
            self.beats.pop(node_id, None)

    async def close(self) -> None:
        """See `HeartbeatStore.close`."""
