"""The audit log: who changed which account. The database refuses to change or delete its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from cinema.features.accounts.shapes import AuditRow, Client
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import Pool, PooledConnection, connection

_NOTE: Final = """
insert into audit_log (id, at, actor_id, action, target_id, before, after, request_id, address)
values ($1, $2, $3, $4, $5, $6::text::jsonb, $7::text::jsonb, $8, $9)
"""


_LIST: Final = """
select id, at, actor_id, action, target_id, before::text, after::text,
    request_id, address
from audit_log
where ($1::uuid is null or actor_id = $1)
    and ($2::uuid is null or target_id = $2)
    and ($3::text is null or action = $3)
    and ($4::timestamptz is null or at >= $4)
    and ($5::timestamptz is null or at < $5)
    and ($6::timestamptz is null or (at, id) < ($6, $7))
order by at desc, id desc
limit $8
"""


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows to read; `since` is included, `until` is not."""

    actor_id: UUID | None
    target_id: UUID | None
    action: str | None
    since: datetime | None
    until: datetime | None


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change; `actor_id` None means the server itself.

    `before` and `after` never hold secrets, nor what an erasure would have to remove (e-mail
    addresses and names).
    """

    id: UUID
    at: datetime
    action: str
    actor_id: UUID | None
    target_id: UUID | None
    before: Mapping[str, Any] = {}
    after: Mapping[str, Any] = {}


async def note(running: PooledConnection, entry: AuditEntry, client: Client) -> None:
    """Write an entry in the transaction of the change itself."""
    await running.execute(
        _NOTE,
        entry.id,
        entry.at,
        entry.actor_id,
        entry.action,
        entry.target_id,
        msgspec.json.encode(entry.before).decode(),
        msgspec.json.encode(entry.after).decode(),
        client.request_id,
        client.address,
    )


class AuditRepository:
    """Reads the audit log."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list(
        self, wanted: AuditFilter, after: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[AuditRow]:
        """Rows, newest first. Refuses RETRY."""
        moment, last_id = after or (None, None)
        async with connection(self._pool) as reading:
            rows = await reading.fetch(
                _LIST,
                wanted.actor_id,
                wanted.target_id,
                wanted.action,
                wanted.since,
                wanted.until,
                moment,
                last_id,
                limit,
            )
        return [_row(row) for row in rows]


def _row(row: Record) -> AuditRow:
    return AuditRow(
        id=row["id"],
        at=row["at"],
        actor_id=row["actor_id"],
        action=row["action"],
        target_id=row["target_id"],
        before=msgspec.json.decode(row["before"]),
        after=msgspec.json.decode(row["after"]),
        request_id=row["request_id"],
        address=row["address"],
    )
