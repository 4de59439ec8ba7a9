"""What a node asks its own store for, so that it can show what an owner answered."""

from __future__ import annotations

import asyncio

from cinema.actors.messages import IN_DOUBT, ReadSeats, SeatsSeen
from cinema.cluster.forwarder import LATE_ANSWER_NS
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import ANNA, accepted, hold
from tests.unit.cluster.small_cluster import small_cluster


@in_virtual_time
async def test_forwarded_read_does_not_wake_a_showtime_that_nobody_uses() -> None:
    async with small_cluster() as cluster:
        one, other = await cluster.members(2)
        showtime_id = cluster.showtime_of(other)
        assert isinstance(await one.ask(showtime_id, ReadSeats()), SeatsSeen)
        assert not other.kernel.is_resident(showtime_id)


@in_virtual_time
async def test_forwarded_read_sees_what_is_in_memory() -> None:
    async with small_cluster() as cluster:
        one, other = await cluster.members(2)
        showtime_id = cluster.showtime_of(other)
        accepted(await one.ask(showtime_id, hold(ANNA, "A1")))
        loads = other.store.count("load")
        seen = await one.ask(showtime_id, ReadSeats(customer=ANNA))
        assert len(seen.mine) == 1
        assert other.store.count("load") == loads


@in_virtual_time
async def test_terms_are_loaded_once_for_all_answers_that_wait_for_them() -> None:
    async with small_cluster() as cluster:
        one, other = await cluster.members(2)
        showtime_id = cluster.showtime_of(other)
        mails = [one.tell(showtime_id, hold(ANNA, f"A{seat}")) for seat in range(1, 21)]
        for mail in mails:
            await mail.answered.wait()
            accepted(mail.outcome)
        assert one.plans.loads == 1


@in_virtual_time
async def test_nobody_waits_for_terms_longer_than_for_the_owner() -> None:
    async with small_cluster() as cluster:
        one, other = await cluster.members(2)
        showtime_id = cluster.showtime_of(other)
        one.plans.held = asyncio.Event()
        mails = [one.tell(showtime_id, hold(ANNA, f"A{seat}")) for seat in (1, 2)]
        await asyncio.sleep(5.1 + LATE_ANSWER_NS / 1e9)
        await settle()
        assert [mail.outcome for mail in mails] == [IN_DOUBT, IN_DOUBT]
        one.plans.held.set()
        accepted(await one.ask(showtime_id, hold(ANNA, "A3")))
