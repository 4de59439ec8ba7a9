"""Two managers who edit the same row over HTTP, each with a form of what they have seen."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import pytest

from tests.e2e.api.house import LAYOUT, House

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Form(NamedTuple):
    """Where a row is read and written, what is sent of it, and the two changes.

    What is read has what is sent under `within`, or is it.
    """

    read: str
    write: str
    fields: tuple[str, ...]
    changes: tuple[dict[str, Any], dict[str, Any]]
    within: str = ""


async def a_form(house: House, kind: str) -> Form:
    if kind == "movie":
        film = {"title": "Stalker", "runtime_minutes": 161}
        path = f"movies/{(await house.ask('admin', 'POST', 'movies', film)).data['id']}"
        fields = ("title", "runtime_minutes", "description", "genres", "languages")
        return Form(path, path, fields, ({"title": "Solaris"}, {"description": "Of a planet."}))
    if kind == "cinema":
        path = f"cinemas/{house.cinema_id}"
        fields = ("name", "address", "city", "country", "time_zone", "currency")
        return Form(path, path, fields, ({"name": "Aurora"}, {"address": "1 Main Street"}))
    if kind == "settings":
        path = f"cinemas/{house.cinema_id}/settings"
        changes = ({"ads_minutes": 11}, {"cleaning_minutes": 7})
        return Form(path, path, (), changes, within="settings")
    screen_id = await house.screen(layout=LAYOUT)
    if kind == "screen":
        path = f"screens/{screen_id}"
        return Form(path, path, ("name",), ({"name": "Blue"}, {"name": "Blue and large"}))
    if kind == "plan":
        path = f"screens/{screen_id}/layout"
        layouts = [
            {"rows": [{**row, "label": f"{mark}"} for row in LAYOUT["rows"][:1]]} for mark in "PQ"
        ]
        return Form(path, path, ("layout",), ({"layout": layouts[0]}, {"layout": layouts[1]}))
    path = f"showtimes/{await house.showtime(screen_id=screen_id)}"
    fields = ("movie_id", "screen_id", "starts_at", "base_price", "format", "language", "rules")
    return Form(path, path, fields, ({"format": "3D"}, {"language": "de"}))


@pytest.mark.parametrize("kind", ["movie", "cinema", "settings", "screen", "plan", "showtime"])
async def test_of_two_who_saw_the_same_one_changes_it_and_nothing_is_lost(
    house: House, kind: str
) -> None:
    form = await a_form(house, kind)
    people = ("admin", "admin") if kind in {"movie", "cinema"} else ("manager", "admin")

    async def seen() -> tuple[str, Any]:
        """The tag, and what a form has in its fields."""
        answer = await house.ask("admin", "GET", form.read)
        row = answer.data[form.within] if form.within else answer.data
        return answer.headers["ETag"], {name: row[name] for name in form.fields or row}

    async def write(number: int, tag: str, was: Any) -> Any:
        body = {**was, **form.changes[number]}
        return await house.ask(people[number], "PUT", form.write, body, headers={"If-Match": tag})

    tag, was = await seen()
    answers = await asyncio.gather(*(write(number, tag, was) for number in (0, 1)))
    assert sorted(answer.status for answer in answers) == [200, 412], answers
    (loser,) = [number for number, answer in enumerate(answers) if answer.status == 412]
    assert answers[loser].error == (412, "PRECONDITION_FAILED")
    newer_tag, now = await seen()
    assert newer_tag != tag
    assert answers[1 - loser].headers["ETag"] == newer_tag
    assert now == {**was, **form.changes[1 - loser]}
    # Whoever was too late looks again, and changes what there is now.
    assert (await write(loser, tag, now)).status == 412
    assert (await write(loser, newer_tag, now)).status == 200
    assert (await seen())[1] == {**was, **form.changes[1 - loser], **form.changes[loser]}
