"""How soon a node that ended is started again."""

from __future__ import annotations

from itertools import pairwise

from cinema.local.cluster.pace import (
    DECLARED_DEAD,
    FIRST_DELAY_S,
    LONGEST_DELAY_S,
    STEADY_S,
    Pace,
)

KILLED = -9


def test_quick_ends_slow_the_restarts_down_to_a_bound() -> None:
    pace = Pace()
    delays = [pace.delay_s(1, 0.5) for _ in range(20)]
    assert delays[0] == FIRST_DELAY_S
    for sooner, later in pairwise(delays):
        assert later == min(2 * sooner, LONGEST_DELAY_S)
    assert delays[-1] == LONGEST_DELAY_S


def test_a_node_that_was_well_for_long_starts_from_the_first_delay_again() -> None:
    pace = Pace()
    for _ in range(5):
        pace.delay_s(1, 0.5)
    assert pace.delay_s(KILLED, STEADY_S) == FIRST_DELAY_S


def test_a_node_declared_dead_comes_back_at_once() -> None:
    assert Pace().delay_s(DECLARED_DEAD, STEADY_S) == 0.0


def test_one_declared_dead_again_and_again_is_slowed_down_too() -> None:
    pace = Pace()
    delays = [pace.delay_s(DECLARED_DEAD, 1.0) for _ in range(20)]
    assert delays[-1] == LONGEST_DELAY_S
