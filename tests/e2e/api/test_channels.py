"""Seats that are kept for channels of sale, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.api.house import LABELS, Answer, House
from tests.e2e.api.showtimes import change

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def put(house: House, showtime_id: str, body: dict[str, Any]) -> Answer:
    """Change a showtime as it is now."""
    path = f"showtimes/{showtime_id}"
    tag = (await house.ask("manager", "GET", path)).headers["ETag"]
    return await house.ask("manager", "PUT", path, body, headers={"If-Match": tag})


async def test_staff_sell_what_is_kept_for_the_box_office_and_customers_do_not(
    house: House,
) -> None:
    kept = [{"channel": "box_office", "seats": len(LABELS) - 1}, {"channel": "app", "seats": 1}]
    showtime_id = await house.showtime(channels=kept)
    shown = (await house.ask(None, "GET", f"showtimes/{showtime_id}")).data
    assert shown["rules"]["channels"] == kept
    path = f"showtimes/{showtime_id}/holds"
    refused = await house.hold("ada", showtime_id, "A1")
    assert refused.error == (409, "CHANNEL_SOLD_OUT")
    assert refused.details == {"channel": "web", "left": 0}
    app = {"seats": ["A1"], "channel": "app"}
    assert (await house.ask("ada", "POST", path, app)).status == 201
    assert (await house.ask("bob", "POST", path, {**app, "seats": ["A3"]})).status == 409
    assert (await house.hold("staff elsewhere", showtime_id, "A3")).status == 409
    assert (await house.hold("staff", showtime_id, "A3")).status == 201
    unknown = await house.ask("ada", "POST", path, {**app, "channel": "box_office"})
    assert unknown.error == (400, "VALIDATION_ERROR")


async def test_quotas_are_changed_and_released_while_a_showtime_is_in_memory(
    house: House,
) -> None:
    showtime_id = await house.showtime()
    assert (await house.hold("ada", showtime_id, "A1")).status == 201
    body = (await house.ask(None, "GET", f"showtimes/{showtime_id}")).data
    wanted = {
        "movie_id": body["movie_id"],
        "screen_id": body["screen_id"],
        "starts_at": body["starts_at"],
        "base_price": body["base_price"],
        "language": body["language"],
    }
    kept = {"channel": "box_office", "seats": len(LABELS)}
    now = datetime.now(UTC)
    for released_at, status in (
        (None, 409),
        ((now + timedelta(hours=1)).isoformat(), 409),
        ((now - timedelta(hours=1)).isoformat(), 201),
    ):
        quota = kept if released_at is None else {**kept, "released_at": released_at}
        rules = {"protect_orphans": False, "channels": [quota]}
        changed = await put(house, showtime_id, {**wanted, "rules": rules})
        assert changed.status == 200, changed
        assert (await house.hold("bob", showtime_id, "A3")).status == status
    twice = {"channels": [kept, kept]}
    refused = await put(house, showtime_id, {**wanted, "rules": twice})
    assert refused.error == (400, "VALIDATION_ERROR")


async def test_moments_of_release_follow_the_quotas_of_a_showtime(house: House) -> None:
    first, second = (datetime.now(UTC) + timedelta(hours=hours) for hours in (1, 2))
    quotas = [
        {"channel": "web", "seats": 1, "released_at": first.isoformat()},
        {"channel": "app", "seats": 1, "released_at": first.isoformat()},
        {"channel": "box_office", "seats": 1},
    ]
    showtime_id = await house.showtime(channels=quotas)
    plain = await house.showtime()

    async def moments() -> list[datetime]:
        rows = await house.database.fetch(
            "select released_at from quota_releases where showtime_id = any($1) order by 1",
            [showtime_id, plain],
        )
        return [row[0] for row in rows]

    assert await moments() == [first]
    later = [{**quotas[0], "released_at": second.isoformat()}, *quotas[1:]]
    for channels, expected in ((later, [first, second]), ([quotas[2]], []), (None, [])):
        rules = {"protect_orphans": False, "channels": channels}
        changed = await change(house, showtime_id, rules=rules)
        assert changed.status == 200, changed
        assert await moments() == expected
