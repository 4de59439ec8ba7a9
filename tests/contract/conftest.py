"""Both journals behind one fixture: what passes here may stand in for the other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.stores import Stage, memory_stage, postgres_stage


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def journal_database(request: pytest.FixtureRequest) -> str | None:
    """The address of a migrated database; None for the in-memory journal."""
    return None if request.param == "memory" else request.getfixturevalue("database")


@pytest.fixture
async def stage(journal_database: str | None) -> AsyncIterator[Stage]:
    """A journal with one lane open, and the means to create showtimes in it."""
    opening = memory_stage() if journal_database is None else postgres_stage(journal_database)
    async with opening as opened:
        yield opened
