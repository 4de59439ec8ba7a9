"""The house: which rooms there are, and what each is called."""

from __future__ import annotations

from pathlib import Path

import pytest

import cinema
from cinema.app.features import FEATURES

HOUSE = Path(cinema.__file__).parent
FOLDERS = {path.name: path for path in (HOUSE / "features").iterdir() if path.is_dir()}
FOLDERS.pop("__pycache__", None)


def test_the_list_of_features_is_that_of_the_folders() -> None:
    assert FEATURES.keys() == FOLDERS.keys()


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_every_feature_has_shapes_a_service_and_routes_where_it_has_any(name: str) -> None:
    files = {path.stem for path in FOLDERS[name].glob("*.py")}
    of_kinds = {stem.rpartition("_")[2] for stem in files}
    assert "routes" in of_kinds or name == "watching"
    if "store" in of_kinds:
        assert {"service", "shapes"} <= files
