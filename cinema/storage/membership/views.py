"""Stores of views and of heartbeats.

Views are in Postgres and decide; heartbeats are in Redis and only hint.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, Protocol

import asyncpg
import msgspec

from cinema.domain.membership import NO_VIEW, Member, View
from cinema.storage.database.failures import UNREACHABLE
from cinema.storage.database.standby import (
    HasStandby,
    StandbyWait,
    Unconfirmed,
    never,
    unconfirmed_of,
)
from cinema.storage.database.transactions import Pool, PooledConnection

VIEWS_KEPT: Final = 100
"""Older views that are kept for people, to see the history of the cluster."""

_LATEST: Final = """
select version, members from cluster_views order by version desc limit 1"""

# Another node that proposes the same version at the same time meets the primary key.
_PROPOSE: Final = """
insert into cluster_views (version, members, proposed_by)
select $1::bigint, $2::bytea, $3::bytea
where coalesce((select max(version) from cluster_views), 0) = $1::bigint - 1
on conflict (version) do nothing
returning version"""

_FORGET: Final = "delete from cluster_views where version <= $1"

_UNKNOWN: Final = (*UNREACHABLE, asyncpg.InsufficientResourcesError)
"""A full disk or a server out of connections may be temporary, so the node does not stop."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[Member, ...]).decode


class ViewsUnavailable(Exception):
    """The newest view cannot be read now, and it is unknown whether a proposal was taken."""


class BeatsUnavailable(Exception):
    """No node's signs of life can be read now."""


class Beat(msgspec.Struct, frozen=True, array_like=True):
    """A sign of life: a count that rises, and the version of the view that its node uses."""

    count: int
    version: int


class ViewStore(Protocol):
    """The totally ordered views. Every method raises `ViewsUnavailable`."""

    async def latest(self) -> View:
        """The newest view; version 0 before the first."""

    async def propose(self, view: View, node_id: bytes) -> bool:
        """Make `view` the newest, unless another took its version."""


class HeartbeatStore(Protocol):
    """The signs of life of all nodes. Every method but `close` raises `BeatsUnavailable`."""

    async def beat(self, node_id: bytes, beat: Beat) -> Mapping[bytes, Beat]:
        """Leave one's own and see everybody's."""

    async def forget(self, node_ids: frozenset[bytes]) -> None:
        """Remove what dead nodes left."""

    async def close(self) -> None:
        """Give the connection back."""


class PostgresViews:
    """Views in the table `cluster_views`.

    A view that a failover could take back is not shown: nodes that followed it could agree on no
    later one, since to the others its version would still be free.
    """

    def __init__(self, pool: Pool, *, timeout_s: float, has_standby: HasStandby = never) -> None:
        self._pool = pool
        self._timeout_s = timeout_s
        self._confirmation = StandbyWait(pool, has_standby, timeout_s=timeout_s)
        self._confirmed = 0

    async def latest(self) -> View:
        """See `ViewStore.latest`."""
        try:
            async with self._connected() as connection:
                row = await connection.fetchrow(_LATEST)
        except _UNKNOWN as error:
            raise ViewsUnavailable(str(error) or type(error).__name__) from error
        if row is None:
            return NO_VIEW
        if row["version"] > self._confirmed:
            try:
                await self._confirmation.wait()
            except Unconfirmed as error:
                raise ViewsUnavailable(str(error)) from error
            self._confirmed = row["version"]
        return View(version=row["version"], members=_decode(row["members"]))

    async def propose(self, view: View, node_id: bytes) -> bool:
        """See `ViewStore.propose`."""
        try:
            async with self._connected() as connection:
                unconfirmed = unconfirmed_of(connection)
                taken = await connection.fetchval(
                    _PROPOSE, view.version, _encode(view.members), node_id
                )
                if unconfirmed_of(connection) != unconfirmed:
                    raise ViewsUnavailable("the standby has not confirmed it")
                if taken is not None and view.version > VIEWS_KEPT:
                    await connection.execute(_FORGET, view.version - VIEWS_KEPT)
        except _UNKNOWN as error:
            raise ViewsUnavailable(str(error) or type(error).__name__) from error
        return taken is not None

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[PooledConnection]:
        """A connection for `timeout_s`, the wait for a free one included."""
        async with (
            asyncio.timeout(self._timeout_s),
            self._pool.acquire(timeout=self._timeout_s) as connection,
        ):
            yield connection
