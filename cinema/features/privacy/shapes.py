"""Exports in the form in which the service returns them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from uuid import UUID

import msgspec


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """An export that can be downloaded."""

    id: UUID
    user_id: UUID
    created_at: datetime
    size_bytes: int


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it goes out: its name, its size, and its bytes in pieces."""

    name: str
    size_bytes: int
    pieces: AsyncGenerator[bytes, None]
