"""The comparison of two versions, pair by pair."""

import pytest

from benchmarks.results import Figures, Measurement
from benchmarks.side_by_side import compared, joined, outcome, turns


def figures(*rates: float, unit: str = "/s") -> Figures:
    found = Figures()
    for rate in rates:
        found.add("cinema", "holds", unit, Measurement(value=rate, cpu_us={"server": 1e6 / rate}))
    return found


def test_each_side_is_first_in_every_other_run() -> None:
    assert [turns(run)[0] for run in range(4)] == ["now", "before", "now", "before"]


def test_the_median_of_the_pairs_counts_not_the_ratio_of_the_medians() -> None:
    now, before = figures(100, 200, 900), figures(100, 400, 300)
    result = compared(outcome("holds", "", now), outcome("holds", "", before))
    (target,) = result.targets
    assert target.measured == pytest.approx(1.0)  # pairs: 1.0, 0.5, 3.0; the medians give 0.67
    assert target.reached
    assert "CPU 1.000" in result.notes[0]
    assert [one.subject for one in result.figures] == ["now: cinema", "before: cinema"]


def test_a_slower_version_misses_its_target() -> None:
    result = compared(
        outcome("holds", "", figures(96, 96)), outcome("holds", "", figures(100, 100))
    )
    assert not result.targets[0].reached


def test_only_rates_have_a_target() -> None:
    now, before = figures(5, unit="ms"), figures(1, unit="ms")
    assert not compared(outcome("x", "", now), outcome("x", "", before)).targets


def test_runs_in_turn_are_joined_measure_by_measure() -> None:
    one, other = outcome("holds", "", figures(1.0)), outcome("holds", "", figures(2.0))
    (figure,) = joined([one, other]).figures
    assert [run.value for run in figure.runs] == [1.0, 2.0]
