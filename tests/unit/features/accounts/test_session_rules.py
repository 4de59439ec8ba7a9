"""What a refresh token does to its session: table, and a family used by owners and a thief."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.features.accounts.refresh_tokens import RefreshTokens
from cinema.features.accounts.session_rules import (
    REFRESH_EXPIRED,
    REFRESH_INVALID,
    ROTATIONS_LIMIT,
    Family,
    Repeat,
    Reuse,
    Rotate,
    SessionOver,
    SessionTimes,
    Step,
    TooFast,
    digest_of,
    use_token,
)
from cinema.features.accounts.signing_keys import SigningKeys

TIMES = SessionTimes(idle_s=7 * 86_400, total_s=30 * 86_400, grace_s=10)
START = datetime(2026, 11, 29, tzinfo=UTC)
TOKENS = RefreshTokens(SigningKeys([b"k" * 32]))
OLD_TOKENS = RefreshTokens(SigningKeys([b"o" * 32]))
BOTH = RefreshTokens(SigningKeys([b"k" * 32, b"o" * 32]))


class Told:
    """A family as the database would keep it, told by using tokens."""

    def __init__(self, tokens: RefreshTokens = TOKENS) -> None:
        self.tokens = tokens
        self.first = tokens.new_secret()
        self.family = Family(
            digest=digest_of(self.first),
            rotations=(),
            created_at=START,
            expires_at=TIMES.end(START, START),
            revoked=False,
            disabled=False,
        )

    def use(self, secret: bytes, at_s: float) -> Step:
        now = START + timedelta(seconds=at_s)
        lines = self.tokens.lines(secret, len(self.family.rotations))
        step = use_token(self.family, secret, lines, now, TIMES)
        if isinstance(step, Rotate):
            self.family = msgspec.structs.replace(
                self.family,
                digest=digest_of(step.successor),
                rotations=step.rotations,
                expires_at=step.expires_at,
            )
        if isinstance(step, Reuse):
            self.family = msgspec.structs.replace(self.family, revoked=True)
        return step

    def rotate(self, secret: bytes, at_s: float) -> bytes:
        step = self.use(secret, at_s)
        assert isinstance(step, Rotate)
        return step.successor


def test_each_use_makes_the_successor_the_token_in_force() -> None:
    told = Told()
    second = told.rotate(told.first, 100)
    third = told.rotate(second, 200)
    assert len({told.first, second, third}) == 3
    assert told.family.digest == digest_of(third)
    assert told.family.rotations == (START + timedelta(seconds=200),), "others are thefts anyway"
    assert told.family.expires_at == START + timedelta(seconds=200, days=7)


@pytest.mark.parametrize("late_s", [0, 0.001, 10])
def test_second_and_third_use_within_the_grace_get_the_same_successor(late_s: float) -> None:
    told = Told()
    second = told.rotate(told.first, 100)
    before = told.family
    assert told.use(told.first, 100 + late_s) == Repeat(second)
    assert told.use(told.first, 100 + late_s) == Repeat(second)
    assert told.family == before


def test_clock_that_was_set_back_between_two_tabs_is_no_theft() -> None:
    told = Told()
    second = told.rotate(told.first, 100)
    assert told.use(told.first, 97) == Repeat(second)


def test_later_use_of_an_old_token_ends_the_session_for_thief_and_owner() -> None:
    told = Told()
    second = told.rotate(told.first, 100)
    assert told.use(told.first, 110.001) == Reuse()
    assert told.use(second, 111) == SessionOver(REFRESH_INVALID)
    assert told.use(told.first, 112) == SessionOver(REFRESH_INVALID)


def test_grace_counts_from_the_first_use_of_that_token_not_from_the_last_rotation() -> None:
    told = Told()
    second = told.rotate(told.first, 100)
    told.rotate(second, 108)
    assert told.use(told.first, 109) == Repeat(second)
    assert told.use(told.first, 111) == Reuse()


def test_successor_taken_within_the_grace_does_not_make_the_thief_unseen() -> None:
    """Both hold the same successor: whoever is later than the grace with it is found."""
    told = Told()
    owners = told.rotate(told.first, 100)
    thiefs = told.use(told.first, 105)
    assert thiefs == Repeat(owners)
    told.rotate(owners, 1000)
    assert told.use(owners, 1000 + 900) == Reuse()


def test_every_token_of_the_grace_may_be_repeated_however_often_the_session_is_refreshed() -> None:
    """A client may refresh as often as the throttle allows: none of these is a theft."""
    told = Told()
    made = [told.first]
    for _ in range(ROTATIONS_LIMIT):
        made.append(told.rotate(made[-1], 100))
    for secret, successor in itertools.pairwise(made):
        assert told.use(secret, 110) == Repeat(successor)
    before = told.family
    assert told.use(made[-1], 100) == TooFast(10)
    assert told.use(made[-1], 110) == TooFast(10)
    assert told.family == before, "it may go on as soon as the first of them is old"
    told.rotate(made[-1], 110.001)
    assert told.family.rotations == (START + timedelta(seconds=110.001),)
    assert told.use(made[0], 110.002) == Reuse()


def test_rotation_from_before_the_clock_was_set_back_stays_in_its_place() -> None:
    told = Told()
    second = told.rotate(told.first, 100)
    third = told.rotate(second, 85)
    fourth = told.rotate(third, 105)
    assert told.use(told.first, 106) == Repeat(second)
    assert told.use(third, 106) == Repeat(fourth)


def test_session_ends_after_seven_idle_days() -> None:
    told = Told()
    assert isinstance(told.use(told.first, 7 * 86_400 - 0.001), Rotate)
    assert told.use(told.first, 14 * 86_400) == SessionOver(REFRESH_EXPIRED)


def test_session_ends_after_thirty_days_however_often_it_is_used() -> None:
    told = Told()
    secret = told.first
    for day in range(6, 30, 6):
        secret = told.rotate(secret, day * 86_400)
    assert told.family.expires_at == START + timedelta(days=30)
    secret = told.rotate(secret, 30 * 86_400 - 1)
    assert told.use(secret, 30 * 86_400) == SessionOver(REFRESH_EXPIRED)


def test_shorter_total_time_in_the_settings_counts_for_sessions_that_are_there() -> None:
    told = Told()
    shorter = SessionTimes(idle_s=86_400, total_s=86_400, grace_s=10)
    step = use_token(
        told.family, told.first, TOKENS.lines(told.first, 1), START + timedelta(days=2), shorter
    )
    assert step == SessionOver(REFRESH_EXPIRED)


@pytest.mark.parametrize(
    "change", [{"revoked": True}, {"disabled": True}, {"digest": None}], ids=str
)
def test_session_that_may_not_go_on_is_ended_for_any_token(change: dict[str, object]) -> None:
    told = Told()
    told.family = msgspec.structs.replace(told.family, **change)
    assert told.use(told.first, 1) == SessionOver(REFRESH_INVALID)


def test_repetition_over_a_change_of_keys_gets_what_the_old_key_derived() -> None:
    told = Told(OLD_TOKENS)
    second = told.rotate(told.first, 100)
    told.tokens = BOTH
    assert told.use(told.first, 105) == Repeat(second)
    third = told.rotate(second, 200)
    assert third == TOKENS.lines(second, 1)[0][0]
    assert told.use(second, 205) == Repeat(third)


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 20_000)), max_size=30),
)
def test_of_any_uses_exactly_the_late_repetitions_end_the_session(
    uses: list[tuple[int, int]],
) -> None:
    """Against an oracle that remembers when each token was used first."""
    told = Told()
    known, first_used_ms = [told.first], dict[bytes, int]()
    at_ms = 0
    over = False
    for back, pause_ms in uses:
        at_ms += pause_ms
        secret = known[max(0, len(known) - 1 - back)]
        step = told.use(secret, at_ms / 1000)
        if over:
            assert step == SessionOver(REFRESH_INVALID)
        elif secret == known[-1]:
            assert isinstance(step, Rotate)
            first_used_ms[secret] = at_ms
            known.append(step.successor)
        elif at_ms - first_used_ms[secret] <= 10_000:
            assert step == Repeat(known[known.index(secret) + 1])
        else:
            assert step == Reuse()
            over = True
