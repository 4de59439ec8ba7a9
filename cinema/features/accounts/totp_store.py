"""Second factors in Postgres, with sealed secrets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from cinema.features.accounts.audit_store import AuditEntry, note
from cinema.features.accounts.letters import (
    RECOVERY_CODE_USED,
    SECOND_FACTOR_OFF,
    SECOND_FACTOR_ON,
    Letter,
    Post,
)
from cinema.features.accounts.session_store import END_ALL_SESSIONS
from cinema.features.accounts.shapes import Client
from cinema.storage.database.transactions import Pool, PooledConnection, connection, transaction
from cinema.storage.encryption import Cipher
from cinema.storage.resealing import SealedColumn

_BEGIN: Final = """
insert into totp_factors as factor (user_id, sealed, created_at) values ($1, $2, $3)
on conflict (user_id) do update set sealed = excluded.sealed, created_at = excluded.created_at
    where factor.confirmed_at is null
returning true
"""

_FIND: Final = """
select sealed, last_step, confirmed_at is not null as confirmed from totp_factors
where user_id = $1
"""

# If the same code was used meanwhile, `last_step` has moved. If the secret was replaced meanwhile,
# the code does not belong to the new one.
_USE_STEP: Final = """
update totp_factors set last_step = $2
where user_id = $1 and confirmed_at is not null and last_step < $2 and sealed = $3
returning true
"""

_USE_RECOVERY: Final = """
update totp_factors set recovery = array_remove(recovery, $2)
where user_id = $1 and confirmed_at is not null and $2 = any(recovery)
returning true
"""

_CONFIRM: Final = """
update totp_factors set confirmed_at = $3, last_step = $2, recovery = $4
where user_id = $1 and confirmed_at is null and last_step < $2 and sealed = $5
returning true
"""

_REMOVE: Final = (
    "delete from totp_factors where user_id = $1 and confirmed_at is not null returning 1"
)

# A login that looked for an authenticator before this change cannot open a session after it,
# because it has seen an older version.
_PROVE_ANEW: Final = """
update users set password_version = password_version + 1 where id = $1
"""

_RECIPIENT: Final = "select email, language, first_name from users where id = $1"

_TELL_NODES: Final = "insert into account_changes (user_id) values ($1) on conflict do nothing"


class Factor(msgspec.Struct, frozen=True):
    """An authenticator of an account; `last_step` is the step of the code used last."""

    secret: bytes
    last_step: int
    confirmed: bool
    sealed: bytes


class FactorsRepository:
    """Authenticators, and the recovery codes that replace a lost one."""

    def __init__(self, pool: Pool, cipher: Cipher, post: Post) -> None:
        self._pool = pool
        self._cipher = cipher
        self._post = post

    async def begin(self, user_id: UUID, secret: bytes, now: datetime) -> bool:
        """Store a secret that is not confirmed yet; False if there is a confirmed one.

        Refuses RETRY.
        """
        sealed = self._cipher.seal(secret, place=_place(user_id))
        async with connection(self._pool) as writing:
            return bool(await writing.fetchval(_BEGIN, user_id, sealed, now))

    async def find(self, user_id: UUID) -> Factor | None:
        """The authenticator of an account. Refuses RETRY."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_FIND, user_id)
        if row is None:
            return None
        secret = self._cipher.open(row["sealed"], place=_place(user_id))
        return Factor(secret, row["last_step"], row["confirmed"], row["sealed"])

    async def use_step(self, user_id: UUID, step: int, sealed: bytes) -> bool:
        """Use the code of a step; False if it was used before, or the secret was replaced.

        Refuses RETRY.
        """
        async with connection(self._pool) as writing:
            return bool(await writing.fetchval(_USE_STEP, user_id, step, sealed))

    async def use_recovery(
        self, user_id: UUID, digest: bytes, client: Client, *, now: datetime, entry_id: bytes
    ) -> bool:
        """Use up a recovery code; False if there is none. Refuses RETRY, OUTCOME_UNKNOWN."""
        async with transaction(self._pool) as running:
            if not await running.fetchval(_USE_RECOVERY, user_id, digest):
                return False
            entry = _entry("recovery_code_used", user_id, now, entry_id)
            await self._tell(running, RECOVERY_CODE_USED, user_id, entry, client)
        return True

    async def confirm(
        self,
        user_id: UUID,
        step: int,
        sealed: bytes,
        recovery: Sequence[bytes],
        client: Client,
        *,
        kept: bytes,
        now: datetime,
        entry_id: bytes,
    ) -> int | None:
        """Confirm the authenticator; returns how many other sessions ended.

        None if it was confirmed before, its code was used, or its secret was replaced. Refuses
        RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as running:
            if not await running.fetchval(_CONFIRM, user_id, step, now, list(recovery), sealed):
                return None
            entry = _entry("second_factor_on", user_id, now, entry_id)
            return await self._changed(running, SECOND_FACTOR_ON, user_id, entry, client, kept=kept)

    async def remove(
        self, user_id: UUID, client: Client, *, kept: bytes, now: datetime, entry_id: bytes
    ) -> int | None:
        """Remove the authenticator; returns how many other sessions ended.

        None if there is none. Refuses RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as running:
            if not await running.fetchval(_REMOVE, user_id):
                return None
            entry = _entry("second_factor_off", user_id, now, entry_id)
            return await self._changed(
                running, SECOND_FACTOR_OFF, user_id, entry, client, kept=kept
            )

    async def _changed(
        self,
        running: PooledConnection,
        kind: str,
        user_id: UUID,
        entry: AuditEntry,
        client: Client,
        *,
        kept: bytes,
    ) -> int:
        """End the other sessions, and make every node look the account up again."""
        await running.execute(_PROVE_ANEW, user_id)
        ended = len(await running.fetch(END_ALL_SESSIONS, user_id, entry.at, UUID(bytes=kept)))
        await running.execute(_TELL_NODES, user_id)
        entry = msgspec.structs.replace(entry, after={"ended": ended})
        await self._tell(running, kind, user_id, entry, client)
        return ended

    async def _tell(
        self,
        running: PooledConnection,
        kind: str,
        user_id: UUID,
        entry: AuditEntry,
        client: Client,
    ) -> None:
        """Write to the audit log, and enqueue a mail to the owner."""
        await note(running, entry, client)
        (row,) = await running.fetch(_RECIPIENT, user_id)
        letter = Letter(
            kind=kind,
            to=row["email"],
            language=row["language"],
            payload={"first_name": row["first_name"], "at": entry.at, "address": client.address},
            dedupe=f"{kind}:{entry.id.hex()}",
        )
        await self._post(running, letter)


def _entry(action: str, user_id: UUID, now: datetime, entry_id: bytes) -> AuditEntry:
    return AuditEntry(
        id=entry_id, at=now, action=action, actor_id=user_id.bytes, target_id=user_id.bytes
    )


def _place(user_id: UUID) -> bytes:
    return b"totp_factors.sealed:" + user_id.bytes


SEALED: Final = SealedColumn(table="totp_factors", key="user_id", column="sealed", place=_place)
