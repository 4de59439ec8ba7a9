"""The process that builds the model, or refits its weights: it reads a task, and writes these."""

from __future__ import annotations

import os
import resource
import sys
import time
from typing import Final

import msgspec

from cinema.features.recommendations.model.building import build
from cinema.features.recommendations.model.facts import Model
from cinema.features.recommendations.model.refitting import Refitted, observed, refit
from cinema.features.recommendations.model.task import ModelTask
from cinema.features.recommendations.model.trials import WeightsTask, choices_of, scorer_of

NICENESS: Final = 10
"""Selling seats comes first."""

MEMORY_BYTES: Final = 4 * 1024**3
"""If a model needs more, its own process ends and no other."""


REFIT_LIMIT_S: Final = 45.0
"""After so long without an end the weights stay as they are."""

WEIGHTS: Final = "weights"
"""The argument with which weights are refitted, instead of a model being built."""


def main() -> None:
    """Do what standard input says."""
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    # Threads of the linear algebra would take what other work needs, and each reserves memory.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    content = sys.stdin.buffer.read()
    made: Model | Refitted
    if sys.argv[1:] == [WEIGHTS]:
        made = refitted(msgspec.msgpack.decode(content, type=WeightsTask))
    else:
        made = built(msgspec.msgpack.decode(content, type=ModelTask))
    sys.stdout.buffer.write(msgspec.msgpack.encode(made))


def built(task: ModelTask) -> Model:
    """The model."""
    model = build(
        [{task.films[place].id: weight for place, weight in one.items()} for one in task.histories],
        {film.id: film for film in task.films},
        task.candidates,
        task.popularity,
        built_at_s=task.built_at_s,
    )
    return msgspec.structs.replace(model, weights=task.weights, refitted_at_s=task.refitted_at_s)


def refitted(task: WeightsTask) -> Refitted:
    """The weights."""
    began_s = time.monotonic()
    weeks = [list(observed(scorer_of(week), choices_of(week))) for week in task.weeks]
    fitted = [one for week in weeks[:-1] for one in week]
    return refit(
        fitted,
        weeks[-1] if weeks else [],
        task.weights,
        go_on=lambda: time.monotonic() - began_s < REFIT_LIMIT_S,
    )


if __name__ == "__main__":
    main()
