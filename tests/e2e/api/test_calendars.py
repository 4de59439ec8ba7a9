"""Calendars over HTTP: what is coming, what was moved, what is cancelled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import icalendar
import pytest

from cinema.features.showtimes import calendar_service
from tests.e2e.api.house import UNKNOWN_ID, House

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def feed(house: House, path: str, **headers: str) -> tuple[int, Any, bytes]:
    async with house.client.get(path, headers=headers) as reply:
        return reply.status, reply.headers, await reply.read()


async def events(house: House, path: str) -> dict[str, icalendar.Component]:
    status, _, body = await feed(house, path)
    assert status == 200
    calendar = icalendar.Calendar.from_ical(body)
    return {str(event["UID"]): event for event in calendar.walk("VEVENT")}


async def test_a_calendar_has_the_coming_showtimes(house: House) -> None:
    ids = [await house.showtime() for _ in range(3)]
    await house.move(ids[0], starts_in=timedelta(hours=-1))
    await house.move(ids[1], starts_in=timedelta(hours=-4))
    await house.move(ids[2], starts_in=timedelta(days=20))
    of_cinema = f"cinemas/{house.cinema_id}/showtimes.ics"
    found = await events(house, of_cinema)
    # One is over, and one too far away.
    assert [ids.index(one) for one in found if one in ids] == [0]
    assert set(ids) - set(await events(house, f"{of_cinema}?days=30")) == {ids[1]}
    _, headers, body = await feed(house, of_cinema)
    assert headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert headers["Cache-Control"] == "public, max-age=300"
    assert (await feed(house, of_cinema, **{"If-None-Match": headers["ETag"]}))[0] == 304
    of_movie = f"movies/{house.movie_id}/showtimes.ics?days=30"
    assert set(await events(house, of_movie)) == set(await events(house, f"{of_cinema}?days=30"))
    whole = icalendar.Calendar.from_ical(body)
    assert (whole["X-WR-CALNAME"], whole["X-WR-TIMEZONE"]) == ("House", "Europe/Berlin")
    (event,) = [event for uid, event in found.items() if uid == ids[0]]
    assert event["SUMMARY"] == "Film"
    assert str(event["LOCATION"]).startswith("House, Screen ")


async def test_changes_have_a_higher_sequence_and_another_tag(house: House) -> None:
    showtime_id = await house.showtime()
    path = f"cinemas/{house.cinema_id}/showtimes.ics?days=60"
    _, headers, _ = await feed(house, path)
    before = (await events(house, path))[showtime_id]
    shown = (await house.ask(None, "GET", f"showtimes/{showtime_id}")).data
    later = datetime.fromisoformat(shown["starts_at"]) + timedelta(days=2)
    body = {
        "movie_id": shown["movie_id"],
        "screen_id": shown["screen_id"],
        "starts_at": later.isoformat(),
        "base_price": shown["base_price"],
        "language": shown["language"],
    }
    tag = {"If-Match": '"1"'}
    moved = await house.ask("manager", "PUT", f"showtimes/{showtime_id}", body, headers=tag)
    assert moved.status == 200
    after = (await events(house, path))[showtime_id]
    assert (before["SEQUENCE"], after["SEQUENCE"]) == (0, 1)
    assert after.start == later.replace(microsecond=0)
    assert (await feed(house, path))[1]["ETag"] != headers["ETag"]
    tag = {"If-Match": '"2"'}
    ended = await house.ask(
        "manager", "DELETE", f"showtimes/{showtime_id}?reason=Rain", headers=tag
    )
    assert ended.status == 200
    gone = (await events(house, path))[showtime_id]
    assert (gone["STATUS"], gone["SEQUENCE"]) == ("CANCELLED", 2)
    assert str(gone["DESCRIPTION"]).startswith("Rain\n")


async def test_a_calendar_has_a_bound(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar_service, "SHOWS_LIMIT", 2)
    ids = [await house.showtime() for _ in range(3)]
    for at, one in enumerate(ids):
        await house.move(one, starts_in=timedelta(hours=1 + 3 * at))
    found = await events(house, f"cinemas/{house.cinema_id}/showtimes.ics")
    assert len(found) == 2
    starts = [event.start for event in found.values()]
    assert starts == sorted(starts)
    assert max(starts) < datetime.now(UTC) + timedelta(hours=5)


async def test_what_is_not_there_has_no_calendar(house: House) -> None:
    for path in (f"cinemas/{UNKNOWN_ID}/showtimes.ics", f"movies/{UNKNOWN_ID}/showtimes.ics"):
        assert (await house.ask(None, "GET", path)).error == (404, "NOT_FOUND")
    for days in ("0", "61", "x"):
        path = f"cinemas/{house.cinema_id}/showtimes.ics?days={days}"
        assert (await house.ask(None, "GET", path)).error == (400, "VALIDATION_ERROR")
