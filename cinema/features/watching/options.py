"""Bounds of watch sockets."""

from __future__ import annotations

import msgspec

from cinema.http.owned import OwnerOf


class WatchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of watch sockets; the settings document each."""

    sockets_limit: int
    coalesce_s: float
    frame_limit_bytes: int
    commands_in_flight: int
    pending_limit_bytes: int
    heartbeat_s: float
    sockets_per_address: int
    sockets_per_user: int
    owner_of: OwnerOf | None = None
