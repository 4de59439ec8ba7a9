"""The ledger takes only transactions whose amounts sum to 0, however many lines they have."""

from __future__ import annotations

import random
import uuid

import asyncpg
import pytest

from cinema.storage.database.transactions import Pool

pytestmark = pytest.mark.postgres

INSERT = """
insert into ledger (kind, source, currency, at, accounts, amounts)
values ('sale', $1, 'EUR', now(), $2::text[], $3::text::bigint[])"""
ACCOUNTS = ["customer", "deferred", "tax", "fees", "stripe", "cash", "points"]


async def takes(pool: Pool, amounts: str, count: int) -> bool:
    """Whether the ledger takes a transaction of amounts in Postgres' form of arrays."""
    try:
        await pool.execute(INSERT, uuid.uuid4(), ACCOUNTS[:count], amounts)
    except asyncpg.CheckViolationError as refused:
        return getattr(refused, "constraint_name", None) != "ledger_sums_to_zero"
    return True


async def test_sums_are_compared_for_every_number_of_lines(pool: Pool) -> None:
    chance = random.Random(12)
    for _ in range(150):
        count = chance.randint(1, len(ACCOUNTS))
        amounts = [chance.randint(-3, 3) * 10 ** chance.randint(0, 12) for _ in range(count)]
        if chance.random() < 0.5:
            amounts[-1] -= sum(amounts)
        text = "{" + ",".join(str(one) for one in amounts) + "}"
        assert await takes(pool, text, count) == (sum(amounts) == 0), amounts


@pytest.mark.parametrize(
    ("amounts", "count"),
    [
        ("[0:1]={5,7}", 2),
        ("[2:3]={5,7}", 2),
        ("[5:8]={1,0,0,0}", 4),
        ("{{1,2},{3,4}}", 4),
        ("{5,NULL}", 2),
    ],
)
async def test_no_form_of_an_array_hides_an_amount(pool: Pool, amounts: str, count: int) -> None:
    assert not await takes(pool, amounts, count)
