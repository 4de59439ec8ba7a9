"""Who is silent: judged by the watcher's clock alone, and by nothing that it could not see."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cinema.cluster.detector import FailureDetector
from cinema.storage.membership.views import Beat
from tests.unit.cluster.members import member, node_id

TIMEOUT_S = 5.0
BLIND_S = 2.5
ONE, OTHER = member(1), member(2)


def detector() -> FailureDetector:
    """One that suspects after 5 s and is blind after 2.5 s."""
    return FailureDetector(timeout_s=TIMEOUT_S, blind_after_s=BLIND_S)


def look(watcher: FailureDetector, now_s: float, **counts: int) -> None:
    """A look at beats, `n1=7` for the count 7 of node 1."""
    watcher.observe(
        {node_id(int(name[1:])): Beat(count, 1) for name, count in counts.items()}, now_s
    )


def test_who_beats_is_not_silent_and_who_stops_is_after_the_timeout() -> None:
    watcher = detector()
    for now_s in range(20):
        look(watcher, now_s, n1=now_s, n2=min(now_s, 10))
        silent = watcher.silent([ONE, OTHER], now_s)
        assert silent == ([OTHER] if now_s >= 15 else []), now_s


def test_a_beat_that_does_not_rise_but_changes_is_a_sign_of_life() -> None:
    watcher = detector()
    for now_s in range(12):
        look(watcher, now_s, n1=12 - now_s)
        assert watcher.silent([ONE], now_s) == []


def test_a_member_that_never_beat_has_the_whole_timeout_from_when_it_was_first_missed() -> None:
    watcher = detector()
    for now_s in range(10):
        look(watcher, now_s, n1=now_s)
    assert watcher.silent([ONE, OTHER], 9) == []
    for now_s in range(10, 16):
        look(watcher, now_s, n1=now_s)
        assert watcher.silent([ONE, OTHER], now_s) == ([OTHER] if now_s >= 14 else [])


def test_a_watcher_that_never_looked_suspects_nobody() -> None:
    watcher = detector()
    assert watcher.silent([ONE], 0.0) == []
    assert watcher.silent([ONE], 100.0) == []


def test_time_in_which_nobody_could_look_is_nobodys_silence() -> None:
    watcher = detector()
    for now_s in range(3):
        look(watcher, now_s, n1=now_s, n2=now_s)
    # Redis is away from 2 s to 30 s, or this process was frozen.
    assert watcher.silent([ONE, OTHER], 2 + BLIND_S) == []
    assert watcher.silent([ONE, OTHER], 29) == []
    look(watcher, 30, n1=2, n2=2)
    assert watcher.silent([ONE, OTHER], 30) == []
    for now_s in range(31, 35):
        look(watcher, now_s, n1=now_s, n2=2)
        assert watcher.silent([ONE, OTHER], now_s) == []
    look(watcher, 35, n1=35, n2=2)
    assert watcher.silent([ONE, OTHER], 35) == [OTHER]


def test_a_short_gap_between_looks_takes_nothing_from_the_silence() -> None:
    watcher = detector()
    look(watcher, 0, n1=1)
    look(watcher, BLIND_S, n1=1)
    look(watcher, 2 * BLIND_S, n1=1)
    assert watcher.silent([ONE], TIMEOUT_S) == [ONE]


def test_a_look_that_finds_nothing_at_all_keeps_what_was_known() -> None:
    watcher = detector()
    look(watcher, 0, n1=1)
    # Redis was wiped: the others' next beats bring them back.
    look(watcher, 1)
    look(watcher, 2, n1=2)
    for now_s in range(3, 7):
        look(watcher, now_s, n1=2)
        assert watcher.silent([ONE], now_s) == []
    look(watcher, 7, n1=2)
    assert watcher.silent([ONE], 7) == [ONE]


def test_who_answered_otherwise_has_the_whole_timeout_again() -> None:
    watcher = detector()
    for now_s in range(6):
        look(watcher, now_s, n1=1)
    assert watcher.silent([ONE, OTHER], 5) == [ONE]
    watcher.heard(ONE.node_id, 5.0)
    watcher.heard(OTHER.node_id, 5.0)
    for now_s in range(6, 10):
        look(watcher, now_s, n1=1)
        assert watcher.silent([ONE, OTHER], now_s) == []
    look(watcher, 10, n1=1)
    assert watcher.silent([ONE, OTHER], 10) == [ONE, OTHER]


def test_the_next_silence_is_due_when_the_next_of_the_members_would_be_suspected() -> None:
    watcher = detector()
    assert watcher.next_silence_s([ONE, OTHER], 0) == float("inf")
    look(watcher, 10, n1=1, n2=1)
    look(watcher, 11, n1=2, n2=1)
    assert watcher.next_silence_s([ONE, OTHER], 11) == 15
    assert watcher.next_silence_s([ONE], 11) == 16
    assert watcher.next_silence_s([ONE, OTHER], 15) == 16, "who is overdue hides nobody"
    watcher.heard(OTHER.node_id, 12)
    assert watcher.next_silence_s([ONE, OTHER], 12) == 16
    look(watcher, 20, n1=2, n2=1)  # it was blind until now
    assert watcher.next_silence_s([ONE, OTHER], 20) == 25


@given(
    changed_s=st.integers(0, 10**9).map(lambda ms: ms / 1000),
    timeout_s=st.integers(500, 60_000).map(lambda ms: ms / 1000),
)
def test_at_the_very_moment_that_a_silence_is_due_it_is_seen(
    changed_s: float, timeout_s: float
) -> None:
    watcher = FailureDetector(timeout_s=timeout_s, blind_after_s=2 * timeout_s)
    look(watcher, changed_s, n1=1)
    due_s = watcher.next_silence_s([ONE], changed_s)
    assert watcher.silent([ONE], due_s) == [ONE]


def test_who_left_long_ago_is_forgotten_and_members_are_not() -> None:
    watcher = detector()
    look(watcher, 0, n1=1, n2=1)
    members = frozenset({ONE.node_id})
    assert watcher.forget_all_but(members, 10 * TIMEOUT_S) == frozenset()
    assert watcher.forget_all_but(members, 10 * TIMEOUT_S + 1) == {OTHER.node_id}
    assert watcher.forget_all_but(members, 10 * TIMEOUT_S + 2) == frozenset()
    # Should it beat again, it is as new.
    look(watcher, 60, n2=1)
    assert watcher.silent([OTHER], 60) == []


@given(
    st.lists(st.tuples(st.floats(0.01, 4.0), st.booleans(), st.booleans()), min_size=1, max_size=60)
)
def test_nobody_is_suspected_who_was_not_seen_silent_for_the_whole_timeout(
    steps: list[tuple[float, bool, bool]],
) -> None:
    """Against a naive oracle: the unbroken time of looks in which the count stood still."""
    watcher = detector()
    now_s, count, seen_still_s = 0.0, 0, 0.0
    looked_s, last_seen = None, None
    for pause_s, beats, looks in steps:
        now_s += pause_s
        count += beats
        if looks:
            is_blind = looked_s is None or now_s - looked_s > BLIND_S
            changed = last_seen != count
            seen_still_s = 0.0 if is_blind or changed else seen_still_s + now_s - looked_s
            looked_s, last_seen = now_s, count
            look(watcher, now_s, n1=count)
        suspected = bool(watcher.silent([ONE], now_s))
        if looked_s is None or now_s - looked_s > BLIND_S:
            assert not suspected
        elif abs(seen_still_s + now_s - looked_s - TIMEOUT_S) > 1e-6:
            assert suspected == (seen_still_s + now_s - looked_s >= TIMEOUT_S)
