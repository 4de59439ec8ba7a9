"""What must always be true of the money of a house."""

from __future__ import annotations

from typing import Any

from tests.e2e.api.house import House
from tests.support.money import money_faults


async def faults_of(house: House) -> list[dict[str, Any]]:
    """What is wrong with the money."""
    return await money_faults(house.database)
