"""Arrays as text mean to Postgres what they meant to us."""

from __future__ import annotations

from uuid import UUID

import asyncpg
import pytest

from cinema.storage.journal.array_text import ids_text, integers_text, joined


@pytest.mark.parametrize(
    "values", [[], [0], [-1, None, 2**63 - 1], [None], [-(2**63)], list(range(500))], ids=str
)
async def test_integers(database: str, values: list[int | None]) -> None:
    connection = await asyncpg.connect(database)
    try:
        seen = await connection.fetchval("select $1::text::bigint[]", integers_text(values))
    finally:
        await connection.close()
    assert seen == values


async def test_ids(database: str) -> None:
    ids = [bytes(16), b"\xff" * 16, bytes(range(16))]
    connection = await asyncpg.connect(database)
    try:
        seen = await connection.fetchval("select $1::text::uuid[]", ids_text(ids))
    finally:
        await connection.close()
    assert seen == [UUID(bytes=one) for one in ids]


@pytest.mark.parametrize("values", [[b"x"], [b"", b"ab", b"", b"\x00{,}'\\", bytes(300)]])
async def test_joined_values(database: str, values: list[bytes]) -> None:
    connection = await asyncpg.connect(database)
    try:
        rows = await connection.fetch(
            "select substring($3::bytea from start for length)"
            " from unnest($1::text::int[], $2::text::int[]) as v (start, length)",
            *joined(values),
        )
    finally:
        await connection.close()
    assert [row[0] for row in rows] == values
