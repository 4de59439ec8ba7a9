"""How long a job rests between two calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from cinema.features import rounds as module
from cinema.features.rounds import REST_MOST_S, Rounds, in_proportion


class _Loop:
    """A clock that the job moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def time(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    ("took_s", "rested_s"), [(0.0, 0.5), (2.0, 6.0), (3600.0, REST_MOST_S), (19.9, 59.7)]
)
async def test_a_job_with_more_to_do_rests_by_what_it_took_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, took_s: float, rested_s: float
) -> None:
    loop, rests = _Loop(), list[float]()

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) == 2:
            raise asyncio.CancelledError

    async def work() -> bool:
        loop.now_s += took_s
        return True

    lines: Callable[..., object] = print
    kept = SimpleNamespace(sleep=rest, get_running_loop=lambda: loop)
    monkeypatch.setattr(module, "asyncio", kept)
    with pytest.raises(asyncio.CancelledError):
        await Rounds(lines, "failed", 9.0, behind_more=in_proportion(3.0, least_s=0.5)).run(work)
    assert rests == [pytest.approx(rested_s)] * 2


async def test_only_a_job_that_says_true_has_more_to_do() -> None:
    answers, rests = iter([None, False, 1, 100]), list[float]()

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) == 4:
            raise asyncio.CancelledError

    async def work() -> object:
        return next(answers)

    lines: Callable[..., object] = print
    with pytest.raises(asyncio.CancelledError):
        await Rounds(lines, "failed", 9.0, rest=rest).run(work)
    assert rests == [9.0] * 4
