"""Deletions over HTTP of what coming showtimes stand on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cinema.domain.showtime.commands import CancelShowtime
from tests.e2e.api.house import LAYOUT, PATIENCE_S, Answer, House
from tests.support.waiting import look_again

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def stage(house: House, count: int = 2) -> tuple[str, str, list[str]]:
    """A film of its own on a screen of its own, and showtimes of it."""
    film = {"title": "Stalker", "runtime_minutes": 161}
    movie_id = (await house.ask("admin", "POST", "movies", film)).data["id"]
    screen_id = await house.screen(layout=LAYOUT)
    shows = [await house.showtime(screen_id=screen_id) for _ in range(count)]
    await house.database.execute(
        "update showtimes set movie_id = $1 where id = any($2::uuid[])", movie_id, shows
    )
    return movie_id, screen_id, shows


async def delete(house: House, path: str, person: str = "admin") -> Answer:
    return await house.ask(person, "DELETE", path, headers={"If-Match": '"1"'})


async def ended(house: House, job_id: str) -> Any:
    """A job, once it has ended."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            job = (await house.ask("admin", "GET", f"jobs/{job_id}")).data
            if job["ended_at"] is not None:
                return job
            await look_again()


async def shown(house: House, showtime_id: str) -> tuple[str, bool]:
    """Status of a showtime, and whether its sales are paused."""
    showtime = (await house.ask(None, "GET", f"showtimes/{showtime_id}")).data
    return showtime["status"], showtime["sales"]["paused"]


@pytest.mark.parametrize("kind", ["movies", "screens"])
async def test_coming_showtimes_that_nobody_has_booked_are_cancelled_first(
    house: House, kind: str
) -> None:
    movie_id, screen_id, shows = await stage(house)
    hold_id = await house.held("ada", shows[0], "A1")
    path = f"{kind}/{movie_id if kind == 'movies' else screen_id}"
    answer = await delete(house, path)
    assert (answer.status, answer.data["deleted_at"]) == (202, None)
    again = await delete(house, path)
    assert (again.status, again.data) == (202, answer.data) or again.error == (404, "NOT_FOUND")
    job = await ended(house, answer.data["job_id"])
    assert (job["status"], job["result"]) == ("done", {"cancelled": 2})
    for showtime_id in shows:
        assert (await shown(house, showtime_id))[0] == "cancelled"
    assert (await house.book("ada", shows[0], hold_id)).error == (409, "HOLD_ENDED")
    assert (await house.ask(None, "GET", path)).error == (404, "NOT_FOUND")


async def test_what_is_booked_is_named_and_nothing_is_touched(house: House) -> None:
    movie_id, screen_id, shows = await stage(house)
    booking_id = await house.booked("ada", shows[1], "A1")
    for path, code in (
        (f"movies/{movie_id}", "MOVIE_IN_USE"),
        (f"screens/{screen_id}", "SCREEN_IN_USE"),
    ):
        refused = await delete(house, path)
        assert refused.error == (409, code)
        (told,) = refused.details["showtimes"]
        assert (told["id"], told["bookings"]) == (shows[1], 1)
    assert [await shown(house, one) for one in shows] == [("scheduled", False)] * 2
    await house.ask("ada", "DELETE", f"bookings/{booking_id}")
    deleted = await delete(house, f"movies/{movie_id}")
    assert (await ended(house, deleted.data["job_id"]))["status"] == "done"


async def test_who_books_a_hold_while_it_is_being_deleted_keeps_the_booking(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last moment in which somebody may: sales are closed, and nothing is cancelled yet."""
    movie_id, _, shows = await stage(house)
    hold_id = await house.held("ada", shows[0], "A1")
    kernel = house.node.kernel
    ask, booked = kernel.ask, []

    async def behind_a_booking(showtime: bytes, message: Any) -> Any:
        if isinstance(message, CancelShowtime) and not booked:
            assert (await house.hold("bob", shows[1], "A1")).error == (409, "SALES_PAUSED")
            booked.append((await house.book("ada", shows[0], hold_id)).data["id"])
        return await ask(showtime, message)

    monkeypatch.setattr(kernel, "ask", behind_a_booking)
    job = await ended(house, (await delete(house, f"movies/{movie_id}")).data["job_id"])
    monkeypatch.undo()
    assert (job["status"], job["done"]) == ("failed", 0)
    assert "booked" in job["reason"]
    assert [await shown(house, one) for one in shows] == [("scheduled", False)] * 2
    assert (await house.ask("ada", "GET", f"bookings/{booked[0]}")).data["status"] == "confirmed"
    assert (await delete(house, f"movies/{movie_id}")).error == (409, "MOVIE_IN_USE")
    assert (await house.hold("bob", shows[1], "A1")).status == 201
