"""The process that solves: it reads a task, and writes a line each time it finds something.

It ends when its standard input ends. So it never outlives the server that started it.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from importlib.util import find_spec

import msgspec

from cinema.features.showtimes.planner.greedy import greedy
from cinema.features.showtimes.planner.task import PlanProgress, PlanTask
from cinema.features.showtimes.planner.worth import worth

NICENESS = 10
"""Selling seats comes first: a plan gets the processor time that is left."""


MEMORY_BYTES = 4 * 1024**3
"""If a plan needs more, its own process ends and no other."""


def main() -> None:
    """Solve the task of the first line."""
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    # Threads of the linear algebra are of no use here, and each reserves memory.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=PlanTask)
    threading.Thread(target=_end_with_input, daemon=True).start()
    if find_spec("scipy") is None:
        shows = greedy(task.problem)
        value = worth(task.problem, shows)
        last = PlanProgress(done=1.0, shows=tuple(shows), value=value)
    else:
        from cinema.features.showtimes.planner.solver import solve

        last = solve(task.problem, seconds=task.seconds, clock=time.monotonic, report=_tell)
    _tell(msgspec.structs.replace(last, is_last=True))


def _tell(progress: PlanProgress) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(progress) + b"\n")
    sys.stdout.buffer.flush()


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
