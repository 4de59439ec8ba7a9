"""Metrics of accounts: throttles, waiting passwords, logins and refreshes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from cinema.features.accounts.passwords import PasswordHasher
from cinema.features.accounts.throttles import Throttles
from cinema.storage.redis.throttle_counts import ThrottleCounts
from cinema.telemetry.metrics import Families


def throttle_families(
    throttles: Throttles, counts: ThrottleCounts, hasher: PasswordHasher
) -> Families:
    """Requests refused by each throttle, where counts are kept, and passwords that wait."""

    def families() -> Iterator[Metric]:
        throttled = CounterMetricFamily(
            "cinema_throttled_requests", "Requests refused with 429, by throttle.", labels=("kind",)
        )
        for kind, count in throttles.refused.items():
            throttled.add_metric((kind,), count)
        yield throttled
        yield GaugeMetricFamily(
            "cinema_throttle_counts_lost",
            "1 while Redis does not answer and each node counts for itself.",
            value=int(counts.is_lost),
        )
        yield GaugeMetricFamily(
            "cinema_throttle_counts_kept", "Counts in memory.", value=len(counts.memory)
        )
        yield GaugeMetricFamily(
            "cinema_passwords_waiting", "Passwords that wait for a thread.", value=hasher.waiting
        )
        yield CounterMetricFamily(
            "cinema_passwords_refused",
            "Passwords not hashed: too many waited, or for too long, or the client had hung up.",
            value=hasher.refused,
        )

    return families


def login_families(outcomes: Mapping[str, int], refreshes: Mapping[str, int]) -> Families:
    """Logins and uses of refresh tokens, by outcome."""

    def families() -> Iterator[Metric]:
        logins = CounterMetricFamily(
            "cinema_logins",
            "Logins by outcome; guesses at a registration's key are failed ones.",
            labels=("outcome",),
        )
        for outcome, count in outcomes.items():
            logins.add_metric((outcome,), count)
        yield logins
        used = CounterMetricFamily(
            "cinema_refreshes",
            "Uses of refresh tokens by outcome; reused ones ended their sessions.",
            labels=("outcome",),
        )
        for outcome, count in refreshes.items():
            used.add_metric((outcome,), count)
        yield used

    return families
