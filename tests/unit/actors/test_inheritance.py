"""A dead node's showtimes are fenced off at once, and their leases run out together."""

from __future__ import annotations

import asyncio

import pytest

from cinema.actors import activation
from cinema.storage.journal.store import HeldBy, StoreUnavailable
from tests.support import inspection
from tests.support.actors.neighbourhood import Neighbour, Neighbourhood, pair
from tests.support.actors.virtual_time import in_virtual_time
from tests.support.actors.world import ANNA, BERT, SETTINGS, World, accepted, audited_world, hold

LEASE_S = SETTINGS.lease_ms / 1000


def _now_s() -> float:
    return asyncio.get_running_loop().time()


async def _dead(world: World, showtimes: int) -> tuple[list[bytes], Neighbour, Neighbour]:
    """Showtimes with a hold each of a node that lives no more, and the node that they are now."""
    hood = Neighbourhood(world)
    old, new = await hood.moves_in(), await hood.moves_in()
    ids = [world.showtime() for _ in range(showtimes)]
    for one in ids:
        hood.owner[one] = old
        await old.node.ask(one, hold(ANNA, "A1"))
    hood.living.remove(old)
    for one in ids:
        hood.owner[one] = new
    return ids, old, new


@in_virtual_time
async def test_what_is_inherited_waits_for_one_lease_together() -> None:
    async with audited_world() as world:
        showtimes, _, new = await _dead(world, 5)
        started_s = _now_s()
        assert await new.node.kernel.inherit(new.node_id) == 5
        for one in showtimes:
            # One after the other: each for itself would wait a lease of its own.
            assert (await new.node.ask(one, hold(BERT, "A1"))).code == "SEAT_UNAVAILABLE"
        assert LEASE_S <= _now_s() - started_s < 2 * LEASE_S
        assert new.node.store.count("take_over") == 0


@in_virtual_time
async def test_the_dead_owner_that_comes_back_can_write_no_more() -> None:
    async with audited_world() as world:
        (showtime,), old, new = await _dead(world, 1)
        await new.node.kernel.inherit(new.node_id)
        old.hood.owner[showtime] = old
        mail = old.node.tell(showtime, hold(BERT, "A2"))
        old.hood.living.append(old)
        await mail.answered.wait()
        assert old.node.kernel.metrics.fenced == 1


@in_virtual_time
async def test_only_what_nobody_living_owns_is_inherited_and_only_by_its_next_owner() -> None:
    async with audited_world() as world:
        (mine, others, released), old, new = await _dead(world, 3)
        third = await old.hood.moves_in()
        old.hood.owner[others] = third
        await old.node.kernel.release(released)
        assert await new.node.kernel.inherit(new.node_id) == 1
        assert await third.node.kernel.inherit(third.node_id) == 1
        assert await new.node.kernel.inherit(new.node_id) == 0
        assert accepted(await new.node.ask(mine, hold(BERT, "A2"))).epoch == 2
        assert accepted(await third.node.ask(others, hold(BERT, "A2"))).epoch == 2
        assert accepted(await new.node.ask(released, hold(BERT, "A2"))).epoch == 2


@in_virtual_time
async def test_an_inheritance_that_somebody_took_meanwhile_is_taken_over_like_any_other() -> None:
    async with audited_world() as world:
        (showtime,), old, new = await _dead(world, 1)
        await new.node.kernel.inherit(new.node_id)
        third = await old.hood.moves_in()
        old.hood.owner[showtime] = third
        assert (await third.node.store.take_over(showtime, third.node_id, [])).epoch == 3
        old.hood.owner[showtime] = new
        old.hood.living.remove(third)
        started_s = _now_s()
        assert accepted(await new.node.ask(showtime, hold(BERT, "A2"))).epoch == 4
        assert _now_s() - started_s >= LEASE_S


@in_virtual_time
async def test_an_inherited_showtime_that_is_gone_is_not_there() -> None:
    async with audited_world() as world:
        (showtime,), _, new = await _dead(world, 1)
        await new.node.kernel.inherit(new.node_id)
        del world.terms.of[showtime]
        await new.node.tell(showtime, hold(BERT, "A2")).answered.wait()
        assert not new.node.kernel.is_resident(showtime)


@in_virtual_time
async def test_an_estate_is_inherited_in_bounded_statements() -> None:
    async with audited_world() as world:
        showtimes, _, new = await _dead(world, 5)
        pages = activation.INHERITED_AT_ONCE
        activation.INHERITED_AT_ONCE = 2
        try:
            assert await new.node.kernel.inherit(new.node_id) == len(showtimes)
        finally:
            activation.INHERITED_AT_ONCE = pages
        assert new.node.store.count("inherit") == 3


@in_virtual_time
async def test_heads_are_looked_through_by_pages_and_inherited_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(activation, "LEFT_BEHIND_PAGE", 2)
    monkeypatch.setattr(activation, "INHERITED_AT_ONCE", 3)
    async with audited_world() as world:
        showtimes, _, new = await _dead(world, 7)
        seen = new.node.store.seen
        del seen[:]
        assert await new.node.kernel.inherit(new.node_id) == 7
        sent = [name for name, _ in seen if name in {"left_behind", "inherit"}]
        assert sent == [
            "left_behind",
            "left_behind",
            "inherit",
            "left_behind",
            "inherit",
            "left_behind",
            "inherit",
        ]
        inherited = [one for name, some in seen if name == "inherit" for one in some]
        assert inherited == sorted(showtimes)


@in_virtual_time
async def test_a_living_owners_showtimes_are_not_inherited() -> None:
    async with audited_world() as world:
        showtime, old, new = await pair(world)
        old.hood.owner[showtime] = new
        assert await new.node.kernel.inherit(new.node_id) == 0
        held = await new.node.store.take_over(showtime, new.node_id, [old.node_id])
        assert held == HeldBy(old.node_id)


@in_virtual_time
async def test_an_inheritance_is_used_once() -> None:
    async with audited_world() as world:
        (showtime,), _, new = await _dead(world, 1)
        await new.node.kernel.inherit(new.node_id)
        assert accepted(await new.node.ask(showtime, hold(BERT, "A2"))).epoch == 2
        new.node.store.fail_next("append", StoreUnavailable("lost"))
        assert (await new.node.ask(showtime, hold(BERT, "A3"))).code == "RETRY"
        # It took over from itself: a statement of its own may have been under way.
        assert accepted(await new.node.ask(showtime, hold(BERT, "A3"))).epoch == 3


@in_virtual_time
async def test_an_inheritance_that_cannot_be_loaded_is_taken_over() -> None:
    async with audited_world() as world:
        (showtime,), _, new = await _dead(world, 1)
        await new.node.kernel.inherit(new.node_id)
        new.node.store.fail_next("load", StoreUnavailable("gone"))
        assert accepted(await new.node.ask(showtime, hold(BERT, "A2"))).epoch == 3


@in_virtual_time
async def test_an_estate_that_cannot_be_read_is_told_of() -> None:
    async with audited_world() as world:
        (showtime,), _, new = await _dead(world, 1)
        for statement in ("left_behind", "inherit"):
            new.node.store.fail_next(statement, StoreUnavailable("gone"))
            with pytest.raises(StoreUnavailable):
                await new.node.kernel.inherit(new.node_id)
        # Each showtime is taken over when it is asked for then.
        assert accepted(await new.node.ask(showtime, hold(BERT, "A2"))).epoch == 2


@in_virtual_time
async def test_what_was_inherited_and_never_asked_for_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(activation, "INHERITED_KEPT_S", 20)
    async with audited_world() as world:
        showtimes, _, new = await _dead(world, 3)
        await new.node.kernel.inherit(new.node_id)
        remembered = inspection.inherited_by(new.node.kernel)
        await asyncio.sleep(15)
        assert set(remembered) == set(showtimes)
        await asyncio.sleep(10)
        assert not remembered
        assert (await new.node.ask(showtimes[0], hold(BERT, "A1"))).code == "SEAT_UNAVAILABLE"


@in_virtual_time
async def test_no_more_is_remembered_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(activation, "INHERITED_KEPT", 4)
    monkeypatch.setattr(activation, "FORGOTTEN_PER_TICK", 2)
    async with audited_world() as world:
        _, _, new = await _dead(world, 9)
        await new.node.kernel.inherit(new.node_id)
        kernel = new.node.kernel
        remembered = list(inspection.inherited_by(kernel))
        inspection.forget_inherited(kernel)
        assert list(inspection.inherited_by(kernel)) == remembered[2:]
        await asyncio.sleep(1)
        assert list(inspection.inherited_by(kernel)) == remembered[-4:]
