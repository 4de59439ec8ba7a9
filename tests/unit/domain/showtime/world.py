"""What there is to compare of a showtime's state."""

from __future__ import annotations

from typing import Any

from cinema.domain.showtime.state import ShowtimeState


def contents(state: ShowtimeState) -> dict[str, Any]:
    """All that must be equal in two copies of a showtime, order included.

    `next_due_us` is only a bound and may differ; what counts holders is derived.
    """
    return {
        "seq": state.seq,
        "at_us": state.at_us,
        "layout_version": state.layout_version,
        "old_plans": state.old_plans,
        "paused": state.paused,
        "seats": bytes(state.seats),
        "holds": list(state.holds.items()),
        "bookings": list(state.bookings.items()),
        "ended": list(state.ended.items()),
        "records": list(state.records),
        "filter": ([bytes(layer) for layer in state.archive_filter.layers]),
        "filter_count": state.archive_filter.count,
    }
