"""Messages as Postgres keeps them: written in the transaction of what they are about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from cinema.features.messages.rules import KINDS, language_of
from cinema.features.messages.shapes import MessageStatus, SentMessage
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import Pool, PooledConnection, connection
from cinema.storage.encryption import Cipher
from cinema.storage.resealing import SealedColumn

_ENQUEUE: Final = """
insert into messages (id, dedupe_key, kind, recipient, language, body, created_at, send_at,
    next_try_at, drop_after)
values ($1, $2, $3, $4, $5, $6, $7::timestamptz, coalesce($8::timestamptz, $7),
    coalesce($8, $7), $9)
on conflict (dedupe_key) do nothing
returning true"""
_SELECT: Final = """
select id, kind, recipient, language, status, created_at, attempts,
    case when status = 'waiting' then next_try_at end as next_try_at, ended_at, last_error
from messages
"""
_BY_ID: Final = _SELECT + "where id = $1"
_OF_STATUS: Final = (
    _SELECT
    + """
where status = $1 and ($2::timestamptz is null or (created_at, id) < ($2, $3))
order by created_at desc, id desc limit $4"""
)
_REVIVE: Final = """
update messages
set status = 'waiting', attempts = 0, send_at = $2, next_try_at = $2, ended_at = null,
    last_error = null
where id = $1 and status = 'dead'
returning true"""

PAYLOAD_LIMIT_BYTES: Final = 60_000
"""A message is filled with a few lines; the rest is in its templates."""


class MessagesRepository:
    """Writes messages in transactions of others, and says what became of them."""

    def __init__(
        self,
        pool: Pool,
        cipher: Cipher,
        *,
        new_id: Callable[[], bytes],
        now: Callable[[], datetime],
    ) -> None:
        self._pool = pool
        self._cipher = cipher
        self._new_id = new_id
        self._now = now

    async def enqueue(
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
    ) -> bool:
        """Have a mail sent if and when `transaction` commits; False if it has been asked for.

        `kind` is one of `KINDS`, `payload` what its templates are filled with. Messages with one
        `dedupe_key` are one, as long as what became of it is kept. `language` may be all that a
        client accepts. It is not sent before `send_at`, nor at all after `drop_after`: a link that
        has expired helps nobody.
        """
        if kind not in KINDS:
            raise ValueError(f"there is no message of the kind {kind!r}")
        plain = msgspec.json.encode(payload)
        if len(plain) > PAYLOAD_LIMIT_BYTES:
            raise ValueError(f"the payload of a {kind!r} is too large")
        message_id = self._new_id()
        written = await transaction.fetchval(
            _ENQUEUE,
            UUID(bytes=message_id),
            dedupe_key,
            kind,
            to,
            language_of(language),
            self._cipher.seal(plain, place=_place(message_id)),
            self._now(),
            send_at,
            drop_after,
        )
        return bool(written)

    async def find(self, message_id: UUID) -> SentMessage | None:
        """A message and what became of it."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_BY_ID, message_id)
        return None if row is None else _shown(row)

    async def page_of(
        self, status: MessageStatus, *, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[SentMessage]:
        """Messages of one status, newest first."""
        moment, last_id = after or (None, None)
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_OF_STATUS, status, moment, last_id, limit)
        return [_shown(row) for row in rows]

    async def revive(self, message_id: UUID) -> bool:
        """Make a dead message due; False if it is not dead."""
        async with connection(self._pool) as writing:
            return bool(await writing.fetchval(_REVIVE, message_id, self._now()))


def _place(message_id: bytes) -> bytes:
    return b"messages.body:" + message_id


SEALED: Final = SealedColumn(
    table="messages", key="id", column="body", place=lambda row_id: _place(row_id.bytes)
)


def _shown(row: Record) -> SentMessage:
    return SentMessage(
        id=UUID(bytes=row["id"].bytes),
        kind=row["kind"],
        to=row["recipient"],
        language=row["language"],
        status=row["status"],
        created_at=row["created_at"],
        attempts=row["attempts"],
        next_try_at=row["next_try_at"],
        ended_at=row["ended_at"],
        last_error=row["last_error"],
    )
