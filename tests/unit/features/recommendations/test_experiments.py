"""Who is in which arm of an experiment, and how one is written down."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest

from cinema.features.recommendations.model.scoring import ARMS
from cinema.features.recommendations.rules import DEFAULT_ARM, Assigned, Experiment, assigned
from cinema.settings import experiment_of, experiments
from cinema.settings.experiments import problems_of_experiment

CUSTOMERS = [UUID(int=7919 * number + 1) for number in range(10_000)]
RANKING = Experiment(name="ranking", arms=(("popular", 10), ("full", 60), ("no_history", 30)))


def test_customers_are_spread_as_the_percents_say() -> None:
    found = Counter(assigned(RANKING, one).arm for one in CUSTOMERS)
    for arm, percent in RANKING.arms:
        # Four standard deviations at most; the hash of these is always the same.
        assert found[arm] == pytest.approx(100 * percent, abs=200), arm
    assert {assigned(RANKING, one).is_control for one in CUSTOMERS} == {False, True}
    for one in CUSTOMERS[:100]:
        way = assigned(RANKING, one)
        assert way == assigned(RANKING, one)
        assert way.experiment == "ranking"
        assert way.is_control == (way.arm == "popular")


def test_another_experiment_deals_anew() -> None:
    half = (("popular", 50), ("full", 50))
    first, second = Experiment(name="a", arms=half), Experiment(name="b", arms=half)
    same = sum(assigned(first, one).arm == assigned(second, one).arm for one in CUSTOMERS)
    assert same == pytest.approx(5000, abs=200)


def test_without_an_experiment_or_a_customer_films_are_ordered_in_full() -> None:
    assert assigned(None, CUSTOMERS[0]) == assigned(RANKING, None) == Assigned()
    assert Assigned().arm == DEFAULT_ARM


def test_settings_know_the_arms_of_the_model() -> None:
    assert set(experiments.ARMS) == set(ARMS)
    assert DEFAULT_ARM in ARMS


def test_an_experiment_is_read_as_it_is_written() -> None:
    assert experiment_of("ranking:popular=10,full=90") == (
        "ranking",
        (("popular", 10), ("full", 90)),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", None),
        ("ranking:popular=10,full=90", None),
        ("no-history_2:popular=1,full=98,no_history=1", None),
        ("ranking", "is not like"),
        ("ranking:full=100", "is not like"),
        ("Ranking 1:popular=10,full=90", "is not like"),
        ("ranking:popular=10, full=90", "is not like"),
        ("ranking:popular=-1,full=90", "is not like"),
        ("ranking:best=10,full=90", "best is none of"),
        ("ranking:full=10,full=90", "names an arm twice"),
        ("ranking:popular=10,full=89", "make 100"),
        ("ranking:popular=0,full=50,no_history=50", "must be positive"),
    ],
)
def test_what_is_no_experiment_is_refused(text: str, problem: str | None) -> None:
    found = list(problems_of_experiment(text))
    assert len(found) == (problem is not None)
    assert problem is None or problem in found[0]
