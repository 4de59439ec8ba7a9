"""Terms of other nodes' showtimes: loaded once for all who wait, each as long as it wants to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cinema.cluster.distant_terms import DistantTerms, TermsUnknown
from cinema.cluster.wire import TermsVersion
from cinema.storage.journal.store import StoreUnavailable
from tests.support.actors.virtual_time import in_virtual_time, settle
from tests.support.actors.world import PLAN, World

TERMS_VERSION = TermsVersion(PLAN.version, (1000,) * len(PLAN.categories))


class Source:
    """Terms that come when a test says so."""

    def __init__(self) -> None:
        self.world = World()
        self.showtime = self.world.showtime()
        self.loads = 0
        self.may_answer = asyncio.Event()

    async def load_terms(self, showtime_id: bytes) -> Any:
        self.loads += 1
        await self.may_answer.wait()
        return await self.world.terms.load_terms(showtime_id)

    async def load_plan(self, _showtime_id: bytes, _version: int) -> Any:
        return None


async def _within(seconds: float, terms: DistantTerms, showtime: bytes) -> Any:
    async with asyncio.timeout(seconds):
        return await terms.load(showtime, TERMS_VERSION)


@in_virtual_time
async def test_one_who_gives_up_does_not_answer_for_the_others() -> None:
    source = Source()
    terms = DistantTerms(source)
    hurried = asyncio.ensure_future(_within(1.0, terms, source.showtime))
    await settle()
    patient = asyncio.ensure_future(_within(10.0, terms, source.showtime))
    await asyncio.sleep(2.0)
    with pytest.raises(TimeoutError):
        await hurried
    assert not patient.done()
    source.may_answer.set()
    assert (await patient).showtime_id == source.showtime
    assert source.loads == 1
    assert terms.known(source.showtime, TERMS_VERSION) is not None
    await terms.stop()


@in_virtual_time
async def test_when_they_cannot_be_loaded_all_learn_it_and_the_next_tries_again() -> None:
    source = Source()
    terms = DistantTerms(source)
    source.world.terms.error = StoreUnavailable("away")
    source.may_answer.set()
    both = await asyncio.gather(
        *(terms.load(source.showtime, TERMS_VERSION) for _ in range(2)), return_exceptions=True
    )
    assert [type(one) for one in both] == [TermsUnknown] * 2
    source.world.terms.error = None
    assert (await terms.load(source.showtime, TERMS_VERSION)).showtime_id == source.showtime
    assert source.loads == 2
    await terms.stop()


@in_virtual_time
@pytest.mark.parametrize(("told", "version"), [(3, 3), (0, 5)])
async def test_an_answer_is_not_shown_as_newer_than_it_is(told: int, version: int) -> None:
    """Its version becomes a tag, by which a client says what it has seen."""
    source = Source()
    source.may_answer.set()
    showtime = source.world.showtime(version=5)
    terms = DistantTerms(source)
    terms_version = TermsVersion(TERMS_VERSION.layout_version, TERMS_VERSION.prices_minor, told)
    assert (await terms.load(showtime, terms_version)).version == version
    known = terms.known(showtime, terms_version)
    assert known is not None
    assert known.version == version
    await terms.stop()


@in_virtual_time
async def test_a_stop_leaves_nobody_waiting() -> None:
    source = Source()
    terms = DistantTerms(source)
    waiting = asyncio.ensure_future(terms.load(source.showtime, TERMS_VERSION))
    await settle()
    await terms.stop()
    with pytest.raises(TermsUnknown):
        await waiting
