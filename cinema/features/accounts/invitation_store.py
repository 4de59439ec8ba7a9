"""Invitations: links that make an account when they are used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.rejections import refuse
from cinema.features.accounts.audit_store import AuditEntry, note
from cinema.features.accounts.letters import INVITATION, AccountLetter, Post
from cinema.features.accounts.link_rules import MailLink
from cinema.features.accounts.shapes import Client, User
from cinema.features.accounts.store import USER_COLUMNS, is_reserved, user_of
from cinema.features.accounts.user_store import LOCK_ADMINS, Act, note_act
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import Pool, PooledConnection, connection, transaction

DEFAULT_LANGUAGE: Final = "en"

_IS_TAKEN: Final = "select exists (select from users where email_key = $1)"

_KNOWN_CINEMAS: Final = "select count(*) from cinemas where id = any($1::uuid[])"

_VOID: Final = """
update account_links set used_at = $2
where email_key = $1 and purpose = 'invitation' and used_at is null
"""

_ADD: Final = """
insert into account_links (
    digest, purpose, email, email_key, role, cinema_ids, created_by, created_at, expires_at
)
values ($1, 'invitation', $2, $3, $4, $5, $6, $7, $8)
"""

# The invitations of somebody who is no longer an admin are invalid.
_GOOD: Final = """
digest = $1 and purpose = 'invitation' and used_at is null and expires_at > $2
and (created_by is null or exists (
    select from users inviting
    where inviting.id = account_links.created_by and inviting.role = 'admin'
        and inviting.disabled_at is null and inviting.deleted_at is null
))
"""
_FIELDS: Final = "email, email_key, role, cinema_ids, created_by"

_LOOK: Final = f"select {_FIELDS} from account_links where {_GOOD}"  # noqa: S608

_USE: Final = f"update account_links set used_at = $2 where {_GOOD} returning {_FIELDS}"  # noqa: S608

_INSERT_USER: Final = f"""
insert into users (
    id, email, email_key, password_hash, first_name, last_name, role, email_verified, created_at,
    created_by
)
values ($1, $2, $3, $4, $5, $6, $7, true, $8, $9)
on conflict (email_key) do nothing
returning {USER_COLUMNS}
"""  # noqa: S608

# A cinema that was deleted meanwhile is left out.
_ADD_CINEMAS: Final = """
insert into cinema_managers (user_id, cinema_id)
select $1, id from cinemas where id = any($2::uuid[])
"""


class NewInvitation(msgspec.Struct, frozen=True, kw_only=True):
    """The person who is invited, and their role."""

    link: MailLink
    email: str
    email_key: str
    role: str
    cinema_ids: Sequence[UUID]
    expires_at: datetime


class Invited(msgspec.Struct, frozen=True, kw_only=True):
    """The account of somebody who accepts an invitation."""

    id: UUID
    password_hash: str
    first_name: str
    last_name: str


class InvitationsRepository:
    """Invitations, and the accounts that are made with them."""

    def __init__(self, pool: Pool, post: Post) -> None:
        self._pool = pool
        self._post = post

    async def invite(self, new: NewInvitation, act: Act) -> None:
        """Store an invitation in place of an earlier one, and enqueue the mail with its link.

        Refuses FORBIDDEN if the caller is no longer an admin, EMAIL_TAKEN, UNKNOWN_REFERENCE,
        RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as running:
            admins = {row["id"] for row in await running.fetch(LOCK_ADMINS)}
            if act.by not in admins:
                raise refuse("FORBIDDEN")
            taken = await running.fetchval(_IS_TAKEN, new.email_key)
            if taken or await is_reserved(running, new.email_key, act.at):
                raise refuse("EMAIL_TAKEN")
            cinema_ids = list(new.cinema_ids)
            if await running.fetchval(_KNOWN_CINEMAS, cinema_ids) != len(set(cinema_ids)):
                raise refuse("UNKNOWN_REFERENCE", "There is no such cinema.")
            await running.execute(_VOID, new.email_key, act.at)
            await running.execute(
                _ADD,
                new.link.digest,
                new.email,
                new.email_key,
                new.role,
                cinema_ids,
                act.by,
                act.at,
                new.expires_at,
            )
            await note_act(
                running, act, "invitation", None, after={"role": new.role, "cinema_ids": cinema_ids}
            )
            letter = AccountLetter(
                kind=INVITATION,
                to=new.email,
                language=DEFAULT_LANGUAGE,
                payload={"url": new.link.url, "role": new.role, "expires_at": new.expires_at},
                dedupe=f"{INVITATION}:{new.link.digest.hex()}",
            )
            await self._post(running, letter)

    async def email_of(self, digest: bytes, now: datetime) -> str | None:
        """The address that a valid invitation was sent to. Refuses RETRY."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_LOOK, digest, now)
        return None if row is None else str(row["email"])

    async def accept(
        self, digest: bytes, invited: Invited, client: Client, *, now: datetime, entry_id: UUID
    ) -> User | None:
        """Make the account of an invitation; None if the invitation is not valid.

        Refuses EMAIL_TAKEN, RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as running:
            used = await running.fetchrow(_USE, digest, now)
            if used is None:
                return None
            row = await self._insert(running, used, invited, now)
            if row is None or await is_reserved(running, used["email_key"], now):
                raise refuse("EMAIL_TAKEN")
            await running.execute(_ADD_CINEMAS, invited.id, used["cinema_ids"])
            entry = AuditEntry(
                id=entry_id,
                at=now,
                action="invitation_accepted",
                actor_id=invited.id,
                target_id=invited.id,
                after={"role": used["role"], "cinema_ids": used["cinema_ids"]},
            )
            await note(running, entry, client)
        return user_of(row)

    async def _insert(
        self, running: PooledConnection, used: Record, invited: Invited, now: datetime
    ) -> Record | None:
        return await running.fetchrow(
            _INSERT_USER,
            invited.id,
            used["email"],
            used["email_key"],
            invited.password_hash,
            invited.first_name,
            invited.last_name,
            used["role"],
            now,
            used["created_by"],
        )
