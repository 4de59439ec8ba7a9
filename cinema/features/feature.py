"""What a feature hands over to the node that it is part of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any

import msgspec

from cinema.http.routes import Route
from cinema.telemetry.metrics import Families

Sweep = Callable[[datetime, int], Awaitable[int]]
"""Deletes at most so many rows that nobody needs at that moment; returns how many those were."""


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of one feature.

    `sweeps` are done by housekeeping, each until it has nothing to delete.
    `jobs` run for as long as the node does, each under its name. `secrets` take the new text of a
    setting whose file has changed; they raise `ValueError` for one that is no good.
    """

    routes: tuple[Route, ...] = ()
    metrics: tuple[Families, ...] = ()
    jobs: Mapping[str, Callable[[], Coroutine[Any, Any, None]]] = {}
    sweeps: Mapping[str, Sweep] = {}
    secrets: Mapping[str, Callable[[str], None]] = {}
