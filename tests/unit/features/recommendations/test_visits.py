"""Visits of showtimes are counted in memory, and none is lost or counted twice."""

from __future__ import annotations

from uuid import UUID

import pytest

from cinema.domain.rejections import refuse
from cinema.features.recommendations import visits as counted
from cinema.features.recommendations.shapes import EventKind, PageEvent
from cinema.features.recommendations.visit_jobs import VisitsWritten
from cinema.features.recommendations.visits import Visits

FILM = UUID(int=9)


def event(kind: EventKind, showtime: int | None = None) -> PageEvent:
    showtime_id = None if showtime is None else UUID(int=showtime)
    return PageEvent(kind=kind, movie_id=FILM, showtime_id=showtime_id)


class Kept:
    """What was written, or the code with which all is refused."""

    def __init__(self) -> None:
        self.rows: list[tuple[UUID, int, int]] = []
        self.refusal: str | None = None

    async def add(self, visits: list[tuple[UUID, int, int]]) -> None:
        if self.refusal is not None:
            raise refuse(self.refusal)
        self.rows += visits


def test_seat_maps_and_checkouts_of_showtimes_are_counted_and_nothing_else() -> None:
    visits = Visits()
    visits.count([event("seat_map", 2), event("seat_map", 1), event("checkout_start", 2)])
    visits.count([event("seat_map", 2), event("seat_map"), event("click", 3)])
    assert visits.take() == [(UUID(int=1), 1, 0), (UUID(int=2), 2, 1)]
    assert visits.take() == []


def test_only_so_many_showtimes_are_counted_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted, "SHOWTIMES_MAX", 2)
    visits = Visits()
    visits.count(event("seat_map", showtime) for showtime in (1, 2, 3, 1))
    assert visits.take() == [(UUID(int=1), 2, 0), (UUID(int=2), 1, 0)]


@pytest.mark.parametrize(("refusal", "written"), [("RETRY", 3), ("OUTCOME_UNKNOWN", 1)])
async def test_what_was_not_written_is_written_later(refusal: str, written: int) -> None:
    visits, kept = Visits(), Kept()
    job = VisitsWritten(visits, kept)  # type: ignore[arg-type]
    visits.count([event("seat_map", 1), event("seat_map", 1)])
    kept.refusal = refusal
    await job.round()
    visits.count([event("seat_map", 1)])
    kept.refusal = None
    await job.round()
    await job.round()
    assert kept.rows == [(UUID(int=1), written, 0)]
