"""Rows of payments where there are many, and of bookings as they always were."""

from __future__ import annotations

from cinema.app.features import FEATURES
from cinema.domain.showtime.events import HoldBooked, ShowtimeCancelled
from cinema.storage.journal.branches import Happened, RowBranches
from tests.unit.domain.showtime.story import id_of, terms


def _branches() -> RowBranches:
    return RowBranches([branch for one in FEATURES.values() for branch in one.rows])


def _rows(branches: RowBranches, event: object) -> int:
    happened = Happened(event, terms(), 1_700_000_000_000_000, None)  # type: ignore[arg-type]
    rows = branches.rows_of(1_000_000, happened)
    assert rows is not None
    return rows.branches


def test_a_showtime_with_many_pending_bookings_can_be_cancelled() -> None:
    unpaid = tuple(id_of(f"booking {number}") for number in range(2_000))
    holds = tuple(id_of(f"hold {number}") for number in range(2_000))
    off = ShowtimeCancelled(2, "no heating", holds, tuple(range(2_000)), 0, b"", unpaid)
    assert _rows(_branches(), off)


def test_the_statement_of_a_usual_booking_is_prepared() -> None:
    branches = _branches()
    booked = HoldBooked(
        *(id_of("hold"), id_of("ann"), (0, 1), (1000, 1000), id_of("booking"), "7KXQ2MPA"),
        *(id_of("payment"), "demo", "EUR"),
    )
    assert _rows(branches, booked) in branches.usual()
