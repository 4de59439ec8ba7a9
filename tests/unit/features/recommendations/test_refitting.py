"""Weights follow what customers choose, if they stand in a week that they have not seen."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from random import Random
from uuid import UUID

import msgspec
import pytest

from cinema.features.recommendations.model.__main__ import refitted
from cinema.features.recommendations.model.facts import (
    DAY_S,
    Film,
    Popularity,
    Slot,
    Weights,
)
from cinema.features.recommendations.model.refitting import (
    FITTED_MIN,
    HELD_OUT_MIN,
    SIGNALS,
    Observed,
    observed,
    quality,
    refit,
)
from cinema.features.recommendations.model.scoring import ARMS, WEIGHTS
from cinema.features.recommendations.model.trials import (
    TrialCustomer,
    TrialShowings,
    TrialWeek,
    WeightsTask,
    choices_of,
    scorer_of,
)

BY_GENRE = (0.1, 0.1, 2.0, 0.1, 0.1)
BY_POPULARITY = (0.0, 2.0, 0.0, 0.0, 0.0)
CANDIDATES = 20
WHOLE = sum(msgspec.structs.astuple(WEIGHTS))


def chosen_by(
    tastes: Sequence[float], count: int, luck: Random, *, silent: int | None = None
) -> list[Observed]:
    """Choices among films with signals by chance; the signal `silent` says the same of all."""
    found = []
    for _ in range(count):
        rows = [
            tuple(0.0 if signal == silent else luck.gauss(0, 1) for signal in range(len(SIGNALS)))
            for _ in range(CANDIDATES)
        ]
        worth = [exp(sum(a * b for a, b in zip(tastes, row, strict=True))) for row in rows]
        ids = [UUID(int=one + 1) for one in range(CANDIDATES)]
        found.append(Observed(ids, rows, frozenset(luck.choices(ids, weights=worth))))
    return found


def test_weights_go_to_the_signals_by_which_customers_choose() -> None:
    luck = Random(1)
    held_out = chosen_by(BY_GENRE, 200, luck)
    found = refit(chosen_by(BY_GENRE, 400, luck), held_out, WEIGHTS)
    assert found.is_new
    assert found.choices == 400
    others = (found.weights.ease, found.weights.popularity, found.weights.freshness)
    assert found.weights.content > 2 * max(others)
    assert found.weights.content > 2 * WEIGHTS.content
    assert sum(msgspec.structs.astuple(found.weights)) == pytest.approx(WHOLE, abs=0.001)
    assert found.after > found.before == quality(held_out, WEIGHTS)
    assert found.after == quality(held_out, found.weights)


def test_weights_that_do_worse_in_the_week_held_out_are_not_taken() -> None:
    luck = Random(2)
    found = refit(chosen_by(BY_GENRE, 400, luck), chosen_by(BY_POPULARITY, 200, luck), WEIGHTS)
    assert found.after < found.before
    assert not found.is_new
    assert found.weights is WEIGHTS


@pytest.mark.parametrize(
    ("fitted", "held_out"), [(FITTED_MIN - 1, HELD_OUT_MIN), (FITTED_MIN, HELD_OUT_MIN - 1), (0, 0)]
)
def test_few_choices_change_nothing(fitted: int, held_out: int) -> None:
    luck = Random(3)
    found = refit(chosen_by(BY_GENRE, fitted, luck), chosen_by(BY_GENRE, held_out, luck), WEIGHTS)
    assert (found.is_new, found.weights, found.choices) == (False, WEIGHTS, fitted)


def test_without_the_time_to_finish_nothing_changes() -> None:
    luck = Random(4)
    choices = chosen_by(BY_GENRE, 200, luck)
    turns = iter([True, True, False])
    found = refit(choices, choices, WEIGHTS, go_on=lambda: next(turns))
    assert (found.is_new, found.weights) == (False, WEIGHTS)


def test_a_signal_that_speaks_against_films_counts_nothing_but_never_less() -> None:
    luck = Random(5)
    choices = chosen_by((1.0, -2.0, 1.0, 0.0, 0.0), 1200, luck)
    found = refit(choices, choices, WEIGHTS)
    assert found.is_new
    assert 0 <= found.weights.popularity < WEIGHTS.popularity / 3


def test_a_signal_that_says_nothing_keeps_its_weight_for_when_it_does() -> None:
    """As EASE on a machine without numpy."""
    luck = Random(6)
    choices = chosen_by(BY_GENRE, 300, luck, silent=SIGNALS.index("ease"))
    found = refit(choices, choices, WEIGHTS)
    assert found.weights.ease > WEIGHTS.ease / 3


def test_the_arms_of_experiments_follow_the_weights_that_are_served() -> None:
    served = Weights(ease=2.0, popularity=0.1, content=0.5, freshness=0.4, usual=0.1)
    assert ARMS["full"](served) == served
    assert ARMS["fixed"](served) == WEIGHTS
    assert ARMS["no_history"](served) == msgspec.structs.replace(served, ease=0.0)
    assert ARMS["popular"](served).popularity == 1.0


# --- a week that is over

HERE, THERE = UUID(int=901), UUID(int=902)
EVENING = Slot(4, 20)
BEGINS_S = 1_780_000_000.0


def week(customers: Sequence[TrialCustomer], films: int = 6) -> TrialWeek:
    """Films of two genres: the first half is shown here, all but the last one there."""
    return TrialWeek(
        begins_at_s=BEGINS_S,
        films=[
            Film(
                id=UUID(int=one + 1), title=f"Film {one}", genres=("Drama", "Comedy")[one % 2 :][:1]
            )
            for one in range(films)
        ],
        histories=[one.history for one in customers if one.history],
        popularity=Popularity(),
        first_at_s={one: BEGINS_S - one * DAY_S for one in range(films - 1)},
        showings=[
            *(TrialShowings(one, HERE, [EVENING]) for one in range(films // 2)),
            *(TrialShowings(one, THERE, [EVENING, Slot(5, 20)]) for one in range(films - 1)),
        ],
        customers=customers,
    )


def places(ids: Sequence[UUID] | frozenset[UUID]) -> set[int]:
    return {one.int - 1 for one in ids}


def test_a_customer_chooses_among_what_could_have_been_shown() -> None:
    asked = week(
        [
            TrialCustomer(came=[1], cinemas=[HERE]),
            TrialCustomer(came=[4, 5], history={0: 3.0, 2: 0.3}, saw=[0]),
            TrialCustomer(came=[3], cinemas=[UUID(int=903)], visits=[EVENING, EVENING]),
        ]
    )
    here, anywhere, elsewhere = choices_of(asked)
    assert places([one.film.id for one in here.candidates]) == {0, 1, 2}
    # Without the one that was seen; a film that was not on the list did not come of it.
    assert places([one.film.id for one in anywhere.candidates]) == {1, 2, 3, 4}
    assert places(anywhere.came) == {4}
    past = anywhere.customer.history
    assert {one.int - 1: (of.weight, of.saw) for one, of in past.items()} == {
        0: (3.0, True),
        2: (0.3, False),
    }
    # Where they go nothing is shown.
    assert places([one.film.id for one in elsewhere.candidates]) == {0, 1, 2, 3, 4}
    assert elsewhere.customer.slots == {EVENING: 2}
    assert [one.days_shown for one in anywhere.candidates] == [1.0, 2.0, 3.0, 4.0]
    assert anywhere.candidates[0].slots == [EVENING, Slot(5, 20)]


def test_who_chose_nothing_that_was_on_the_list_says_nothing() -> None:
    asked = week(
        [
            TrialCustomer(came=[5]),
            TrialCustomer(came=[1], saw=[1], history={1: 3.0}),
            TrialCustomer(came=[0, 1, 2], cinemas=[HERE]),
        ]
    )
    assert list(choices_of(asked)) == []


def test_the_process_refits_by_the_weeks_that_it_reads() -> None:
    """Everybody books a film of the genre that they have named."""
    luck = Random(7)
    customers = []
    for _ in range(150):
        genre = luck.randrange(2)
        came = luck.choice([one for one in range(11) if one % 2 == genre])
        customers.append(TrialCustomer(came=[came], genres=[("Drama", "Comedy")[genre]]))
    asked = [week(customers, 12)] * 3
    task = WeightsTask(weights=WEIGHTS, weeks=asked)
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(task), type=WeightsTask)
    found = refitted(sent)
    assert (found.is_new, found.choices) == (True, 300)
    assert found.weights.content > WEIGHTS.content
    held_out = list(observed(scorer_of(sent.weeks[-1]), choices_of(sent.weeks[-1])))
    assert found.after == quality(held_out, found.weights) >= found.before


def test_without_weeks_the_weights_stay() -> None:
    found = refitted(WeightsTask(weights=WEIGHTS, weeks=[]))
    assert (found.is_new, found.weights) == (False, WEIGHTS)
