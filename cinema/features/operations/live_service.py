"""What admins see of the whole system, as it is now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from cinema.features.operations.live_shapes import Live, LiveCounts, LiveMinute, LiveNode
from cinema.features.operations.live_store import LiveRepository
from cinema.features.operations.shapes import NodeShown, NodeStatus

MINUTES: Final = 15

LOOK_S: Final = 1.0
"""How long a node may take to report to somebody who looks at all nodes every second or two."""

Nodes = Callable[[], Awaitable[list[NodeShown]]]


class LiveService:
    """One look at all nodes, and at what was sold."""

    def __init__(self, nodes: Nodes, sales: LiveRepository, *, now: Callable[[], datetime]) -> None:
        self._nodes = nodes
        self._sales = sales
        self._now = now

    async def live(self) -> Live:
        """Now. Refuses RETRY."""
        now = self._now()
        nodes, booked = await asyncio.gather(self._nodes(), self._sales.booked(now, MINUTES))
        minutes = [(ago, *booked.get(ago, (0, 0))) for ago in range(MINUTES)]
        return Live(
            at=now,
            nodes=[_node(one) for one in nodes],
            minutes=[
                LiveMinute(ago=ago, bookings=bookings, tickets=tickets)
                for ago, bookings, tickets in minutes
            ],
        )


def _node(shown: NodeShown) -> LiveNode:
    return LiveNode(
        node_id=shown.node_id,
        address=shown.address,
        draining=shown.draining,
        counts=None if shown.status is None else _counts(shown.status),
    )


def _counts(status: NodeStatus) -> LiveCounts:
    return LiveCounts(
        version=status.version,
        uptime_s=status.uptime_s,
        showtimes=status.residents,
        waiting=status.mailbox_depth,
        watchers=status.watchers,
        requests=status.requests,
        errors=status.errors,
    )
