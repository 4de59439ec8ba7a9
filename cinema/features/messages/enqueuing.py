"""How features that only have messages to send see the queue."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from cinema.storage.database.transactions import PooledConnection


class Enqueue(Protocol):
    """Enqueues a message in the transaction of what it is about (`MessagesRepository.enqueue`)."""

    async def __call__(
        self,
        transaction: PooledConnection,
        *,
        kind: str,
        to: str,
        language: str,
        payload: Mapping[str, Any],
        dedupe_key: str,
        send_at: datetime | None = None,
        drop_after: datetime | None = None,
    ) -> object: ...
