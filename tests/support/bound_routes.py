"""All routes of both edges, for tests of what their declarations say."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import cinema.features
from cinema.http.document import assets
from cinema.http.routes import Route, bound

NOTHING = cast("Any", object())  # Routes only keep the service for when they are called.

FEATURES = Path(cinema.features.__file__).parent


def _declared() -> Iterator[Route]:
    """What every module of routes of every feature declares: none is left out of these tests."""
    for path in sorted(FEATURES.glob("*/*routes.py")):
        module = importlib.import_module(f"cinema.features.{path.parent.name}.{path.stem}")
        yield from bound(module.ROUTES, NOTHING)


_DECLARED = tuple(_declared())

CONTROL_ROUTES = tuple(one for one in _DECLARED if one.path.startswith("/control/"))

ROUTES = (
    *(one for one in _DECLARED if not one.path.startswith("/control/")),
    *bound(assets.ROUTES, NOTHING),
)
