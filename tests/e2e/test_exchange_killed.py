"""Nodes that are killed in the middle of an exchange: its customer has one of both bookings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.killed_nodes import NOBODY_WAITS, WAITS, Houses, two_houses

pytestmark = [pytest.mark.postgres, pytest.mark.process, pytest.mark.slow]

_ENDED = "select count(*) = $1 from exchanges where state in ('aborted', 'done')"
_EXCHANGE_ROWS = "lock table exchanges in exclusive mode"
_DECISION = "select pg_advisory_xact_lock(1)"
# A lane waits for a lock only a tenth of a second, but sleeps as long as its statement may take.
_SLEEPING_DECISION = """
create function wait_for_the_test() returns trigger language plpgsql as $$
begin
    while not pg_try_advisory_xact_lock(1) loop
        perform pg_sleep(0.01);
    end loop;
    return new;
end $$;
create trigger wait_for_the_test before update on exchanges for each row
    when (new.state = 'committed') execute function wait_for_the_test()"""
_DECIDING = "from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"
_DECIDES = f"select exists (select {_DECIDING})"
_END_DECISION = f"select pg_terminate_backend(pid) {_DECIDING}"
_BOOKING = "select from bookings where showtime_id = $1 for update"


async def booked(houses: Houses, showtime_id: str, seat: str) -> str:
    """The id of a booking of the customer."""
    hold_id = await houses.held("customer", showtime_id, seat)
    body = {"showtime_id": showtime_id, "hold_id": hold_id, "payment": {"method": "demo"}}
    booking = await houses.ask("customer", "POST", "bookings", body)
    return str(booking["id"])


@pytest.mark.parametrize("point", ["begun", "new seats wait", "old seats given up"])
async def test_whoever_is_killed_leaves_one_of_both_bookings(
    point: str, tmp_path: Path, database: str
) -> None:
    """The other node ends what the killed one has left."""
    async with two_houses(tmp_path / "data", database, 3, 4) as houses:
        old_id, new_id = houses.showtimes
        await houses.database.execute(_SLEEPING_DECISION)
        booking_id = await booked(houses, old_id, "A1")
        hold_id = await houses.held("customer", new_id, "A5")
        body = {"showtime_id": new_id, "hold_id": hold_id}
        path = f"bookings/{booking_id}/exchange"

        def exchange() -> asyncio.Task[Any]:
            return asyncio.ensure_future(houses.ask("customer", "POST", path, body, node=1))

        asked = await _stopped_at(houses, point, exchange)
        await asyncio.gather(asked, return_exceptions=True)
        await houses.database.execute("update exchanges set commit_until = now()")
        rows = await houses.database.fetchval("select count(*) from exchanges")
        await houses.until(_ENDED, rows)
        await _check(houses, booking_id)


async def _stopped_at(
    houses: Houses, point: str, exchange: Callable[[], asyncio.Task[Any]]
) -> asyncio.Task[Any]:
    """Begin an exchange, and kill the node that was asked when it has come so far."""
    _, new_id = houses.showtimes
    if point == "begun":
        await houses.lock(_EXCHANGE_ROWS)
        asked = exchange()
        await houses.until_somebody_waits_for("exchanges")
    else:
        await houses.lock(_DECISION)
        asked = exchange()
        await houses.until(WAITS, new_id)
        await houses.until(_DECIDES)
    if point == "old seats given up":
        await houses.lock(_BOOKING, new_id)
        await houses.release(_DECISION)
        await houses.until("select exists (select from exchanges where state = 'committed')")
    await houses.kill(1)
    if point == "new seats wait":
        # The decision was on its way, and the node died before it was carried out.
        await houses.database.execute(_END_DECISION)
    await houses.release_all()
    return asked


async def _check(houses: Houses, booking_id: str) -> None:
    """One of both is booked, and the books say so."""
    database, (old_id, new_id) = houses.database, houses.showtimes
    old = await database.fetchval("select status from bookings where id = $1", booking_id)
    new = await database.fetchval(
        "select count(*) from bookings where showtime_id = $1 and status = 'confirmed'", new_id
    )
    assert (old, new) in {("confirmed", 0), ("cancelled", 1)}
    states = [row[0] for row in await database.fetch("select state from exchanges")]
    assert states in ([], ["done" if new else "aborted"])
    await houses.until(NOBODY_WAITS)
    live = await database.fetch("select showtime_id::text from booking_seats where live")
    assert [row[0] for row in live] == [new_id if new else old_id]
    left = await database.fetchval("select sum(amount) from ledger_lines where account = 'demo'")
    assert left == 1000
    moving = await database.fetchval(
        "select coalesce(sum(amount), 0) from ledger_lines where account = 'exchange'"
    )
    assert moving == 0
