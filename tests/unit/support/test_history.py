"""The judge of the crash tests: it finds each violation that is planted into a good history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from cinema.domain.showtime.events import AnyEvent, HoldBooked, HoldExpired, SeatsHeld
from tests.support.history import Attempt, Frame, History, Kind, Request, check
from tests.support.ledger import BookingRow, Entry, Ledger

SHOWTIME = "01a217f1-0080-7057-aab2-6f5138ea2b38"
LABELS = ("A1", "A2", "A3", "A4")
ADA, BOB = b"a" * 16, b"b" * 16
HOLD, OTHER_HOLD, BOOKING = b"h" * 16, b"o" * 16, b"k" * 16
HOLD_ID = "68686868-6868-6868-6868-686868686868"
BOOKING_ID = "6b6b6b6b-6b6b-6b6b-6b6b-6b6b6b6b6b6b"
FIRST_KEY, SECOND_KEY = b"1" * 16, b"2" * 16

HELD = SeatsHeld(HOLD, ADA, (0, 1), (500, 500), 1000)
BOOKED = HoldBooked(HOLD, ADA, (0, 1), (500, 500), BOOKING, "CODE", b"p" * 16, "demo", "EUR")
BOOKING_ROW = BookingRow(
    user_id=ADA,
    status="confirmed",
    seats=frozenset({"A1", "A2"}),
    paid_minor=1000,
    refunded_minor=0,
)


def entry(seq: int, event: AnyEvent, command_id: bytes, epoch: int = 1) -> Entry:
    return Entry(seq=seq, epoch=epoch, at_us=2000, command_id=command_id, event=event)


def ledger(*entries: Entry, **changes: Any) -> Ledger:
    good = Ledger(
        showtime_id=SHOWTIME,
        labels=LABELS,
        epoch=entries[-1].epoch if entries else 1,
        seq=len(entries),
        entries=entries,
        bookings={BOOKING_ID: BOOKING_ROW} if any(one.event is BOOKED for one in entries) else {},
    )
    return msgspec.structs.replace(good, **changes)


GOOD = (entry(1, HELD, FIRST_KEY), entry(2, BOOKED, SECOND_KEY))


def hold_shown(**changes: Any) -> dict[str, Any]:
    seats = [{"label": "A1"}, {"label": "A2"}]
    shown = {"hold_id": HOLD_ID, "status": "active", "seats": seats, "epoch": 1, "seq": 1}
    return shown | changes


def seats_shown(seq: int, *statuses: str) -> dict[str, Any]:
    seats = [
        {"label": label, "status": status} for label, status in zip(LABELS, statuses, strict=True)
    ]
    return {"epoch": 1, "seq": seq, "seats": seats}


def booking_shown() -> dict[str, Any]:
    seats = [{"label": "A1"}, {"label": "A2"}]
    return {"id": BOOKING_ID, "code": "CODE", "seats": seats, "total": {"amount": 1000}}


class Story:
    """A history that is told in order: each step is asked and answered before the next."""

    def __init__(self) -> None:
        self.history = History()
        self._now_ns = 0

    def asked(self, kind: Kind, command_id: bytes = b"", **about: Any) -> Attempt:
        request = Request(
            kind=kind, showtime_id=SHOWTIME, customer=ADA, command_id=command_id, **about
        )
        self._now_ns += 1
        attempt = self.history.begin(request)
        attempt.sent_ns = self._now_ns
        return attempt

    def told(self, attempt: Attempt, answer: dict[str, Any] | str, **details: Any) -> None:
        if isinstance(answer, str):
            self.history.refuse(attempt, answer, details)
        else:
            self.history.succeed(attempt, answer)
        self._now_ns += 1
        attempt.answered_ns = self._now_ns

    def hold(self, answer: dict[str, Any] | str, key: bytes = FIRST_KEY, **details: Any) -> None:
        self.told(self.asked("hold", key, seats=("A1", "A2")), answer, **details)

    def book(self, answer: dict[str, Any] | str) -> None:
        self.told(self.asked("book", SECOND_KEY, target_id=HOLD_ID), answer)

    def look(self, seq: int, *statuses: str) -> None:
        self.told(self.asked("seats"), seats_shown(seq, *statuses))

    def faults(self, entries: Sequence[Entry] = GOOD, **changes: Any) -> str:
        return "\n".join(check(self.history, [ledger(*entries, **changes)]))


@pytest.fixture
def story() -> Story:
    return Story()


def test_good_history_has_no_faults(story: Story) -> None:
    story.hold("RETRY")
    story.hold(hold_shown())
    story.look(1, "held", "held", "available", "available")
    story.hold("SEAT_UNAVAILABLE", b"3" * 16, seats=["A1", "A2"])
    story.asked("book", SECOND_KEY, target_id=HOLD_ID)
    story.book("OUTCOME_UNKNOWN")
    story.book(booking_shown())
    story.hold(hold_shown())
    story.look(2, "booked", "booked", "available", "available")
    story.history.frames.append(
        Frame(showtime_id=SHOWTIME, epoch=1, seq=1, taken={"A1": "held", "A2": "held"})
    )
    assert story.faults() == ""


def test_lost_acknowledgement_is_found(story: Story) -> None:
    story.hold(hold_shown())
    assert "acknowledged, and lost" in story.faults([])


@pytest.mark.parametrize(
    "wrong", [{"seq": 2}, {"epoch": 2}, {"seats": [{"label": "A3"}]}, {"status": "released"}]
)
def test_acknowledgement_of_something_else_is_found(story: Story, wrong: dict[str, Any]) -> None:
    story.hold(hold_shown(**wrong))
    assert "acknowledged otherwise" in story.faults(GOOD[:1])


def test_effect_of_a_refused_command_is_found(story: Story) -> None:
    story.hold("RETRY")
    assert "refused, and yet it happened" in story.faults(GOOD[:1])


def test_event_nobody_asked_for_is_found(story: Story) -> None:
    assert "nobody asked for this" in story.faults(GOOD[:1])


def test_second_effect_of_one_key_is_found(story: Story) -> None:
    story.hold(hold_shown())
    twice = SeatsHeld(OTHER_HOLD, ADA, (2,), (500,), 1000)
    assert "a key had two effects" in story.faults([GOOD[0], entry(2, twice, FIRST_KEY)])


def test_seat_with_two_owners_is_found(story: Story) -> None:
    story.hold(hold_shown())
    other = entry(2, SeatsHeld(OTHER_HOLD, BOB, (1, 2), (500, 500), 1000), SECOND_KEY)
    assert "seat A2 has two owners" in story.faults([GOOD[0], other])


def test_hold_that_expires_early_is_found(story: Story) -> None:
    story.hold(hold_shown())
    early = msgspec.structs.replace(entry(2, HoldExpired(HOLD, (0, 1)), b""), at_us=999)
    assert "expired before 1000" in story.faults([GOOD[0], early])


def test_older_epoch_that_writes_later_is_found(story: Story) -> None:
    story.hold(hold_shown(epoch=2))
    first = entry(1, HELD, FIRST_KEY, epoch=2)
    assert "an older epoch" in story.faults([first, GOOD[1]])


def test_gap_in_the_journal_and_a_head_elsewhere_are_found(story: Story) -> None:
    assert "expected seq 1" in story.faults([GOOD[1]], bookings={})
    assert "head at 5" in story.faults([], seq=5)


@pytest.mark.parametrize(
    "row",
    [
        {"seats": frozenset({"A1"})},
        {"status": "cancelled"},
        {"refunded_minor": 1000},
    ],
)
def test_tables_that_disagree_with_the_journal_are_found(story: Story, row: dict[str, Any]) -> None:
    changed = msgspec.structs.replace(BOOKING_ROW, **row)
    assert "the journal says" in story.faults(bookings={BOOKING_ID: changed})
    assert "in one place only" in story.faults(bookings={})


def test_read_behind_what_was_acknowledged_is_found(story: Story) -> None:
    story.hold(hold_shown())
    story.look(0, "available", "available", "available", "available")
    assert "read behind 1" in story.faults(GOOD[:1])


def test_read_that_shows_another_state_is_found(story: Story) -> None:
    story.look(1, "held", "available", "available", "available")
    assert "seat map is not the journal's" in story.faults()


def test_read_of_what_was_never_durable_is_found(story: Story) -> None:
    story.look(3, "held", "held", "held", "available")
    assert "never durable" in story.faults()


def test_event_before_an_answer_that_preceded_its_request_is_found(story: Story) -> None:
    story.look(1, "held", "held", "available", "available")
    story.hold(hold_shown())
    assert "happened before it was asked for" in story.faults(GOOD[:1])


def test_refusal_that_rests_on_an_old_state_is_found(story: Story) -> None:
    story.look(0, "available", "available", "available", "available")
    story.hold("SEAT_UNAVAILABLE", b"3" * 16, seats=["A1", "A2"])
    story.hold(hold_shown())
    assert "refused for a reason that did not hold" in story.faults(GOOD[:1])


def test_refusal_of_what_had_happened_under_the_key_is_found(story: Story) -> None:
    story.hold(hold_shown())
    story.hold("SEAT_UNAVAILABLE", seats=["A1", "A2"])
    assert "refused, though it had happened" in story.faults(GOOD[:1])


@pytest.mark.parametrize("code", ["INTERNAL", "NOT_FOUND", "IDEMPOTENCY_MISMATCH"])
def test_refusal_nobody_should_meet_is_found(story: Story, code: str) -> None:
    story.hold(code)
    assert "no such refusal was called for" in story.faults([])


def test_frame_of_what_was_not_is_found(story: Story) -> None:
    story.history.frames.append(
        Frame(showtime_id=SHOWTIME, epoch=1, seq=2, taken={"A1": "held", "A2": "held"})
    )
    assert "watchers were shown what was not" in story.faults()


def test_commands_in_doubt_are_those_without_a_final_word(story: Story) -> None:
    story.asked("hold", FIRST_KEY)
    story.told(story.asked("hold", FIRST_KEY), "RETRY")
    story.told(story.asked("book", SECOND_KEY), "OUTCOME_UNKNOWN")
    story.book(booking_shown())
    assert [one.command_id for one in story.history.unsettled()] == [FIRST_KEY]
