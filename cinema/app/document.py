"""The OpenAPI document from the declarations of the routes, without a node that serves them."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final, cast

from cinema import __version__, features
from cinema.app.features import ERRORS, PRODUCT
from cinema.http.document.openapi import openapi_document
from cinema.http.routes import Declared, Route, bound

CONTROL: Final = "/control/"


def declared_document() -> dict[str, Any]:
    """The document of the edge for clients, as a node without demo data serves it."""
    return openapi_document(_declared(), ERRORS, PRODUCT, version=__version__)


def _declared() -> Iterator[Route]:
    """The routes of all features. Routes only keep their service for when they are called."""
    for found in pkgutil.walk_packages(features.__path__, f"{features.__name__}."):
        name = found.name.rpartition(".")[2]
        if name != "routes" and not name.endswith("_routes"):
            continue
        declared = cast("tuple[Declared[object], ...]", import_module(found.name).ROUTES)
        for route in bound(declared, object()):
            if not route.path.startswith(CONTROL):
                yield route
