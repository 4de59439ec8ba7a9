"""How an experiment is written in a setting: `name:arm=percent,arm=percent`, control first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ARMS: Final = ("full", "fixed", "popular", "no_history")
"""The ways to order films; a test holds them to those of the model."""

_FORM: Final = re.compile(r"[a-z0-9_-]{1,40}:[a-z_]+=[0-9]{1,2}(,[a-z_]+=[0-9]{1,2})+")


def experiment_of(text: str) -> tuple[str, tuple[tuple[str, int], ...]]:
    """The name, and each arm with its percent of the customers, control first.

    `text` is not empty and has no problem.
    """
    name, _, arms = text.partition(":")
    shares = (arm.partition("=") for arm in arms.split(","))
    return name, tuple((arm, int(percent)) for arm, _, percent in shares)


def problems_of_experiment(text: str) -> Iterator[str]:
    """What is wrong with an experiment; nothing if there is none."""
    if not text:
        return
    if not _FORM.fullmatch(text):
        yield "RECOMMENDATION_EXPERIMENT is not like ranking:popular=10,full=90"
        return
    _, arms = experiment_of(text)
    names = [arm for arm, _ in arms]
    if unknown := sorted({*names} - {*ARMS}):
        yield f"RECOMMENDATION_EXPERIMENT: {unknown[0]} is none of {', '.join(ARMS)}"
    if len({*names}) < len(names):
        yield "RECOMMENDATION_EXPERIMENT names an arm twice"
    if sum(percent for _, percent in arms) != 100 or any(percent == 0 for _, percent in arms):
        yield "RECOMMENDATION_EXPERIMENT: the percents of the arms must be positive and make 100"
