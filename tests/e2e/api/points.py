"""Loyalty points, as the tests earn, use and count them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from cinema.domain.times import from_us
from cinema.features.loyalty.jobs import PointsCredited
from cinema.features.loyalty.store import PointsRepository
from tests.e2e.api.house import Answer, House


async def earn(house: House, percent: int, *, months: int = 24) -> None:
    """Let customers of the cinema earn from now on."""
    path = f"cinemas/{house.cinema_id}/settings"
    seen = await house.ask("admin", "GET", path)
    changed = {**seen.data["settings"], "points_percent": percent, "points_valid_months": months}
    answer = await house.ask(
        "admin", "PUT", path, changed, headers={"If-Match": seen.headers["ETag"]}
    )
    assert answer.status == 200, answer


async def give(house: House, person: str, points: int, *, days: int = 700) -> None:
    """Give somebody points, as a booking would."""
    now = from_us(house.node.kernel.clock.now_us())
    values = (UUID(str(house.people[person])), points, now + timedelta(days=days), now, uuid4())
    await house.database.execute(
        "with made as (insert into loyalty_accounts as l"
        " (customer_id, currency, balance_minor, look_at) values ($1, 'EUR', $2, $3)"
        " on conflict (customer_id, currency) do update"
        " set balance_minor = l.balance_minor + $2, look_at = least(l.look_at, $3)), "
        "told as (insert into ledger (kind, source, currency, at, accounts, amounts)"
        " values ('points_earned', $5, 'EUR', $4, array['revenue', 'points'],"
        " array[$2::bigint, -$2::bigint])) "
        "insert into loyalty_entries"
        " (customer_id, currency, kind, source, amount_minor, expires_at, at)"
        " values ($1, 'EUR', 'earned', $5, $2, $3, $4)",
        *values,
    )


async def credited(house: House, database: str) -> int:
    """What a node does every few seconds."""
    async with asyncpg.create_pool(database, min_size=1, max_size=1) as pool:
        now = from_us(house.node.kernel.clock.now_us())
        return await PointsCredited(PointsRepository(pool), now=lambda: now).round()


async def left(house: House, person: str, currency: str = "EUR") -> int:
    """What somebody has, as the row says; the entries say the same."""
    row = await house.database.fetchrow(
        "select balance_minor, (select sum(amount_minor) from loyalty_entries e"
        " where e.customer_id = l.customer_id and e.currency = l.currency) as of_entries"
        " from loyalty_accounts l where customer_id = $1 and currency = $2",
        UUID(str(house.people[person])),
        currency,
    )
    if row is None:
        return 0
    assert row["balance_minor"] == row["of_entries"]
    return int(row["balance_minor"])


async def seen(house: House, person: str) -> list[dict[str, Any]]:
    """The balances that somebody is shown."""
    return list((await house.ask(person, "GET", "loyalty")).data["balances"])


async def history(house: House, person: str) -> list[tuple[str, int, int]]:
    """What has changed somebody's points, the newest first: kind, points, missing."""
    entries = (await house.ask(person, "GET", "loyalty/entries")).data
    return [(one["kind"], one["points"], one["missing"]) for one in entries]


async def book_by_points(
    house: House, person: str, showtime_id: str, hold_id: str, *, key: str | None = None
) -> Answer:
    """An attempt to book a hold with points."""
    body = {"showtime_id": showtime_id, "hold_id": hold_id, "payment": {"method": "points"}}
    return await house.ask(person, "POST", "bookings", body, key=key)
