"""What scanners on this node were told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, Metric

from cinema.features.tickets.rules import PRECEDENCE

ADMITTED: Final = "ADMITTED"


class ScanCounts:
    """Counts scans by outcome: `ADMITTED`, or the code of the refusal."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter(dict.fromkeys((ADMITTED, *PRECEDENCE), 0))

    def families(self) -> Iterator[Metric]:
        """As Prometheus families."""
        scans = CounterMetricFamily(
            "cinema_ticket_scans", "Tickets scanned, by what came of it.", labels=("outcome",)
        )
        for outcome, count in self.outcomes.items():
            scans.add_metric((outcome,), count)
        yield scans
