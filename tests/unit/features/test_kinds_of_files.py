"""What a file of a feature may import follows from the last word of its name.

The import contracts in `pyproject.toml` name modules one by one, and say in which order those of
one kind stand. This holds for every file, whether a contract names it or not.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grimp
import pytest

import cinema
from cinema.app.features import FEATURES

ROOT = Path(cinema.__file__).parents[1]

HEIGHTS = {
    "errors": 0,
    "shapes": 0,
    "rules": 1,
    "store": 2,
    "service": 3,
    "rows": 4,
    "jobs": 4,
    "routes": 5,
    "build": 6,
}
"""Within a feature a file imports none that is higher."""

FORBIDDEN = {
    "routes": ("cinema.actors", "cinema.cluster", "cinema.domain.showtime", "asyncpg"),
    "service": ("cinema.http", "cinema.settings", "aiohttp", "asyncpg"),
    "store": ("cinema.http", "aiohttp", "asyncpg"),
    "rules": ("cinema.http", "cinema.storage", "cinema.actors", "asyncio", "aiohttp", "asyncpg"),
    "shapes": ("cinema.http", "cinema.storage", "cinema.actors", "asyncio", "aiohttp", "asyncpg"),
}


def kind_of(module: str) -> str:
    """The kind of a module of a feature, `""` for others."""
    match module.split("."):
        case ["cinema", "features", _, name, *_]:
            return name.rpartition("_")[2]
    return ""


def feature_of(module: str) -> str:
    return module.split(".")[2]


@pytest.fixture(scope="module")
def imports() -> list[tuple[str, str]]:
    graph = grimp.build_graph(
        "cinema", include_external_packages=True, exclude_type_checking_imports=False
    )
    return [
        (module, imported)
        for module in sorted(graph.modules)
        if module.startswith("cinema.features.")
        for imported in sorted(graph.find_modules_directly_imported_by(module))
    ]


def strays(imports: list[tuple[str, str]]) -> Iterator[str]:
    """The imports that the kinds of the two files forbid."""
    for module, imported in imports:
        kind, other = kind_of(module), kind_of(imported)
        is_higher = (
            {kind, other} <= HEIGHTS.keys()
            and feature_of(module) == feature_of(imported)
            and HEIGHTS[other] > HEIGHTS[kind]
        )
        is_build = other == "build"
        is_store = kind == "routes" and other == "store"
        is_forbidden = any(
            imported == one or imported.startswith(f"{one}.") for one in FORBIDDEN.get(kind, ())
        )
        if is_higher or is_build or is_store or is_forbidden:
            yield f"{module} imports {imported}"


def test_files_of_features_import_what_their_kind_allows(imports: list[tuple[str, str]]) -> None:
    assert len(imports) > 1000
    assert list(strays(imports)) == []


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("seats.hold_routes", "cinema.features.bookings.mail_store"),
        ("seats.hold_routes", "cinema.actors.messages"),
        ("bookings.exchange_store", "cinema.features.bookings.exchange_service"),
        ("bookings.exchange_service", "cinema.http.responses"),
        ("catalog.pretix_rules", "asyncpg"),
        ("bookings.build", "cinema.features.seats.build"),
        ("watching.hub", "cinema.features.watching.build"),
        ("operations.history_shapes", "cinema.features.operations.history_routes"),
    ],
)
def test_a_stray_import_is_found(module: str, imported: str) -> None:
    assert list(strays([(f"cinema.features.{module}", imported)]))


def contract(name: str) -> dict[str, Any]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (found,) = (one for one in project["tool"]["importlinter"]["contracts"] if one["id"] == name)
    return dict(found)


def test_the_contract_within_features_names_every_feature() -> None:
    within = contract("within-features")
    assert sorted(within["containers"]) == sorted(f"cinema.features.{name}" for name in FEATURES)


def test_the_architecture_tells_the_order_of_features_as_the_contract_has_it() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    told = page.partition("among features ")[2].partition(".")[0]
    groups = [set(re.findall(r"`(\w+)`", group)) for group in told.split("then")]
    layers = [
        set(re.findall(r"\w+", layer)) & FEATURES.keys()
        for layer in contract("features-order")["layers"]
    ]
    assert groups == [layer for layer in reversed(layers) if layer]
