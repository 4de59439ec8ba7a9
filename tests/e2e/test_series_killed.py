"""Nodes that are killed in the middle of a series: all of it is booked, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.killed_nodes import NOBODY_WAITS, WAITS, Houses, two_houses

pytestmark = [pytest.mark.postgres, pytest.mark.process, pytest.mark.slow]

_ENDED = "select count(*) = 1 from series where state in ('aborted', 'done')"
_WAITS_OR_WAITED = f"{WAITS} or exists (select from series where state = 'aborted')"
_SERIES_ROWS = "lock table series in exclusive mode"
_DECISION = "select pg_advisory_xact_lock(1)"
_WAITING_DECISION = """
create function wait_for_the_test() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(1);
    return new;
end $$;
create trigger wait_for_the_test before update on series for each row
    when (new.state = 'committed') execute function wait_for_the_test()"""
_DECIDES = "select exists (select from pg_locks where not granted and locktype = 'advisory')"
_HEAD = "select from showtime_heads where showtime_id = $1 for update"
_BOOKING = "select from bookings where showtime_id = $1 for update"
_SEATS = "select showtime_id::text from booking_seats where live order by 1"


async def _stopped_at(
    houses: Houses, point: str, ask: Callable[[], asyncio.Task[Any]]
) -> asyncio.Task[Any]:
    """Begin a series, and kill the node that was asked when it has come so far."""
    first, last = houses.showtimes[0], houses.showtimes[-1]
    if point in {"all wait", "decided"}:
        # A lane waits for a locked head only so long: these two lock none before the decision.
        await houses.lock(_DECISION)
        asked = ask()
        await houses.until(WAITS, last)
        await houses.until(_DECIDES)
    else:
        await houses.lock(_SERIES_ROWS)
        asked = ask()
        await houses.until_somebody_waits_for("series")
    if point == "some wait":
        await houses.lock(_HEAD, last)
        await houses.release(_SERIES_ROWS)
        # The lane gives up on the locked head after a while, and the series is called off.
        await houses.until(_WAITS_OR_WAITED, first)
    if point == "decided":
        await houses.lock(_BOOKING, last)
        await houses.release(_DECISION)
        await houses.until("select exists (select from series where state = 'committed')")
    await houses.kill(1)
    await houses.release_all()
    return asked


@pytest.mark.parametrize("point", ["all are held", "some wait", "all wait", "decided"])
async def test_whoever_is_killed_leaves_all_of_a_series_or_nothing(
    point: str, tmp_path: Path, database: str
) -> None:
    """The other node ends what the killed one has left."""
    async with two_houses(tmp_path / "data", database, 3, 4, 5) as houses:
        watching = houses.database
        await watching.execute(_WAITING_DECISION)
        body = {
            "showtime_ids": houses.showtimes,
            "seats": ["A1", "A2"],
            "payment": {"method": "demo"},
        }

        def book() -> asyncio.Task[Any]:
            return asyncio.ensure_future(houses.ask("customer", "POST", "series", body, node=1))

        asked = await _stopped_at(houses, point, book)
        await asyncio.gather(asked, return_exceptions=True)
        await watching.execute("update series set commit_until = now()")
        if point != "all are held":
            await houses.until(_ENDED)
        await houses.until(NOBODY_WAITS)
        live = [row[0] for row in await watching.fetch(_SEATS)]
        state = await watching.fetchval("select state from series")
        assert state == {"all are held": None, "decided": "done"}.get(point, "aborted")
        every = sorted(houses.showtimes * 2) if point == "decided" else []
        assert live == every
        paid = await watching.fetchval(
            "select coalesce(sum(amount), 0) from ledger_lines where account = 'demo'"
        )
        assert paid == 1000 * len(every)
