"""Accounts in Postgres."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

import msgspec

from cinema.domain.idempotency import FINGERPRINT_BYTES, IdempotencyKey
from cinema.domain.rejections import refuse
from cinema.features.accounts.shapes import User
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    changing,
    connection,
    run_once,
)

Welcome: TypeAlias = Callable[[PooledConnection, UUID, datetime], Awaitable[None]]

USER_COLUMNS: Final = (
    "users.id::text as id, users.email, users.first_name, users.last_name, users.role,"
    " users.email_verified, users.created_at,"
    " array(select cinema_id from cinema_managers where user_id = users.id order by cinema_id)"
    " as cinema_ids"
)
"""The columns from which `user_of` makes a `User`."""

_INSERT_USER = f"""
insert into users (
    id, email, email_key, password_hash, first_name, last_name, created_at, email_verified
)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (email_key) do nothing
returning {USER_COLUMNS}
"""  # noqa: S608  (columns named above)

_IS_RESERVED: Final = """
select exists (
    select from account_links
    where purpose = 'email_undo' and email_key = $1 and used_at is null and expires_at > $2
        and user_id is distinct from $3
)
"""

_USER_BY_ID = f"select {USER_COLUMNS} from users where id = $1"  # noqa: S608

_SPOIL_KEY = "update idempotent_requests set fingerprint = $2 where key_digest = $1"

_SPOILT = bytes(FINGERPRINT_BYTES)
"""A fingerprint that no request has."""

_CREDENTIALS = f"""
select {USER_COLUMNS}, password_hash, password_version, disabled_at is not null as disabled
from users
"""  # noqa: S608
_CREDENTIALS_BY_EMAIL = f"{_CREDENTIALS} where email_key = $1"
_CREDENTIALS_BY_ID = f"{_CREDENTIALS} where id = $1"

_REPLACE_HASH = """
update users set password_hash = $3 where id = $1 and password_hash = $2
"""


_CHANGE_PROFILE = f"""
update users set first_name = coalesce($2, first_name), last_name = coalesce($3, last_name),
    language = coalesce($4, language), updated_at = $5, updated_by = $1
where id = $1 and deleted_at is null
returning {USER_COLUMNS}
"""  # noqa: S608


class NewUser(msgspec.Struct, frozen=True, kw_only=True):
    """An account to create."""

    id: UUID
    email: str
    email_key: str
    password_hash: str
    first_name: str
    last_name: str
    created_at: datetime
    email_verified: bool = False


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """An account with its password hash."""

    user: User
    password_hash: str
    password_version: int
    disabled: bool


class AccountsRepository:
    """Accounts as their owners use them; `UsersRepository` has what admins do."""

    def __init__(self, pool: Pool, welcome: Welcome | None = None) -> None:
        """`welcome` is called in the transaction that creates an account."""
        self._pool = pool
        self._welcome = welcome

    async def add_user(self, user: NewUser, key: IdempotencyKey | None) -> User:
        """The new account, or the one that the same key created before; refuses EMAIL_TAKEN."""

        async def insert(running: PooledConnection) -> User:
            row = await running.fetchrow(
                _INSERT_USER,
                user.id,
                user.email,
                user.email_key,
                user.password_hash,
                user.first_name,
                user.last_name,
                user.created_at,
                user.email_verified,
            )
            if row is None or await is_reserved(running, user.email_key, user.created_at):
                # Not with a violation: its detail would write the address into Postgres' log.
                raise refuse("EMAIL_TAKEN")
            if self._welcome is not None:
                await self._welcome(running, user.id, user.created_at)
            return user_of(row)

        return await run_once(self._pool, key, user.created_at, User, insert)

    async def spoil_key(self, key: IdempotencyKey) -> None:
        """Invalidate a key: every repetition with it is a different request from now on."""
        async with changing(self._pool) as writing:
            await writing.execute(_SPOIL_KEY, key.digest, _SPOILT)

    async def find_user(self, user_id: UUID) -> User | None:
        """The account of an id."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_USER_BY_ID, user_id)
        return None if row is None else user_of(row)

    async def credentials_by_email(self, email_key: str) -> Credentials | None:
        """The account with which a login for this address is compared."""
        return await self._credentials(_CREDENTIALS_BY_EMAIL, email_key)

    async def credentials_by_id(self, user_id: UUID) -> Credentials | None:
        """The account with which a repeated registration is compared."""
        return await self._credentials(_CREDENTIALS_BY_ID, user_id)

    async def replace_hash(self, user_id: UUID, before: str, after: str) -> None:
        """Replace the hash `before` of a password, if it is still that one."""
        async with changing(self._pool) as writing:
            await writing.execute(_REPLACE_HASH, user_id, before, after)

    async def change_profile(
        self,
        user_id: UUID,
        *,
        first_name: str | None,
        last_name: str | None,
        language: str | None,
        now: datetime,
    ) -> User | None:
        """Change what is not None; returns the account, if there is one. Refuses RETRY."""
        async with changing(self._pool) as writing:
            row = await writing.fetchrow(
                _CHANGE_PROFILE, user_id, first_name, last_name, language, now
            )
        return None if row is None else user_of(row)

    async def _credentials(self, sql: str, argument: str | UUID) -> Credentials | None:
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(sql, argument)
        if row is None:
            return None
        return Credentials(
            user=user_of(row),
            password_hash=row["password_hash"],
            password_version=row["password_version"],
            disabled=row["disabled"],
        )


async def is_reserved(
    running: PooledConnection, email_key: str, now: datetime, but_for: UUID | None = None
) -> bool:
    """Whether an account other than `but_for` may still restore this address.

    Call it after writing the address, in the same transaction. The write has waited for a
    transaction that gives the address up, so its reservation is visible by now.
    """
    return bool(await running.fetchval(_IS_RESERVED, email_key, now, but_for))


_USER_FIELDS: Final = tuple(field.name for field in msgspec.structs.fields(User))


def user_of(row: Record | None) -> User:
    """The account of a row with `USER_COLUMNS`."""
    assert row is not None, "the statement returned no row"
    return User(**{name: row[name] for name in _USER_FIELDS})
