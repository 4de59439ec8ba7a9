"""What a feature hands over to the node that it is part of."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec

from cinema.http.routes import Route
from cinema.telemetry.metrics import Families


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of one feature.

    `jobs` run for as long as the node does, each under its name. `secrets` take the new text of a
    setting whose file has changed; they raise `ValueError` for one that is no good.
    """

    routes: tuple[Route, ...] = ()
    metrics: tuple[Families, ...] = ()
    jobs: Mapping[str, Callable[[], Coroutine[Any, Any, None]]] = {}
    secrets: Mapping[str, Callable[[str], None]] = {}
