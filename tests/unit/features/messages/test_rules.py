"""When a message is tried again, and in which language it is."""

from __future__ import annotations

import pytest

from cinema.features.messages.rules import (
    ATTEMPTS_LIMIT,
    BACKOFF_LIMIT_S,
    DEAD_AFTER,
    JITTER,
    backoff_s,
    language_of,
)


@pytest.mark.parametrize(
    ("failures", "wait_s"),
    [(1, 30), (2, 60), (3, 120), (10, 15_360), (11, 21_600), (1000, 21_600)],
)
def test_waits_double_up_to_six_hours(failures: int, wait_s: float) -> None:
    assert backoff_s(failures, 0.5) == pytest.approx(wait_s)
    assert backoff_s(failures, 0.0) == pytest.approx(wait_s * (1 - JITTER))
    assert backoff_s(failures, 1.0) == pytest.approx(wait_s * (1 + JITTER))


def test_backoff_ends_a_message_before_attempts_do() -> None:
    shortest_s = sum(backoff_s(failures, 0.0) for failures in range(1, ATTEMPTS_LIMIT + 1))
    assert shortest_s > DEAD_AFTER.total_seconds()
    assert DEAD_AFTER.total_seconds() > 2 * BACKOFF_LIMIT_S


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de", "de"),
        ("DE-at", "de"),
        ("fr, de;q=0.5", "de"),
        ("en-GB,de", "en"),
        ("fr", "en"),
        ("", "en"),
        ("*", "en"),
        ("x" * 10_000 + ",de", "en"),
    ],
)
def test_the_first_language_that_there_are_templates_in_counts(
    accepted: str, language: str
) -> None:
    assert language_of(accepted) == language
