"""Another version of a price book reaches the showtimes in memory, and those that are coming."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from cinema.actors.messages import HoldSeen, ReadHold, ReadSeats, SeatsSeen
from cinema.domain.pricing.book import BookSettings, Conditions, Effect, PriceBook, Rule
from cinema.domain.pricing.rules import ReadyBook, ready_book
from tests.support.actors.virtual_time import in_virtual_time
from tests.support.actors.world import ANNA, Node, accepted, audited_world, extend, hold

CINEMA, OTHER = b"cinema-16-bytes.", b"another-cinema.."


def dearer_by(minor: int, version: int) -> ReadyBook:
    rule = Rule(
        id=UUID(int=1),
        name="dearer",
        group="time",
        priority=1,
        when=Conditions(),
        effect=Effect(kind="amount", value=minor),
    )
    book = PriceBook(
        version=version,
        currency="EUR",
        time_zone="UTC",
        settings=BookSettings(),
        rules=(rule,),
    )
    return ready_book(book)


async def _price(node: Node, showtime: bytes, label: str) -> tuple[int, int]:
    """What a seat costs now, and by which version."""
    event: Any = accepted(await node.ask(showtime, hold(ANNA, label))).event
    return event.prices[0], event.book_version


@in_virtual_time
async def test_a_new_version_is_for_new_holds_of_its_cinema() -> None:
    async with audited_world() as world:
        here = world.showtime(cinema_id=CINEMA, book_version=1)
        there = world.showtime(cinema_id=OTHER, book_version=1)
        node = await world.warm_node(here)
        before = hold(ANNA, "A1")
        accepted(await node.ask(here, before))
        assert await _price(node, there, "A1") == (1000, 0)
        assert await node.kernel.price_by(CINEMA, 2, dearer_by(50, 2)) == 1
        assert await _price(node, here, "A2") == (1050, 2)
        assert await _price(node, there, "A2") == (1000, 0)
        extended = await node.ask(here, extend(before.customer, before.hold_id))
        event: Any = accepted(extended).event
        assert event.prices == (1000,)
        assert node.kernel.books.versions == {CINEMA: 2, OTHER: 1}
        assert await node.kernel.price_by(CINEMA, 3, None) == 1
        assert await _price(node, here, "A3") == (1000, 0)


@in_virtual_time
async def test_a_showtime_whose_terms_were_read_before_the_change_gets_the_new_version() -> None:
    async with audited_world() as world:
        showtime = world.showtime(cinema_id=CINEMA, book_version=1)
        node = await world.node()
        node.store.held.add("load")
        asked = node.tell(showtime, hold(ANNA, "A1"))
        call = await node.store.next("load")
        await node.kernel.price_by(CINEMA, 2, dearer_by(50, 2))
        node.store.held.clear()
        call.finish()
        await asked.answered.wait()
        event: Any = accepted(asked.outcome).event
        assert event.prices == (1050,)


@in_virtual_time
async def test_terms_that_are_newer_than_what_was_seen_count() -> None:
    async with audited_world() as world:
        showtime = world.showtime(cinema_id=CINEMA, book=dearer_by(50, 2), book_version=2)
        node = await world.node()
        await node.kernel.price_by(CINEMA, 1, None)
        assert await _price(node, showtime, "A1") == (1050, 2)
        other = world.showtime(cinema_id=CINEMA, book_version=1)
        assert await _price(node, other, "A1") == (1050, 2)


@in_virtual_time
async def test_a_map_shows_for_what_seats_can_be_held_now() -> None:
    async with audited_world() as world:
        showtime = world.showtime(cinema_id=CINEMA, book=dearer_by(50, 1), book_version=1)
        node = await world.node()
        cold = await node.kernel.read_seats(showtime, ReadSeats())
        assert isinstance(cold, SeatsSeen)
        assert cold.terms.prices_minor == (1050,)
        warm = await node.ask(showtime, ReadSeats())
        assert warm.terms.prices_minor == (1050,)
        await node.kernel.price_by(CINEMA, 2, dearer_by(70, 2))
        assert (await node.ask(showtime, ReadSeats())).terms.prices_minor == (1070,)
        world.terms.of[showtime] = msgspec.structs.replace(
            world.terms.of[showtime], book=None, book_version=3
        )
        fresh = await world.node()
        cold = await fresh.kernel.read_seats(showtime, ReadSeats())
        assert isinstance(cold, SeatsSeen)
        assert cold.terms.prices_minor == (1000,)


@in_virtual_time
async def test_a_hold_tells_what_its_prices_follow_from_to_whom_asks() -> None:
    async with audited_world() as world:
        showtime = world.showtime(cinema_id=CINEMA, book=dearer_by(50, 4), book_version=4)
        node = await world.node()
        held = hold(ANNA, "A1")
        accepted(await node.ask(showtime, held))
        question = ReadHold(hold_id=held.hold_id, customer=held.customer)
        seen = await node.ask(showtime, question)
        assert isinstance(seen, HoldSeen)
        assert seen.price_inputs is None
        seen = await node.ask(showtime, msgspec.structs.replace(question, with_price_inputs=True))
        assert (seen.price_inputs.book_version, seen.price_inputs.taken) == (4, 0)
        assert seen.price_inputs.categories == ("regular",)
