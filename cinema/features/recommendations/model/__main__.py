"""The process that builds the model: it reads a task, and writes the model."""

from __future__ import annotations

import os
import resource
import sys
from typing import Final

import msgspec

from cinema.features.recommendations.model.building import build
from cinema.features.recommendations.model.task import ModelTask

NICENESS: Final = 10
"""Selling seats comes first."""

MEMORY_BYTES: Final = 4 * 1024**3
"""If a model needs more, its own process ends and no other."""


def main() -> None:
    """Build what standard input says."""
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    # Threads of the linear algebra would take what other work needs, and each reserves memory.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    task = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=ModelTask)
    model = build(
        [{task.films[place].id: weight for place, weight in one.items()} for one in task.histories],
        {film.id: film for film in task.films},
        task.candidates,
        task.popularity,
        built_at_s=task.built_at_s,
    )
    sys.stdout.buffer.write(msgspec.msgpack.encode(model))


if __name__ == "__main__":
    main()
