"""Messages that wait for a view are sent again in bounded steps."""

from __future__ import annotations

import asyncio

import pytest

from cinema.actors.messages import ReadSeats
from cinema.cluster.forwarder import PARKED_S, WOKEN_PER_STEP
from tests.support import inspection
from tests.support.actors.step_counts import StepCounts
from tests.support.actors.virtual_time import in_virtual_time
from tests.unit.cluster.small_cluster import small_cluster


@in_virtual_time
async def test_what_was_parked_is_sent_again_over_many_steps_in_its_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with small_cluster() as cluster:
        place = await cluster.place(command_deadline_ms=1000)
        count = 2 * WOKEN_PER_STEP + 3
        showtime = cluster.world.showtime()
        # It is no member: nobody owns anything yet.
        mails = [place.tell(showtime, ReadSeats()) for _ in range(count)]
        steps = StepCounts()
        inspection.count_sends(monkeypatch, place.forwarder, steps.counted)
        await asyncio.sleep(1.5 * PARKED_S)
        assert steps.most <= WOKEN_PER_STEP
        assert steps.total == count
        await asyncio.sleep(1.5)
        assert {mail.code for mail in mails} == {"RETRY"}
        assert steps.most <= WOKEN_PER_STEP
        assert place.world_node.order == mails
