"""What views and heartbeats must do, wherever they are kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import pytest

from cinema.domain.membership import NO_VIEW, Member, View
from cinema.storage.database.pool import open_pool
from cinema.storage.membership.memory import MemoryHeartbeats, MemoryViews
from cinema.storage.membership.views import Beat, HeartbeatStore, PostgresViews, ViewStore
from cinema.storage.redis.heartbeats import RedisHeartbeats
from tests.support.stores import some_id

PROPOSERS = 8


def member(number: int) -> Member:
    """A member with a value of its own in every field."""
    return Member(
        node_id=some_id(),
        host=f"node-{number}",
        port=8000 + number,
        cluster_port=9000 + number,
        weight=50 * number,
        draining=number % 2 == 0,
        software=f"1.{number}",
    )


# --- views


@pytest.fixture
async def views(journal_database: str | None) -> AsyncIterator[ViewStore]:
    """A store that has no view yet; in-memory or on Postgres."""
    if journal_database is None:
        yield MemoryViews()
        return
    async with await open_pool(journal_database, size=PROPOSERS) as pool:
        await pool.execute("truncate cluster_views")
        yield PostgresViews(pool, timeout_s=5.0)


async def test_before_the_first_view_there_is_one_without_members(views: ViewStore) -> None:
    assert await views.latest() == NO_VIEW


async def test_a_view_that_was_taken_is_the_newest_with_all_it_says(views: ViewStore) -> None:
    first = NO_VIEW.with_member(member(1)).with_member(member(2))
    first = View(version=1, members=first.members)
    assert await views.propose(first, some_id())
    assert await views.latest() == first
    second = first.without(frozenset({first.members[0].node_id}))
    assert await views.propose(second, some_id())
    assert await views.latest() == second
    empty = View(version=3)
    assert await views.propose(empty, some_id())
    assert await views.latest() == empty


@pytest.mark.parametrize("version", [1, 2, 4])
async def test_only_the_very_next_version_can_be_taken(views: ViewStore, version: int) -> None:
    for taken in (1, 2):
        assert await views.propose(View(version=taken, members=(member(1),)), some_id())
    before = await views.latest()
    assert not await views.propose(View(version=version, members=(member(2),)), some_id())
    assert await views.latest() == before
    assert await views.propose(View(version=3), some_id())


async def test_of_all_who_propose_a_version_at_once_one_has_it(views: ViewStore) -> None:
    for version in range(1, 6):
        proposed = [View(version=version, members=(member(one),)) for one in range(PROPOSERS)]
        taken = await asyncio.gather(*(views.propose(one, some_id()) for one in proposed))
        assert taken.count(True) == 1
        assert await views.latest() == proposed[taken.index(True)]


async def test_versions_go_on_when_old_views_are_forgotten(views: ViewStore) -> None:
    for version in range(1, 110):
        assert await views.propose(View(version=version), some_id())
    assert await views.latest() == View(version=109)
    assert not await views.propose(View(version=1), some_id())


# --- heartbeats


class Heart(NamedTuple):
    """Where nodes leave signs of life, and how everything there is lost."""

    beats: HeartbeatStore
    wipe: Callable[[], Awaitable[None]]


@pytest.fixture(params=["memory", "redis"])
async def heart(request: pytest.FixtureRequest) -> AsyncIterator[Heart]:
    """A store without any beat; in-memory or on Redis."""
    if request.param == "memory":
        memory = MemoryHeartbeats()

        async def clear() -> None:
            memory.beats.clear()

        yield Heart(memory, clear)
        return
    url = request.getfixturevalue("redis_url")
    server = request.getfixturevalue("redis_server")
    beats = RedisHeartbeats(url, timeout_s=5.0)
    yield Heart(beats, lambda: asyncio.to_thread(server.wipe))
    await beats.close()


async def test_whoever_beats_sees_everybody(heart: Heart) -> None:
    one, other = some_id(), some_id()
    assert await heart.beats.beat(one, Beat(1, 7)) == {one: Beat(1, 7)}
    both = {one: Beat(1, 7), other: Beat(4, 8)}
    assert await heart.beats.beat(other, Beat(4, 8)) == both
    assert await heart.beats.beat(one, Beat(2, 8)) == {**both, one: Beat(2, 8)}


async def test_only_those_named_are_forgotten(heart: Heart) -> None:
    one, other, dead, unknown = some_id(), some_id(), some_id(), some_id()
    for node_id in (dead, other, one):
        await heart.beats.beat(node_id, Beat(1, 1))
    await heart.beats.forget(frozenset({dead, unknown}))
    assert await heart.beats.beat(one, Beat(2, 1)) == {one: Beat(2, 1), other: Beat(1, 1)}


async def test_after_a_loss_the_next_beats_bring_everything_back(heart: Heart) -> None:
    one, other = some_id(), some_id()
    await heart.beats.beat(one, Beat(5, 1))
    await heart.beats.beat(other, Beat(6, 1))
    await heart.wipe()
    assert await heart.beats.beat(one, Beat(6, 1)) == {one: Beat(6, 1)}
    assert await heart.beats.beat(other, Beat(7, 1)) == {one: Beat(6, 1), other: Beat(7, 1)}


async def test_what_was_seen_does_not_change_afterwards(heart: Heart) -> None:
    one = some_id()
    seen = await heart.beats.beat(one, Beat(1, 1))
    await heart.beats.beat(one, Beat(2, 1))
    assert seen == {one: Beat(1, 1)}
