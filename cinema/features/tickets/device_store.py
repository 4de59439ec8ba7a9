"""Scanners in Postgres; of their tokens only digests."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from cinema.features.accounts.user_store import Act
from cinema.features.tickets.shapes import Device
from cinema.features.tickets.store import audited
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import Pool, connection, transaction

_COLUMNS: Final = "id, cinema_id, name, created_at, revoked_at"
_ADD: Final = f"""
insert into scanner_devices (id, cinema_id, name, token_digest, created_at, created_by)
select $1, $2, $3, $4, $5, $6 where exists (
    select from cinemas where id = $2 and deleted_at is null
)
returning {_COLUMNS}"""  # noqa: S608
_LIST: Final = f"""
select {_COLUMNS} from scanner_devices where cinema_id = $1 and id > $2 order by id limit $3"""  # noqa: S608
_BY_ID: Final = f"select {_COLUMNS} from scanner_devices where id = $1"  # noqa: S608
_BY_DIGEST: Final = f"""
select {_COLUMNS} from scanner_devices where token_digest = $1 and revoked_at is null"""  # noqa: S608
_REVOKE: Final = f"""
update scanner_devices set revoked_at = $2, revoked_by = $3
where id = $1 and revoked_at is null
returning {_COLUMNS}"""  # noqa: S608


class DevicesRepository:
    """Reads and writes scanners."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(
        self, device_id: UUID, cinema_id: UUID, name: str, digest: bytes, act: Act
    ) -> Device | None:
        """A new scanner; None if there is no such cinema."""
        async with transaction(self._pool) as running:
            row = await running.fetchrow(_ADD, device_id, cinema_id, name, digest, act.at, act.by)
            if row is not None:
                await audited(running, "scanner_added", device_id, act, name=name)
        return None if row is None else device_of(row)

    async def of_cinema(self, cinema_id: UUID, after: UUID, limit: int) -> list[Device]:
        """The scanners of a cinema, the oldest first, also those that were revoked."""
        async with connection(self._pool) as reading:
            return [device_of(row) for row in await reading.fetch(_LIST, cinema_id, after, limit)]

    async def find(self, device_id: UUID) -> Device | None:
        """A scanner, also one that was revoked."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_BY_ID, device_id)
        return None if row is None else device_of(row)

    async def by_token(self, digest: bytes) -> Device | None:
        """The scanner whose token has this digest, unless it was revoked."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_BY_DIGEST, digest)
        return None if row is None else device_of(row)

    async def revoke(self, device_id: UUID, act: Act) -> Device | None:
        """The scanner, whose token counts no longer; None if it did not count before."""
        async with transaction(self._pool) as running:
            row = await running.fetchrow(_REVOKE, device_id, act.at, act.by)
            if row is not None:
                await audited(running, "scanner_revoked", device_id, act)
        return None if row is None else device_of(row)


def device_of(row: Record, cinema_id: str = "cinema_id") -> Device:
    """A scanner; `cinema_id` is the name of that column."""
    at: datetime = row["created_at"]
    return Device(
        id=row["id"],
        cinema_id=row[cinema_id],
        name=row["name"],
        created_at=at,
        revoked_at=row["revoked_at"],
    )
