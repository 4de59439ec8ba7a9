"""The model that replays a journal: what staff do to a showtime, right and wrong."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest

from cinema.domain.showtime.events import (
    AnyEvent,
    HoldBooked,
    HoldUsed,
    PaymentEnded,
    PaymentReturned,
    PaymentStarted,
    PlanChanged,
    SalesPaused,
    SalesResumed,
    SeatsBlocked,
    SeatsChanged,
    SeatsHeld,
    SeatsUnblocked,
    ShowtimeCancelled,
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


PAYING = PaymentStarted(
    HOLD, ADA, (1, 2), (500, 500), 9000, 5000, b"b" * 16, "MOON", b"p" * 16, "stripe", "EUR"
)
PAID = HoldBooked(
    HOLD, ADA, (1, 2), (500, 500), b"b" * 16, "MOON", b"p" * 16, "stripe", "EUR", True
)
UNPAID = PaymentEnded(HOLD, ADA, (1, 2), (500, 500), b"b" * 16, True)
BACK = PaymentReturned(HOLD, ADA, (1, 2), (500, 500), b"b" * 16, waited=True)
BACK_LATE = PaymentReturned(HOLD, ADA, (1, 2), (500, 500), b"b" * 16, waited=False)
OTHERS = SeatsHeld(b"i" * 16, b"c" * 16, (2,), (500,), 9000)
OFF = ShowtimeCancelled(2, "ill", (HOLD,), (1, 2), 0, b"", (b"b" * 16,))


def _of_rows(done: Replay) -> list[str]:
    """Faults other than that these journals have no tables."""
    return [one for one in done.faults if "bookings in one place only" not in one]


@pytest.mark.parametrize(
    "events",
    [
        (HELD, PAYING, PAID),
        (HELD, PAYING, UNPAID, OTHERS),
        (HELD, PAYING, UNPAID, PAID),
        (HELD, PAYING, OFF),
        (HELD, PAYING, BACK, OTHERS),
        (HELD, PAYING, UNPAID, BACK_LATE),
    ],
)
def test_payments_come_in_time_or_late_or_never(events: tuple[AnyEvent, ...]) -> None:
    assert _of_rows(replay(*events)) == []


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        ((HELD, PAYING, BACK, PAID), "its money went back"),
        ((HELD, PAYING, UNPAID, BACK_LATE, PAID), "its money went back"),
        ((HELD, PAYING, PAID, BACK_LATE), "it is booked, or the money went back before"),
        ((HELD, PAYING, BACK, BACK_LATE), "it is booked, or the money went back before"),
        ((HELD, BACK), "another booking was waited for"),
        ((HELD, BACK_LATE), "no such booking was waiting for its payment"),
        ((HELD, PAYING, PAYING), "it is being paid, or has been"),
        ((HELD, PAID), "another booking was waited for"),
        ((HELD, PAYING, BOOKED), "another booking was waited for"),
        ((HELD, UNPAID), "another booking was waited for"),
        ((PAID,), "no such booking was waiting for its payment"),
        ((HELD, PAYING, UNPAID, OTHERS, PAID), "seat B2 has two owners"),
        ((HELD, PAYING, UNPAID, PAID, PAID), "no such booking was waiting for its payment"),
        ((HELD, PAYING, ShowtimeCancelled(2, "ill", (HOLD,), (1, 2), 0, b"")), "pending bookings"),
    ],
)
def test_what_cannot_have_been_paid_is_a_fault(events: tuple[AnyEvent, ...], fault: str) -> None:
    assert any(fault in one for one in replay(*events).faults)


MINE = (HELD, HoldBooked(HOLD, ADA, (1, 2), (500, 500), b"b" * 16, "C", b"p" * 16, "demo", "EUR"))
BOOKED_ID = str(UUID(bytes=b"b" * 16))
MORE = SeatsHeld(b"i" * 16, ADA, (0,), (500,), 9000)
MOVED = SeatsChanged(b"b" * 16, ADA, (1,), (500,), (0,), (600,), (0, 2), (600, 500), "EUR")
FROM_HOLD = msgspec.structs.replace(MOVED, holds=(HoldUsed(b"i" * 16, (0,), (), ()),))


def test_a_ticket_gets_another_seat() -> None:
    booked = replay(*MINE, MOVED)
    assert booked.moments[3].taken == {"A1": "booked", "B2": "booked"}
    assert booked.moments[3].bookings[BOOKED_ID].prices_minor == 1100
    from_hold = replay(*MINE, MORE, FROM_HOLD)
    assert from_hold.moments[4].taken == {"A1": "booked", "B2": "booked"}
    assert from_hold.moments[4].ended[str(UUID(bytes=b"i" * 16))] == "booked"


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        ((MOVED,), "there is no such live hold or booking"),
        ((*MINE, MORE, MOVED), "seat A1 has two owners"),
        ((*MINE, FROM_HOLD), "there is no such live hold or booking"),
        ((*MINE, msgspec.structs.replace(MOVED, left=(0,))), "its seats are"),
        (
            (*MINE, msgspec.structs.replace(MOVED, left=(1, 2), seats=(0,), prices=(600,))),
            "more seats than before",
        ),
        (
            (
                *MINE,
                MORE,
                PaymentStarted(
                    *(b"i" * 16, ADA, (0,), (500,), 9000, 9, b"c" * 16, "D", b"q" * 16, "s", "EUR")
                ),
                FROM_HOLD,
            ),
            "being paid",
        ),
    ],
)
def test_a_change_of_seats_that_cannot_be_is_a_fault(
    events: tuple[AnyEvent, ...], fault: str
) -> None:
    assert any(fault in one for one in replay(*events).faults)
