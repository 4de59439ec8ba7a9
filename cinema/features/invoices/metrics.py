"""Documents issued by this node, and what waits in the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from cinema.features.invoices.checking_store import Checked
from cinema.features.invoices.store import WaitingDocuments


class InvoiceCounts:
    """Counts documents by kind, and remembers the last look at what waits."""

    def __init__(self) -> None:
        self.issued: Counter[str] = Counter(invoice=0, credit_note=0, cancellation=0)
        self.failures = 0
        self.waiting = 0
        self.failing = 0
        self.late_s = 0.0

    def note(self, waiting: WaitingDocuments, now: datetime) -> None:
        """Remember what waits at a time."""
        self.waiting, self.failing = waiting.count, waiting.failing
        late = (now - waiting.oldest_at).total_seconds() if waiting.oldest_at else 0.0
        self.late_s = max(0.0, late)

    def families(self) -> Iterator[Metric]:
        """As Prometheus families."""
        issued = CounterMetricFamily(
            "cinema_invoices_issued", "Documents issued by this node.", labels=("kind",)
        )
        for kind, count in self.issued.items():
            issued.add_metric((kind,), count)
        yield issued
        yield CounterMetricFamily(
            "cinema_invoice_failures",
            "Attempts to issue a document that failed.",
            value=self.failures,
        )
        yield GaugeMetricFamily(
            "cinema_invoices_waiting", "Documents that are due.", value=self.waiting
        )
        yield GaugeMetricFamily(
            "cinema_invoices_failing",
            "Documents that are due, and have failed at least once.",
            value=self.failing,
        )
        yield GaugeMetricFamily(
            "cinema_invoices_late_seconds",
            "For how long the oldest document has been due.",
            value=self.late_s,
        )


class CheckCounts:
    """Remembers what the last check found, whichever node made it."""

    def __init__(self) -> None:
        self.gaps = 0
        self.missing = 0
        self.age_s = 0.0

    def note(self, checked: Checked, now: datetime) -> None:
        """Remember a check."""
        self.gaps, self.missing = checked.gaps, checked.missing
        self.age_s = max(0.0, (now - checked.at).total_seconds())

    def families(self) -> Iterator[Metric]:
        """As Prometheus families."""
        yield GaugeMetricFamily(
            "cinema_invoice_gaps",
            "Numbers without a document, or the other way round, in the last check.",
            value=self.gaps,
        )
        yield GaugeMetricFamily(
            "cinema_invoices_missing",
            "Bookings that had no invoice in the last check.",
            value=self.missing,
        )
        yield GaugeMetricFamily(
            "cinema_invoice_check_age_seconds",
            "Time since the last check of the documents.",
            value=self.age_s,
        )
