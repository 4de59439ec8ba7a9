"""The versions of a screen's layout over HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from cinema.domain.cursors import encode_cursor
from tests.e2e.api.house import UNKNOWN_ID, House

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def versions(house: House, screen_id: str, query: str = "") -> list[dict[str, Any]]:
    answer = await house.ask("manager", "GET", f"screens/{screen_id}/layouts{query}")
    listed: list[dict[str, Any]] = answer.data
    return listed


async def test_versions_say_who_made_them_and_what_sells_by_them(house: House) -> None:
    screen_id = await house.screen(grid={"rows": 2, "columns": 4})
    past, cancelled, coming = [await house.showtime(screen_id=screen_id) for _ in range(3)]
    await house.move(past, starts_in=timedelta(hours=-9))
    version = (await house.ask(None, "GET", f"showtimes/{cancelled}")).headers["ETag"]
    tag = {"If-Match": version}
    assert (await house.ask("admin", "DELETE", f"showtimes/{cancelled}", headers=tag)).status == 200
    wider = {"grid": {"rows": 3, "columns": 5}}
    first = {"If-Match": '"1"'}
    path = f"screens/{screen_id}/layout"
    assert (await house.ask("manager", "PUT", path, wider, headers=first)).status == 200
    later = [await house.showtime(screen_id=screen_id) for _ in range(2)]
    newest, oldest = await versions(house, screen_id)
    assert datetime.fromisoformat(newest.pop("created_at")) >= datetime.fromisoformat(
        oldest.pop("created_at")
    )
    assert newest == {
        "layout_version": 2,
        "seat_count": 15,
        "created_by": house.people["manager"],
        "current": True,
        "showtimes": len(later),
        "coming_showtimes": 2,
    }
    assert oldest == {
        "layout_version": 1,
        "seat_count": 8,
        "created_by": house.people["admin"],
        "current": False,
        "showtimes": len([past, cancelled, coming]),
        "coming_showtimes": 1,
    }
    for seen in (1, 2):
        answer = await house.ask(None, "GET", f"{path}?version={seen}")
        assert answer.data["seat_count"] == {1: 8, 2: 15}[seen]


async def test_versions_come_in_pages(house: House) -> None:
    screen_id = await house.screen(grid={"rows": 1, "columns": 1})
    for seen in (1, 2):
        body, tag = {"grid": {"rows": 1, "columns": 1 + seen}}, {"If-Match": f'"{seen}"'}
        await house.ask("manager", "PUT", f"screens/{screen_id}/layout", body, headers=tag)
    seen_versions, cursor = [], ""
    for _ in range(3):
        answer = await house.ask("admin", "GET", f"screens/{screen_id}/layouts?limit=1{cursor}")
        seen_versions += [one["layout_version"] for one in answer.data]
        following = answer.envelope["meta"]["next_cursor"]
        cursor = f"&cursor={following}"
    assert (seen_versions, following) == ([3, 2, 1], None)
    assert await versions(house, screen_id, "?limit=3") == await versions(house, screen_id)


async def test_versions_are_for_those_who_may_change_them(house: House) -> None:
    path = f"screens/{house.screen_id}/layouts"
    assert (await house.ask("admin", "GET", path)).status == 200
    for person in ("staff", "ada", "manager elsewhere"):
        assert (await house.ask(person, "GET", path)).error == (403, "FORBIDDEN")
    assert (await house.ask(None, "GET", path)).status == 401
    unknown = await house.ask("manager", "GET", f"screens/{UNKNOWN_ID}/layouts")
    assert unknown.error == (404, "NOT_FOUND")


@pytest.mark.parametrize("number", [-1, 0, 2**31, 2**80])
async def test_an_invented_cursor_is_answered(house: House, number: int) -> None:
    cursor = encode_cursor(number, UUID(house.screen_id))
    answer = await house.ask("manager", "GET", f"screens/{house.screen_id}/layouts?cursor={cursor}")
    assert (answer.status, len(answer.data)) == (200, number > 1)


async def test_rules_of_a_screen_are_shown_and_changed_for_new_showtimes(house: House) -> None:
    rules = {"protect_orphans": False, "seats_per_hold": 2}
    screen_id = await house.screen(grid={"rows": 1, "columns": 8}, rules=rules)
    path = f"screens/{screen_id}"

    async def change(**body: Any) -> Any:
        tag = {"If-Match": (await house.ask(None, "GET", path)).headers["ETag"]}
        return await house.ask("manager", "PUT", path, {"name": "Hall", **body}, headers=tag)

    assert (await house.ask(None, "GET", path)).data["rules"] == rules
    listed = (await house.ask(None, "GET", f"cinemas/{house.cinema_id}/screens?limit=100")).data
    assert [one["rules"] for one in listed if one["id"] == screen_id] == [rules]
    first = await house.showtime(screen_id=screen_id)
    refused = await house.hold("ada", first, "A1", "A2", "A3")
    assert refused.error == (409, "HOLD_LIMIT")

    assert (await change()).data["rules"] == rules, "a new name alone leaves them"
    for wrong in ({"seats_per_hold": 0}, {"unknown": 1}):
        assert (await change(rules=wrong)).error == (400, "VALIDATION_ERROR")
    more = {"seats_per_hold": 3}
    assert (await change(rules=more)).data["rules"] == more
    assert (await house.ask(None, "GET", path)).data["rules"] == more
    second = await house.showtime(screen_id=screen_id)
    assert (await house.hold("ada", second, "A1", "A2", "A3")).status == 201
    assert (await house.hold("bob", second, "A4", "A5", "A6", "A7")).error == (409, "HOLD_LIMIT")
    assert (await change(rules={})).data["rules"] == {}
