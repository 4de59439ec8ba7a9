"""Distributor returns over HTTP."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from tests.e2e.api.house import UNKNOWN_ID, House

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_refund_after_a_return_is_a_correction_in_the_next(house: House) -> None:
    showtime_id = await house.showtime()
    kept = await house.booked("ada", showtime_id, "A1")
    given_back = await house.booked("ada", showtime_id, "A2")
    # As if it had been shown yesterday.
    day: date = await house.database.fetchval(
        "update showtimes set local_date = current_date - 3 where id = $1 returning local_date",
        showtime_id,
    )
    week = {"from": str(day - timedelta(days=1)), "to": str(day)}
    path = f"cinemas/{house.cinema_id}/distributor-returns"
    query = f"cinema_id={house.cinema_id}&film={house.movie_id}&from={week['from']}&to={week['to']}"
    seen = (await house.ask("manager", "GET", f"reports/distributor?{query}")).data
    (line,) = seen["lines"]
    assert (line["admissions"], line["type"], line["day"]) == (2, "adult", str(day))
    assert line["gross"] == line["net"] + line["tax"] == seen["gross"]
    body = {"movie_id": house.movie_id, **week}
    first = (await house.ask("manager", "POST", path, body, key="first")).data
    assert (first["number"], first["lines"]) == (1, seen["lines"])
    assert (await house.ask("manager", "POST", path, body, key="first")).data == first
    await house.ask("ada", "DELETE", f"bookings/{given_back}")
    second = (await house.ask("manager", "POST", path, body)).data
    (correction,) = second["lines"]
    assert (second["number"], correction["admissions"]) == (2, -1)
    assert correction["correction"]
    assert (await house.ask("manager", "GET", f"distributor-returns/{first['id']}")).data == first
    listed = (await house.ask("manager", "GET", f"{path}?limit=1")).envelope
    assert [one["number"] for one in listed["data"]] == [2]
    rest = await house.ask(
        "manager", "GET", f"{path}?limit=1&cursor={listed['meta']['next_cursor']}"
    )
    assert [one["number"] for one in rest.data] == [1]
    assert (await house.ask("ada", "GET", f"bookings/{kept}")).data["status"] == "confirmed"
    headers = {"Authorization": f"Bearer {house.token('manager')}", "Accept": "text/csv"}
    async with house.client.get(f"distributor-returns/{second['id']}", headers=headers) as reply:
        assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert ",adult,yes,-1," in await reply.text()
    for statement in (
        "update distributor_returns set number = 9",
        "delete from distributor_returns",
    ):
        with pytest.raises(Exception, match="returns never change"):
            await house.database.execute(statement)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"to": "2025-01-01"}, (400, "VALIDATION_ERROR")),
        ({"from": "2099-01-01", "to": "2099-01-02"}, (400, "VALIDATION_ERROR")),
        ({"movie_id": UNKNOWN_ID}, (422, "UNKNOWN_REFERENCE")),
    ],
)
async def test_what_cannot_be_drawn(
    house: House, changes: dict[str, Any], error: tuple[int, str]
) -> None:
    body = {"movie_id": house.movie_id, "from": "2026-01-01", "to": "2026-01-07", **changes}
    path = f"cinemas/{house.cinema_id}/distributor-returns"
    assert (await house.ask("manager", "POST", path, body)).error == error
    assert (await house.ask("manager elsewhere", "POST", path, body)).error == (403, "FORBIDDEN")
