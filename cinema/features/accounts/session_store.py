"""Sessions in Postgres. Refresh tokens are stored as digests only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, TypeAlias, assert_never
from uuid import UUID

import msgspec

from cinema.domain.limits_catalog import IDEMPOTENT_CLEANUP_PAGE, SESSIONS_KEPT
from cinema.features.accounts.audit_store import AuditEntry, note
from cinema.features.accounts.letters import SESSION_REUSED, AccountLetter, Post
from cinema.features.accounts.session_rules import (
    Family,
    Repeat,
    Reuse,
    Rotate,
    SessionOver,
    Step,
    TooFast,
    digest_of,
)
from cinema.features.accounts.shapes import Client, Session, User
from cinema.features.accounts.store import USER_COLUMNS, user_of
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    changing,
    connection,
    transaction,
)

ENDED_SESSIONS_KEPT_S: Final = 3600
"""How long an ended session is kept for operators to see; it is refused with or without the row."""

SESSION_REUSE: Final = "session_reuse"
ERASURE_WITHDRAWN: Final = "erasure_withdrawn"

Proof: TypeAlias = Callable[[PooledConnection], Awaitable[str | None]]
"""Checks what a login needs beside the password; the reason if that is missing. It runs in the
transaction that opens the session, so that a code is used up only together with that."""

# A stronger lock than for reading, since the row may change below: two that share it could not.
_LOCK_ACCOUNT: Final = """
select true from users
where id = $1 and password_version = $2 and disabled_at is null
for no key update
"""

# The lock waits for a running change of the password, and a later change will see this session.
_OPEN: Final = f"""
with account as (
    select {USER_COLUMNS} from users
    where id = $2 and password_version = $8 and disabled_at is null
    for no key update
), opened as (
    insert into sessions (
        id, user_id, created_at, last_used_at, expires_at, refresh_digest, address, agent
    )
    select $1, account.id::uuid, $3, $3, $4, $5, $6, $7 from account
)
select * from account
"""  # noqa: S608  (columns named in the store)

# Whoever signs in wants to stay. With the session or not at all: a session of an account that is
# erased in some days would be a promise that nobody keeps.
_WITHDRAW_ERASURE: Final = """
update users set erase_at = null, updated_at = $2, updated_by = $1
where id = $1 and erase_at is not null
returning true
"""

# A separate statement, because the new row is not visible to the statement that inserts it.
_END_OLDEST: Final = """
update sessions set revoked_at = $2 where id in (
    select id from sessions
    where user_id = $1 and revoked_at is null and expires_at > $2
    order by created_at desc, id desc offset $3
)
"""

_CLEAN_UP: Final = """
delete from sessions where id in (
    select id from sessions where expires_at <= $1
    order by expires_at limit $2
    for update skip locked
)
"""

# Somebody may sign in and out again and again, and each login would look through the sessions
# that this leaves.
_FORGET_ENDED: Final = """
with gone as (
    delete from sessions where id in (
        select id from sessions where revoked_at <= $1
        order by revoked_at limit $2
        for update skip locked
    )
    returning 1
)
select count(*) from gone
"""

# Uses of one session wait for each other, so the second sees what the first has done.
_LOCK: Final = f"""
select {USER_COLUMNS}, users.language, users.disabled_at is not null as disabled,
    session.refresh_digest, session.rotations, session.created_at as opened_at,
    session.expires_at, session.revoked_at is not null as revoked
from sessions session join users on users.id = session.user_id
where session.id = $1
for update of session
"""  # noqa: S608

_ROTATE: Final = """
update sessions
set refresh_digest = $2, rotations = $3, expires_at = $4, last_used_at = $5, address = $6,
    agent = $7
where id = $1
"""

_END: Final = """
update sessions set revoked_at = $3
where id = $1 and user_id = $2 and revoked_at is null and expires_at > $3
returning id
"""

_END_ANYBODYS: Final = """
update sessions set revoked_at = $2
where id = $1 and revoked_at is null and expires_at > $2
returning user_id
"""

END_ALL_SESSIONS: Final = """
update sessions set revoked_at = $2
where user_id = $1 and revoked_at is null and expires_at > $2 and id is distinct from $3
returning id
"""

_LIVE: Final = """
select id::text, created_at, coalesce(last_used_at, created_at) as last_used_at, expires_at,
    address, agent
from sessions
where user_id = $1 and revoked_at is null and expires_at > $2
order by created_at desc, id desc
limit $3
"""


class NewSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session to open with a password of that version; `secret` is that of its first token.

    `entry_id` is for the row of the audit log if it cancels an erasure.
    """

    id: UUID
    user_id: UUID
    opened_at: datetime
    expires_at: datetime
    secret: bytes
    password_version: int
    entry_id: UUID


class Unproven(msgspec.Struct, frozen=True):
    """Why a proof did not hold."""

    reason: str


class Used(msgspec.Struct, frozen=True):
    """The owner of a used refresh token, and what its use did; `expires_at` is the session's."""

    user: User
    step: Step
    expires_at: datetime


class SessionsRepository:
    """Sessions of accounts, each with the family of its refresh tokens."""

    def __init__(self, pool: Pool, post: Post) -> None:
        self._pool = pool
        self._post = post

    async def open(
        self, new: NewSession, client: Client, proof: Proof | None = None
    ) -> User | Unproven | None:
        """Store a session and read its user; delete expired ones, end the oldest if too many.

        It cancels the erasure of the account, if one is scheduled. None if the account has another
        password now, is disabled or gone. Refuses RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as running:
            if proof is not None:
                # The account before what is used up for it, as whatever changes that does.
                if not await running.fetchval(_LOCK_ACCOUNT, new.user_id, new.password_version):
                    return None
                missing = await proof(running)
                if missing is not None:
                    return Unproven(missing)
            row = await running.fetchrow(
                _OPEN,
                new.id,
                new.user_id,
                new.opened_at,
                new.expires_at,
                digest_of(new.secret),
                client.address,
                client.agent,
                new.password_version,
            )
            if row is None:
                return None
            if await running.fetchval(_WITHDRAW_ERASURE, new.user_id, new.opened_at):
                entry = AuditEntry(
                    id=new.entry_id,
                    at=new.opened_at,
                    action=ERASURE_WITHDRAWN,
                    actor_id=new.user_id,
                    target_id=new.user_id,
                )
                await note(running, entry, client)
            await running.execute(_END_OLDEST, new.user_id, new.opened_at, SESSIONS_KEPT)
            await running.execute(_CLEAN_UP, new.opened_at, IDEMPOTENT_CLEANUP_PAGE)
        return user_of(row)

    async def use(
        self,
        session_id: UUID,
        decide: Callable[[Family], Step],
        client: Client,
        *,
        now: datetime,
        entry_id: UUID,
    ) -> Used | None:
        """Ask `decide` what a token does to its session, and do it; None if there is no session.

        Uses of one session wait for each other. Refuses RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as running:
            row = await running.fetchrow(_LOCK, session_id)
            if row is None:
                return None
            user = user_of(row)
            step = decide(_family(row))
            expires_at = row["expires_at"]
            match step:
                case Rotate():
                    expires_at = step.expires_at
                    await running.execute(
                        _ROTATE,
                        session_id,
                        digest_of(step.successor),
                        list(step.rotations),
                        step.expires_at,
                        now,
                        client.address,
                        client.agent,
                    )
                case Reuse():
                    await self._end_reused(
                        running, session_id, row, client, now=now, entry_id=entry_id
                    )
                case Repeat() | TooFast() | SessionOver():
                    pass
                case never:
                    assert_never(never)
        return Used(user, step, expires_at)

    async def _end_reused(
        self,
        running: PooledConnection,
        session_id: UUID,
        row: Record,
        client: Client,
        *,
        now: datetime,
        entry_id: UUID,
    ) -> None:
        """End a session whose token was copied, and inform its owner."""
        user_id = UUID(row["id"])
        session = str(session_id)
        await running.execute(_END, session_id, user_id, now)
        entry = AuditEntry(
            id=entry_id,
            at=now,
            action=SESSION_REUSE,
            actor_id=None,
            target_id=user_id,
            after={"session_id": session},
        )
        await note(running, entry, client)
        letter = AccountLetter(
            kind=SESSION_REUSED,
            to=row["email"],
            language=row["language"],
            payload={"first_name": row["first_name"], "at": now, "address": client.address},
            dedupe=f"{SESSION_REUSED}:{session}",
        )
        await self._post(running, letter)

    async def end(self, session_id: UUID, user_id: UUID, now: datetime) -> bool:
        """End a session of an account; False if there was none. Refuses RETRY."""
        async with changing(self._pool) as writing:
            ended = await writing.fetchval(_END, session_id, user_id, now)
        return ended is not None

    async def end_presented(self, session_id: UUID, now: datetime) -> UUID | None:
        """End the session of a refresh token; returns its owner. Refuses RETRY."""
        async with changing(self._pool) as writing:
            owner: UUID | None = await writing.fetchval(_END_ANYBODYS, session_id, now)
        return owner

    async def end_all(self, user_id: UUID, now: datetime, *, but: UUID | None = None) -> int:
        """End all sessions of an account, maybe except one; returns how many. Refuses RETRY."""
        async with changing(self._pool) as writing:
            return len(await writing.fetch(END_ALL_SESSIONS, user_id, now, but))

    async def forget_ended(self, now: datetime, limit: int) -> int:
        """Delete a bounded number of sessions that ended a while ago; returns how many."""
        async with changing(self._pool) as writing:
            before = now - timedelta(seconds=ENDED_SESSIONS_KEPT_S)
            gone: int = await writing.fetchval(_FORGET_ENDED, before, limit)
        return gone

    async def live(self, user_id: UUID, current: UUID, now: datetime) -> list[Session]:
        """The open sessions of an account, newest first. Refuses RETRY."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_LIVE, user_id, now, SESSIONS_KEPT)
        return [_session(row, str(current)) for row in rows]


def _family(row: Record) -> Family:
    return Family(
        digest=row["refresh_digest"],
        rotations=tuple(row["rotations"]),
        created_at=row["opened_at"],
        expires_at=row["expires_at"],
        revoked=row["revoked"],
        disabled=row["disabled"],
    )


def _session(row: Record, current: str) -> Session:
    return Session(
        id=row["id"],
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
        expires_at=row["expires_at"],
        address=row["address"],
        user_agent=row["agent"],
        current=row["id"] == current,
    )
