"""The API against that of the last release: whoever was written to it may stay as they are."""

from __future__ import annotations

import copy
from pathlib import Path

import msgspec
import pytest

from tests.e2e.api.house import House
from tests.support.api_changes import breaking_changes, essence

pytestmark = pytest.mark.asyncio(loop_scope="module")

RELEASED = Path(__file__).parents[3] / "docs" / "api-of-last-release.json"


async def test_nothing_breaks_clients_of_the_last_release(house: House) -> None:
    released = msgspec.json.decode(RELEASED.read_bytes())
    document = await (await house.client.get("openapi.json")).json()
    assert breaking_changes(released, document) == [], "CONTRIBUTING.md says what to do"
    # The check sees this document: without one of its fields it complains.
    poorer = copy.deepcopy(essence(document))
    del poorer["components"]["schemas"]["Hold"]["properties"]["expires_at"]
    assert breaking_changes(released, poorer)
