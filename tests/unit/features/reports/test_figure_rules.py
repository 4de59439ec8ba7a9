"""How much of the figures is counted at a time, and how reports are written."""

from __future__ import annotations

import csv
import io
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.domain.showtime.events import (
    HoldBooked,
    HoldExpired,
    HoldReleased,
    Offer,
    PaymentEnded,
    PaymentStarted,
    SeatsHeld,
)
from cinema.features.reports.figure_rules import percent, rows_as_csv, taken_together
from cinema.features.reports.figure_shapes import CapacityRow, RevenueRow
from cinema.features.reports.funnel_rules import Funnel
from cinema.features.reports.metrics import FigureCounts


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.integers(1, 5))
def test_events_are_taken_up_to_a_number_of_showtimes(of: list[int], limit: int) -> None:
    events = [(10 * place, UUID(int=one)) for place, one in enumerate(of, 1)]
    showtimes, reached = taken_together(events, limit)
    taken = [showtime_id for position, showtime_id in events if position <= reached]
    assert taken, "it goes on"
    assert showtimes == list(dict.fromkeys(taken))
    assert len(showtimes) <= limit
    left = [showtime_id for position, showtime_id in events if position > reached]
    assert not left or (len(showtimes) == limit and left[0] not in showtimes)


def test_a_part_of_nothing_is_none() -> None:
    assert percent(0, 0) is None
    assert percent(1, 3) == 33.3
    assert percent(3, 3) == 100.0


def test_rows_are_written_with_their_names_and_no_spreadsheet_takes_one_for_a_formula() -> None:
    row = CapacityRow(
        key="=1+1",
        label='Say "A", B',
        showtimes=1,
        seats=0,
        sold=0,
        admitted=0,
        occupancy=None,
    )
    read = list(csv.reader(io.StringIO(rows_as_csv(CapacityRow, [row]).decode())))
    assert read[0] == [field.name for field in msgspec.structs.fields(CapacityRow)]
    assert read[1] == ["'=1+1", 'Say "A", B', "1", "0", "0", "0", ""]
    assert len(rows_as_csv(RevenueRow, []).decode().splitlines()) == 1


def made(kind: type, **more: object) -> object:
    """An event of which only these fields are looked at."""
    fields = {one.name: None for one in msgspec.structs.fields(kind) if one.required}
    return kind(**{**fields, **more})


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([made(SeatsHeld)], Funnel(holds=1)),
        ([made(SeatsHeld), made(HoldReleased, seats=(1,))], Funnel(holds=1)),
        ([made(SeatsHeld), made(HoldReleased, seats=())], Funnel(holds=1, released=1)),
        (
            [made(SeatsHeld), made(HoldExpired, offers=(made(Offer), made(Offer)))],
            Funnel(holds=3, expired=1),
        ),
        (
            [made(SeatsHeld), made(HoldBooked)],
            Funnel(holds=1, checkouts=1, confirmed=1),
        ),
        (
            [made(SeatsHeld), made(PaymentStarted), made(HoldBooked, pending=True)],
            Funnel(holds=1, checkouts=1, confirmed=1),
        ),
        (
            [made(SeatsHeld), made(PaymentStarted), made(PaymentEnded, expired=True)],
            Funnel(holds=1, checkouts=1, expired=1),
        ),
        (
            [made(SeatsHeld), made(PaymentStarted), made(PaymentEnded, expired=False)],
            Funnel(holds=1, checkouts=1, released=1),
        ),
    ],
)
def test_each_hold_is_counted_where_it_ended(events: list[object], expected: Funnel) -> None:
    funnel = Funnel()
    funnel.count(events)  # type: ignore[arg-type]
    assert funnel == expected


def test_what_was_counted_of_showtimes_that_are_over_is_told_by_step() -> None:
    counts = FigureCounts()
    for holds in (7, 3):
        counts.funnel.add(Funnel(holds=holds, released=2, expired=1, checkouts=3, confirmed=2))
    (steps,) = [one for one in counts.families() if one.name == "cinema_funnel_steps"]
    assert {one.labels["step"]: one.value for one in steps.samples} == {
        "holds": 10,
        "released": 4,
        "expired": 2,
        "checkouts": 6,
        "confirmed": 4,
    }
