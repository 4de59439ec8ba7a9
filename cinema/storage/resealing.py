"""Seals values of older keys with the newest, so that the old keys can be removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

import msgspec

from cinema.storage.database.transactions import Pool, changing
from cinema.storage.encryption import CannotOpen, Cipher

RESEALED_AT_ONCE: Final = 100
"""Rows that are read together."""


class SealedColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column of sealed values; `place` makes a value's place from the key of its row."""

    table: str
    key: str
    column: str
    place: Callable[[UUID], bytes]


class Resealed(msgspec.Struct):
    """How many values were sealed again, and how many no key opens."""

    renewed: int = 0
    unreadable: int = 0


async def reseal(
    pool: Pool,
    cipher: Cipher,
    columns: Sequence[SealedColumn],
    *,
    page_rows: int = RESEALED_AT_ONCE,
) -> Resealed:
    """Seal values of older keys with the newest; it may be stopped and run again.

    A value that changes meanwhile is left alone, because the change has sealed it with the newest
    key. A value that no key opens stays as it is. Refuses RETRY.
    """
    done = Resealed()
    for column in columns:
        await _reseal(pool, cipher, column, done, page_rows)
    return done


async def _reseal(
    pool: Pool, cipher: Cipher, sealed: SealedColumn, done: Resealed, page_rows: int
) -> None:
    table, key, column = sealed.table, sealed.key, sealed.column
    page = (  # The names are ours.
        f"select {key}, {column} from {table} where {key} > $1 and {column} is not null"  # noqa: S608
        f" order by {key} limit $2"
    )
    renew = f"update {table} set {column} = $3 where {key} = $1 and {column} = $2"  # noqa: S608
    after = UUID(int=0)
    while True:
        async with changing(pool) as writing:
            rows = await writing.fetch(page, after, page_rows)
            for row in rows:
                after, before = row[0], row[1]
                if cipher.is_current(before):
                    continue
                try:
                    plain = cipher.open(before, place=sealed.place(after))
                except CannotOpen:
                    done.unreadable += 1
                    continue
                renewed = cipher.seal(plain, place=sealed.place(after))
                await writing.execute(renew, after, before, renewed)
                done.renewed += 1
        if len(rows) < page_rows:
            return
