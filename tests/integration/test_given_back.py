"""What becomes of a connection after its work says nothing about the work."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator

import asyncpg
import pytest

from cinema.domain.ids import new_id
from cinema.domain.limits_catalog import DATABASE_WAIT_S
from cinema.storage.database import transactions
from cinema.storage.database.pool import open_pool
from cinema.storage.database.transactions import Pool, connection, transaction
from cinema.storage.journal.terms import TermsSource
from tests.support.sale_rules import DEFAULTS

pytestmark = pytest.mark.postgres

STORED = "select count(*) from marks"
STORE = "insert into marks values (1)"


async def dies(_: object) -> None:
    raise ConnectionResetError


async def never_answers(_: object) -> None:
    await asyncio.Event().wait()


@pytest.fixture(params=[dies, never_answers])
async def lossy(
    request: pytest.FixtureRequest, database: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Pool]:
    """A pool whose server is gone each time a connection goes back."""
    monkeypatch.setattr(transactions, "DATABASE_RELEASE_S", 0.01)
    pool = await asyncpg.create_pool(database, min_size=1, max_size=1, reset=request.param)
    async with connection(pool) as preparing:
        await preparing.execute("create table marks (mark int)")
    yield pool
    pool.terminate()


async def test_committed_is_no_retry_though_the_server_is_gone_right_after(lossy: Pool) -> None:
    async with transaction(lossy) as running:
        await running.execute(STORE)
    async with connection(lossy) as reading:
        assert await reading.fetchval(STORED) == 1


async def test_a_refusal_is_not_replaced_by_the_loss_of_its_connection(lossy: Pool) -> None:
    async def fail() -> None:
        async with transaction(lossy) as running:
            await running.execute(STORE)
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    async with connection(lossy) as reading:
        assert await reading.fetchval(STORED) == 0


async def test_terms_are_there_though_the_server_is_gone_right_after(lossy: Pool) -> None:
    terms = TermsSource(lossy, DEFAULTS)
    async with asyncio.timeout(20):  # without a bound inside, there was no end
        assert await terms.load_terms(new_id(1, 1)) is None
        assert await terms.load_plan(new_id(1, 1), 1) is None


def test_a_statement_waits_no_longer_for_a_frozen_server_than_a_request_for_a_connection() -> None:
    assert inspect.signature(open_pool).parameters["command_timeout_s"].default <= DATABASE_WAIT_S
