"""How features that only have messages to send see the queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from cinema.features.messages.shapes import NewMessage
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


class EnqueueAll(Protocol):
    """Enqueues messages by one statement (`MessagesRepository.enqueue_all`)."""

    async def __call__(
        self, transaction: PooledConnection, messages: Sequence[NewMessage], /
    ) -> object: ...
