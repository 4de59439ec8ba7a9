"""Showtimes that sell to members before they sell to everybody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from tests.e2e.api.house import House, open_house
from tests.e2e.api.paying import verify

pytestmark = pytest.mark.asyncio(loop_scope="function")


@pytest_asyncio.fixture(loop_scope="function")
async def house(database: str) -> AsyncIterator[House]:
    async with open_house(database) as house:
        yield house


async def presale(house: House, *, opens_in: timedelta, early: timedelta) -> str:
    """A showtime that opens to everybody after a while, and to members before that."""
    opens_at = datetime.now(UTC) + opens_in
    minutes = int(early.total_seconds() // 60)
    return await house.showtime(
        sales={"opens_at": opens_at.isoformat()}, early_access_minutes=minutes
    )


async def test_members_hold_and_book_before_sales_open_to_everybody(house: House) -> None:
    await verify(house, "ada")
    showtime_id = await presale(house, opens_in=timedelta(hours=12), early=timedelta(days=1))
    shown = (await house.ask(None, "GET", f"showtimes/{showtime_id}")).data["sales"]
    opens_at = datetime.fromisoformat(shown["opens_at"])
    assert datetime.fromisoformat(shown["early_access_at"]) == opens_at - timedelta(days=1)
    holds = f"showtimes/{showtime_id}/holds"
    for person in ("bob", "guest"):
        refused = await house.ask(person, "POST", holds, {"seats": ["A1"]})
        assert refused.error == (409, "SALES_CLOSED"), person
        assert refused.details["early_access_at"] == shown["early_access_at"]
    hold_id = await house.held("ada", showtime_id, "A1", "A2")
    assert (await house.book("ada", showtime_id, hold_id)).data["status"] == "confirmed"
    assert await house.held("staff", showtime_id, "A3")
    elsewhere = await house.ask("staff elsewhere", "POST", holds, {"seats": ["A5"]})
    assert elsewhere.error == (409, "SALES_CLOSED"), "a customer here, without a verified address"


async def test_early_access_begins_at_its_time(house: House) -> None:
    await verify(house, "ada")
    showtime_id = await presale(house, opens_in=timedelta(hours=12), early=timedelta(hours=6))
    holds = f"showtimes/{showtime_id}/holds"
    refused = await house.ask("ada", "POST", holds, {"seats": ["A1"]})
    assert refused.error == (409, "SALES_CLOSED")


async def test_early_access_is_changed_and_taken_away_while_a_showtime_is_in_memory(
    house: House,
) -> None:
    await verify(house, "ada")
    showtime_id = await presale(house, opens_in=timedelta(hours=12), early=timedelta(hours=6))
    holds, path = f"showtimes/{showtime_id}/holds", f"showtimes/{showtime_id}"
    assert (await house.ask("ada", "POST", holds, {"seats": ["A1"]})).status == 409
    seen = await house.ask("admin", "GET", path)
    body = {
        name: seen.data[name]
        for name in ("movie_id", "screen_id", "starts_at", "base_price", "language", "rules")
    }
    body["sales"] = {"opens_at": seen.data["sales"]["opens_at"]}
    for minutes, status in ((24 * 60, 201), (None, 409)):
        body["rules"] = {"protect_orphans": False}
        if minutes is not None:
            body["rules"]["early_access_minutes"] = minutes
        tag = (await house.ask("admin", "GET", path)).headers["ETag"]
        changed = await house.ask("admin", "PUT", path, body, headers={"If-Match": tag})
        assert changed.status == 200, changed
        assert (changed.data["sales"]["early_access_at"] is None) == (minutes is None)
        answer = await house.ask("ada", "POST", holds, {"seats": [f"B{1 if minutes else 5}"]})
        assert answer.status == status, answer


async def test_early_access_has_bounds(house: House) -> None:
    body = {
        "movie_id": house.movie_id,
        "screen_id": house.screen_id,
        "starts_at": (datetime.now(UTC) + timedelta(days=200)).isoformat(),
        "base_price": {"amount": 1000, "currency": "EUR"},
        "language": "en",
    }
    for minutes in (-1, 30 * 24 * 60 + 1):
        rules = {"early_access_minutes": minutes}
        refused = await house.ask("admin", "POST", "showtimes", {**body, "rules": rules})
        assert refused.error == (400, "VALIDATION_ERROR"), minutes
        assert refused.details["path"] == "$.rules.early_access_minutes"
    screen = await house.ask(
        "admin",
        "POST",
        "screens",
        {
            "cinema_id": house.cinema_id,
            "name": "Of members",
            "grid": {"rows": 1, "columns": 2},
            "rules": {"early_access_minutes": 5},
        },
    )
    assert screen.error == (400, "VALIDATION_ERROR"), "it is a rule of showtimes alone"
