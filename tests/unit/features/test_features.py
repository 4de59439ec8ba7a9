"""The house: which rooms there are, and what each is called."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path

import pytest

import cinema
from cinema.app.features import FEATURES
from cinema.http.routes import Declared

HOUSE = Path(cinema.__file__).parent
FOLDERS = {path.name: path for path in (HOUSE / "features").iterdir() if path.is_dir()}
FOLDERS.pop("__pycache__", None)
ROUTES = sorted((HOUSE / "features").glob("*/*routes.py"))


def test_the_list_of_features_is_that_of_the_folders() -> None:
    assert FEATURES.keys() == FOLDERS.keys()


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_every_feature_has_routes_and_what_a_store_needs(name: str) -> None:
    files = {path.stem for path in FOLDERS[name].glob("*.py")}
    of_kinds = {stem.rpartition("_")[2] for stem in files}
    assert "routes" in of_kinds
    assert "build" in files
    if "store" in of_kinds:
        assert {"service", "shapes"} <= files


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_every_feature_says_itself_how_it_is_built(name: str) -> None:
    module = import_module(f"cinema.features.{name}.build")
    assert FEATURES[name] is vars(module)[name.upper()]
    assert FEATURES[name].build is module.build


@pytest.mark.parametrize("path", ROUTES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_every_handler_that_is_declared_is_listed(path: Path) -> None:
    module = vars(import_module(f"cinema.features.{path.parent.name}.{path.stem}"))
    declared = [one for one in module.values() if isinstance(one, Declared)]
    lists = [found for name, found in module.items() if name.endswith("ROUTES")]
    listed = [one for found in lists if isinstance(found, tuple) for one in found]
    assert declared
    assert {id(one) for one in declared} == {id(one) for one in listed}
    assert len(declared) == len(listed)


@pytest.mark.parametrize("contract_id", ["routes-without-store", "routes-without-actors"])
def test_contracts_about_routes_name_all_of_them(contract_id: str) -> None:
    project = tomllib.loads((HOUSE.parent / "pyproject.toml").read_text())
    contracts = {one["id"]: one for one in project["tool"]["importlinter"]["contracts"]}
    named = contracts[contract_id]["source_modules"]
    modules = [f"cinema.features.{path.parent.name}.{path.stem}" for path in ROUTES]
    assert [one for one in modules if not any(fnmatch(one, name) for name in named)] == []
