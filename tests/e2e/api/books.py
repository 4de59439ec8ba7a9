"""Price books, as the tests of sales need them."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from tests.e2e.api.house import House

HALF: dict[str, Any] = {"kind": "percent", "value": -5000}
TYPES: list[dict[str, Any]] = [
    {"code": "adult", "name": "Adult"},
    {"code": "child", "name": "Child", "maximum": 2},
    {"code": "companion", "name": "Companion", "needs_paying": True, "free": True},
    {"code": "press", "name": "Press", "free": True, "channels": ["counter"]},
]


async def sells_by(house: House, showtime_id: str, **settings: Any) -> None:
    """A book with children for half the price, which has reached the showtime."""
    await house.database.execute(
        "update price_rules set deleted_at = now() where cinema_id = $1", house.cinema_id
    )
    path = f"cinemas/{house.cinema_id}"
    await house.database.execute(
        "update cinemas set tax_rates = jsonb_build_object('standard', 1900, 'reduced', 700)"
        " where id = $1",
        house.cinema_id,
    )
    seen = (await house.ask("manager", "GET", f"{path}/pricing")).data
    body = {"ticket_types": TYPES, "ticket_tax": "reduced", **settings}
    changed = await house.ask(
        *("manager", "PUT", f"{path}/pricing"),
        body,
        headers={"If-Match": f'"{seen["version"]}"'},
    )
    assert changed.status == 200, changed
    rule = {"cinema_id": house.cinema_id, "name": "Children", "group": "type", "effect": HALF}
    made = await house.ask(
        "manager", "POST", "pricing/rules", {**rule, "when": {"ticket_types": ["child"]}}
    )
    assert made.status == 201, made
    wanted = (await house.ask("manager", "GET", f"{path}/pricing")).data["book_version"]
    async with asyncio.timeout(20):
        while house.node.kernel.books.versions.get(UUID(house.cinema_id).bytes) != wanted:
            await house.ask(None, "GET", f"showtimes/{showtime_id}/seats")
