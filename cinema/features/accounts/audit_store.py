"""Who changed what of accounts: rows that the database itself lets nobody change or delete."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from cinema.features.accounts.shapes import Client
from cinema.storage.database.driver import UUID
from cinema.storage.database.transactions import PooledConnection

_NOTE: Final = """
insert into audit_log (id, at, actor_id, action, target_id, before, after, request_id, address)
values ($1, $2, $3, $4, $5, $6::text::jsonb, $7::text::jsonb, $8, $9)
"""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change; `actor_id` None is the server itself.

    Neither side holds what erasure would have to remove (addresses of e-mail, names), nor secrets.
    """

    id: bytes
    at: datetime
    action: str
    actor_id: bytes | None
    target_id: bytes | None
    before: Mapping[str, Any] = {}
    after: Mapping[str, Any] = {}


async def note(running: PooledConnection, entry: AuditEntry, client: Client) -> None:
    """Write an entry within the transaction of what it tells."""
    await running.execute(
        _NOTE,
        UUID(entry.id),
        entry.at,
        _uuid(entry.actor_id),
        entry.action,
        _uuid(entry.target_id),
        msgspec.json.encode(entry.before).decode(),
        msgspec.json.encode(entry.after).decode(),
        client.request_id,
        client.address,
    )


def _uuid(raw: bytes | None) -> UUID | None:
    return None if raw is None else UUID(raw)
