"""A change of plan that comes between two statements of somebody who reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from cinema.domain.seatmap import SeatPlan, grid_layout, parse_layout
from cinema.domain.showtime.commands import ChangePlan
from cinema.domain.showtime.terms import ShowtimeTerms
from tests.support import inspection
from tests.support.actors.scripted_store import Call
from tests.support.actors.virtual_time import settle
from tests.support.actors.world import Mail, Node, World, accepted, some_id

WIDER: SeatPlan = parse_layout(grid_layout(4, 26), 2)
"""The plan with one more column: every seat but those of the first row has another index."""


PRICES_MINOR = (1000,) * len(WIDER.categories)


async def begin_to_change_plan(node: Node, showtime: bytes) -> tuple[Call, Mail]:
    """Ask for the wider plan; its append is held."""
    change = ChangePlan(command_id=some_id(), plan=WIDER, prices_minor=PRICES_MINOR)
    node.store.held.add("append")
    mail = node.tell(showtime, change)
    return await node.store.next("append"), mail


def pin(world: World, showtime: bytes) -> None:
    """What the append of a change of plan writes into the catalogue."""
    terms = world.terms.of[showtime]
    world.terms.of[showtime] = msgspec.structs.replace(terms, plan=WIDER, prices_minor=PRICES_MINOR)


async def change_plan(world: World, node: Node, showtime: bytes) -> None:
    """Pin the wider plan, with the terms in the same statement."""
    call, mail = await begin_to_change_plan(node, showtime)
    node.store.held.discard("append")
    pin(world, showtime)
    call.finish()
    await mail.answered.wait()
    accepted(mail.outcome)


class LateTerms:
    """One reader's terms and journal, read one by one when the test says so."""

    def __init__(self, world: World, reader: Node) -> None:
        self._world = world
        self._store = reader.store
        self._waiting: list[Callable[[], None]] = []
        self._is_open = False
        self._store.held.add("load")
        inspection.load_terms_through(reader.kernel, self)

    async def load_terms(self, showtime_id: bytes) -> ShowtimeTerms | None:
        """See `TermsSource.load_terms`."""
        called = asyncio.Event()
        self._waiting.append(called.set)
        if not self._is_open:
            await called.wait()
        return self._world.terms.of.get(showtime_id)

    async def answer_first(self) -> None:
        """Whatever the reader has sent first, terms or journal, is read now."""
        calls = self._store.calls
        async with asyncio.timeout(10):
            while not self._waiting and not calls:  # noqa: ASYNC110  # nobody tells when
                await asyncio.sleep(0.0005)
        if calls:
            calls.pop(0).finish()
        else:
            self._waiting.pop(0)()
        await settle()

    def let_go(self) -> None:
        """All that waits is read now, and nothing waits from here on."""
        self._is_open = True
        self._store.held.clear()
        while self._store.calls:
            self._store.calls.pop(0).finish()
        for answer in self._waiting:
            answer()
