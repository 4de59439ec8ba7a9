"""An exchange between two showtimes: one row decides, whoever comes second has had no effect."""

from __future__ import annotations

from typing import Any

import pytest

from cinema.actors.messages import TRY_AGAIN, Accepted, ReadSeats
from cinema.domain.rejections import Rejection
from cinema.domain.seatmap import STATUS_NAMES
from cinema.domain.showtime.commands import AbandonPayment, CancelBooking, StartPayment
from tests.support.actors.virtual_time import in_virtual_time
from tests.support.actors.world import (
    ANNA,
    PLAN,
    Node,
    World,
    accepted,
    audited_world,
    book,
    hold,
    some_id,
)


async def taken(node: Node, showtime: bytes) -> dict[str, str]:
    seen = await node.ask(showtime, ReadSeats())
    pairs = zip(PLAN.labels, seen.seats, strict=True)
    return {label: STATUS_NAMES[status] for label, status in pairs if status}


async def begun(world: World, node: Node, new: bytes, label: str = "A3") -> StartPayment:
    """A hold that waits for seats to be given up, with its row."""
    held = accepted(await node.ask(new, hold(ANNA, label))).event
    start = StartPayment(
        command_id=some_id(),
        hold_id=held.hold_id,
        customer=ANNA,
        booking_id=some_id(),
        code=f"EXCHANGE{label}",
        payment_id=some_id(),
        payment_method="exchange",
        for_exchange=True,
    )
    world.journal.sold.exchanges[start.payment_id] = "pending"
    world.journal.sold.exchanged_for[start.booking_id] = start.payment_id
    accepted(await node.ask(new, start))
    return start


async def booked(node: Node, showtime: bytes, label: str = "A1") -> Any:
    held = accepted(await node.ask(showtime, hold(ANNA, label))).event
    return accepted(await node.ask(showtime, book(ANNA, held.hold_id))).event


def giving_up(booking: Any, start: StartPayment) -> CancelBooking:
    return CancelBooking(
        command_id=some_id(),
        booking_id=booking.booking_id,
        customer=ANNA,
        exchange_id=start.payment_id,
        seen=((PLAN.labels[booking.seats[0]], booking.prices[0]),),
    )


def abandoning(start: StartPayment) -> AbandonPayment:
    return AbandonPayment(
        command_id=some_id(),
        hold_id=start.hold_id,
        customer=ANNA,
        booking_id=start.booking_id,
        expired=False,
    )


@pytest.mark.parametrize("first", ["given up", "abandoned"])
@in_virtual_time
async def test_whoever_decides_second_has_no_effect(first: str) -> None:
    async with audited_world() as world:
        old, new = world.showtime(), world.showtime()
        one, other = await world.warm_node(old), await world.warm_node(new)
        booking = await booked(one, old)
        start = await begun(world, other, new)
        commands = [(one, old, giving_up(booking, start)), (other, new, abandoning(start))]
        if first == "abandoned":
            commands.reverse()
        answers = [await node.ask(showtime, command) for node, showtime, command in commands]
        assert isinstance(answers[0], Accepted)
        assert answers[1] == Rejection(code="EXCHANGE_ENDED")
        if first == "given up":
            assert await taken(one, old) == {}
            assert await taken(other, new) == {"A3": "held"}
        else:
            assert await taken(one, old) == {"A1": "booked"}
            assert await taken(other, new) == {}


@in_virtual_time
async def test_only_the_exchange_that_was_decided_is_told_so() -> None:
    """Two of one showtime never share a statement, so that it is clear which one was meant."""
    async with audited_world() as world:
        old, new = world.showtime(), world.showtime()
        one, other = await world.warm_node(old), await world.warm_node(new)
        bookings = [await booked(one, old, label) for label in ("A1", "A2", "B2")]
        starts = [await begun(world, other, new, label) for label in ("A3", "A4")]
        for start in starts:
            accepted(await other.ask(new, abandoning(start)))
        exchanges = [giving_up(*pair) for pair in zip(bookings, starts, strict=False)]
        plain = CancelBooking(
            command_id=some_id(), booking_id=bookings[2].booking_id, customer=ANNA
        )
        ended = Rejection(code="EXCHANGE_ENDED")
        # The hold makes that the others wait for one statement together.
        mails = [one.tell(old, each) for each in (hold(ANNA, "B1"), *exchanges, plain)]
        for mail in mails:
            await mail.answered.wait()
        assert [mail.outcome for mail in mails] == [TRY_AGAIN, ended, TRY_AGAIN, TRY_AGAIN]
        seen = {"A1": "booked", "A2": "booked", "B2": "booked"}
        assert await taken(one, old) == seen
        assert await one.ask(old, exchanges[1]) == ended
        accepted(await one.ask(old, plain))
        del seen["B2"]
        assert await taken(one, old) == seen
