"""A row that somebody else has locked keeps its own showtime waiting, and nobody else's."""

from __future__ import annotations

import asyncio
from typing import Any

from cinema.actors.lane import LOCK_WAITS_PER_BATCH
from cinema.storage.journal.store import LOCK_TIMEOUT, CommitAborted, HeadsLocked
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import (
    ANNA,
    BERT,
    Mail,
    Node,
    World,
    accepted,
    audited_world,
    hold,
    release,
    some_id,
)


async def _one_batch(world: World, count: int) -> tuple[Node, list[bytes], list[Mail], Any]:
    """Holds on `count` showtimes, waiting for the answer to their common append."""
    showtimes = [world.showtime() for _ in range(count)]
    node = await world.node()
    plug = world.showtime()
    for showtime in (plug, *showtimes):
        await node.ask(showtime, release(ANNA, some_id()))
    node.store.held.add("append")
    node.tell(plug, hold(ANNA, "A1"))
    plugged = await node.store.next("append")
    mails = [node.tell(showtime, hold(ANNA, "A1")) for showtime in showtimes]
    await settle()
    plugged.finish()
    append = await node.store.next("append")
    assert len(append.argument) == count
    return node, showtimes, mails, append


@in_virtual_time
async def test_only_the_showtimes_whose_heads_are_locked_wait_for_them() -> None:
    async with audited_world() as world:
        node, showtimes, mails, append = await _one_batch(world, 5)
        node.store.held = {"take_over"}
        locked = {showtimes[1], showtimes[4]}
        append.fail(CommitAborted(LOCK_TIMEOUT, locked=frozenset(locked)))
        await settle()
        assert [mail.code for mail in mails] == ["OK", "RETRY", "OK", "OK", "RETRY"]
        # Their own takeovers wait for the lock, and what comes meanwhile waits with them.
        late = [node.tell(showtime, hold(BERT, "A2")) for showtime in showtimes]
        await settle()
        assert [mail.code for mail in late] == ["OK", None, "OK", "OK", None]
        node.store.held.clear()
        for _ in locked:
            (await node.store.next("take_over")).finish()
        await settle()
        assert [mail.code for mail in late] == ["OK"] * 5
        assert {node.actor(showtime).failures for showtime in showtimes} == {0}


@in_virtual_time
async def test_a_batch_is_halved_until_whose_row_is_locked_stands_alone() -> None:
    async with audited_world() as world:
        node, showtimes, mails, append = await _one_batch(world, 9)
        append.fail(CommitAborted(LOCK_TIMEOUT))
        await _append_all_but(node, showtimes[6])
        assert [mail.code for mail in mails] == ["OK"] * 6 + ["RETRY"] + ["OK"] * 2


@in_virtual_time
async def test_many_rows_that_are_locked_keep_the_others_waiting_for_a_bounded_time() -> None:
    async with audited_world() as world:
        node, showtimes, mails, append = await _one_batch(world, 64)
        append.fail(CommitAborted(LOCK_TIMEOUT))
        waits = 1 + await _append_all_but(node, *showtimes[::2])
        # Once the bound is reached each part goes once more, and none is halved.
        assert waits <= 2 * LOCK_WAITS_PER_BATCH
        codes = [mail.code for mail in mails]
        assert set(codes[::2]) == {"RETRY"}
        assert set(codes[1::2]) == {"OK", "RETRY"}


async def _append_all_but(node: Node, *locked: bytes) -> int:
    """Answer the appends until none is left; returns how many waited for a lock in vain."""
    waits = 0
    await settle()
    while node.store.calls:
        append = await node.store.next("append")
        if {part.showtime_id for part in append.argument} & set(locked):
            append.fail(CommitAborted(LOCK_TIMEOUT))
            waits += 1
        else:
            append.finish()
        await settle()
    return waits


@in_virtual_time
async def test_a_snapshot_that_cannot_have_its_lock_lets_the_others_be_stored() -> None:
    async with audited_world() as world:
        showtimes = [world.showtime() for _ in range(3)]
        node = await world.node(idle_passivation_s=1.0)
        for showtime in showtimes:
            await node.ask(showtime, hold(ANNA, "A1"))
        node.store.held.update({"save", "take_over"})
        save = await node.store.next("save")
        assert len(save.argument) == 3
        save.fail(HeadsLocked(frozenset({showtimes[1]})))
        again = await node.store.next("save")
        assert [one.showtime_id for one in again.argument] == [showtimes[0], showtimes[2]]
        again.finish()
        await settle()
        # That one is still this node's, as soon as it can be had.
        assert [node.kernel.is_resident(one) for one in showtimes] == [False, True, False]
        assert [world.journal.heads[one].released for one in showtimes] == [True, False, True]


@in_virtual_time
async def test_snapshots_whose_locks_nobody_is_known_to_hold_are_given_up() -> None:
    async with audited_world() as world:
        showtimes = [world.showtime() for _ in range(2)]
        node = await world.node(snapshot_every_events=1)
        node.store.fail_next("save", HeadsLocked(frozenset()))
        for showtime in showtimes:
            await node.ask(showtime, hold(ANNA, "A1"))
        await asyncio.sleep(1)
        assert all(node.actor(showtime).pending_snapshot is None for showtime in showtimes)
        # The next event is a new occasion.
        for showtime in showtimes:
            accepted(await node.ask(showtime, hold(ANNA, "A2")))
        await settle()
        assert {world.journal.snapshots[showtime][0] for showtime in showtimes} == {2}
