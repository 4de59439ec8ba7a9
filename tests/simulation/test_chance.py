"""A run asks the machine for nothing; and whoever does is found."""

from __future__ import annotations

import os
import random
import secrets
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from cinema.actors.kernel import Kernel
from tests.simulation.chance import nothing_left_to_chance, shuffled_objects, watched_calls
from tests.simulation.run import simulate
from tests.simulation.world import Stay

pytestmark = pytest.mark.no_cover

WATCHED = (0, 1, 2, 136)
"""Seeds of which every call is looked at: with a cluster and without one."""

kept_clock = time.monotonic


def _in_a_thread() -> bool:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    return True


ASKING: dict[str, Callable[[], Any]] = {
    "time.monotonic": lambda: time.monotonic() > 0,
    "time.time_ns": lambda: time.time_ns() > 0,
    "time.clock_gettime": lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
    "os.urandom": lambda: os.urandom(1),
    "uuid.uuid4": lambda: uuid.uuid4().hex,
    "random.choice": lambda: random.choice("ab"),
    "SystemRandom.randbytes": lambda: secrets.token_bytes(1),
    "Thread.start": _in_a_thread,
}


@pytest.mark.parametrize("name", ASKING)
def test_who_asks_the_machine_is_reported_once_and_answered(name: str) -> None:
    told: list[str] = []
    with nothing_left_to_chance(told.append):
        assert ASKING[name]() is not None
        once = list(told)
        ASKING[name]()
    ASKING[name]()
    assert told == once
    assert any(f" asks {name}," in one for one in told)
    assert all(one.startswith("tests/simulation/test_chance.py:") for one in told)


def test_a_generator_of_ones_own_is_not_reported() -> None:
    told: list[str] = []
    with nothing_left_to_chance(told.append), watched_calls(told.append):
        random.Random(4).random()
    assert told == []


def test_a_thread_beside_the_run_is_not_reported() -> None:
    told: list[str] = []
    go = threading.Event()

    def beside() -> None:
        go.wait()
        time.monotonic()

    thread = threading.Thread(target=beside)
    thread.start()
    with nothing_left_to_chance(told.append):
        go.set()
        thread.join()
    assert told == []


def test_a_run_that_asks_the_machine_is_a_violation() -> None:
    class Hurried(Kernel):
        async def start(self) -> None:
            time.perf_counter()
            await super().start()

    [(_, what)] = simulate(0, chaos_only=True, kernel_type=Hurried).violations
    assert "test_chance.py" in what
    assert "asks time.perf_counter" in what


def test_a_clock_that_was_kept_from_before_is_found_too() -> None:
    told: list[str] = []
    with watched_calls(told.append):
        kept_clock()
        random.random()
    assert [one.split(" calls ")[1] for one in told] == ["monotonic", "random"]


@pytest.mark.parametrize("seed", WATCHED)
def test_nothing_in_a_run_asks_the_machine(seed: int) -> None:
    told: list[str] = []
    with watched_calls(told.append):
        simulate(seed, chaos_only=True)
    # Before and after the run itself: how long it took, and what watches collections of garbage.
    around = ("tests/simulation/run.py:", "tests/simulation/test_chance.py:")
    assert [one for one in told if not one.startswith(around)] == []


def test_shuffled_objects_go_by_another_order() -> None:
    screens = [Stay(b"", b"", number) for number in range(20)]
    orders = []
    for salt in range(3):
        with shuffled_objects(salt) as classes:
            assert {Stay, Kernel} <= set(classes)
            orders.append([one.from_ns for one in set(screens)])
    assert len({tuple(order) for order in orders}) == 3
    assert Stay.__hash__ is object.__hash__
