"""Look-ups that come while one is running share the next statement."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
import structlog

from cinema.actors.tasks import Tasks
from cinema.domain.ids import new_id
from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.changes_store import Standing
from cinema.features.accounts.shared_looks import SHARED_LOOKS, Holder, SharedLooks

ENABLED = Standing("customer", disabled=False, cinema_ids=frozenset())


def user(number: int) -> bytes:
    return new_id(1_000, number)


def holder(number: int) -> Holder:
    return user(number), new_id(2_000, number)


class Database:
    """Answers a statement when it is told to; `outcomes` are failures of the next ones."""

    def __init__(self) -> None:
        self.statements: list[list[Holder]] = []
        self.answers: list[asyncio.Future[None]] = []
        self.missing: set[Holder] = set()

    async def standings(self, holders: Sequence[Holder]) -> dict[Holder, Standing]:
        self.statements.append(list(holders))
        answer = asyncio.get_running_loop().create_future()
        self.answers.append(answer)
        found = {one: ENABLED for one in holders if one not in self.missing}
        await answer
        return found

    async def answer(self, failure: Exception | None = None) -> None:
        """End the statement that runs, and let all take note."""
        if failure is None:
            self.answers[-1].set_result(None)
        else:
            self.answers[-1].set_exception(failure)
        await settle()


async def settle() -> None:
    """Let each task go on until it waits for the database or for another task."""
    for _ in range(10):
        await asyncio.sleep(0)


class Looks:
    """Shared look-ups over a database, and the tasks of those who ask."""

    def __init__(self, *, waiting_limit: int = 100, page: int = 100, wait_s: float = 60) -> None:
        self.database = Database()
        self.failures: Counter[str] = Counter()
        self.tasks = Tasks(self.failures)
        self.shared = SharedLooks(
            self.database, self.tasks, waiting_limit=waiting_limit, page=page, wait_s=wait_s
        )

    async def begin(self, *numbers: int) -> list[asyncio.Task[Standing | None]]:
        asking = [asyncio.create_task(self.shared.standing(*holder(one))) for one in numbers]
        await settle()
        return asking


async def refusal(asking: asyncio.Task[Standing | None]) -> str:
    with pytest.raises(Refused) as caught:
        await asking
    return caught.value.rejection.code


async def test_who_is_alone_is_asked_for_at_once_and_without_a_task() -> None:
    looks = Looks()
    (asking,) = await looks.begin(1)
    assert looks.database.statements == [[holder(1)]]
    running = asyncio.all_tasks()
    assert running == {asking, asyncio.current_task()}
    await looks.database.answer()
    assert await asking is ENABLED
    (again,) = await looks.begin(1)
    await looks.database.answer()
    assert await again is ENABLED
    assert len(looks.database.statements) == 2


async def test_who_comes_meanwhile_shares_the_next_statement() -> None:
    looks = Looks()
    looks.database.missing = {holder(3)}
    asking = await looks.begin(1, 2, 3, 4)
    assert looks.database.statements == [[holder(1)]]
    await looks.database.answer()
    assert looks.database.statements[1:] == [[holder(2), holder(3), holder(4)]]
    late = await looks.begin(5)
    await looks.database.answer()
    assert looks.database.statements[2:] == [[holder(5)]]
    await looks.database.answer()
    assert await asyncio.gather(*asking, *late) == [ENABLED, ENABLED, None, ENABLED, ENABLED]


async def test_same_holder_is_named_once_and_never_gets_an_answer_older_than_the_question() -> None:
    looks = Looks()
    await looks.begin(1)
    first = await looks.begin(2, 2)
    await looks.database.answer()
    # The statement that runs may have read before the account changed.
    looks.database.missing = {holder(2)}
    second = await looks.begin(2)
    await looks.database.answer()
    await looks.database.answer()
    assert looks.database.statements == [[holder(1)], [holder(2)], [holder(2)]]
    assert await asyncio.gather(*first, *second) == [ENABLED, ENABLED, None]


async def test_statement_takes_a_page_in_order_of_arrival() -> None:
    looks = Looks(page=2)
    asking = await looks.begin(1, 2, 3, 4)
    for _ in range(3):
        await looks.database.answer()
    assert looks.database.statements == [[holder(1)], [holder(2), holder(3)], [holder(4)]]
    assert await asyncio.gather(*asking) == [ENABLED] * 4


async def test_failure_is_the_answer_to_all_and_the_next_look_asks_again() -> None:
    looks = Looks(page=2)
    alone, *others = await looks.begin(1, 2, 3, 4)
    await looks.database.answer(refuse("RETRY"))
    assert await refusal(alone) == "RETRY"
    await looks.database.answer(refuse("RETRY"))
    assert [await refusal(one) for one in others] == ["RETRY"] * 3
    assert len(looks.database.statements) == 2
    (again,) = await looks.begin(2)
    await looks.database.answer()
    assert await again is ENABLED
    assert not looks.failures


async def test_bug_is_counted_and_leaves_nobody_waiting() -> None:
    looks = Looks()
    alone, *others = await looks.begin(1, 2, 3)
    await looks.database.answer()
    assert await alone is ENABLED
    with structlog.testing.capture_logs():
        await looks.database.answer(ValueError("a bug"))
    assert [await refusal(one) for one in others] == ["RETRY"] * 2
    assert looks.failures == {SHARED_LOOKS: 1}
    (again,) = await looks.begin(2)
    await looks.database.answer()
    assert await again is ENABLED


async def test_client_that_leaves_takes_no_other_along() -> None:
    looks = Looks()
    alone, leaves, stays = await looks.begin(1, 2, 3)
    alone.cancel()
    await settle()
    assert looks.database.statements[1:] == [[holder(2), holder(3)]]
    leaves.cancel()
    await settle()
    await looks.database.answer()
    assert await stays is ENABLED


async def test_only_so_many_may_wait() -> None:
    looks = Looks(waiting_limit=2)
    asking = await looks.begin(1, 2, 3, 4, 3)
    assert await refusal(asking.pop(3)) == "OVERLOADED"
    await looks.database.answer()
    await looks.database.answer()
    assert await asyncio.gather(*asking) == [ENABLED] * 4


async def test_nobody_waits_without_end() -> None:
    looks = Looks(wait_s=0)
    alone, waiting = await looks.begin(1, 2)
    assert await refusal(waiting) == "RETRY"
    await looks.database.answer()
    assert await alone is ENABLED


@pytest.mark.parametrize(
    "tell",
    [lambda shared: shared.overtake({user(2)}), lambda shared: shared.overtake()],
    ids=["one", "all"],
)
async def test_change_that_is_told_while_the_statement_runs_has_it_repeated(
    tell: Callable[[SharedLooks], None],
) -> None:
    looks = Looks()
    asking = await looks.begin(1, 2)
    await looks.database.answer()
    tell(looks.shared)
    looks.database.missing = {holder(2)}
    await looks.database.answer()
    await looks.database.answer()
    assert await asyncio.gather(*asking) == [ENABLED, None]
    assert looks.database.statements == [[holder(1)], [holder(2)], [holder(2)]]


async def test_change_that_is_told_before_the_statement_runs_has_nothing_repeated() -> None:
    looks = Looks()
    asking = await looks.begin(1, 2)
    looks.shared.overtake({user(2)})
    await looks.database.answer()
    await looks.database.answer()
    assert await asyncio.gather(*asking) == [ENABLED, ENABLED]
    assert looks.database.statements == [[holder(1)], [holder(2)]]


@pytest.mark.parametrize("others", [(), (3,)], ids=["last page", "another page follows"])
async def test_change_that_is_told_before_the_answer_is_taken_has_it_repeated(
    others: tuple[int, ...],
) -> None:
    """The answer wakes those who wait, and the feed may come before them."""
    looks = Looks(page=1)
    asking = await looks.begin(1, 2, *others)
    await looks.database.answer()
    looks.database.answers[-1].set_result(None)
    await asyncio.sleep(0)
    looks.shared.overtake({user(2)})
    looks.database.missing = {holder(2)}
    await settle()
    for _ in others:
        await looks.database.answer()
    await looks.database.answer()
    assert await asyncio.gather(*asking) == [ENABLED, None, *[ENABLED] * len(others)]


async def test_those_who_wait_at_a_stop_are_refused() -> None:
    looks = Looks()
    alone, *others = await looks.begin(1, 2, 3)
    await looks.database.answer()
    assert await alone is ENABLED
    await looks.tasks.cancel()
    assert [await refusal(one) for one in others] == ["RETRY"] * 2
