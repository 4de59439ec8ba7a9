import asyncio
from collections.abc import Iterable

import pytest

from cinema.features.accounts.fair_turns import FairTurns, NoRoom


class Desk:
    """Askers at one desk, who note when their turn comes and end it when they are told."""

    def __init__(
        self, *, queue_limit: int = 8, share: int = 4, wait_s: float | None = None
    ) -> None:
        self.turns = FairTurns(1, queue_limit=queue_limit, share=share, wait_s=wait_s)
        self.served: list[str] = []
        self.refused: list[str] = []
        self.gone: set[str] = set()

    async def ask(self, asker: str) -> None:
        try:
            await self.turns.begin(asker, lambda: asker in self.gone)
        except NoRoom:
            self.refused.append(asker)
        else:
            self.served.append(asker)

    async def queue(self, askers: Iterable[str]) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self.ask(asker)) for asker in askers]
        await self.settle()
        return tasks

    async def settle(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    async def serve_all(self) -> list[str]:
        """End turn after turn until nobody waits."""
        while self.turns.waiting:
            self.turns.end()
            await self.settle()
        self.turns.end()
        return self.served


async def test_first_comes_at_once_and_others_in_rotation_of_the_askers() -> None:
    desk = Desk()
    await desk.queue(["a", "a", "a", "a", "b", "c", "b"])
    assert await desk.serve_all() == ["a", "a", "b", "c", "a", "b", "a"]


async def test_asker_beyond_its_share_is_refused_and_nobody_else() -> None:
    desk = Desk(share=2)
    await desk.queue("aaaaab")
    assert desk.refused == ["a", "a"]
    assert await desk.serve_all() == ["a", "a", "b", "a"]


async def test_newcomer_takes_the_last_place_of_whoever_has_most() -> None:
    desk = Desk(queue_limit=4)
    await desk.queue("xaaab")
    assert desk.turns.waiting == 4
    await desk.queue("c")
    assert desk.refused == ["a"]
    await desk.queue("dd")
    assert sorted(desk.refused) == ["a", "a", "d"]
    assert await desk.serve_all() == ["x", "a", "b", "c", "d"]


async def test_full_queue_of_equals_refuses_the_newcomer() -> None:
    desk = Desk(queue_limit=2)
    await desk.queue("xab")
    await desk.queue("c")
    assert desk.refused == ["c"]


async def test_who_stops_waiting_leaves_its_place() -> None:
    desk = Desk()
    tasks = await desk.queue("xaab")
    tasks[1].cancel()
    await desk.settle()
    assert desk.turns.waiting == 2
    assert await desk.serve_all() == ["x", "a", "b"]
    await desk.queue("y")
    assert desk.served[-1] == "y"


async def test_turn_of_who_has_just_stopped_waiting_goes_to_the_next() -> None:
    desk = Desk()
    tasks = await desk.queue("xab")
    desk.turns.end()
    tasks[1].cancel()
    await desk.settle()
    assert desk.served == ["x", "b"]


async def test_turn_is_not_given_to_who_stops_waiting_in_that_moment() -> None:
    desk = Desk()
    tasks = await desk.queue("xab")
    tasks[1].cancel()
    desk.turns.end()
    await desk.settle()
    assert desk.served == ["x", "b"]
    assert desk.turns.waiting == 0


async def test_place_of_who_stops_waiting_in_that_moment_is_taken_once() -> None:
    desk = Desk(queue_limit=2)
    tasks = await desk.queue("xaa")
    tasks[2].cancel()
    newcomer = desk.ask("b")
    waiting = asyncio.create_task(newcomer)
    await desk.settle()
    assert desk.refused == []
    assert await desk.serve_all() == ["x", "a", "b"]
    await waiting


async def test_who_is_dropped_while_it_stops_waiting_gives_no_turn_away() -> None:
    desk = Desk(queue_limit=2)
    tasks = await desk.queue("xaa")
    await_b = asyncio.create_task(desk.ask("b"))
    await asyncio.sleep(0)
    tasks[2].cancel()
    await desk.settle()
    assert desk.served == ["x"]
    assert await desk.serve_all() == ["x", "a", "b"]
    await await_b


@pytest.mark.parametrize("at_once", [1, 2, 3])
async def test_as_many_turns_at_once_as_there_are(at_once: int) -> None:
    turns = FairTurns(at_once, queue_limit=8, share=8, wait_s=None)
    waiting = [asyncio.create_task(turns.begin("a")) for _ in range(5)]
    await asyncio.sleep(0)
    assert sum(one.done() for one in waiting) == at_once
    for _ in range(5):
        turns.end()
    await asyncio.gather(*waiting)


async def test_newcomer_may_take_the_place_of_one_who_is_just_leaving() -> None:
    desk = Desk(queue_limit=2)
    tasks = await desk.queue(["a", "b", "b"])
    newcomer = asyncio.create_task(desk.ask("c"))
    # Before the one who leaves has had a step of its own to do so.
    tasks[2].cancel()
    await desk.settle()
    assert tasks[2].cancelled()
    assert desk.refused == []
    assert await desk.serve_all() == ["a", "b", "c"]
    assert newcomer.done()


async def test_who_has_waited_for_the_time_is_refused_and_leaves_the_place() -> None:
    desk = Desk(wait_s=0.0)
    await asyncio.gather(*await desk.queue("xab"))
    assert (desk.served, desk.refused) == (["x"], ["a", "b"])
    assert desk.turns.waiting == 0
    desk.turns.end()
    await desk.queue("y")
    assert desk.served == ["x", "y"]


async def test_who_is_served_in_time_is_not_refused_later() -> None:
    desk = Desk(wait_s=3600.0)
    await desk.queue("xab")
    assert await desk.serve_all() == ["x", "a", "b"]
    assert desk.refused == []
    assert not [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]


async def test_turn_of_who_has_left_goes_to_the_next() -> None:
    desk = Desk()
    await desk.queue("xaab")
    desk.gone.add("a")
    assert await desk.serve_all() == ["x", "b"]
    assert desk.refused == ["a", "a"]


async def test_who_may_have_left_lets_others_go_first_and_has_a_turn_all_the_same() -> None:
    turns = FairTurns(1, queue_limit=9, share=3, wait_s=None)
    await turns.begin("a")
    maybe = [asyncio.ensure_future(turns.begin("b", lambda: None)) for _ in range(2)]
    await asyncio.sleep(0)
    staying = asyncio.ensure_future(turns.begin("c"))
    await asyncio.sleep(0)
    turns.end()
    await staying
    assert not any(one.done() for one in maybe)
    for left in (1, 0):
        turns.end()
        await asyncio.sleep(0)
        assert turns.waiting == left
    await asyncio.gather(*maybe)


async def test_of_those_who_may_have_left_the_first_comes_first() -> None:
    turns, served = FairTurns(1, queue_limit=9, share=3, wait_s=None), list[str]()
    await turns.begin("x")

    async def come(asker: str, name: str) -> None:
        await turns.begin(asker, lambda: None)
        served.append(name)

    coming = []
    for name in ("a1", "a2", "b1", "a3"):
        coming.append(asyncio.ensure_future(come(name[0], name)))
        await asyncio.sleep(0)
    for _ in coming:
        turns.end()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await asyncio.gather(*coming)
    assert served == ["a1", "b1", "a2", "a3"]


async def test_who_may_have_left_gives_up_a_place_that_is_wanted() -> None:
    turns = FairTurns(1, queue_limit=1, share=3, wait_s=None)
    await turns.begin("a")
    maybe = asyncio.ensure_future(turns.begin("b", lambda: None))
    await asyncio.sleep(0)
    staying = asyncio.ensure_future(turns.begin("c"))
    await asyncio.sleep(0)
    with pytest.raises(NoRoom):
        await maybe
    turns.end()
    await staying


async def test_who_has_left_makes_room_for_others_in_a_full_queue() -> None:
    desk = Desk(queue_limit=2)
    await desk.queue("xab")
    desk.gone.add("a")
    await desk.queue("c")
    assert desk.refused == ["a"]
    assert await desk.serve_all() == ["x", "b", "c"]


async def test_who_has_left_makes_room_in_the_share_of_the_asker() -> None:
    turns = FairTurns(1, queue_limit=8, share=1, wait_s=None)
    await turns.begin("a")
    gone = [True]
    left = asyncio.ensure_future(turns.begin("a", lambda: gone[0]))
    await asyncio.sleep(0)
    stayed = asyncio.ensure_future(turns.begin("a"))
    await asyncio.sleep(0)
    with pytest.raises(NoRoom):
        await left
    turns.end()
    await stayed


async def test_who_is_alone_is_served_though_it_may_have_left() -> None:
    desk = Desk()
    desk.gone.add("a")
    await desk.queue("a")
    assert desk.served == ["a"]
