"""What is kept of answers, for how long, and that none is shown that has grown old."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated

import msgspec
import pytest

from cinema.storage.cache.values import ENTRY_BYTES, VALUE_LIMIT_BYTES, MemoryValues
from cinema.storage.cache.versioned import Cached, NoCache, VersionedCache, question

FILMS = Cached[list[str]]("films", list[str], ttl_s=60, rests_on=("movies",))
SHOWN = Cached[list[str]]("films", list[str], ttl_s=60, rests_on=("movies", "showtimes"))


class Table:
    """Rows with the numbers of their groups, some caches over them, and a clock."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.rows = ["Stalker"]
        self.versions = {"movies": 1, "showtimes": 1}
        self.loads = 0
        self.hold: asyncio.Event | None = None
        self.far = self.memory()

    def memory(self) -> MemoryValues:
        return MemoryValues(lambda: self.now_s)

    def node(self, far: MemoryValues | None = None) -> VersionedCache:
        async def versions() -> dict[str, int]:
            return dict(self.versions)

        return VersionedCache(versions, self.memory(), far, unix_s=lambda: self.now_s)

    def write(self, *rows: str) -> None:
        self.rows = list(rows)
        self.versions["movies"] += 1

    async def load(self) -> list[str]:
        self.loads += 1
        found = list(self.rows)
        if self.hold is not None:
            await self.hold.wait()
        return found


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def table() -> Table:
    return Table()


async def test_an_answer_is_kept_until_something_changes(table: Table) -> None:
    cache = table.node()
    for _ in range(3):
        assert await cache.read(FILMS, "all", table.load) == ["Stalker"]
    assert table.loads == 1
    table.write("Mirror")
    assert await cache.read(FILMS, "all", table.load) == ["Mirror"]
    assert cache.outcomes == {("films", "miss"): 1, ("films", "hit"): 2, ("films", "changed"): 1}


async def test_an_answer_is_not_kept_longer_than_its_time(table: Table) -> None:
    cache = table.node(table.far)
    await cache.read(FILMS, "all", table.load)
    table.now_s += FILMS.ttl_s - 1
    other = table.node(table.far)
    await other.read(FILMS, "all", table.load)
    assert table.loads == 1
    table.now_s += 1
    for node in (cache, other):
        await node.read(FILMS, "all", table.load)
    assert table.loads == 2


async def test_what_one_node_has_loaded_is_there_for_the_others(table: Table) -> None:
    await table.node(table.far).read(FILMS, "all", table.load)
    other = table.node(table.far)
    assert await other.read(FILMS, "all", table.load) == ["Stalker"]
    assert (table.loads, other.outcomes) == (1, {("films", "hit"): 1})
    # From now on it needs no other node.
    await table.far.put("films:all", b"damaged", 60)
    assert await other.read(FILMS, "all", table.load) == ["Stalker"]
    assert table.loads == 1


async def test_a_slow_reader_does_not_bring_an_old_answer_back(table: Table) -> None:
    slow, quick = table.node(table.far), table.node(table.far)
    table.hold = asyncio.Event()
    reading = asyncio.create_task(slow.read(FILMS, "all", table.load))
    await settled()
    hold, table.hold = table.hold, None
    table.write("Mirror")
    assert await quick.read(FILMS, "all", table.load) == ["Mirror"]
    hold.set()
    assert await reading == ["Stalker"]
    for node in (slow, quick):
        assert await node.read(FILMS, "all", table.load) == ["Mirror"]


async def test_of_many_who_ask_one_loads(table: Table) -> None:
    cache = table.node()
    table.hold = asyncio.Event()
    asking = [asyncio.create_task(cache.read(FILMS, "all", table.load)) for _ in range(50)]
    await settled()
    table.hold.set()
    assert await asyncio.gather(*asking) == [["Stalker"]] * 50
    assert table.loads == 1
    assert cache.outcomes[("films", "joined")] == 49


async def test_nobody_joins_a_load_that_began_before_a_change(table: Table) -> None:
    cache = table.node()
    table.hold = asyncio.Event()
    before = asyncio.create_task(cache.read(FILMS, "all", table.load))
    await settled()
    table.write("Mirror")
    behind = asyncio.create_task(cache.read(FILMS, "all", table.load))
    await settled()
    table.hold.set()
    assert (await before, await behind) == (["Stalker"], ["Mirror"])


async def test_if_the_one_who_loads_leaves_another_loads(table: Table) -> None:
    cache = table.node()
    table.hold = asyncio.Event()
    asking = [asyncio.create_task(cache.read(FILMS, "all", table.load)) for _ in range(3)]
    await settled()
    asking[0].cancel()
    await settled()
    table.hold.set()
    assert await asyncio.gather(*asking[1:]) == [["Stalker"]] * 2
    assert table.loads == 2


async def test_nothing_and_failures_are_not_kept(table: Table) -> None:
    cache = table.node()

    async def nothing() -> None:
        return None

    async def failure() -> list[str]:
        raise OSError("away")

    assert await cache.read(FILMS, "all", nothing) is None
    with pytest.raises(OSError, match="away"):
        await cache.read(FILMS, "all", failure)
    assert await cache.read(FILMS, "all", table.load) == ["Stalker"]


async def test_an_empty_list_is_an_answer(table: Table) -> None:
    cache = table.node()
    table.rows = []
    for _ in range(2):
        assert await cache.read(FILMS, "all", table.load) == []
    assert table.loads == 1


def _damaged(value: bytes) -> bytes:
    return value[:-3]


def _of_another_key(value: bytes) -> bytes:
    kept = msgspec.msgpack.decode(value)
    return msgspec.msgpack.encode(["films:other", *kept[1:]])


def _of_another_form(value: bytes) -> bytes:
    kept = msgspec.msgpack.decode(value)
    return msgspec.msgpack.encode([kept[0], b"another", *kept[2:]])


@pytest.mark.parametrize("change", [_damaged, _of_another_key, _of_another_form])
async def test_what_is_not_ours_is_not_shown(
    table: Table, change: Callable[[bytes], bytes]
) -> None:
    await table.node(table.far).read(FILMS, "all", table.load)
    kept = await table.far.get("films:all")
    assert kept is not None
    await table.far.put("films:all", change(kept), 60)
    assert await table.node(table.far).read(FILMS, "all", table.load) == ["Stalker"]
    assert table.loads == 2


async def test_what_may_not_be_entered_any_more_is_shown_all_the_same(table: Table) -> None:
    short = Annotated[str, msgspec.Meta(max_length=3)]
    kind = Cached[list[str]]("films", list[short], ttl_s=60, rests_on=("movies",))
    cache = table.node()
    for _ in range(2):
        assert await cache.read(kind, "all", table.load) == ["Stalker"]
    assert table.loads == 2


async def test_kinds_of_one_name_that_rest_on_more_are_told_apart(table: Table) -> None:
    cache = table.node()
    await cache.read(FILMS, "all", table.load)
    await cache.read(SHOWN, "all", table.load)
    assert table.loads == 2
    table.versions["showtimes"] += 1
    await cache.read(SHOWN, "all", table.load)
    assert table.loads == 3


async def test_without_a_cache_each_read_loads(table: Table) -> None:
    for _ in range(2):
        assert await NoCache().read(FILMS, "all", table.load) == ["Stalker"]
    assert table.loads == 2


async def test_memory_is_bounded_and_the_least_used_goes_first() -> None:
    each = 1000 + ENTRY_BYTES + 1
    values = MemoryValues(lambda: 0.0, limit_bytes=3 * each)
    for key in "abc":
        await values.put(key, bytes(1000), 60)
    await values.get("a")
    await values.put("d", bytes(1000), 60)
    assert [await values.get(key) is not None for key in "abcd"] == [True, False, True, True]
    assert (len(values), values.size_bytes) == (3, 3 * each)


async def test_memory_keeps_nothing_that_is_too_large() -> None:
    values = MemoryValues(lambda: 0.0)
    await values.put("a", b"small", 60)
    await values.put("a", bytes(VALUE_LIMIT_BYTES + 1), 60)
    assert await values.get("a") is None
    assert values.size_bytes == 0


async def test_values_in_memory_end() -> None:
    now_s = 0.0
    values = MemoryValues(lambda: now_s)
    await values.put("a", b"1", 60)
    now_s = 59.9
    assert await values.get("a") == b"1"
    now_s = 60.0
    assert await values.get("a") is None
    assert values.size_bytes == 0


def test_a_question_has_one_name_and_another_one_another() -> None:
    assert question("a", None, 1) == question("a", None, 1)
    assert len({question("a", None), question(None, "a"), question("a"), question(["a"])}) == 4
