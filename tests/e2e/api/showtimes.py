"""Showtimes that managers change and cancel, as the tests of several rooms ask for it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from tests.e2e.api.house import PATIENCE_S, Answer, House
from tests.support.waiting import look_again

FIELDS = ("movie_id", "screen_id", "starts_at", "base_price", "format", "language", "rules")


async def shown(house: House, showtime_id: str) -> Any:
    """The showtime as everybody sees it."""
    return (await house.ask(None, "GET", f"showtimes/{showtime_id}")).data


def wish(showtime: Any, **changes: Any) -> Any:
    """The body that leaves a showtime as it is, but for the changes."""
    return {name: showtime[name] for name in FIELDS} | changes


async def change(
    house: House,
    showtime_id: str,
    *,
    person: str | None = "manager",
    seen: str | None = None,
    **changes: Any,
) -> Answer:
    """An attempt to change a showtime, made from its present version or from `seen`."""
    before = await shown(house, showtime_id)
    tag = f'"{before["version"]}"' if seen is None else seen
    headers = {"If-Match": tag} if tag else {}
    body = wish(before, **changes)
    return await house.ask(person, "PUT", f"showtimes/{showtime_id}", body, headers=headers)


def moved(showtime: Any, **by: float) -> str:
    """Its start, later by so much."""
    return (datetime.fromisoformat(showtime["starts_at"]) + timedelta(**by)).isoformat()


async def cancel(
    house: House,
    showtime_id: str,
    *,
    person: str | None = "manager",
    seen: str | None = '"1"',
    query: str = "?reason=No+heating.",
    key: str | None = None,
) -> Answer:
    """An attempt to cancel a showtime."""
    headers = {} if seen is None else {"If-Match": seen}
    path = f"showtimes/{showtime_id}{query}"
    return await house.ask(person, "DELETE", path, headers=headers, key=key)


async def ended(house: House, job_id: str) -> Any:
    """A job, once it has ended."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            job = (await house.ask("manager", "GET", f"jobs/{job_id}")).data
            if job["ended_at"] is not None:
                return job
            await look_again()
