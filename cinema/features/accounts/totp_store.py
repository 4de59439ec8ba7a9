"""Second factors in Postgres, with sealed secrets.

Everything that changes one, or uses a code up, first locks the row of the account and then that of
the factor, so that two of them wait for each other without a deadlock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.rejections import refuse
from cinema.features.accounts.audit_store import AuditEntry, note
from cinema.features.accounts.letters import (
    CODE_USED_AGAIN,
    RECOVERY_CODE_USED,
    RECOVERY_CODES_RENEWED,
    SECOND_FACTOR_OFF,
    SECOND_FACTOR_ON,
    SECOND_FACTOR_REPLACED,
    SECOND_FACTOR_RESET,
    AccountLetter,
    Post,
)
from cinema.features.accounts.session_store import END_ALL_SESSIONS
from cinema.features.accounts.shapes import Client
from cinema.features.accounts.totp_rules import (
    REPLACEMENT_S,
    is_recovery_code,
    matching_step,
    recovery_digest,
)
from cinema.features.accounts.user_store import LOCK_ADMINS, Act
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    changing,
    connection,
    transaction,
)
from cinema.storage.encryption import Cipher
from cinema.storage.resealing import SealedColumn

# Bookings of the account, which refer to it, need not wait.
_LOCK_ACCOUNT: Final = """
select true from users where id = $1 and deleted_at is null for no key update
"""

_BEGIN: Final = """
insert into totp_factors as factor (user_id, sealed, created_at) values ($1, $2, $3)
on conflict (user_id) do update set sealed = excluded.sealed, created_at = excluded.created_at
    where factor.confirmed_at is null
returning true
"""

_BEGIN_REPLACEMENT: Final = """
update totp_factors set next_sealed = $2, next_begun_at = $3 where user_id = $1
"""

_IS_ON: Final = "select confirmed_at is not null from totp_factors where user_id = $1"

_PENDING: Final = """
select confirmed_at is not null as replaces,
    case when confirmed_at is null then sealed else next_sealed end as sealed
from totp_factors
where user_id = $1 and (confirmed_at is null or next_begun_at > $2)
"""

_IN_FORCE: Final = """
select sealed, last_step from totp_factors where user_id = $1 and confirmed_at is not null
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
update totp_factors set confirmed_at = $3, last_step = $2, recovery = $4, recovery_at = $3
where user_id = $1 and confirmed_at is null and last_step < $2 and sealed = $5
returning true
"""

_REPLACE: Final = """
update totp_factors set confirmed_at = $3, last_step = $2, recovery = $4, recovery_at = $3,
    sealed = $6, next_sealed = null, next_begun_at = null
where user_id = $1 and confirmed_at is not null and next_sealed = $5
returning true
"""

_RENEW_RECOVERY: Final = """
update totp_factors set recovery = $2, recovery_at = $3 where user_id = $1
"""

_REMOVE: Final = """
delete from totp_factors where user_id = $1 and confirmed_at is not null returning true
"""

# A login that looked for an authenticator before this change cannot open a session after it,
# because it has seen an older version.
_PROVE_ANEW: Final = """
update users set password_version = password_version + 1 where id = $1
"""

_RECIPIENT: Final = "select email, language, first_name from users where id = $1"

_TELL_NODES: Final = "insert into account_changes (user_id) values ($1) on conflict do nothing"


class Pending(msgspec.Struct, frozen=True):
    """A secret that waits for its first code; `replaces` if another one counts until then."""

    secret: bytes
    sealed: bytes
    replaces: bool


class FactorsRepository:
    """Authenticators, and the recovery codes that replace a lost one."""

    def __init__(
        self, pool: Pool, cipher: Cipher, post: Post, *, new_id: Callable[[], UUID]
    ) -> None:
        self._pool = pool
        self._cipher = cipher
        self._post = post
        self._new_id = new_id

    async def is_on(self, user_id: UUID) -> bool | None:
        """Whether an authenticator counts; None where none was begun either. Refuses RETRY."""
        async with connection(self._pool) as reading:
            is_on: bool | None = await reading.fetchval(_IS_ON, user_id)
        return is_on

    async def begin(self, user_id: UUID, secret: bytes, now: datetime) -> bool:
        """Store a secret that is not confirmed yet; False if there is a confirmed one.

        Refuses RETRY.
        """
        sealed = self._cipher.seal(secret, place=_place(user_id))
        async with changing(self._pool) as writing:
            return bool(await writing.fetchval(_BEGIN, user_id, sealed, now))

    async def begin_replacement(
        self, user_id: UUID, secret: bytes, code: str, client: Client, now: datetime
    ) -> bool:
        """Record a secret beside the one in force, of which this is a code; False for a wrong one.

        Refuses RETRY, OUTCOME_UNKNOWN.
        """
        sealed = self._cipher.seal(secret, place=_next_place(user_id))
        async with transaction(self._pool) as running:
            await running.execute(_LOCK_ACCOUNT, user_id)
            if not await self.spend(running, user_id, code, client, now):
                return False
            await running.execute(_BEGIN_REPLACEMENT, user_id, sealed, now)
        return True

    async def pending(self, user_id: UUID, now: datetime) -> Pending | None:
        """The secret that waits for its first code. Refuses RETRY."""
        since = now - timedelta(seconds=REPLACEMENT_S)
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_PENDING, user_id, since)
        if row is None:
            return None
        place = _next_place(user_id) if row["replaces"] else _place(user_id)
        secret = self._cipher.open(row["sealed"], place=place)
        return Pending(secret, row["sealed"], row["replaces"])

    async def spend(
        self, running: PooledConnection, user_id: UUID, code: str, client: Client, now: datetime
    ) -> bool:
        """Use a code up within a transaction that has locked the account; False for a wrong one.

        It is used up with what it was shown for, or not at all. The owner gets a mail if the code
        was used before: somebody may have seen it. So the transaction has to be committed then too.
        """
        if is_recovery_code(code):
            if not await running.fetchval(_USE_RECOVERY, user_id, recovery_digest(code)):
                return False
            entry = self._entry("recovery_code_used", user_id, now)
            await self._tell(running, RECOVERY_CODE_USED, user_id, entry, client)
            return True
        row = await running.fetchrow(_IN_FORCE, user_id)
        if row is None:
            return False
        secret = self._cipher.open(row["sealed"], place=_place(user_id))
        step = matching_step(secret, code, now_s=now.timestamp(), after=row["last_step"] - 1)
        if step is None:
            return False
        if step == row["last_step"]:
            entry = self._entry("code_used_again", user_id, now)
            dedupe = f"{CODE_USED_AGAIN}:{user_id}:{step}"
            await self._tell(running, CODE_USED_AGAIN, user_id, entry, client, dedupe=dedupe)
            return False
        return bool(await running.fetchval(_USE_STEP, user_id, step, row["sealed"]))

    async def confirm(
        self,
        user_id: UUID,
        pending: Pending,
        step: int,
        recovery: Sequence[bytes],
        client: Client,
        *,
        kept: UUID,
        now: datetime,
    ) -> int | None:
        """Confirm an authenticator; returns how many other sessions ended.

        None if it was confirmed before, its code was used, or its secret was replaced. Refuses
        RETRY, OUTCOME_UNKNOWN.
        """
        given = (user_id, step, now, list(recovery), pending.sealed)
        async with transaction(self._pool) as running:
            await running.execute(_LOCK_ACCOUNT, user_id)
            if pending.replaces:
                sealed = self._cipher.seal(pending.secret, place=_place(user_id))
                done = await running.fetchval(_REPLACE, *given, sealed)
                kind, action = SECOND_FACTOR_REPLACED, "second_factor_replaced"
            else:
                done = await running.fetchval(_CONFIRM, *given)
                kind, action = SECOND_FACTOR_ON, "second_factor_on"
            if not done:
                return None
            entry = self._entry(action, user_id, now)
            return await self._changed(running, kind, user_id, entry, client, kept=kept)

    async def renew_recovery(
        self, user_id: UUID, code: str, recovery: Sequence[bytes], client: Client, now: datetime
    ) -> bool:
        """Put recovery codes in place of those before; False for a wrong code.

        Refuses RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as running:
            await running.execute(_LOCK_ACCOUNT, user_id)
            if not await self.spend(running, user_id, code, client, now):
                return False
            await running.execute(_RENEW_RECOVERY, user_id, list(recovery), now)
            entry = self._entry("recovery_codes_renewed", user_id, now)
            await self._tell(running, RECOVERY_CODES_RENEWED, user_id, entry, client)
        return True

    async def remove(
        self, user_id: UUID, code: str, client: Client, *, kept: UUID, now: datetime
    ) -> int | None:
        """Remove the authenticator; returns how many other sessions ended.

        None for a wrong code. Refuses RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as running:
            await running.execute(_LOCK_ACCOUNT, user_id)
            if not await self.spend(running, user_id, code, client, now):
                return None
            await running.execute(_REMOVE, user_id)
            entry = self._entry("second_factor_off", user_id, now)
            return await self._changed(
                running, SECOND_FACTOR_OFF, user_id, entry, client, kept=kept
            )

    async def reset(self, user_id: UUID, act: Act) -> bool | None:
        """Take somebody's authenticator off, and end all their sessions, for an admin.

        False where none counts, None without the account. Refuses FORBIDDEN if who acts is an
        admin no more, RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as running:
            admins = {row["id"] for row in await running.fetch(LOCK_ADMINS)}
            if act.by is None or act.by not in admins:
                raise refuse("FORBIDDEN")
            if not await running.fetchval(_LOCK_ACCOUNT, user_id):
                return None
            if not await running.fetchval(_REMOVE, user_id):
                return False
            entry = AuditEntry(
                id=act.entry_id,
                at=act.at,
                action="second_factor_reset",
                actor_id=act.by,
                target_id=user_id,
            )
            await self._changed(running, SECOND_FACTOR_RESET, user_id, entry, act.client, kept=None)
        return True

    async def _changed(
        self,
        running: PooledConnection,
        kind: str,
        user_id: UUID,
        entry: AuditEntry,
        client: Client,
        *,
        kept: UUID | None,
    ) -> int:
        """End the other sessions, and make every node look the account up again."""
        await running.execute(_PROVE_ANEW, user_id)
        ended = len(await running.fetch(END_ALL_SESSIONS, user_id, entry.at, kept))
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
        *,
        dedupe: str = "",
    ) -> None:
        """Write to the audit log, and enqueue a mail to the owner, without an address of others.

        Of mails with the same `dedupe` only the first is sent.
        """
        await note(running, entry, client)
        (row,) = await running.fetch(_RECIPIENT, user_id)
        payload = {"first_name": row["first_name"], "at": entry.at}
        if entry.actor_id == entry.target_id:
            payload["address"] = client.address
        letter = AccountLetter(
            kind=kind,
            to=row["email"],
            language=row["language"],
            payload=payload,
            dedupe=dedupe or f"{kind}:{entry.id.hex}",
        )
        await self._post(running, letter)

    def _entry(self, action: str, user_id: UUID, now: datetime) -> AuditEntry:
        return AuditEntry(
            id=self._new_id(),
            at=now,
            action=action,
            actor_id=user_id,
            target_id=user_id,
        )


def _place(user_id: UUID) -> bytes:
    return b"totp_factors.sealed:" + user_id.bytes


def _next_place(user_id: UUID) -> bytes:
    return b"totp_factors.next_sealed:" + user_id.bytes


SEALED: Final = SealedColumn(table="totp_factors", key="user_id", column="sealed", place=_place)
SEALED_NEXT: Final = SealedColumn(
    table="totp_factors", key="user_id", column="next_sealed", place=_next_place
)
