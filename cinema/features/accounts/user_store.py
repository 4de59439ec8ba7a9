"""Accounts as admins see and change them; each change writes a row to the audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from cinema.domain.principal import ADMIN, CUSTOMER
from cinema.domain.rejections import refuse
from cinema.features.accounts.audit_store import AuditEntry, note
from cinema.features.accounts.session_store import END_ALL_SESSIONS
from cinema.features.accounts.shapes import AdminUser, Client
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import Pool, PooledConnection, connection, transaction

NO_CINEMAS: Final = "Only staff and managers belong to cinemas."

NOT_PROVEN: Final = (
    "Nobody has verified the e-mail address of this account, so it may be somebody else's."
)

_SELECT: Final = """
select account.id::text as id, account.email, account.first_name, account.last_name, account.role,
    account.email_verified, account.created_at, account.disabled_at is not null as disabled,
    account.created_by, account.updated_at, account.updated_by, account.version,
    exists (
        select from totp_factors where user_id = account.id and confirmed_at is not null
    ) as mfa_on,
    array(
        select cinema_id from cinema_managers where user_id = account.id order by cinema_id
    ) as cinema_ids
from users account
"""

_BY_ID: Final = f"{_SELECT} where account.id = $1 and account.deleted_at is null"

_HAS_TEXT: Final = """(
    starts_with(account.email_key, {0})
    or strpos(lower(account.first_name || ' ' || account.last_name), {0}) > 0
)"""
_BELONGS: Final = "account.id in (select user_id from cinema_managers where cinema_id = {0})"

# All changes that take rights away hold this lock; otherwise two admins could demote each other.
LOCK_ADMINS: Final = """
select id from users where role = 'admin' and disabled_at is null and deleted_at is null
order by id for update
"""

_LOCK: Final = "select id from users where id = $1 and deleted_at is null for update"

_SET_ROLE: Final = """
update users set role = $2, updated_at = $3, updated_by = $4, version = version + 1 where id = $1
"""

_SET_DISABLED: Final = """
update users set disabled_at = case when $2 then coalesce(disabled_at, $3) end
where id = $1
"""

_TOUCH: Final = """
update users set updated_at = $2, updated_by = $3, version = version + 1 where id = $1
"""

_CLEAR_CINEMAS: Final = """
delete from cinema_managers where user_id = $1 and cinema_id <> all($2::uuid[])
"""

_ADD_CINEMAS: Final = """
insert into cinema_managers (user_id, cinema_id)
select $1, one from unnest($2::uuid[]) as one
on conflict do nothing
"""


class UserFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which accounts; `text` (lower case) begins an e-mail address or is a part of a name."""

    text: str | None
    role: str | None
    cinema_id: UUID | None


def list_statement(
    wanted: UserFilter, after: tuple[datetime, UUID] | None, limit: int
) -> tuple[str, list[object]]:
    """Only the conditions that are asked for, so that each has its index; and their values."""
    values: list[object] = []
    conditions = ["account.deleted_at is null"]
    for condition, value in (
        (_HAS_TEXT, wanted.text),
        ("account.role = {0}", wanted.role),
        (_BELONGS, wanted.cinema_id),
    ):
        if value is not None:
            values.append(value)
            conditions.append(condition.format(f"${len(values)}"))
    if after is not None:
        values += after
        conditions.append(
            f"(account.created_at, account.id) < (${len(values) - 1}, ${len(values)})"
        )
    values.append(limit)
    statement = f"""
{_SELECT}
where {" and ".join(conditions)}
order by account.created_at desc, account.id desc
limit ${len(values)}
"""
    return statement, values


Seen = frozenset[int] | None
"""The versions of an account that a change is for; None for whichever it has."""


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """An action of an admin: who, when, from where, and the id of its row in the audit log.

    `by` is None for the command line.
    """

    by: UUID | None
    at: datetime
    client: Client
    entry_id: UUID


async def note_act(
    running: PooledConnection,
    act: Act,
    action: str,
    target_id: UUID | None,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write what somebody did into the audit log, in the transaction of it (`AuditEntry`)."""
    entry = AuditEntry(
        id=act.entry_id,
        at=act.at,
        action=action,
        actor_id=act.by,
        target_id=target_id,
        before=before or {},
        after=after or {},
    )
    await note(running, entry, act.client)


class UsersRepository:
    """Accounts, for admins."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find(self, user_id: UUID) -> AdminUser | None:
        """An account. Refuses RETRY."""
        async with connection(self._pool) as reading:
            return await _find(reading, user_id)

    async def list(
        self, wanted: UserFilter, after: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[AdminUser]:
        """Accounts, newest first. Refuses RETRY."""
        statement, values = list_statement(wanted, after, limit)
        async with connection(self._pool) as reading:
            rows = await reading.fetch(statement, *values)
        return [_user(row) for row in rows]

    async def set_role(
        self, user_id: UUID, role: str, cinema_ids: Sequence[UUID], act: Act, seen: Seen
    ) -> AdminUser | None:
        """Give an account a role and its cinemas; its sessions end. None if there is no account.

        Anybody can register with a colleague's address and wait to be promoted. So every role but
        that of a customer needs a verified address. Refuses FORBIDDEN if the caller is no longer an
        admin, PRECONDITION_FAILED if it is of another version than was seen, EMAIL_NOT_VERIFIED,
        UNKNOWN_REFERENCE, RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as running:
            before = await _locked(running, user_id, act)
            if before is None:
                return None
            _check_seen(before, seen)
            if role != CUSTOMER:
                _check_proven(before)
            await running.execute(_SET_ROLE, user_id, role, act.at, act.by)
            await _set_cinemas(running, user_id, cinema_ids)
            await running.fetch(END_ALL_SESSIONS, user_id, act.at, None)
            return await _noted(running, "role_change", before, act)

    async def change(
        self,
        user_id: UUID,
        act: Act,
        seen: Seen,
        *,
        disabled: bool | None,
        cinema_ids: Sequence[UUID] | None,
    ) -> AdminUser | None:
        """Disable an account or enable it again, give it other cinemas; see `set_role`.

        A disabled account has no sessions left. Refuses VALIDATION_ERROR too.
        """
        async with transaction(self._pool) as running:
            before = await _locked(running, user_id, act)
            if before is None:
                return None
            _check_seen(before, seen)
            if cinema_ids and before.role not in {"staff", "manager"}:
                raise refuse("VALIDATION_ERROR", NO_CINEMAS, path="$.cinema_ids")
            if disabled is not None or cinema_ids is not None:
                await running.execute(_TOUCH, user_id, act.at, act.by)
            if disabled is not None:
                await running.execute(_SET_DISABLED, user_id, disabled, act.at)
                if disabled:
                    await running.fetch(END_ALL_SESSIONS, user_id, act.at, None)
            if cinema_ids is not None:
                await _set_cinemas(running, user_id, cinema_ids)
            return await _noted(running, "user_change", before, act)

    async def make_admin(self, user_id: UUID, act: Act) -> AdminUser | None:
        """Make an account an admin, for operators who have access to the database anyway.

        `act.by` is None here, and the audit log shows that. Refuses EMAIL_NOT_VERIFIED.
        """
        async with transaction(self._pool) as running:
            before = await _find(running, user_id)
            if before is None:
                return None
            _check_proven(before)
            await running.execute(_SET_ROLE, user_id, ADMIN, act.at, act.by)
            await _set_cinemas(running, user_id, ())
            await running.fetch(END_ALL_SESSIONS, user_id, act.at, None)
            return await _noted(running, "role_change", before, act)


def _check_seen(account: AdminUser, seen: Seen) -> None:
    if seen is not None and account.version not in seen:
        raise refuse("PRECONDITION_FAILED")


def _check_proven(account: AdminUser) -> None:
    if not account.email_verified:
        raise refuse("EMAIL_NOT_VERIFIED", NOT_PROVEN)


async def _locked(running: PooledConnection, user_id: UUID, act: Act) -> AdminUser | None:
    """Read an account under a lock; refuses FORBIDDEN if the caller is no longer an admin."""
    admins = {row["id"] for row in await running.fetch(LOCK_ADMINS)}
    if act.by not in admins:
        raise refuse("FORBIDDEN")
    if await running.fetchval(_LOCK, user_id) is None:
        return None
    return await _find(running, user_id)


async def _set_cinemas(
    running: PooledConnection, account: UUID, cinema_ids: Sequence[UUID]
) -> None:
    await running.execute(_CLEAR_CINEMAS, account, list(cinema_ids))
    await running.execute(_ADD_CINEMAS, account, list(cinema_ids))


async def _noted(running: PooledConnection, action: str, before: AdminUser, act: Act) -> AdminUser:
    after = await _find(running, UUID(before.id))
    assert after is not None, "a locked row stays"
    await note_act(
        running, act, action, UUID(before.id), before=_audited(before), after=_audited(after)
    )
    return after


def _audited(user: AdminUser) -> Mapping[str, Any]:
    """What may be in the audit log for ever."""
    return {"role": user.role, "disabled": user.disabled, "cinema_ids": sorted(user.cinema_ids)}


async def _find(running: PooledConnection, account: UUID) -> AdminUser | None:
    row = await running.fetchrow(_BY_ID, account)
    return None if row is None else _user(row)


_FIELDS: Final = tuple(field.name for field in msgspec.structs.fields(AdminUser))


def _user(row: Record) -> AdminUser:
    return AdminUser(**{name: row[name] for name in _FIELDS})
