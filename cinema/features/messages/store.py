"""Messages in Postgres, written in the transaction of what they are about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from cinema.features.messages.off_links import key_of
from cinema.features.messages.rules import BY_SMS, KINDS, PATIENT, language_of
from cinema.features.messages.shapes import Channel, MessageStatus, NewMessage, SentMessage
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import Pool, PooledConnection, changing, connection
from cinema.storage.encryption import Cipher
from cinema.storage.resealing import SealedColumn

_ENQUEUE: Final = """
insert into messages (id, dedupe_key, kind, recipient, language, body, created_at, send_at,
    next_try_at, drop_after, channel)
select m.id, m.dedupe_key, m.kind, m.recipient, m.language, m.body, $1,
    coalesce(m.send_at, $1), coalesce(m.send_at, $1), m.drop_after, m.channel
from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[],
    $8::timestamptz[], $9::timestamptz[], $10::text[]
) as m (id, dedupe_key, kind, recipient, language, body, send_at, drop_after, channel)
on conflict (dedupe_key) do nothing
returning dedupe_key"""
_HAS_PHONE: Final = """
select exists (
    select from message_phones p join users u on u.id = p.user_id
    where u.email_key = $1 and $2 = any(p.kinds)
)"""
_SELECT: Final = """
select id, kind, recipient, channel, language, status, created_at, attempts,
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

# A claimed message belongs to one worker until `next_try_at`, which is $2.
_CLAIM: Final = """
update messages m
set attempts = m.attempts + 1, next_try_at = $2
from (
    select id from messages
    where status = 'waiting' and next_try_at <= $1 and %s
    order by next_try_at, id limit $3
    for update skip locked
) due
where m.id = due.id
returning m.id, m.kind, m.recipient, m.channel, m.language, m.body, m.send_at, m.drop_after,
    m.attempts"""
# The conditions of two indexes.
_CLAIM_USUAL: Final = _CLAIM % f"kind <> '{PATIENT}'"
_CLAIM_PATIENT: Final = _CLAIM % f"kind = '{PATIENT}'"
_IS_DUE: Final = (
    "exists (select from messages where status = 'waiting' and next_try_at <= {0}::timestamptz"
    " and %s)"
)
DUE_USUAL: Final = _IS_DUE % f"kind <> '{PATIENT}'"
DUE_PATIENT: Final = _IS_DUE % f"kind = '{PATIENT}'"
# An attempt whose claim has expired notes nothing: another attempt is under way, or done.
_END: Final = """
update messages
set status = $3, ended_at = $4, last_error = left($5, 1000),
    body = case when $3 = 'dead' then body end
where id = $1 and attempts = $2 and status = 'waiting'"""
_PUT_OFF: Final = """
update messages set next_try_at = $3, last_error = left($4, 1000)
where id = $1 and attempts = $2 and status = 'waiting'"""
_QUEUE: Final = """
select count(*) filter (where status = 'waiting'), count(*) filter (where status = 'dead'),
    min(send_at) filter (where status = 'waiting')
from messages where status in ('waiting', 'dead')"""
# Nodes that do this at the same time take different rows.
_FORGET: Final = """
with gone as (
    delete from messages where id = any(array(
        select id from messages where ended_at < $1 and (status <> 'dead' or ended_at < $2)
        order by ended_at limit $3
        for update skip locked
    ))
    returning 1
)
select count(*) from gone"""

KEPT: Final = timedelta(days=30)
"""How long the outcome of a message is kept, and a second one with its key is not sent."""

DEAD_KEPT: Final = timedelta(days=90)
"""How long a dead message can still be sent again."""

PAYLOAD_LIMIT_BYTES: Final = 60_000
"""Bound of a payload: it has a few lines, the rest is in the templates."""


class WaitingMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed message, with the number of its attempt."""

    id: UUID
    kind: str
    to: str
    channel: Channel
    language: str
    body: bytes
    send_at: datetime
    drop_after: datetime | None
    attempts: int


class MessageQueueState(msgspec.Struct, frozen=True):
    """How many messages wait and how many are dead; since when the oldest could be sent."""

    waiting: int
    dead: int
    oldest_at: datetime | None


class MessagesRepository:
    """Writes messages in the transactions of callers, and reads and notes their outcome."""

    def __init__(
        self,
        pool: Pool,
        cipher: Cipher,
        *,
        new_id: Callable[[], bytes],
        now: Callable[[], datetime],
        sends_sms: bool = False,
    ) -> None:
        self._pool = pool
        self._cipher = cipher
        self._new_id = new_id
        self._now = now
        self._sends_sms = sends_sms

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
        """Enqueue a mail; it is sent once `transaction` commits. False if it was enqueued before.

        Whoever wants this kind on the telephone too gets a short message besides.

        `kind` is one of `KINDS`, `payload` has the values for its templates. A second message with
        the same `dedupe_key` is not sent while the outcome of the first is kept. `language` may be
        all that a client accepts. The mail is not sent before `send_at`, and not at all after
        `drop_after`, because a link that has expired is useless.
        """
        message = NewMessage(
            kind=kind,
            to=to,
            language=language,
            payload=payload,
            dedupe_key=dedupe_key,
            send_at=send_at,
            drop_after=drop_after,
        )
        return dedupe_key in await self.enqueue_all(transaction, [message])

    async def enqueue_all(
        self, transaction: PooledConnection, messages: Sequence[NewMessage]
    ) -> frozenset[str]:
        """Enqueue mails by one statement; the keys of those that were not enqueued before."""
        rows = []
        for message in messages:
            kind = message.kind
            if kind not in KINDS:
                raise ValueError(f"there is no message of the kind {kind!r}")
            plain = msgspec.json.encode(message.payload)
            if len(plain) > PAYLOAD_LIMIT_BYTES:
                raise ValueError(f"the payload of a {kind!r} is too large")
            channels: list[tuple[Channel, str]] = [("mail", message.dedupe_key)]
            asks_sms = self._sends_sms and kind in BY_SMS
            if asks_sms and await transaction.fetchval(_HAS_PHONE, key_of(message.to), kind):
                channels.append(("sms", f"{message.dedupe_key}:sms"))
            rows += [self._row(message, plain, *channel) for channel in channels]
        columns = [list(column) for column in zip(*rows, strict=True)]
        written = await transaction.fetch(_ENQUEUE, self._now(), *columns)
        return frozenset(row["dedupe_key"] for row in written)

    def _row(
        self, message: NewMessage, plain: bytes, channel: Channel, key: str
    ) -> tuple[object, ...]:
        message_id = self._new_id()
        return (
            UUID(bytes=message_id),
            key,
            message.kind,
            message.to,
            language_of(message.language),
            self._cipher.seal(plain, place=_place(message_id)),
            message.send_at,
            message.drop_after,
            channel,
        )

    async def claim(
        self, now: datetime, until: datetime, limit: int, *, patient: bool = False
    ) -> list[WaitingMessage]:
        """Claim up to `limit` messages that are due, until a time: of `PATIENT`, or the others."""
        statement = _CLAIM_PATIENT if patient else _CLAIM_USUAL
        async with changing(self._pool) as writing:
            rows = await writing.fetch(statement, now, until, limit)
        return [
            WaitingMessage(
                id=UUID(bytes=row["id"].bytes),
                kind=row["kind"],
                to=row["recipient"],
                channel=row["channel"],
                language=row["language"],
                body=row["body"],
                send_at=row["send_at"],
                drop_after=row["drop_after"],
                attempts=row["attempts"],
            )
            for row in rows
        ]

    def payload_of(self, message: WaitingMessage) -> dict[str, Any]:
        """The values for the templates of a message. Raises `CannotOpen`."""
        plain = self._cipher.open(message.body, place=_place(message.id.bytes))
        return msgspec.json.decode(plain, type=dict[str, Any])

    async def end(
        self, message: WaitingMessage, status: MessageStatus, now: datetime, reason: str | None
    ) -> None:
        """Note the outcome of a message; its content is deleted, unless it is dead."""
        async with changing(self._pool) as writing:
            await writing.execute(_END, message.id, message.attempts, status, now, reason)

    async def put_off(self, message: WaitingMessage, until: datetime, reason: str) -> None:
        """Note that the message has to be tried again later."""
        async with changing(self._pool) as writing:
            await writing.execute(_PUT_OFF, message.id, message.attempts, until, reason)

    async def state(self) -> MessageQueueState:
        """The state of the queue."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_QUEUE)
        return MessageQueueState(*row) if row else MessageQueueState(0, 0, None)

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete a bounded number of messages that ended long ago; returns how many."""
        async with changing(self._pool) as writing:
            gone: int = await writing.fetchval(_FORGET, now - KEPT, now - DEAD_KEPT, limit)
        return gone

    async def find(self, message_id: UUID) -> SentMessage | None:
        """A message and its outcome."""
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
        async with changing(self._pool) as writing:
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
        channel=row["channel"],
        language=row["language"],
        status=row["status"],
        created_at=row["created_at"],
        attempts=row["attempts"],
        next_try_at=row["next_try_at"],
        ended_at=row["ended_at"],
        last_error=row["last_error"],
    )
