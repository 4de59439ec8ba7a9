"""The model that replays a journal: what staff do to a showtime, right and wrong."""

from __future__ import annotations

from uuid import UUID

import pytest

from cinema.domain.showtime.events import (
    AnyEvent,
    HoldBooked,
    PlanChanged,
    SalesPaused,
    SalesResumed,
    SeatsBlocked,
    SeatsHeld,
    SeatsUnblocked,
)
from tests.support.ledger import Entry, Ledger, Replay

ADA, HOLD = b"a" * 16, b"h" * 16
HELD = SeatsHeld(HOLD, ADA, (1, 2), (500, 500), 9000)
WIDER = PlanChanged(1, 2, 4, (0, 2, 3))
NARROWER = PlanChanged(1, 3, 2, (0, 1, -1))


def replay(*events: AnyEvent, told: tuple[tuple[int, str, str], ...] | None = None) -> Replay:
    """The events as a journal of three seats, which may get a seat more (2) or one less (3)."""
    entries = tuple(
        Entry(seq=seq, epoch=1, at_us=seq, command_id=bytes([seq]) * 16, event=event)
        for seq, event in enumerate(events, 1)
    )
    return Replay(
        Ledger(
            showtime_id="s",
            labels=("A1", "B1", "B2"),
            later_labels={2: ("A1", "A2", "B1", "B2"), 3: ("A1", "B1")},
            epoch=1,
            seq=len(entries),
            entries=entries,
            bookings={},
            told=told,
        )
    )


def test_seats_that_are_blocked_are_taken_until_they_are_unblocked() -> None:
    done = replay(SeatsBlocked((1,)), SeatsUnblocked((1,)), HELD)
    assert done.faults == []
    assert done.moments[1].taken == {"B1": "blocked"}
    assert done.moments[3].taken == {"B1": "held", "B2": "held"}


def test_holds_keep_their_labels_under_another_plan() -> None:
    done = replay(HELD, WIDER, SeatsBlocked((1,)))
    assert done.faults == []
    assert done.moments[3].taken == {"B1": "held", "B2": "held", "A2": "blocked"}


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        ((SalesPaused(), HELD), "sales were paused"),
        ((SeatsBlocked((1,)), HELD), "seat B1 has two owners"),
        ((HELD, SeatsBlocked((2,))), "seat B2 has two owners"),
        ((HELD, SeatsUnblocked((1,))), "seat B1 was not blocked"),
        ((HELD, NARROWER), "['B2'] were taken, and are gone"),
        ((PlanChanged(1, 2, 4, (0, 3, 2)),), "it mixes seats up"),
    ],
)
def test_what_staff_cannot_have_done_is_a_fault(events: tuple[AnyEvent, ...], fault: str) -> None:
    assert any(fault in one for one in replay(*events).faults)


def test_holds_are_taken_again_once_sales_resume() -> None:
    assert replay(SalesPaused(), SalesResumed(), HELD).faults == []


BOOKED = HoldBooked(HOLD, ADA, (1, 2), (500, 500), b"b" * 16, "MOON", b"p" * 16, "demo", "EUR")
TOLD = (2, "booking.confirmed", str(UUID(bytes=BOOKED.booking_id)))


@pytest.mark.parametrize(
    ("told", "is_right"),
    [
        ((TOLD,), True),
        ((), False),
        ((TOLD, TOLD), False),
        (((1, *TOLD[1:]),), False),
        (((2, "booking.cancelled", TOLD[2]),), False),
    ],
)
def test_the_outbox_tells_each_event_of_a_booking_once(
    told: tuple[tuple[int, str, str], ...], is_right: bool
) -> None:
    faults = [fault for fault in replay(HELD, BOOKED, told=told).faults if "outbox" in fault]
    assert (faults == []) is is_right
