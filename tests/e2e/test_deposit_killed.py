"""Nodes that are killed in the middle of a deposit: it is taken whole, or not at all."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.killed_nodes import Houses, two_houses
from tests.support.money import money_faults

pytestmark = [pytest.mark.postgres, pytest.mark.process, pytest.mark.slow]

_BALANCE = "select coalesce(sum(balance_minor), 0)::int from gift_cards"
_ASIDE = "select exists (select from gift_card_uses where state = 'reserved')"
_ENDED = "select exists (select from deposits where outcome is not null)"

DEPOSIT, KEEPS = 500, 250


async def reserved(houses: Houses) -> str:
    """The id of a reservation for a group by the admin, who has a till."""
    await houses.open_till()
    showtime_id = houses.showtimes[0]
    hold_id = await houses.held("admin", showtime_id, "A1", "A2")
    body = {"showtime_id": showtime_id, "hold_id": hold_id, "payment": {"method": "counter_later"}}
    return str((await houses.ask("admin", "POST", "bookings", body))["id"])


def taking(houses: Houses, booking_id: str) -> asyncio.Task[Any]:
    body = {"percent": 25, "kept_percent": 50, "payment": {"method": "counter", "tender": "cash"}}
    path = f"bookings/{booking_id}/deposit"
    return asyncio.ensure_future(houses.ask("admin", "POST", path, body, node=1))


@pytest.mark.parametrize("table", ["gift_cards", "gift_card_uses"], ids=["taken", "put aside"])
async def test_a_deposit_is_taken_whole_or_not_at_all(
    table: str, tmp_path: Path, database: str
) -> None:
    """Killed while it is written, nothing is taken; later, the other node puts it aside."""
    async with two_houses(tmp_path / "data", database, 3) as houses:
        booking_id = await reserved(houses)
        statement = f"lock table {table} in share row exclusive mode"
        await houses.lock(statement)
        asked = taking(houses, booking_id)
        await houses.until_somebody_waits_for(table)
        await houses.kill(1)
        await houses.release(statement)
        await asyncio.gather(asked, return_exceptions=True)
        if table == "gift_cards":
            assert await houses.database.fetchval("select count(*) from deposits") == 0
            assert await houses.database.fetchval("select count(*) from cash_takings") == 0
        else:
            await houses.until(_ASIDE)
            assert await houses.database.fetchval(_BALANCE) == 0
            shown = await houses.ask("admin", "GET", f"bookings/{booking_id}")
            assert shown["payment"]["due"]["amount"] == 2000 - DEPOSIT
        assert await money_faults(houses.database) == []


async def test_what_is_kept_of_a_deposit_is_kept_once(tmp_path: Path, database: str) -> None:
    """Both nodes want to note that it was given up, and one of them is killed."""
    async with two_houses(tmp_path / "data", database, 3) as houses:
        booking_id = await reserved(houses)
        await taking(houses, booking_id)
        await houses.until(_ASIDE)
        statement = "lock table gift_card_entries in share row exclusive mode"
        # Whoever gives the money back to the card waits, and so does whoever keeps a part of it.
        await houses.lock(statement)
        await houses.ask("admin", "DELETE", f"bookings/{booking_id}")
        await houses.until_somebody_waits_for("gift_card_entries")
        await houses.kill(1)
        await houses.release(statement)
        await houses.until(_ENDED)
        assert await houses.database.fetchval(_BALANCE) == DEPOSIT - KEEPS
        kept = "select array_agg(amounts) from ledger where kind = 'deposit_kept'"
        assert await houses.database.fetchval(kept) == [[KEEPS, -KEEPS]]
        assert await money_faults(houses.database) == []
