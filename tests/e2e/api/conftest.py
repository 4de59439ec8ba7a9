"""The node most tests here talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.e2e.api.house import Clocks, House, open_house


@pytest.fixture
async def house(database: str) -> AsyncIterator[House]:
    async with open_house(database) as opened:
        yield opened


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    """The clocks of a node that is opened after this."""
    return Clocks(monkeypatch)
