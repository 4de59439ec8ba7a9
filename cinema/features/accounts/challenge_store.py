"""Challenges in Postgres, where every node finds them. Tokens are stored as digests only."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.limits_catalog import IDEMPOTENT_CLEANUP_PAGE
from cinema.features.accounts.challenge_rules import CHALLENGE_S, CHALLENGE_TRIES, CHALLENGES_KEPT
from cinema.storage.database.transactions import Pool, PooledConnection, connection, transaction

_ADD: Final = """
insert into login_challenges (digest, user_id, password_version, created_at, expires_at)
values ($1, $2, $3, $4, $5)
"""

# A separate statement, because the new row is not visible to the statement that inserts it.
_END_OLDEST: Final = """
delete from login_challenges where digest in (
    select digest from login_challenges where user_id = $1
    order by created_at desc, digest offset $2
    for update skip locked
)
"""

_CLEAN_UP: Final = """
delete from login_challenges where digest in (
    select digest from login_challenges where expires_at <= $1
    order by expires_at limit $2
    for update skip locked
)
"""

_FIND: Final = """
select account.id as user_id, account.email, account.password_version
from login_challenges challenge join users account on account.id = challenge.user_id
where digest = $1 and expires_at > $2 and tries < $3
    and account.password_version = challenge.password_version and account.disabled_at is null
"""

# Counted before the code is compared, in one transaction with its outcome: codes sent at the same
# time wait for each other and all count, and a code that could not be compared does not.
_TRY: Final = """
update login_challenges set tries = tries + 1
where digest = $1 and expires_at > $2 and tries < $3
returning true
"""

_USE: Final = "delete from login_challenges where digest = $1"


class Challenge(msgspec.Struct, frozen=True):
    """A login that waits for a code, and the version of the password that it was begun with."""

    user_id: UUID
    email: str
    password_version: int


class ChallengesRepository:
    """Logins that wait for a code."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, digest: bytes, user_id: UUID, password_version: int, now: datetime) -> None:
        """Store a challenge; delete expired ones, and the oldest if there are too many.

        Refuses RETRY, OUTCOME_UNKNOWN.
        """
        expires_at = now + timedelta(seconds=CHALLENGE_S)
        async with transaction(self._pool) as running:
            await running.execute(_ADD, digest, user_id, password_version, now, expires_at)
            await running.execute(_END_OLDEST, user_id, CHALLENGES_KEPT)
            await running.execute(_CLEAN_UP, now, IDEMPOTENT_CLEANUP_PAGE)

    async def find(self, digest: bytes, now: datetime) -> Challenge | None:
        """A challenge that is still valid. Refuses RETRY."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_FIND, digest, now, CHALLENGE_TRIES)
        return None if row is None else Challenge(**row)

    async def count_try(self, running: PooledConnection, digest: bytes, now: datetime) -> bool:
        """Count a try in a transaction; False if none is left."""
        return bool(await running.fetchval(_TRY, digest, now, CHALLENGE_TRIES))

    async def use(self, running: PooledConnection, digest: bytes) -> None:
        """Use a challenge up in the transaction that has counted its try."""
        await running.execute(_USE, digest)
