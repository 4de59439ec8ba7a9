"""Links in Postgres. The use of a link and its effect are one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.limits_catalog import IDEMPOTENT_CLEANUP_PAGE
from cinema.domain.rejections import refuse
from cinema.features.accounts.audit_store import AuditEntry, note
from cinema.features.accounts.export_revocation import revoke_exports
from cinema.features.accounts.letters import (
    EMAIL_CHANGE,
    EMAIL_CHANGED,
    PASSWORD_CHANGED,
    PASSWORD_RESET,
    SECOND_FACTOR_OFF,
    VERIFICATION,
    AccountLetter,
    Post,
)
from cinema.features.accounts.link_rules import (
    CHANGE,
    RESET,
    UNDO,
    VERIFY,
    Links,
    LinkTimes,
    MailLink,
)
from cinema.features.accounts.login_addresses_store import FORGET_OTHERS
from cinema.features.accounts.passwords import NO_PASSWORD
from cinema.features.accounts.session_store import END_ALL_SESSIONS
from cinema.features.accounts.shapes import Client, User
from cinema.features.accounts.store import USER_COLUMNS, is_reserved, user_of
from cinema.features.accounts.throttles import account_digest, pair_digest
from cinema.features.messages.choice_store import FORGET_PHONE
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    changing,
    connection,
    transaction,
)

REQUESTS_AT_ONCE: Final = 20
"""Mails that a job prepares in one transaction."""

# A request made with a password waits for a running change of that password; then it is dropped.
_ASK: Final = """
with account as (select from users where id = $5 and password_version = $7 for share)
insert into link_requests (id, purpose, email, email_key, user_id, requested_at)
select $1, $2, $3, $4, $5, $6 where $5::uuid is null or exists (select from account)
"""

_TAKE: Final = """
delete from link_requests where id in (
    select id from link_requests order by requested_at limit $1 for update skip locked
)
returning purpose, email, email_key, user_id
"""

_RECIPIENT: Final = f"""
select {USER_COLUMNS}, users.email_key, users.language from users
where email_key = $1 and disabled_at is null
"""  # noqa: S608  (columns named in the store)
_RECIPIENT_BY_ID: Final = f"""
select {USER_COLUMNS}, users.email_key, users.language from users
where id = $1 and disabled_at is null
"""  # noqa: S608

_ADD: Final = """
insert into account_links (digest, purpose, user_id, email, email_key, created_at, expires_at)
values ($1, $2, $3, $4, $5, $6, $7)
"""

# The later of two links has the later time, even if the clocks of the nodes differ.
_ADD_UNDO: Final = """
insert into account_links (digest, purpose, user_id, email, email_key, created_at, expires_at)
select $1, $2, $3, $4, $5, greatest($6, max(created_at) + interval '1 microsecond'), $7
from account_links where user_id = $3 and purpose = $2
"""

_CLEAN_UP: Final = """
delete from account_links where digest in (
    select digest from account_links where expires_at <= $1
    order by expires_at limit $2
    for update skip locked
)
"""

_GOOD: Final = "digest = any($1::bytea[]) and used_at is null and expires_at > $2"

_FIELDS: Final = "purpose, user_id, email, email_key, created_at"

_LOOK: Final = f"select {_FIELDS} from account_links where {_GOOD}"  # noqa: S608

_USE: Final = f"""
update account_links set used_at = $2 where {_GOOD} returning {_FIELDS}
"""  # noqa: S608

# Links that somebody else may have requested while they knew the password or read the mails.
_VOID: Final = """
update account_links set used_at = $2
where user_id = $1 and purpose = any($3::text[]) and used_at is null
"""

# Not earlier ones: the first person whose address was taken away may still restore it.
_VOID_LATER_UNDO: Final = """
update account_links set used_at = $2
where user_id = $1 and purpose = 'email_undo' and created_at >= $3 and used_at is null
"""

# Waits while another transaction makes a link of a request; so invalidating links finds that link.
_FORGET_ASKED: Final = "delete from link_requests where user_id = $1"

_RESET: Final = f"""
update users set password_hash = $2, password_version = password_version + 1,
    email_verified = true, updated_at = $4, updated_by = $1
from (select id, email_verified as was_verified from users where id = $1 for update) before
where users.id = before.id and email_key = $3 and disabled_at is null
returning {USER_COLUMNS}, users.language, before.was_verified
"""  # noqa: S608

_CHANGE_PASSWORD: Final = f"""
update users set password_hash = $2, password_version = password_version + 1,
    updated_at = $4, updated_by = $1
where id = $1 and password_version = $3 and disabled_at is null
returning {USER_COLUMNS}, users.language
"""  # noqa: S608

_VERIFY: Final = f"""
update users set email_verified = true, updated_at = $3, updated_by = $1
where id = $1 and email_key = $2 and disabled_at is null
returning {USER_COLUMNS}, users.language
"""  # noqa: S608

_BEFORE: Final = (
    "select email, email_key from users where id = $1 and disabled_at is null for update"
)

_CHANGE_EMAIL: Final = f"""
update users set email = $2, email_key = $3, email_verified = true, updated_at = $4,
    updated_by = $1
where id = $1 and not exists (select from users taken where taken.email_key = $3)
returning {USER_COLUMNS}, users.language
"""  # noqa: S608

# Whoever registered with the address of somebody else may have set one up.
_FORGET_STRANGERS_FACTOR: Final = """
delete from totp_factors where user_id = $1 and confirmed_at is not null returning true
"""

# What whoever changed the address has set up since; what the owner had before stays.
_FORGET_FACTOR: Final = """
delete from totp_factors where user_id = $1 and confirmed_at >= $2 returning true
"""
_FORGET_CODES: Final = """
update totp_factors set recovery = '{}' where user_id = $1 and recovery_at >= $2
"""

# Somebody else may have begun while they had the password: what is not verified yet ends with it.
_FORGET_BEGUN: Final = "delete from totp_factors where user_id = $1 and confirmed_at is null"
_FORGET_REPLACEMENT: Final = """
update totp_factors set next_sealed = null, next_begun_at = null
where user_id = $1 and next_sealed is not null
"""

_UNDO: Final = f"""
update users set email = $2, email_key = $3, email_verified = true, password_hash = $4,
    password_version = password_version + 1, erase_at = null, updated_at = $5, updated_by = $1
where id = $1 and not exists (select from users taken where taken.email_key = $3)
returning {USER_COLUMNS}, users.language
"""  # noqa: S608

# Nodes remember `verified`, so they must look the account up again.
_TELL_NODES: Final = "insert into account_changes (user_id) values ($1) on conflict do nothing"


class RequestedMail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that somebody requested.

    `user_id` is set if a signed-in person changes their address; `password_version` is the version
    of the password that they entered.
    """

    id: UUID
    purpose: str
    email: str
    email_key: str
    user_id: UUID | None
    password_version: int | None
    at: datetime


class FoundLink(msgspec.Struct, frozen=True, kw_only=True):
    """What a valid link is for."""

    purpose: str
    user_id: UUID
    email: str
    email_key: str
    made_at: datetime


class LinksRepository:
    """Links, and the changes that they allow."""

    def __init__(
        self,
        pool: Pool,
        post: Post,
        links: Links,
        times: LinkTimes,
        new_id: Callable[[], UUID],
    ) -> None:
        self._pool = pool
        self._post = post
        self._links = links
        self._times = times
        self._new_id = new_id

    async def ask(self, asked: RequestedMail) -> None:
        """Store the request for a mail, unless the password has changed. Refuses RETRY."""
        async with changing(self._pool) as writing:
            await writing.execute(
                _ASK,
                asked.id,
                asked.purpose,
                asked.email,
                asked.email_key,
                asked.user_id,
                asked.at,
                asked.password_version,
            )

    async def prepare(self, now: datetime) -> int:
        """Prepare requested mails; returns how many requests are done. Refuses RETRY.

        Two nodes never take the same request. Requests without an account are dropped.
        """
        async with transaction(self._pool) as running:
            rows = await running.fetch(_TAKE, REQUESTS_AT_ONCE)
            for row in rows:
                await self._prepare(running, row, now)
            await running.execute(_CLEAN_UP, now, IDEMPOTENT_CLEANUP_PAGE)
        return len(rows)

    async def send_verification(
        self, running: PooledConnection, user_id: UUID, now: datetime
    ) -> None:
        """Enqueue the mail with the link that verifies the address of a new account."""
        row = await running.fetchrow(_RECIPIENT_BY_ID, user_id)
        if row is not None:
            await self._send(running, VERIFY, row, row["email"], row["email_key"], now)

    async def look(self, digests: Sequence[bytes], now: datetime) -> FoundLink | None:
        """What a link is for; None if it is not valid. Refuses RETRY."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_LOOK, digests, now)
        return None if row is None else _found(row)

    async def reset_password(
        self, digest: bytes, password_hash: str, client: Client, now: datetime
    ) -> tuple[User, int] | None:
        """Set a password with a link; returns the account and how many sessions ended.

        None if the link is not valid. If nobody had verified the address before, an authenticator
        and a telephone of the account go too: they may be of a stranger, who would keep the owner
        of the address out with the one, and read of their bookings on the other. Whoever knew the
        old password may have signed in, so of the addresses of logins only this one stays known.

        Refuses RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as running:
            used = await running.fetchrow(_USE, [digest], now)
            if used is None:
                return None
            found = _found(used)
            row = await running.fetchrow(_RESET, found.user_id, password_hash, found.email_key, now)
            if row is None:
                return None
            ended = await self._password_changed(running, row, client, now, "password_reset", None)
            account = account_digest(row["email"])
            await running.execute(FORGET_OTHERS, account, pair_digest(account, client.address))
            if not row["was_verified"]:
                await running.execute(FORGET_PHONE, found.user_id)
                await self._forget_strangers_factor(running, row, client, now)
        return user_of(row), ended

    async def change_password(
        self,
        user_id: UUID,
        password_hash: str,
        version: int,
        client: Client,
        now: datetime,
        *,
        kept: UUID,
    ) -> int | None:
        """Replace the password of that `version`; returns how many other sessions ended.

        None if the password has changed meanwhile. Refuses RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as running:
            row = await running.fetchrow(_CHANGE_PASSWORD, user_id, password_hash, version, now)
            if row is None:
                return None
            return await self._password_changed(running, row, client, now, "password_change", kept)

    async def use_address_link(
        self, digests: Sequence[bytes], client: Client, now: datetime
    ) -> User | None:
        """Verify, change or restore an address with a link; None if the link is not valid.

        Restoring also removes the password, the telephone, and an authenticator that was set up
        since, because whoever changed the address had all of them in hand; and it cancels the
        erasure of the account. Refuses EMAIL_TAKEN, RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as running:
            used = await running.fetchrow(_USE, digests, now)
            if used is None:
                return None
            found = _found(used)
            if found.purpose == VERIFY:
                row = await running.fetchrow(_VERIFY, found.user_id, found.email_key, now)
            elif found.purpose == CHANGE:
                row = await self._change_email(running, found, client, now)
            else:
                row = await self._undo(running, found, client, now)
            if row is None:
                return None
            await running.execute(_TELL_NODES, found.user_id)
        return user_of(row)

    async def _prepare(self, running: PooledConnection, asked: Record, now: datetime) -> None:
        owner = await running.fetchrow(_RECIPIENT, asked["email_key"])
        if asked["purpose"] == CHANGE:
            changing = await running.fetchrow(_RECIPIENT_BY_ID, asked["user_id"])
            to, key = asked["email"], asked["email_key"]
            is_free = owner is None and not await is_reserved(running, key, now, asked["user_id"])
            if is_free and changing is not None:
                await self._send(running, CHANGE, changing, to, key, now)
        elif owner is not None and not (asked["purpose"] == VERIFY and owner["email_verified"]):
            to, key = owner["email"], owner["email_key"]
            await self._send(running, asked["purpose"], owner, to, key, now)

    async def _send(
        self, running: PooledConnection, purpose: str, row: Record, to: str, key: str, now: datetime
    ) -> None:
        link = self._links.make(purpose)
        expires_at = await self._add(running, link, UUID(row["id"]), to, key, now)
        # A name is any text that somebody has chosen, and this may be a stranger's address.
        is_theirs = purpose == RESET and row["email_verified"]
        letter = AccountLetter(
            kind=_LETTERS[purpose],
            to=to,
            language=row["language"],
            payload={
                "first_name": row["first_name"] if is_theirs else "",
                "url": link.url,
                "expires_at": expires_at,
            },
            dedupe=f"{purpose}:{link.digest.hex()}",
        )
        await self._post(running, letter)

    async def _add(
        self,
        running: PooledConnection,
        link: MailLink,
        user_id: UUID,
        to: str,
        key: str,
        now: datetime,
    ) -> datetime:
        expires_at = self._times.end(link.purpose, now)
        add = _ADD_UNDO if link.purpose == UNDO else _ADD
        await running.execute(add, link.digest, link.purpose, user_id, to, key, now, expires_at)
        return expires_at

    async def _void(
        self, running: PooledConnection, user_id: UUID, now: datetime, *purposes: str
    ) -> None:
        """Invalidate links, and drop requested mails with links that are not prepared yet."""
        await running.execute(_FORGET_ASKED, user_id)
        await running.execute(_VOID, user_id, now, purposes)

    async def _forget_strangers_factor(
        self, running: PooledConnection, row: Record, client: Client, now: datetime
    ) -> None:
        user_id = UUID(row["id"])
        if await running.fetchval(_FORGET_STRANGERS_FACTOR, user_id):
            entry_id = await self._note(running, "second_factor_off", user_id, client, now, {})
            at, address = now, client.address
            await self._tell(
                running, SECOND_FACTOR_OFF, row, row["email"], entry_id, at=at, address=address
            )

    async def _forget_begun(self, running: PooledConnection, user_id: UUID) -> None:
        await running.execute(_FORGET_BEGUN, user_id)
        await running.execute(_FORGET_REPLACEMENT, user_id)

    async def _password_changed(
        self,
        running: PooledConnection,
        row: Record,
        client: Client,
        now: datetime,
        action: str,
        kept: UUID | None,
    ) -> int:
        user_id = UUID(row["id"])
        await self._void(running, user_id, now, RESET, CHANGE)
        await self._forget_begun(running, user_id)
        ended = len(await running.fetch(END_ALL_SESSIONS, user_id, now, kept))
        await running.execute(_TELL_NODES, user_id)
        entry_id = await self._note(running, action, user_id, client, now, {"ended": ended})
        await self._tell(running, PASSWORD_CHANGED, row, row["email"], entry_id, at=now)
        return ended

    async def _change_email(
        self, running: PooledConnection, found: FoundLink, client: Client, now: datetime
    ) -> Record | None:
        user_id = found.user_id
        before = await running.fetchrow(_BEFORE, user_id)
        if before is None:
            return None
        row = await running.fetchrow(_CHANGE_EMAIL, user_id, found.email, found.email_key, now)
        if row is None:
            return None
        if await is_reserved(running, found.email_key, now, user_id):
            raise refuse("INVALID_LINK")
        await self._void(running, user_id, now, RESET, VERIFY, CHANGE)
        undo = self._links.make(UNDO)
        to, key = before["email"], before["email_key"]
        expires_at = await self._add(running, undo, user_id, to, key, now)
        entry_id = await self._note(running, "email_change", user_id, client, now, {})
        await self._tell(
            running, EMAIL_CHANGED, row, to, entry_id, url=undo.url, expires_at=expires_at
        )
        return row

    async def _undo(
        self, running: PooledConnection, found: FoundLink, client: Client, now: datetime
    ) -> Record | None:
        user_id = found.user_id
        row = await running.fetchrow(_UNDO, user_id, found.email, found.email_key, NO_PASSWORD, now)
        if row is None:
            return None
        await self._void(running, user_id, now, RESET, VERIFY, CHANGE)
        await running.execute(_VOID_LATER_UNDO, user_id, now, found.made_at)
        was_on = bool(await running.fetchval(_FORGET_FACTOR, user_id, found.made_at))
        await running.execute(_FORGET_CODES, user_id, found.made_at)
        await self._forget_begun(running, user_id)
        # Nobody knows since when it has this number.
        await running.execute(FORGET_PHONE, user_id)
        # What was asked for since went to the other address.
        await revoke_exports(running, user_id, now, since=found.made_at)
        ended = len(await running.fetch(END_ALL_SESSIONS, user_id, now, None))
        after: dict[str, object] = {"ended": ended, "second_factor_off": was_on}
        entry_id = await self._note(running, "email_undo", user_id, client, now, after)
        if was_on:
            at, address = now, client.address
            await self._tell(
                running, SECOND_FACTOR_OFF, row, found.email, entry_id, at=at, address=address
            )
        await self._send(running, RESET, row, found.email, found.email_key, now)
        return row

    async def _note(
        self,
        running: PooledConnection,
        action: str,
        user_id: UUID,
        client: Client,
        now: datetime,
        after: dict[str, object],
    ) -> UUID:
        entry = AuditEntry(
            id=self._new_id(),
            at=now,
            action=action,
            actor_id=user_id,
            target_id=user_id,
            after=after,
        )
        await note(running, entry, client)
        return entry.id

    async def _tell(
        self,
        running: PooledConnection,
        kind: str,
        row: Record,
        to: str,
        entry_id: UUID,
        **payload: object,
    ) -> None:
        letter = AccountLetter(
            kind=kind,
            to=to,
            language=row["language"],
            payload={"first_name": row["first_name"], **payload},
            dedupe=f"{kind}:{entry_id.hex}",
        )
        await self._post(running, letter)


_LETTERS: Final = {RESET: PASSWORD_RESET, VERIFY: VERIFICATION, CHANGE: EMAIL_CHANGE}


def _found(row: Record) -> FoundLink:
    return FoundLink(
        purpose=row["purpose"],
        user_id=row["user_id"],
        email=row["email"],
        email_key=row["email_key"],
        made_at=row["created_at"],
    )
