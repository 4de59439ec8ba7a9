"""Bugs on the way back into memory: the showtime serves again, or stands still and says so."""

from __future__ import annotations

import asyncio

import pytest

from cinema.actors.actor import Phase
from cinema.actors.restore import RestoredShowtime
from cinema.storage.journal.store import CommitAborted, CommitUnknown
from tests.support.actors.bugs import break_down_once
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import ANNA, accepted, audited_world, hold


@in_virtual_time
async def test_an_actor_that_breaks_while_it_resumes_is_reloaded_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        await node.ask(showtime, hold(ANNA, "A1"))
        node.store.fail_next("append", CommitAborted("53200"))
        break_down_once(monkeypatch, node.kernel, "arm")
        assert (await node.ask(showtime, hold(ANNA, "A2"))).code == "RETRY"
        await settle()
        assert node.actor(showtime).failures == 1
        assert accepted(await node.ask(showtime, hold(ANNA, "A2"))).epoch == 3


@in_virtual_time
async def test_a_showtime_that_a_bug_keeps_out_of_memory_ends_in_quarantine() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.node()
        node.store.down["load"] = ZeroDivisionError("a bug")
        mails = [node.tell(showtime, hold(ANNA, label)) for label in ("A1", "A2")]
        await asyncio.sleep(5)
        assert [mail.code for mail in mails] == ["RETRY", "RETRY"]
        assert node.actor(showtime).phase is Phase.QUARANTINED
        assert node.kernel.metrics.quarantined == 1
        node.store.down.clear()
        assert node.tell(showtime, hold(ANNA, "A3")).code == "RETRY"
        assert world.events(showtime) == []


@in_virtual_time
async def test_a_doubt_that_cannot_be_settled_stays_one_and_keeps_no_other_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        node = await world.warm_node(showtime)
        node.store.held.add("append")
        mails = [node.tell(showtime, hold(ANNA, label)) for label in ("A1", "A2")]
        call = await node.store.next("append")
        node.store.held.clear()
        break_down_once(monkeypatch, RestoredShowtime, "settled")
        call.execute()
        call.fail(CommitUnknown("connection lost"))
        await settle()
        assert [mail.code for mail in mails] == ["OUTCOME_UNKNOWN", "OK"]
        assert accepted(await node.ask(showtime, hold(ANNA, "A3"))).epoch == 2
