"""Both journals behind one fixture: what passes here may stand in for the other."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from tests.support.stores import Stage, memory_stage, postgres_stage

_EMPTY = """
truncate showtime_heads, showtime_journal, showtime_snapshots, showtime_archive, bookings,
    booking_seats, payments, kept_journals, outbox, invoices_due
"""


@pytest.fixture(scope="session")
def contract_database(postgres_server: str, template_database: str) -> Iterator[str]:
    """One database for all of the suite: a clone for each test would take most of its time."""
    name = f"cinema_contract_{os.getpid()}"
    _execute(
        postgres_server, f"create database {name} template {template_database} strategy file_copy"
    )
    yield urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
    _execute(postgres_server, f"drop database {name} with (force)")


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def journal_database(request: pytest.FixtureRequest) -> str | None:
    """The address of a migrated database; None for the in-memory journal."""
    return None if request.param == "memory" else request.getfixturevalue("contract_database")


@pytest.fixture
async def stage(journal_database: str | None) -> AsyncIterator[Stage]:
    """An empty journal with one lane open, and the means to create showtimes in it."""
    if journal_database is None:
        async with memory_stage() as opened:
            yield opened
        return
    connection = await asyncpg.connect(journal_database)
    await connection.execute(_EMPTY)
    await connection.close()
    async with postgres_stage(journal_database) as opened:
        yield opened


def _execute(address: str, statement: str) -> None:
    """Run it on a loop of its own, in a thread, so that the tests' loop is left alone."""

    async def work() -> None:
        connection = await asyncpg.connect(address)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work()).result()
