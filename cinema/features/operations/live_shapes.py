"""What happens right now, as admins see it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec


class LiveNode(msgspec.Struct, frozen=True, kw_only=True):
    """A member of the cluster; without `counts` it did not answer in time."""

    node_id: UUID
    address: str
    draining: bool
    counts: LiveCounts | None


class LiveCounts(msgspec.Struct, frozen=True, kw_only=True):
    """A node in numbers: `showtimes` in memory, commands that wait in their mailboxes (`waiting`).

    `watchers` are open sockets. `requests`, and `errors` among them with a status of 500 or more,
    count from the start of the process, `uptime_s` ago.
    """

    version: str
    uptime_s: float
    showtimes: int
    waiting: int
    watchers: int
    requests: int
    errors: int


class LiveMinute(msgspec.Struct, frozen=True, kw_only=True):
    """Sixty seconds that ended `ago` minutes before now: what was booked in them, and is kept."""

    ago: int
    bookings: int
    tickets: int


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """Now: the nodes, and the last quarter of an hour, the latest minute first."""

    at: datetime
    nodes: list[LiveNode]
    minutes: list[LiveMinute]
