"""The list of scenarios: complete, and each described where people look."""

from __future__ import annotations

from pathlib import Path

import benchmarks
from benchmarks.scenarios.catalogue import SCENARIOS

FOLDER = Path(benchmarks.__file__).parent
NOT_SCENARIOS = {"__init__", "across", "catalogue", "short_steps"}  # parts of scenarios


def test_every_scenario_is_known_under_its_name_and_described() -> None:
    text = (FOLDER / "README.md").read_text()
    for name, scenario in SCENARIOS.items():
        assert scenario.name == name
        assert f"`{name}`" in text or name in text


def test_no_file_of_scenarios_is_forgotten() -> None:
    files = {path.stem for path in (FOLDER / "scenarios").glob("*.py")} - NOT_SCENARIOS
    text = (FOLDER / "scenarios" / "catalogue.py").read_text()
    assert {stem for stem in files if f"scenarios.{stem} import" not in text} == set()
