"""Which posters and other pictures there are, and which film shows which."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.rejections import refuse
from cinema.features.catalog.movie_store import MOVIE_COLUMNS, movie_of
from cinema.features.catalog.shapes import Movie
from cinema.storage.database.transactions import Pool, PooledConnection, run_once, transaction

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

UNUSED_KEPT: Final = timedelta(days=30)
"""How long a picture that nothing shows is kept: pages and their caches may still name it."""

SWEPT_AT_ONCE: Final = 20
"""Posters deleted in one transaction, which waits for the store of their files."""

_NOTE = """
insert into posters (digest, stored_at) values ($1, $2)
on conflict (digest) do update set stored_at = greatest(posters.stored_at, excluded.stored_at)
"""

_SHOW = f"""
update movies set
    poster_url = $2, updated_at = $3, updated_by = $4, version = version + 1
where id = $1 and deleted_at is null
returning {MOVIE_COLUMNS}
"""

_UNUSED = """
select digest from posters poster
where stored_at < $1
  and not exists (select from movies where poster_digest = poster.digest)
  and not exists (
    select from concession_products product
    where product.image_digest = poster.digest and product.deleted_at is null
  )
order by stored_at limit $2
for update skip locked
"""

_FORGET = "delete from posters where digest = any($1::text[])"


class PostersRepository:
    """Notes a poster before its files are written, so that none is left that nobody knows."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def note(self, digest: str, now: datetime) -> None:
        """Its files are about to be written, or written again.

        Waits while they are being deleted, so that they are written after that.
        """
        async with transaction(self._pool) as running:
            await running.execute(_NOTE, digest, now)

    async def show(
        self, movie_id: UUID, url: str, now: datetime, by: UUID, key: IdempotencyKey | None
    ) -> Movie:
        """The film with this poster. Refuses NOT_FOUND."""

        async def change(running: PooledConnection) -> Movie:
            row = await running.fetchrow(_SHOW, movie_id, url, now, by)
            if row is None:
                raise refuse("NOT_FOUND")
            return movie_of(row)

        return await run_once(self._pool, key, now, Movie, change)

    async def sweep(
        self, now: datetime, limit: int, delete: Callable[[str], Awaitable[None]]
    ) -> int:
        """Delete posters that nothing has shown for long, at most so many; how many those were.

        `delete` deletes the files of one, and may raise: then all of them stay noted.
        """
        async with transaction(self._pool) as running:
            rows = await running.fetch(_UNUSED, now - UNUSED_KEPT, min(limit, SWEPT_AT_ONCE))
            for row in rows:
                await delete(row["digest"])
            await running.execute(_FORGET, [row["digest"] for row in rows])
            return len(rows)
