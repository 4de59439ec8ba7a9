"""Uses of presale codes are looked at by one node at a time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from cinema.features.presale.store import PresaleRepository
from cinema.storage.database.transactions import Pool

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
UNTIL = NOW + timedelta(seconds=60)


async def used(pool: Pool, count: int) -> UUID:
    """A code that was used so often."""
    code_id = uuid4()
    await pool.execute(
        "insert into presale_codes (id, showtime_id, code, code_key, starts_at, max_uses,"
        " uses_per_customer, uses, created_at, created_by)"
        " values ($1, $1, 'CODE', 'code', $2, 99, 99, $3, $2, $1)",
        *(code_id, NOW, count),
    )
    await pool.executemany(
        "insert into presale_uses (id, code_id, showtime_id, customer_id, hold_id, used_at,"
        " look_at) values ($1, $2, $2, $1, $1, $3, $3)",
        [(uuid4(), code_id, NOW) for _ in range(count)],
    )
    return code_id


async def test_nodes_that_look_at_once_look_at_different_uses(pool: Pool) -> None:
    await used(pool, 9)
    store = PresaleRepository(pool)
    pages = await asyncio.gather(*(store.claim(NOW, UNTIL, 3) for _ in range(3)))
    claimed = [use.id for page in pages for use in page]
    # Who finds the others' rows locked may get fewer; nobody gets them twice.
    assert len(claimed) == len(set(claimed))
    while page := await store.claim(NOW, UNTIL, 3):
        claimed += [use.id for use in page]
    assert len(claimed) == len(set(claimed)) == 9
    # A node that has died keeps nothing for ever.
    assert len(await store.claim(UNTIL, UNTIL, 99)) == 9


async def test_a_use_that_was_repeated_since_it_was_claimed_is_not_given_back(pool: Pool) -> None:
    code_id = await used(pool, 2)
    store = PresaleRepository(pool)
    first, second = await store.claim(NOW, UNTIL, 9)
    await pool.execute(
        "update presale_uses set look_at = $2 where id = $1",
        *(first.id, UNTIL + timedelta(microseconds=1)),
    )
    for use in (first, second):
        await store.give_back(use.id, UNTIL)
    assert await pool.fetchval("select uses from presale_codes where id = $1", code_id) == 1
