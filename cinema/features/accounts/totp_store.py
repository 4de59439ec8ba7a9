"""Second factors in Postgres, their secrets sealed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from cinema.features.accounts.audit_store import AuditEntry, note
from cinema.features.accounts.shapes import Client
from cinema.storage.database.transactions import Pool, PooledConnection, connection, transaction
from cinema.storage.encryption import Cipher

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

# One who is faster with the same code has moved `last_step` on.
_USE_STEP: Final = """
update totp_factors set last_step = $2 where user_id = $1 and last_step < $2 returning true
"""

_USE_RECOVERY: Final = """
update totp_factors set recovery = array_remove(recovery, $2)
where user_id = $1 and confirmed_at is not null and $2 = any(recovery)
returning true
"""

_CONFIRM: Final = """
update totp_factors set confirmed_at = $3, last_step = $2, recovery = $4
where user_id = $1 and confirmed_at is null and last_step < $2
returning true
"""

_REMOVE: Final = (
    "delete from totp_factors where user_id = $1 and confirmed_at is not null returning 1"
)

_TELL_NODES: Final = "insert into account_changes (user_id) values ($1) on conflict do nothing"

_PAGE: Final = (
    "select user_id, sealed from totp_factors where user_id > $1 order by user_id limit $2"
)

_RESEAL: Final = "update totp_factors set sealed = $3 where user_id = $1 and sealed = $2"

RESEALED_AT_ONCE: Final = 100


class Factor(msgspec.Struct, frozen=True):
    """An authenticator of an account; `last_step` is of the code used last."""

    secret: bytes
    last_step: int
    confirmed: bool


class FactorsRepository:
    """Authenticators, and the recovery codes that stand in for one."""

    def __init__(self, pool: Pool, cipher: Cipher) -> None:
        self._pool = pool
        self._cipher = cipher

    async def begin(self, user_id: UUID, secret: bytes, now: datetime) -> bool:
        """Record a secret that is not confirmed yet; False if there is a confirmed one.

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
        return Factor(secret, row["last_step"], row["confirmed"])

    async def use_step(self, user_id: UUID, step: int) -> bool:
        """Use the code of a step up; False if somebody has. Refuses RETRY."""
        async with connection(self._pool) as writing:
            return bool(await writing.fetchval(_USE_STEP, user_id, step))

    async def use_recovery(
        self, user_id: UUID, digest: bytes, client: Client, *, now: datetime, entry_id: bytes
    ) -> bool:
        """Use a recovery code up; False if there is none. Refuses RETRY, OUTCOME_UNKNOWN."""
        async with transaction(self._pool) as running:
            if not await running.fetchval(_USE_RECOVERY, user_id, digest):
                return False
            await _note(running, "recovery_code_used", user_id, client, now, entry_id)
        return True

    async def confirm(
        self,
        user_id: UUID,
        step: int,
        recovery: Sequence[bytes],
        client: Client,
        *,
        now: datetime,
        entry_id: bytes,
    ) -> bool:
        """Have the authenticator count from now on; False if it does, or its code was used.

        Refuses RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as running:
            if not await running.fetchval(_CONFIRM, user_id, step, now, list(recovery)):
                return False
            await _note(running, "second_factor_on", user_id, client, now, entry_id)
        return True

    async def remove(
        self, user_id: UUID, client: Client, *, now: datetime, entry_id: bytes
    ) -> bool:
        """Have no authenticator count any more; False without one.

        Refuses RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as running:
            if not await running.fetchval(_REMOVE, user_id):
                return False
            await _note(running, "second_factor_off", user_id, client, now, entry_id)
        return True

    async def reseal(self) -> int:
        """Seal what an older key has sealed with the newest; how many those were. Refuses RETRY."""
        count, after = 0, UUID(int=0)
        while True:
            async with connection(self._pool) as writing:
                rows = await writing.fetch(_PAGE, after, RESEALED_AT_ONCE)
                for row in rows:
                    after, sealed = row["user_id"], row["sealed"]
                    if not self._cipher.is_current(sealed):
                        plain = self._cipher.open(sealed, place=_place(after))
                        renewed = self._cipher.seal(plain, place=_place(after))
                        await writing.execute(_RESEAL, after, sealed, renewed)
                        count += 1
            if len(rows) < RESEALED_AT_ONCE:
                return count


async def _note(
    running: PooledConnection,
    action: str,
    user_id: UUID,
    client: Client,
    now: datetime,
    entry_id: bytes,
) -> None:
    """Write to the audit log, and have every node look the account up again."""
    entry = AuditEntry(
        id=entry_id, at=now, action=action, actor_id=user_id.bytes, target_id=user_id.bytes
    )
    await note(running, entry, client)
    await running.execute(_TELL_NODES, user_id)


def _place(user_id: UUID) -> bytes:
    return b"totp_factors.sealed:" + user_id.bytes
