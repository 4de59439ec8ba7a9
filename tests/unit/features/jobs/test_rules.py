"""When a job is tried again."""

from __future__ import annotations

import pytest

from cinema.features.jobs.rules import (
    BACKOFF_LIMIT_S,
    FAILURES_LIMIT,
    FIRST_BACKOFF_S,
    JITTER,
    LEASE_S,
    RENEW_S,
    backoff_s,
)


def test_waits_double_up_to_a_limit() -> None:
    waits = [backoff_s(failures, 0.5) for failures in range(1, 12)]
    assert waits[:4] == [2.0, 4.0, 8.0, 16.0]
    assert waits[-1] == BACKOFF_LIMIT_S
    assert backoff_s(10_000, 0.5) == BACKOFF_LIMIT_S


@pytest.mark.parametrize("luck", [0.0, 1.0])
def test_waits_differ_by_luck_within_a_fifth(luck: float) -> None:
    assert backoff_s(1, luck) == pytest.approx(FIRST_BACKOFF_S * (1 + JITTER * (2 * luck - 1)))


def test_a_job_is_given_up_after_an_hour_at_the_earliest() -> None:
    assert sum(backoff_s(failures, 0.0) for failures in range(1, FAILURES_LIMIT)) >= 2400
    assert sum(backoff_s(failures, 0.5) for failures in range(1, FAILURES_LIMIT)) >= 3000


def test_a_lease_outlives_two_failed_renewals() -> None:
    assert 2 * RENEW_S < LEASE_S
