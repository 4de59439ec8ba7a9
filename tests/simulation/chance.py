"""What only the seed may say in a run, nobody asks the machine: time, chance, an order of objects.

Each of these lets a run go one way here and another way there, and then a failing seed cannot be
replayed.
"""

from __future__ import annotations

import _thread
import os
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
OURS: Final = tuple(f"{ROOT / room}{os.sep}" for room in ("cinema", "tests"))

CLOCKS: Final = (
    *("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"),
    *("process_time", "process_time_ns", "thread_time", "thread_time_ns"),
    *("clock_gettime", "clock_gettime_ns", "localtime", "gmtime", "sleep"),
)
ASKED: Final[tuple[tuple[Any, tuple[str, ...]], ...]] = (
    (time, CLOCKS),
    (os, ("urandom", "getrandom")),
    (uuid, ("uuid1", "uuid4")),
    (random, ("random", "randint", "randrange", "uniform", "choice", "choices", "sample")),
    (random, ("shuffle", "expovariate", "getrandbits", "randbytes")),
    (random.SystemRandom, ("random", "getrandbits", "randbytes")),
    (threading.Thread, ("start",)),
)
_BUILT_IN: Final = {
    *(vars(time)[name] for name in CLOCKS),
    *(os.urandom, os.getrandom, _thread.start_new_thread),
}
_DRAWN_BY_ALL: Final = random._inst  # type: ignore[attr-defined]

_SHUFFLED: Final = ("cinema", "tests.simulation", "tests.support")


@contextmanager
def nothing_left_to_chance(violate: Callable[[str], None]) -> Iterator[None]:
    """Report, once for each place, whoever asks the machine; they get their answer all the same.

    Who has kept a function from before is not seen here, but by `watched_calls`.
    """
    mine, seen = threading.get_ident(), set[str]()

    def asking(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*arguments: Any, **named: Any) -> Any:
            if threading.get_ident() == mine:
                asked = f"{_place(sys._getframe(1))} asks {name}, and no seed decides the answer"
                if asked not in seen:
                    seen.add(asked)
                    violate(asked)
            return function(*arguments, **named)

        return ask

    before = [(owner, name, vars(owner)[name]) for owner, names in ASKED for name in names]
    for owner, name, function in before:
        setattr(owner, name, asking(f"{owner.__name__}.{name}", function))
    try:
        yield
    finally:
        for owner, name, function in before:
            setattr(owner, name, function)


@contextmanager
def watched_calls(report: Callable[[str], None]) -> Iterator[None]:
    """Report every call of such a function that Python makes; a run takes several times longer."""

    def look(frame: Any, event: str, called: Any) -> None:
        if event == "c_call" and (
            called in _BUILT_IN or getattr(called, "__self__", None) is _DRAWN_BY_ALL
        ):
            report(f"{_place(frame)} calls {called.__name__}")

    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(None)


@contextmanager
def shuffled_objects(salt: int) -> Iterator[list[type]]:
    """Give objects other hashes, so that sets of them go by another order; the classes it reaches.

    Where an object lies in memory is their order otherwise, and two processes that do the same
    allocate the same: sets would nearly always agree there, and differ on another day.
    """

    def shuffled(self: object) -> int:
        return hash((id(self), salt))

    modules = [name for name in sys.modules if name.startswith(_SHUFFLED)]
    classes = [one for name in modules for one in _hashed_by_place(name)]
    for one in classes:
        one.__hash__ = shuffled  # type: ignore[method-assign]
    try:
        yield classes
    finally:
        for one in classes:
            del one.__hash__


def _hashed_by_place(module: str) -> list[type]:
    """The classes of a module whose objects hash by where they are."""
    return [
        one
        for one in vars(sys.modules[module]).values()
        if isinstance(one, type)
        and one.__module__ == module
        and "__hash__" not in vars(one)
        and one.__hash__ is object.__hash__
    ]


def _place(frame: Any) -> str:
    """Where in the code of this repository, but not here, the call comes from."""
    while frame.f_back is not None and not _is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    path = Path(frame.f_code.co_filename)
    where = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    return f"{where}:{frame.f_lineno}"


def _is_ours(path: str) -> bool:
    return path.startswith(OURS) and path != __file__
