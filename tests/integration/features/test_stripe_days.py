"""Days that are compared with Stripe's: all of them, also those on which no node ran."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cinema.features.payments.stripe_jobs import StripeTasks
from cinema.features.payments.stripe_metrics import StripeCounts
from cinema.features.payments.stripe_store import DAYS_BACK, KEPT, StripeRepository
from cinema.storage.database.transactions import Pool

pytestmark = pytest.mark.postgres


class Node:
    """What a node does about tasks, at times that the test says."""

    def __init__(self, pool: Pool) -> None:
        self.at = datetime(2026, 6, 2, 12, tzinfo=UTC)
        self.pool = pool
        self.store = StripeRepository(pool, now=self.now)

    def now(self) -> datetime:
        return self.at

    async def starts(self) -> list[str]:
        """The names of the days that it finds to compare."""
        nobody = cast("Any", None)
        tasks = StripeTasks(
            *(cast("Any", SimpleNamespace(has_key=True)), nobody, nobody, nobody, nobody),
            *(self.store, StripeCounts(), self.pool, nobody),
            now=self.now,
        )
        return sorted(task.name for task in await tasks.claim(1000))

    async def ends_all(self) -> None:
        await self.pool.execute("update stripe_tasks set ended_at = $1, outcome = 'done'", self.at)


@pytest.fixture
def node(pool: Pool) -> Node:
    return Node(pool)


async def test_days_without_a_node_are_compared_when_there_is_one_again(node: Node) -> None:
    assert await node.starts() == ["2026-06-01"]
    await node.ends_all()
    node.at += timedelta(days=3)
    assert await node.starts() == ["2026-06-02", "2026-06-03", "2026-06-04"]
    assert await node.starts() == []


async def test_a_day_is_over_for_an_hour_before_it_is_compared(node: Node) -> None:
    node.at = datetime(2026, 6, 2, 0, 59, tzinfo=UTC)
    assert await node.starts() == ["2026-05-31"]
    node.at += timedelta(minutes=1)
    assert await node.starts() == ["2026-06-01"]


async def test_days_of_long_ago_are_left_out(node: Node) -> None:
    await node.starts()
    await node.ends_all()
    node.at += timedelta(days=365)
    found = await node.starts()
    last = (node.at - timedelta(days=1)).date()
    assert found == [str(last - timedelta(days=ago)) for ago in reversed(range(DAYS_BACK))]


async def test_the_last_day_is_not_forgotten(node: Node) -> None:
    await node.store.add_days(date(2026, 5, 30))
    await node.starts()
    await node.ends_all()
    node.at += KEPT + timedelta(days=1)
    assert await node.store.forget(node.at, 100) == 2
    assert await node.pool.fetchval("select string_agg(name, ' ') from stripe_tasks") == (
        "2026-06-01"
    )
    assert len(await node.starts()) == KEPT.days + 1
