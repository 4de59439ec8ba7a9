"""Exports in Postgres, in sealed pieces.

Locks are taken in one order, by erasure too: the account, its job, its export.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from cinema.domain.rejections import refuse
from cinema.features.accounts.audit_store import AuditEntry, note
from cinema.features.accounts.letters import EXPORT, AccountLetter, Post
from cinema.features.accounts.link_rules import MailLink
from cinema.features.accounts.shapes import Client
from cinema.features.feature import JobAttempt, JobFailed
from cinema.features.jobs.store import Enqueued, JobsRepository
from cinema.features.privacy.rules import KIND
from cinema.features.privacy.shapes import Ready
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    changing,
    connection,
    transaction,
)
from cinema.storage.encryption import Cipher
from cinema.storage.resealing import SealedColumn

# Two clicks come one after the other.
_LOCK: Final = """
select email_verified from users where id = $1 and deleted_at is null for no key update"""
_RECENT: Final = """
select count(*), min(created_at) from jobs
where owner_id = $1 and kind = $2 and created_at > $3 and status in ('queued', 'running', 'done')"""
# Erasure waits for us, or we find that it has been.
_ACCOUNT: Final = """
select email, first_name, language from users where id = $1 and deleted_at is null for share"""
_FIND: Final = "select digest, expires_at, size_bytes from account_exports where id = $1"
_DROP: Final = "delete from account_exports where id = $1"
_ADD: Final = "insert into account_exports (id, user_id, created_at) values ($1, $2, $3)"
_ADD_PIECE: Final = """
insert into account_export_pieces (id, export_id, number, sealed) values ($1, $2, $3, $4)"""
_FINISH: Final = """
update account_exports set digest = $2, expires_at = $3, size_bytes = $4 where id = $1"""
# Of an account there is one file at a time.
_DROP_OTHERS: Final = "delete from account_exports where user_id = $1 and id <> $2"
_OPEN: Final = """
select export.id, export.user_id, export.created_at, export.size_bytes
from account_exports export join users on users.id = export.user_id
where export.digest = $1 and export.expires_at > $2 and users.deleted_at is null"""
_PIECE: Final = """
select id, sealed from account_export_pieces where export_id = $1 and number = $2"""
# Nodes that do this at the same time take different rows. Those that nobody finished go too.
_FORGET: Final = """
with gone as (
    delete from account_exports where id = any(array(
        select id from account_exports
        where expires_at <= $1 or (expires_at is null and created_at < $2)
        order by expires_at, created_at limit $3
        for update skip locked
    ))
    returning 1
)
select count(*) from gone"""

UNFINISHED_KEPT: Final = timedelta(days=1)
"""How long an export that was not finished is kept: its job was given up, or it goes on."""

FORGOTTEN_AT_ONCE: Final = 10
"""Exports that one statement deletes: each may have hundreds of pieces."""

DAY: Final = timedelta(days=1)


class MadeFile(msgspec.Struct, frozen=True):
    """A file that is ready, and until when."""

    size_bytes: int
    expires_at: datetime


class ExportsRepository:
    """Keeps the exports of accounts."""

    def __init__(
        self,
        pool: Pool,
        cipher: Cipher,
        jobs: JobsRepository,
        post: Post,
        *,
        new_id: Callable[[], UUID],
    ) -> None:
        self._pool = pool
        self._cipher = cipher
        self._jobs = jobs
        self._post = post
        self._new_id = new_id

    async def ask(self, user_id: UUID, client: Client, now: datetime, *, per_day: int) -> Enqueued:
        """Begin an export, or return the one that is being made.

        Refuses NOT_FOUND, FORBIDDEN without a proven address, RATE_LIMITED, RETRY,
        OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as running:
            account = await running.fetchrow(_LOCK, user_id)
            if account is None:
                raise refuse("NOT_FOUND")
            if not account["email_verified"]:
                raise refuse(
                    "FORBIDDEN",
                    "Verify your e-mail address first: the link to the export is sent there.",
                )
            job = await self._jobs.enqueue(
                running,
                kind=KIND,
                owner_id=user_id,
                only_one=str(user_id),
                request_id=client.request_id,
            )
            if job.is_new:
                count, first_at = await self._recent(running, user_id, now)
                # Ours is one of them.
                if count > per_day:
                    wait = first_at + DAY - now
                    raise refuse("RATE_LIMITED", retry_after_s=max(1, int(wait.total_seconds())))
                await self._note(running, "export_requested", user_id, user_id, client, now)
        return job

    async def _recent(
        self, running: PooledConnection, user_id: UUID, now: datetime
    ) -> tuple[int, datetime]:
        row = await running.fetchrow(_RECENT, user_id, KIND, now - DAY)
        return (0, now) if row is None else (row[0], row[1] or now)

    async def begin(self, attempt: JobAttempt, user_id: UUID, now: datetime) -> MadeFile | None:
        """Begin anew, unless an earlier attempt has made the file. Raises `JobFailed`."""
        async with transaction(self._pool) as running:
            await self._account(running, user_id)
            await attempt.report(within=running)
            row = await running.fetchrow(_FIND, attempt.id)
            if row is not None and row["digest"] is not None:
                return MadeFile(row["size_bytes"], row["expires_at"])
            await running.execute(_DROP, attempt.id)
            await running.execute(_ADD, attempt.id, user_id, now)
        return None

    async def add(self, attempt: JobAttempt, number: int, piece: bytes) -> None:
        """Store the next piece."""
        piece_id = self._new_id()
        sealed = self._cipher.seal(piece, place=_place(piece_id.bytes))
        async with transaction(self._pool) as running:
            await attempt.report(within=running)
            await running.execute(_ADD_PIECE, piece_id, attempt.id, number, sealed)

    async def finish(
        self,
        attempt: JobAttempt,
        user_id: UUID,
        link: MailLink,
        made: MadeFile,
        now: datetime,
    ) -> None:
        """Make the link valid, and enqueue its mail. Raises `JobFailed`."""
        async with transaction(self._pool) as running:
            account = await self._account(running, user_id)
            await attempt.report(within=running)
            await running.execute(
                _FINISH, attempt.id, link.digest, made.expires_at, made.size_bytes
            )
            await running.execute(_DROP_OTHERS, user_id, attempt.id)
            client = Client(request_id=attempt.request_id)
            await self._note(running, "export_made", None, user_id, client, now)
            letter = AccountLetter(
                kind=EXPORT,
                to=account["email"],
                language=account["language"],
                payload={
                    "first_name": account["first_name"],
                    "url": link.url,
                    "expires_at": made.expires_at,
                },
                dedupe=f"{EXPORT}:{attempt.id}",
            )
            await self._post(running, letter)

    async def _account(self, running: PooledConnection, user_id: UUID) -> Any:
        account = await running.fetchrow(_ACCOUNT, user_id)
        if account is None:
            raise JobFailed("This account no longer exists.")
        return account

    async def open(self, digest: bytes, now: datetime) -> Ready | None:
        """The export of a link, while the link is valid. Refuses RETRY."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_OPEN, digest, now)
        if row is None:
            return None
        return Ready(
            id=UUID(bytes=row["id"].bytes),
            user_id=UUID(bytes=row["user_id"].bytes),
            created_at=row["created_at"],
            size_bytes=row["size_bytes"],
        )

    async def note_download(self, export: Ready, client: Client, now: datetime) -> None:
        """Remember that somebody used the link; who, nobody knows. Refuses RETRY."""
        async with transaction(self._pool) as running:
            await self._note(running, "export_downloaded", None, export.user_id, client, now)

    async def pieces(self, export: Ready) -> AsyncIterator[bytes]:
        """The file, a piece at a time. Refuses RETRY, and NOT_FOUND if it goes meanwhile."""
        number, left = 0, export.size_bytes
        while left > 0:
            async with connection(self._pool) as reading:
                row = await reading.fetchrow(_PIECE, export.id, number)
            if row is None:
                raise refuse("NOT_FOUND")
            piece = self._cipher.open(row["sealed"], place=_place(row["id"].bytes))
            yield piece
            number, left = number + 1, left - len(piece)

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete a bounded number of expired exports; returns how many."""
        gone = 0
        while gone < limit:
            at_once = min(FORGOTTEN_AT_ONCE, limit - gone)
            async with changing(self._pool) as writing:
                some: int = await writing.fetchval(_FORGET, now, now - UNFINISHED_KEPT, at_once)
            gone += some
            if some < at_once:
                break
        return gone

    async def _note(
        self,
        running: PooledConnection,
        action: str,
        actor_id: UUID | None,
        user_id: UUID,
        client: Client,
        now: datetime,
    ) -> None:
        entry = AuditEntry(
            id=self._new_id(),
            at=now,
            action=action,
            actor_id=actor_id,
            target_id=user_id,
        )
        await note(running, entry, client)


def _place(piece_id: bytes) -> bytes:
    return b"account_export_pieces.sealed:" + piece_id


SEALED: Final = SealedColumn(
    table="account_export_pieces",
    key="id",
    column="sealed",
    place=lambda row_id: _place(row_id.bytes),
)
