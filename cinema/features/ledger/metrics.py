"""What became of refunds that this node has asked for, and what waits in the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from cinema.features.ledger.refund_store import WAITING, WaitingRefunds


class RefundCounts:
    """Counts calls of providers by outcome, and remembers the last look at what waits."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter(succeeded=0, pending=0, failed=0, delayed=0)
        self.undone = 0
        self._waiting = dict.fromkeys(WAITING, 0)
        self._oldest_s = dict.fromkeys(WAITING, 0.0)

    def note(self, waiting: Sequence[WaitingRefunds], now: datetime) -> None:
        """Remember what waits at a time."""
        for one in waiting:
            age_s = (now - one.oldest_at).total_seconds() if one.oldest_at else 0.0
            self._waiting[one.status] = one.count
            self._oldest_s[one.status] = max(0.0, age_s)

    def families(self) -> Iterator[Metric]:
        """As Prometheus families."""
        asked = CounterMetricFamily(
            "cinema_refund_calls", "Refunds asked of providers, by outcome.", labels=("outcome",)
        )
        for outcome, count in self.outcomes.items():
            asked.add_metric((outcome,), count)
        yield asked
        yield CounterMetricFamily(
            "cinema_refunds_undone",
            "Refunds that failed after they had succeeded.",
            value=self.undone,
        )
        waiting = GaugeMetricFamily(
            "cinema_refunds_waiting",
            "Refunds whose money is not back, by status.",
            labels=("status",),
        )
        oldest = GaugeMetricFamily(
            "cinema_refunds_oldest_seconds",
            "Age of the oldest refund whose money is not back, by status.",
            labels=("status",),
        )
        for status in WAITING:
            waiting.add_metric((status,), self._waiting[status])
            oldest.add_metric((status,), self._oldest_s[status])
        yield waiting
        yield oldest
