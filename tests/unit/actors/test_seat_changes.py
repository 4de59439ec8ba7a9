"""Other seats for tickets: durable before it is told, on whichever node, whatever is lost."""

from __future__ import annotations

from typing import Any

import msgspec

from cinema.actors.messages import ReadSeats
from cinema.domain.seatmap import STATUS_NAMES
from cinema.domain.showtime.commands import ChangeSeats
from cinema.domain.showtime.events import SeatsChanged
from cinema.storage.journal.store import CommitUnknown
from tests.support import inspection
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import (
    ANNA,
    BERT,
    PLAN,
    Node,
    World,
    accepted,
    audited_world,
    book,
    hold,
    some_id,
)


def change(booking: Any, pairs: dict[str, str], key: bytes | None = None) -> ChangeSeats:
    """For what they have cost."""
    seats = [PLAN.labels[seat] for seat in booking.seats]
    prices = dict(zip(seats, booking.prices, strict=True))
    return ChangeSeats(
        command_id=key or some_id(),
        fingerprint=b"the-move" if key else b"",
        booking_id=booking.booking_id,
        customer=ANNA,
        left=list(pairs),
        chosen=list(pairs.values()),
        layout_version=PLAN.version,
        seen=tuple(prices.items()),
        prices=tuple(prices[label] for label in pairs),
        payment_id=some_id(),
    )


async def booked(node: Node, showtime: bytes, *labels: str) -> Any:
    held = accepted(await node.ask(showtime, hold(ANNA, *labels))).event
    return accepted(await node.ask(showtime, book(ANNA, held.hold_id))).event


async def taken(node: Node, showtime: bytes) -> dict[str, str]:
    seen = await node.ask(showtime, ReadSeats())
    pairs = zip(PLAN.labels, seen.seats, strict=True)
    return {label: STATUS_NAMES[status] for label, status in pairs if status}


@in_virtual_time
async def test_another_node_has_the_new_seats_and_the_stored_answer() -> None:
    async with audited_world() as world:
        showtime, key = world.showtime(), some_id()
        node = await world.warm_node(showtime)
        booking = await booked(node, showtime, "A1", "A2")
        feed, seen = await node.watch(showtime)
        command = change(booking, {"A1": "A2", "A2": "A3"}, key)
        first = accepted(await node.ask(showtime, command))
        assert isinstance(first.event, SeatsChanged)
        feed.assert_continues(seen.seq)
        assert await taken(node, showtime) == {"A2": "booked", "A3": "booked"}
        await inspection.kill(node.kernel)
        other = await world.node()
        # Whoever repeats it later can no longer work out a price.
        again = accepted(await other.ask(showtime, msgspec.structs.replace(command, prices=())))
        assert (again.replayed, again.event) == (True, first.event)
        assert await taken(other, showtime) == {"A2": "booked", "A3": "booked"}
        assert accepted(await other.ask(showtime, hold(BERT, "A1")))


@in_virtual_time
async def test_a_change_whose_commit_is_in_doubt_happens_once() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        booking = await booked(node, showtime, "A1", "A2")
        node.store.held.add("append")
        mail = node.tell(showtime, change(booking, {"A2": "A3"}))
        call = await node.store.next("append")
        behind = node.tell(showtime, hold(BERT, "A2"))
        await settle()
        # Nobody is told before it is durable: neither that a seat is free, nor that it is taken.
        assert not mail.answered.is_set()
        assert not behind.answered.is_set()
        node.store.held.clear()
        call.execute()
        call.fail(CommitUnknown("lost"))
        await settle()
        assert accepted(mail.outcome).event.seats == (0, 2)
        assert node.actor(showtime).epoch == 2
        again = await node.ask(showtime, change(booking, {"A2": "A3"}))
        assert again.code == "SEAT_NOT_INCLUDED"


@in_virtual_time
async def test_of_two_changes_in_one_batch_the_second_is_refused() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        booking = await booked(node, showtime, "A1", "A2")
        mails = [
            node.tell(showtime, change(booking, {"A1": "B1"})),
            node.tell(showtime, change(booking, {"A2": "B2"})),
        ]
        for mail in mails:
            await mail.answered.wait()
        assert accepted(mails[0].outcome)
        assert mails[1].outcome.code == "BOOKING_CHANGED"
        assert await taken(node, showtime) == {"A2": "booked", "B1": "booked"}


def rows_of(world: World, branch: str) -> list[Any]:
    return [row.row for row in world.journal.sold.rows.get(branch, [])]


@in_virtual_time
async def test_the_rows_of_a_change_are_written_with_its_event() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        booking = await booked(node, showtime, "A1", "A2")
        await node.ask(showtime, change(booking, {"A1": "A2", "A2": "A3"}))
        chosen = rows_of(world, "seats_chosen")
        assert [(row["former"], row["seat"]) for row in chosen] == [("A1", "A2"), ("A2", "A3")]
        assert [row["kind"] for row in rows_of(world, "bookings_told")] == [
            "booking.confirmed",
            "booking.changed",
        ]
