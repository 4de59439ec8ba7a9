"""Which mails somebody has turned off, in Postgres, by digests of addresses.

So guests have a choice too, and nobody's address is kept for it. If an account gets another
address, a trigger of the database takes its choices along; they go when it is erased. Telephones
belong to accounts alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from cinema.features.messages.off_links import key_of
from cinema.features.messages.rules import TELEPHONE_SET
from cinema.features.messages.store import MessagesRepository
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    changing,
    connection,
    transaction,
)
from cinema.storage.encryption import CannotOpen, Cipher
from cinema.storage.resealing import SealedColumn

_IS_OFF: Final = """
select exists (select from messages_off where address_digest = $1 and kind = $2)"""
_DIGEST: Final = """
select sha256(convert_to(email_key, 'UTF8')) from users where id = $1 and deleted_at is null"""
_OF_ADDRESS: Final = "select kind from messages_off where address_digest = $1 order by kind"
_PHONE: Final = "select number, kinds from message_phones where user_id = $1"
# An address that nobody has verified may be somebody else's.
_OWNER: Final = """
select email, language, first_name from users where id = $1 and email_verified"""
_SET_PHONE: Final = """
insert into message_phones (user_id, number, kinds) values ($1, $2, $3)
on conflict (user_id) do update set number = excluded.number, kinds = excluded.kinds"""
FORGET_PHONE: Final = "delete from message_phones where user_id = $1"
"""Sends an account nothing by telephone any more; also where its owner takes it back."""
_NUMBER: Final = """
select p.user_id, p.number from message_phones p join users u on u.id = p.user_id
where u.email_key = $1 and $2 = any(p.kinds)"""
_OTHERS_ON: Final = "delete from messages_off where address_digest = $1 and not kind = any($2)"
_OFF: Final = """
insert into messages_off (address_digest, kind, since)
select $1, kind, $3 from unnest($2::text[]) as chosen(kind)
on conflict do nothing"""
_ON: Final = "delete from messages_off where address_digest = $1 and kind = $2"


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """What an account has turned off, and what it wants on its telephone."""

    off: Sequence[str]
    sms: Sequence[str] = ()
    phone: str | None = None


class ChoicesRepository:
    """Reads and writes who wants which messages."""

    def __init__(
        self, pool: Pool, cipher: Cipher, messages: MessagesRepository | None = None
    ) -> None:
        """With `messages`, people are told when their account gets another telephone."""
        self._pool = pool
        self._cipher = cipher
        self._messages = messages

    async def is_off(self, address_digest: bytes, kind: str) -> bool:
        """Whether an address wants no mails of a kind. Refuses RETRY."""
        async with connection(self._pool) as reading:
            return bool(await reading.fetchval(_IS_OFF, address_digest, kind))

    async def of_account(self, user_id: UUID) -> Choices | None:
        """What an account has chosen; None if there is no such account. Raises `CannotOpen`."""
        async with connection(self._pool) as reading:
            digest = await reading.fetchval(_DIGEST, user_id)
            if digest is None:
                return None
            off = [row["kind"] for row in await reading.fetch(_OF_ADDRESS, digest)]
            row = await reading.fetchrow(_PHONE, user_id)
        if row is None:
            return Choices(off=off)
        return Choices(off=off, sms=row["kinds"], phone=self._opened(user_id, row["number"]))

    async def number_of(self, address: str, kind: str) -> str | None:
        """Where an account wants short messages of a kind; None if it does not.

        Raises `CannotOpen`, `ValueError`. Refuses RETRY.
        """
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_NUMBER, key_of(address), kind)
        if row is None:
            return None
        return self._opened(UUID(bytes=row["user_id"].bytes), row["number"])

    async def choose(self, user_id: UUID, chosen: Choices, now: datetime) -> bool:
        """Let an account have these choices and no others; False if there is no such account.

        Refuses RETRY, OUTCOME_UNKNOWN.
        """
        off: Collection[str] = chosen.off
        async with transaction(self._pool) as running:
            digest = await running.fetchval(_DIGEST, user_id)
            if digest is None:
                return False
            await running.execute(_OTHERS_ON, digest, list(off))
            await running.execute(_OFF, digest, list(off), now)
            if chosen.phone is None or not chosen.sms:
                await running.execute(FORGET_PHONE, user_id)
            else:
                await self._tell_of(running, user_id, chosen.phone, now)
                number = self._cipher.seal(chosen.phone.encode(), place=_place(user_id))
                await running.execute(_SET_PHONE, user_id, number, sorted(set(chosen.sms)))
        return True

    async def _tell_of(
        self, running: PooledConnection, user_id: UUID, phone: str, now: datetime
    ) -> None:
        """Enqueue a mail about another telephone, one a day: who sets one need not be the owner."""
        if self._messages is None:
            return
        before = await running.fetchrow(_PHONE, user_id)
        with suppress(CannotOpen):
            if before is not None and self._opened(user_id, before["number"]) == phone:
                return
        owner = await running.fetchrow(_OWNER, user_id)
        if owner is not None:
            await self._messages.enqueue(
                running,
                kind=TELEPHONE_SET,
                to=owner["email"],
                language=owner["language"],
                payload={"first_name": owner["first_name"], "at": now},
                dedupe_key=f"{TELEPHONE_SET}:{user_id}:{now:%Y-%m-%d}",
            )

    async def turn_off(self, address_digest: bytes, kind: str, now: datetime) -> None:
        """Send an address no mails of a kind. Refuses RETRY, OUTCOME_UNKNOWN."""
        async with changing(self._pool) as writing:
            await writing.execute(_OFF, address_digest, [kind], now)

    async def turn_on(self, address_digest: bytes, kind: str) -> None:
        """Send an address mails of a kind again. Refuses RETRY, OUTCOME_UNKNOWN."""
        async with changing(self._pool) as writing:
            await writing.execute(_ON, address_digest, kind)

    def _opened(self, user_id: UUID, number: bytes) -> str:
        return self._cipher.open(number, place=_place(user_id)).decode()


def _place(user_id: UUID) -> bytes:
    return b"message_phones.number:" + user_id.bytes


SEALED: Final = SealedColumn(table="message_phones", key="user_id", column="number", place=_place)
