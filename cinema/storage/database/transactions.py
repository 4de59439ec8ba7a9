"""Transactions whose effect happens only once for an idempotency key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import TypeAlias, TypeVar

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy
from asyncpg.transaction import Transaction

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.limits import IDEMPOTENCY_TTL_S
from cinema.domain.limits_catalog import (
    DATABASE_RELEASE_S,
    DATABASE_WAIT_S,
    IDEMPOTENT_CLEANUP_PAGE,
    IDEMPOTENT_WAIT_S,
)
from cinema.domain.rejections import refuse
from cinema.storage.database.failures import UNREACHABLE, translated
from cinema.storage.database.standby import unconfirmed_of

# Text, because the driver's classes are generic for type checkers only.
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
PooledConnection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

T = TypeVar("T")

# Waits for a claim in flight: the unique index admits a second one only after the first has ended.
_CLAIM = """
insert into idempotent_requests as claim (key_digest, fingerprint, expires_at)
values ($1, $2, $3::timestamptz)
on conflict (key_digest) do update
    set fingerprint = excluded.fingerprint, response = null, expires_at = excluded.expires_at
    where claim.expires_at <= $4
returning true
"""

_STORED = "select fingerprint, response from idempotent_requests where key_digest = $1"

_STORE = "update idempotent_requests set response = $2 where key_digest = $1"

_CLEAN_UP = """
delete from idempotent_requests where key_digest in (
    select key_digest from idempotent_requests
    where expires_at <= $1
    order by expires_at limit $2
    for update skip locked
)
"""


@asynccontextmanager
async def borrowed(pool: Pool) -> AsyncIterator[PooledConnection]:
    """A connection; the waits for getting and returning it are bounded.

    The pool's own `fetch` and `acquire` wait without an end for a server that is frozen.
    """
    acquired = await pool.acquire(timeout=DATABASE_WAIT_S)
    try:
        yield acquired
    finally:
        # The work with it is done, maybe committed, so a failure to return it does not matter. If
        # it cannot be reset, the pool has cut it, and opens another one when it needs it.
        with suppress(*UNREACHABLE):
            await pool.release(acquired, timeout=DATABASE_RELEASE_S)


@asynccontextmanager
async def connection(pool: Pool) -> AsyncIterator[PooledConnection]:
    """A connection; errors of the driver are translated.

    OUTCOME_UNKNOWN if something was committed and the standby has not confirmed it.
    """
    with translated():
        async with borrowed(pool) as acquired:
            unconfirmed = unconfirmed_of(acquired)
            yield acquired
            if unconfirmed_of(acquired) != unconfirmed:
                raise refuse("OUTCOME_UNKNOWN")


@asynccontextmanager
async def changing(pool: Pool) -> AsyncIterator[PooledConnection]:
    """A connection for statements that write, each a transaction of its own.

    OUTCOME_UNKNOWN also if it is lost meanwhile: the statement may be done, and only its answer is
    not there. RETRY means that it had no effect.
    """
    async with connection(pool) as acquired:
        with translated(lost="OUTCOME_UNKNOWN"):
            yield acquired


@asynccontextmanager
async def whole_session(pool: Pool) -> AsyncIterator[PooledConnection]:
    """A connection for work that changes its session: what it leaves there ends with it."""
    async with connection(pool) as acquired:
        try:
            yield acquired
        finally:
            try:
                await acquired.reset(timeout=DATABASE_RELEASE_S)
            except BaseException:
                acquired.terminate()
                raise


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[PooledConnection]:
    """A transaction that is committed when the body ends; RETRY means that it had no effect."""
    async with connection(pool) as acquired:
        running = acquired.transaction()
        try:
            await running.start()
            yield acquired
        except BaseException:
            await _undo(acquired, running)
            raise
        with translated(lost="OUTCOME_UNKNOWN"):
            try:
                await running.commit()
            except BaseException:
                _cut(acquired)
                raise


async def _undo(acquired: PooledConnection, running: Transaction) -> None:
    try:
        if not acquired.is_closed():
            await running.rollback()
    except asyncpg.InterfaceError:  # BEGIN was interrupted, or the connection has been lost.
        with suppress(asyncpg.InterfaceError):
            acquired.terminate()
    except BaseException:
        _cut(acquired)
        raise


def _cut(acquired: PooledConnection) -> None:
    """Close a connection that may still be in a transaction; the pool opens another one.

    A caller may be cancelled at the very moment when the answer to ROLLBACK or COMMIT has come and
    was not looked at yet.
    """
    with suppress(asyncpg.InterfaceError):
        if acquired.is_in_transaction():
            acquired.terminate()


async def run_once(
    pool: Pool,
    key: IdempotencyKey | None,
    now: datetime,
    answer: type[T],
    effect: Callable[[PooledConnection], Awaitable[T]],
) -> T:
    """Run `effect` and commit it with its answer; for a known key, return the stored answer.

    A concurrent second request waits for the first. Another request under the key is refused as
    IDEMPOTENCY_MISMATCH. A refusal of `effect` leaves no trace and is decided again.
    """
    async with transaction(pool) as running:
        if key is None:
            return await effect(running)
        stored = await _claim(running, key, now)
        if stored is not None:
            return msgspec.json.decode(stored, type=answer)
        result = await effect(running)
        await running.execute(_STORE, key.digest, msgspec.json.encode(result))
        await running.execute(_CLEAN_UP, now, IDEMPOTENT_CLEANUP_PAGE)
        return result


async def _claim(running: PooledConnection, key: IdempotencyKey, now: datetime) -> bytes | None:
    """None if the key is ours now, otherwise the stored answer."""
    expires_at = now + timedelta(seconds=IDEMPOTENCY_TTL_S)
    claimed = await running.fetchval(
        _CLAIM, key.digest, key.fingerprint, expires_at, now, timeout=IDEMPOTENT_WAIT_S
    )
    if claimed:
        return None
    stored = await running.fetchrow(_STORED, key.digest)
    if stored is None or stored["response"] is None:
        raise refuse("RETRY")
    if stored["fingerprint"] != key.fingerprint:
        raise refuse("IDEMPOTENCY_MISMATCH")
    return bytes(stored["response"])
