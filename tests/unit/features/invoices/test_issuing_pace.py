"""Documents leave time for seats, until they are late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cinema.features.invoices.jobs import HURRY_FROM_S, LONGEST_REST_S, REST_S, Issuing
from cinema.features.invoices.metrics import InvoiceCounts
from cinema.features.invoices.store import InvoicesRepository, WaitingDocuments

NOW = datetime(2026, 6, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("took_s", "late_s", "rest_s"),
    [
        (0.01, 0.0, REST_S),
        (0.2, 0.0, 1.8),
        (0.2, HURRY_FROM_S - 1, 1.8),
        (30.0, 0.0, LONGEST_REST_S),
        (0.2, HURRY_FROM_S, REST_S),
        (5.0, 300.0, REST_S),
    ],
)
def test_a_rest_is_nine_times_the_work_unless_documents_are_late(
    took_s: float, late_s: float, rest_s: float
) -> None:
    counts = InvoiceCounts()
    counts.note(WaitingDocuments(1000, 0, NOW - timedelta(seconds=late_s)), NOW)
    issuing = Issuing(InvoicesRepository.__new__(InvoicesRepository), counts, now=lambda: NOW)
    assert issuing.rest_s(took_s) == pytest.approx(rest_s)
