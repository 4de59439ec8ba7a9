"""What every journal must do, whichever it is: DESIGN's fence, statement by statement."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from cinema.domain.ids import format_id
from cinema.domain.showtime.state import NEVER_US
from cinema.storage.journal.branches import Happened
from cinema.storage.journal.store import (
    ENDED_HOLD,
    STORED_REPLY,
    CommitAborted,
    HeldBy,
    JournalRow,
    LeftBehind,
    Loaded,
    Takeover,
)
from tests.support.stores import (
    Stage,
    append,
    archive_row,
    batch,
    booking,
    cancellation,
    given_back,
    paid,
    pending,
    plan_change,
    seat_change,
    snapshot,
    some_id,
    switch,
    terms_change,
    unpaid,
)

TOLD = {"book": "booking.confirmed", "cancel": "booking.cancelled"}

# --- taking over


async def test_a_new_showtime_is_released_and_each_takeover_raises_the_epoch(stage: Stage) -> None:
    showtime_id = await stage.showtime()
    assert await stage.journal.take_over(showtime_id) == Takeover(1, was_released=True)
    assert await stage.journal.take_over(showtime_id) == Takeover(2, was_released=False)
    assert await stage.where(showtime_id) == (2, 0)


async def test_what_does_not_exist_cannot_be_taken_over_or_loaded(stage: Stage) -> None:
    unknown = some_id()
    assert await stage.journal.take_over(unknown) is None
    assert await stage.journal.load(unknown) is None
    assert await stage.journal.history(unknown, 0, 10) == ()
    assert await stage.journal.recall(unknown, some_id()) is None


async def test_a_released_showtime_is_known_as_such_to_the_next_owner_only(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    saved = await stage.lane.save_snapshots([snapshot(showtime_id, epoch, 0, release=True)])
    assert saved == {showtime_id}
    assert await stage.journal.take_over(showtime_id) == Takeover(epoch + 1, was_released=True)
    assert await stage.journal.take_over(showtime_id) == Takeover(epoch + 2, was_released=False)


async def test_an_owner_among_those_to_be_asked_first_keeps_the_showtime(stage: Stage) -> None:
    showtime_id = await stage.showtime()
    one, other, third = some_id(), some_id(), some_id()
    journal = stage.journal
    # Nobody has it yet: there is nobody to ask.
    assert await journal.take_over(showtime_id, one, [other]) == Takeover(1, was_released=True)
    assert await journal.take_over(showtime_id, other, [third, one]) == HeldBy(one)
    assert await stage.where(showtime_id) == (1, 0)
    assert await stage.write(showtime_id, 1, 0)
    # It need not ask itself, nor one that is not named, nor anybody the second time.
    assert await journal.take_over(showtime_id, one, [other]) == Takeover(2, was_released=False)
    assert await journal.take_over(showtime_id, other, [third]) == Takeover(3, was_released=False)
    assert await journal.take_over(showtime_id, third, [other]) == HeldBy(other)
    assert await journal.take_over(showtime_id, third) == Takeover(4, was_released=False)
    assert await journal.take_over(some_id(), third, [other]) is None


async def test_a_showtime_that_was_given_back_is_taken_without_asking(stage: Stage) -> None:
    showtime_id = await stage.showtime()
    one, other = some_id(), some_id()
    await stage.journal.take_over(showtime_id, one)
    back = snapshot(showtime_id, 1, 0, payload=None, release=True)
    assert await stage.lane.save_snapshots([back]) == {showtime_id}
    taken = await stage.journal.take_over(showtime_id, other, [one])
    assert taken == Takeover(2, was_released=True)
    assert await stage.journal.take_over(showtime_id, one, [other]) == HeldBy(other)


async def test_a_showtime_of_an_owner_without_a_name_is_taken_without_asking(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    one, other = some_id(), some_id()
    taken = await stage.journal.take_over(showtime_id, one, [other])
    assert taken == Takeover(epoch + 1, was_released=False)
    # A node without a cluster takes it from whomever, and leaves no name.
    taken = await stage.journal.take_over(showtime_id)
    assert taken == Takeover(epoch + 2, was_released=False)
    taken = await stage.journal.take_over(showtime_id, other, [one])
    assert taken == Takeover(epoch + 3, was_released=False)


# --- what dead nodes leave


async def test_the_estate_is_what_nobody_living_owns_and_nobody_gave_back(stage: Stage) -> None:
    dead, living = some_id(), some_id()
    journal = stage.journal
    left, also_left, kept, nobodys, given_back = [await stage.showtime() for _ in range(5)]
    for showtime_id, owner in ((left, dead), (also_left, dead), (kept, living), (given_back, dead)):
        await journal.take_over(showtime_id, owner)
    await journal.take_over(nobodys)
    back = snapshot(given_back, 1, 0, payload=None, release=True)
    assert await stage.lane.save_snapshots([back]) == {given_back}
    assert await journal.left_behind([living], None, 100) == LeftBehind([left, also_left], None)
    assert await journal.left_behind([living, dead], None, 100) == LeftBehind([], None)
    assert await journal.left_behind([some_id()], None, 100) == LeftBehind(
        [left, also_left, kept], None
    )


async def test_an_estate_is_read_by_pages_of_heads(stage: Stage) -> None:
    dead = some_id()
    showtimes = [await stage.showtime() for _ in range(5)]
    for showtime_id in (showtimes[0], showtimes[3], showtimes[4]):
        await stage.journal.take_over(showtime_id, dead)
    pages, after = [], None
    while True:
        page = await stage.journal.left_behind([some_id()], after, 2)
        pages.append(page.left)
        after = page.after
        if after is None:
            break
        assert after in showtimes
    assert pages == [showtimes[:1], showtimes[3:4], showtimes[4:]]
    # A page may be full, and the last.
    assert await stage.journal.left_behind([], showtimes[2], 2) == LeftBehind(
        showtimes[3:], showtimes[4]
    )
    assert await stage.journal.left_behind([], showtimes[4], 2) == LeftBehind([], None)


async def test_an_heir_raises_the_epoch_of_what_is_still_left_and_owns_it(stage: Stage) -> None:
    dead, living, heir = some_id(), some_id(), some_id()
    journal = stage.journal
    left, taken, given_back, nobodys = [await stage.showtime() for _ in range(4)]
    for showtime_id in (left, taken, given_back):
        await journal.take_over(showtime_id, dead)
    assert await stage.write(left, 1, 0)
    await journal.take_over(taken, living)
    back = snapshot(given_back, 1, 0, payload=None, release=True)
    assert await stage.lane.save_snapshots([back]) == {given_back}
    every = [left, taken, given_back, nobodys, some_id()]
    assert await journal.inherit(every, [heir, living], heir) == {left: 2}
    assert await stage.where(left) == (2, 1)
    # The dead one writes and gives back nothing any more.
    assert not await stage.write(left, 1, 1)
    late = snapshot(left, 1, 1, payload=None, release=True)
    assert await stage.lane.save_snapshots([late]) == set()
    assert await stage.write(left, 2, 1)
    assert await journal.inherit(every, [heir, living], heir) == {}
    assert await journal.take_over(left, living, [heir]) == HeldBy(heir)
    assert await journal.take_over(left, heir, [living]) == Takeover(3, was_released=False)
    assert await journal.take_over(given_back, living) == Takeover(2, was_released=True)


# --- appending


async def test_an_append_moves_the_head_and_stores_its_events(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    assert await stage.write(showtime_id, epoch, 0, events=2)
    assert await stage.write(showtime_id, epoch, 2)
    assert await stage.journal.load(showtime_id) == Loaded(
        epoch,
        3,
        None,
        0,
        (
            JournalRow(1, epoch, 1000, b"1:1"),
            JournalRow(2, epoch, 2000, b"1:2"),
            JournalRow(3, epoch, 3000, b"1:3"),
        ),
    )


@pytest.mark.parametrize(
    ("epoch_off", "seq_off"), [(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, 1)]
)
async def test_an_append_whose_head_does_not_match_writes_nothing(
    stage: Stage, epoch_off: int, seq_off: int
) -> None:
    showtime_id, _ = await stage.owned()
    taken = await stage.journal.take_over(showtime_id)
    assert taken is not None
    assert await stage.write(showtime_id, taken.epoch, 0, events=2)
    before = await stage.journal.load(showtime_id)
    made = booking("A1")
    assert not await stage.write(showtime_id, taken.epoch + epoch_off, 2 + seq_off, made)
    assert await stage.journal.load(showtime_id) == before
    # Nor did its rows go in: the seat and the code are still to be had.
    assert await stage.write(showtime_id, taken.epoch, 2, made)


async def test_the_others_of_a_batch_commit_when_one_is_fenced(stage: Stage) -> None:
    first, first_epoch = await stage.owned()
    stale, stale_epoch = await stage.owned()
    ahead, ahead_epoch = await stage.owned()
    last, last_epoch = await stage.owned()
    await stage.journal.take_over(stale)
    matched = await stage.lane.append(
        batch(
            append(first, first_epoch, 0, booking("A1")),
            append(stale, stale_epoch, 0, booking("A1")),
            append(ahead, ahead_epoch, 7, booking("A1")),
            append(some_id(), 1, 0, booking("A1")),
            append(last, last_epoch, 0, booking("A1"), events=3),
        )
    )
    assert matched == {first, last}
    assert await stage.where(first) == (first_epoch, 1)
    assert await stage.where(stale) == (stale_epoch + 1, 0)
    assert await stage.where(ahead) == (ahead_epoch, 0)
    assert await stage.where(last) == (last_epoch, 3)


async def test_the_former_owner_cannot_append_once_it_is_replaced(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    assert await stage.write(showtime_id, epoch, 0)
    taken = await stage.journal.take_over(showtime_id)
    assert taken is not None
    assert not await stage.write(showtime_id, epoch, 1)
    assert await stage.write(showtime_id, taken.epoch, 1)
    assert not await stage.write(showtime_id, epoch, 1)
    assert not await stage.write(showtime_id, epoch, 2)
    rows = await stage.journal.history(showtime_id, 0, 10)
    assert [(row.epoch, row.seq) for row in rows] == [(epoch, 1), (taken.epoch, 2)]


async def test_confirm_names_the_showtimes_that_still_carry_the_epoch(stage: Stage) -> None:
    mine, epoch = await stage.owned()
    lost, lost_epoch = await stage.owned()
    await stage.journal.take_over(lost)
    claims = [(mine, epoch), (lost, lost_epoch), (some_id(), 1)]
    assert await stage.lane.confirm(claims) == {mine}
    assert await stage.lane.confirm([(lost, lost_epoch + 1), (mine, epoch + 1)]) == {lost}


# --- the backstops


async def test_a_seat_with_a_live_booking_cannot_be_booked_again(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    other, other_epoch = await stage.owned()
    assert await stage.write(showtime_id, epoch, 0, booking("A1", "A2"))
    with pytest.raises(CommitAborted) as caught:
        await stage.lane.append(
            batch(append(showtime_id, epoch, 1, booking("A2", "A3")), append(other, other_epoch, 0))
        )
    assert caught.value.poison
    assert (caught.value.sqlstate, caught.value.constraint) == ("23505", "booking_seats_live")
    assert await stage.where(showtime_id) == (epoch, 1)
    assert await stage.where(other) == (other_epoch, 0)
    assert await stage.write(showtime_id, epoch, 1, booking("A3"))


@pytest.mark.parametrize("end", [unpaid, given_back], ids=["unpaid", "given-back"])
async def test_a_seat_that_is_being_paid_cannot_be_booked_until_it_is_given_up(
    stage: Stage, end: Callable[[Happened], Happened]
) -> None:
    showtime_id, epoch = await stage.owned()
    first, second = booking("A1"), booking("A1")
    await stage.lane.append(batch(append(showtime_id, epoch, 0, pending(first))))
    with pytest.raises(CommitAborted):
        await stage.lane.append(batch(append(showtime_id, epoch, 1, second)))
    await stage.lane.append(batch(append(showtime_id, epoch, 1, end(first))))
    await stage.lane.append(batch(append(showtime_id, epoch, 2, second)))
    # The money of the first comes too late.
    with pytest.raises(CommitAborted):
        await stage.lane.append(batch(append(showtime_id, epoch, 3, paid(first))))


async def test_a_late_payment_has_its_seats_again(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    first = booking("A1")
    for seq, happened in enumerate((pending(first), unpaid(first), paid(first))):
        await stage.lane.append(batch(append(showtime_id, epoch, seq, happened)))
    with pytest.raises(CommitAborted):
        await stage.lane.append(batch(append(showtime_id, epoch, 3, booking("A1"))))


async def test_money_that_goes_back_behind_the_end_changes_no_rows(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    first, second = booking("A1"), booking("A1")
    back = given_back(first, waited=False)
    for seq, happened in enumerate((pending(first), unpaid(first), second, back)):
        await stage.lane.append(batch(append(showtime_id, epoch, seq, happened)))
    with pytest.raises(CommitAborted):
        await stage.lane.append(batch(append(showtime_id, epoch, 4, booking("A1"))))


async def test_two_bookings_of_one_seat_in_one_statement_abort_it(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    with pytest.raises(CommitAborted) as caught:
        await stage.write(showtime_id, epoch, 0, booking("A1"), booking("A1"), events=2)
    assert caught.value.constraint == "booking_seats_live"
    assert await stage.where(showtime_id) == (epoch, 0)


async def test_a_code_belongs_to_one_booking(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    other, other_epoch = await stage.owned()
    assert await stage.write(showtime_id, epoch, 0, booking("A1", code="MOON"))
    with pytest.raises(CommitAborted) as caught:
        await stage.write(other, other_epoch, 0, booking("A1", code="MOON"))
    assert (caught.value.sqlstate, caught.value.constraint) == ("23505", "bookings_code")
    assert await stage.where(other) == (other_epoch, 0)
    assert await stage.write(other, other_epoch, 0, booking("A1", code="STAR"))


async def test_two_bookings_with_one_code_in_one_batch_abort_it(stage: Stage) -> None:
    first, first_epoch = await stage.owned()
    second, second_epoch = await stage.owned()
    with pytest.raises(CommitAborted) as caught:
        await stage.lane.append(
            batch(
                append(first, first_epoch, 0, booking("A1", code="SUN")),
                append(second, second_epoch, 0, booking("A1", code="SUN")),
            )
        )
    assert caught.value.constraint == "bookings_code"
    assert await stage.where(first) == (first_epoch, 0)
    assert await stage.where(second) == (second_epoch, 0)


async def test_a_fenced_owners_booking_meets_no_backstop(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    assert await stage.write(showtime_id, epoch, 0, booking("A1", code="RAIN"))
    await stage.journal.take_over(showtime_id)
    assert not await stage.write(showtime_id, epoch, 1, booking("A1", code="RAIN"))


async def test_cancelled_seats_can_be_booked_again(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    made = booking("A1", "A2", "A3")
    assert await stage.write(showtime_id, epoch, 0, made)
    assert await stage.write(showtime_id, epoch, 1, cancellation(made, "A2"))
    assert await stage.write(showtime_id, epoch, 2, booking("A2"))
    with pytest.raises(CommitAborted, match="booking_seats_live"):
        await stage.write(showtime_id, epoch, 3, booking("A1"))
    assert await stage.write(showtime_id, epoch, 3, cancellation(made, "A1", "A3"))
    assert await stage.write(showtime_id, epoch, 4, booking("A1", "A3"))


async def test_tickets_get_other_seats(stage: Stage) -> None:
    """Also those of each other; a seat that was left is free from then on, and no sooner."""
    showtime_id, epoch = await stage.owned()
    made = booking("A1", "A2", "A3")
    first = seat_change(made, {"A1": "A2", "A2": "A4"}, 600)
    assert await stage.write(showtime_id, epoch, 0, made)
    assert await stage.write(showtime_id, epoch, 1, first)
    for taken in ("A2", "A3", "A4"):
        with pytest.raises(CommitAborted, match="booking_seats_live"):
            await stage.write(showtime_id, epoch, 2, booking(taken))
    assert await stage.write(showtime_id, epoch, 2, booking("A1"))
    again = seat_change(first, {"A2": "A3", "A3": "A2", "A4": "A5"}, -100)
    assert await stage.write(showtime_id, epoch, 3, again)
    assert await stage.write(showtime_id, epoch, 4, booking("A4"))
    with pytest.raises(CommitAborted, match="booking_seats_live"):
        await stage.write(showtime_id, epoch, 5, seat_change(again, {"A5": "A4"}))
    with pytest.raises(CommitAborted, match="booking_seats_live"):
        await stage.write(showtime_id, epoch, 5, booking("A5"))


async def test_a_change_of_seats_is_told(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    made = booking("A1", "A2")
    assert await stage.write(showtime_id, epoch, 0, made)
    assert await stage.write(showtime_id, epoch, 1, seat_change(made, {"A2": "F1"}, 600))
    of, seq, kind, payload = (await stage.outbox())[1]
    assert (of, seq, kind) == (showtime_id, 2, "booking.changed")
    assert payload == {
        "booking_id": format_id(made.event.booking_id),
        "user_id": format_id(made.event.customer),
        "left": ["A2"],
        "chosen": ["F1"],
        "paid_minor": 600,
        "refund_minor": 0,
        "currency": "EUR",
    }


async def test_a_seat_belongs_to_its_showtime(stage: Stage) -> None:
    first, first_epoch = await stage.owned()
    second, second_epoch = await stage.owned()
    matched = await stage.lane.append(
        batch(
            append(first, first_epoch, 0, booking("A1")),
            append(second, second_epoch, 0, booking("A1")),
        )
    )
    assert matched == {first, second}


async def test_switches_of_plan_and_sales_go_with_an_append(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    assert await stage.write(showtime_id, epoch, 0, plan_change(2))
    assert await stage.write(showtime_id, epoch, 1, switch(paused=True))
    assert await stage.where(showtime_id) == (epoch, 2)


async def test_changes_of_terms_go_with_an_append(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    assert await stage.write(showtime_id, epoch, 0, terms_change(), events=2)
    # The head says another seq: nothing of it is written.
    assert not await stage.write(showtime_id, epoch, 0, terms_change())
    assert await stage.where(showtime_id) == (epoch, 2)


# --- rows that go with events


async def test_what_became_of_bookings_is_told_with_their_events(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    other, other_epoch = await stage.owned()
    made, next_one = booking("A1", "F8"), booking("B1")
    assert await stage.write(showtime_id, epoch, 0, made, next_one, events=3)
    part = cancellation(made, "A1")
    both = batch(append(showtime_id, epoch, 3, part), append(other, other_epoch, 0, booking("A1")))
    assert await stage.lane.append(both) == {showtime_id, other}
    told = await stage.outbox()
    assert [(one, seq, kind) for one, seq, kind, _ in told] == [
        (showtime_id, 1, "booking.confirmed"),
        (showtime_id, 2, "booking.confirmed"),
        (showtime_id, 4, "booking.cancelled"),
        (other, 1, "booking.confirmed"),
    ]
    booking_id, user_id = format_id(made.event.booking_id), format_id(made.event.customer)
    assert told[0][3] == {
        "booking_id": booking_id,
        "user_id": user_id,
        "seats": ["A1", "F8"],
        "total_minor": 2600,
        "currency": "EUR",
    }
    assert told[2][3] == {
        "booking_id": booking_id,
        "user_id": user_id,
        "seats": ["A1"],
        "refund_minor": 1000,
        "whole": False,
    }


async def test_nothing_is_told_of_what_was_not_written(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    stale, stale_epoch = await stage.owned()
    await stage.journal.take_over(stale)
    parts = batch(
        append(showtime_id, epoch, 0, booking("A1")), append(stale, stale_epoch, 0, booking("A1"))
    )
    assert await stage.lane.append(parts) == {showtime_id}
    with pytest.raises(CommitAborted):
        await stage.write(showtime_id, epoch, 1, booking("B1"), booking("A1"), events=2)
    assert [(one, seq) for one, seq, _, _ in await stage.outbox()] == [(showtime_id, 1)]


@pytest.mark.parametrize(
    "company", [("hold", "book"), ("cancel", "pause"), ("pause", "hold", "book", "cancel")]
)
async def test_events_in_any_company_write_their_own_rows(
    stage: Stage, company: tuple[str, ...]
) -> None:
    """Each set of branches has a statement of its own, which leaves the others' out."""
    parts, told = [], []
    for kind in company:
        showtime_id, epoch = await stage.owned()
        made = booking("A1")
        assert await stage.write(showtime_id, epoch, 0, made)
        effects = {
            "book": [booking("B1")],
            "cancel": [cancellation(made)],
            "pause": [switch(paused=True)],
        }.get(kind, [])
        parts.append(append(showtime_id, epoch, 1, *effects))
        told += [(showtime_id, TOLD[kind])] if kind in TOLD else []
    before = len(await stage.outbox())
    assert await stage.lane.append(batch(*parts)) == {part.showtime_id for part in parts}
    assert [(one, kind) for one, _, kind, _ in (await stage.outbox())[before:]] == told


# --- snapshots


async def test_a_snapshot_shortens_what_is_replayed_and_keeps_the_journal(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    assert await stage.write(showtime_id, epoch, 0, events=3)
    saves = [snapshot(showtime_id, epoch, 2, payload=b"two")]
    assert await stage.lane.save_snapshots(saves) == {showtime_id}
    tail = (JournalRow(3, epoch, 3000, b"1:3"),)
    assert await stage.journal.load(showtime_id) == Loaded(epoch, 3, b"two", 2, tail)
    assert len(await stage.journal.history(showtime_id, 0, 10)) == 3


async def test_a_newer_snapshot_replaces_an_older_one_and_never_the_reverse(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    assert await stage.write(showtime_id, epoch, 0, events=3)
    for seq, payload in [(2, b"two"), (3, b"three"), (1, b"one")]:
        saves = [snapshot(showtime_id, epoch, seq, payload=payload)]
        assert await stage.lane.save_snapshots(saves) == {showtime_id}
    assert await stage.journal.load(showtime_id) == Loaded(epoch, 3, b"three", 3, ())


@pytest.mark.parametrize(("epoch_off", "seq"), [(-1, 1), (1, 1), (0, 2)])
async def test_a_snapshot_of_another_epoch_or_the_future_changes_nothing(
    stage: Stage, epoch_off: int, seq: int
) -> None:
    other, other_epoch = await stage.owned()
    showtime_id, epoch = await stage.owned()
    assert await stage.write(showtime_id, epoch, 0)
    before = await stage.journal.load(showtime_id)
    key = some_id()
    wrong = snapshot(
        showtime_id,
        epoch + epoch_off,
        seq,
        next_due_us=5,
        archive=[archive_row(key, ENDED_HOLD)],
        truncate=True,
    )
    assert await stage.lane.save_snapshots([snapshot(other, other_epoch, 0), wrong]) == {other}
    assert await stage.journal.load(showtime_id) == before
    assert await stage.journal.recall(showtime_id, key) is None
    assert await stage.journal.due(5, None, 10) == []


async def test_a_showtime_that_stays_keeps_its_snapshot_and_its_head(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    other, other_epoch = await stage.owned()
    assert await stage.write(showtime_id, epoch, 0, events=3)
    due = await stage.journal.due(NEVER_US, None, 10)
    key = some_id()
    keep = snapshot(
        *(showtime_id, epoch, 2),
        payload=b"two",
        next_due_us=5,
        archive=[archive_row(key, ENDED_HOLD)],
    )
    beside = snapshot(other, other_epoch, 0, payload=b"none")
    assert await stage.journal.keep_snapshots([keep, beside]) == {showtime_id, other}
    tail = (JournalRow(3, epoch, 3000, b"1:3"),)
    assert await stage.journal.load(showtime_id) == Loaded(epoch, 3, b"two", 2, tail)
    assert await stage.journal.recall(showtime_id, key) == archive_row(key, ENDED_HOLD)
    assert await stage.journal.due(NEVER_US, None, 10) == due
    assert await stage.write(showtime_id, epoch, 3)
    # An older one that comes late is behind it.
    late = snapshot(showtime_id, epoch, 1, payload=b"one")
    assert await stage.journal.keep_snapshots([late]) == {showtime_id}
    loaded = await stage.journal.load(showtime_id)
    assert loaded is not None
    assert (loaded.snapshot, loaded.snapshot_seq) == (b"two", 2)


@pytest.mark.parametrize(("epoch_off", "seq"), [(-1, 1), (1, 1), (0, 2)])
async def test_what_is_kept_must_be_of_this_epoch_and_not_of_the_future(
    stage: Stage, epoch_off: int, seq: int
) -> None:
    other, other_epoch = await stage.owned()
    showtime_id, epoch = await stage.owned()
    assert await stage.write(showtime_id, epoch, 0)
    before = await stage.journal.load(showtime_id)
    key = some_id()
    row = archive_row(key, ENDED_HOLD)
    wrong = snapshot(showtime_id, epoch + epoch_off, seq, payload=b"wrong", archive=[row])
    right = snapshot(other, other_epoch, 0, payload=b"right")
    assert await stage.journal.keep_snapshots([right, wrong]) == {other}
    assert await stage.journal.load(showtime_id) == before
    assert await stage.journal.recall(showtime_id, key) is None


async def test_only_the_owner_of_the_very_last_event_can_release(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    assert await stage.write(showtime_id, epoch, 0, events=2)
    early = snapshot(showtime_id, epoch, 1, release=True)
    stale = snapshot(showtime_id, epoch - 1, 2, release=True)
    for save in (early, stale):
        assert await stage.lane.save_snapshots([save]) == set()
    loaded = await stage.journal.load(showtime_id)
    assert loaded is not None
    assert loaded.snapshot is None
    assert await stage.journal.take_over(showtime_id) == Takeover(epoch + 1, was_released=False)
    release = snapshot(showtime_id, epoch + 1, 2, payload=None, release=True)
    assert await stage.lane.save_snapshots([release]) == {showtime_id}
    assert await stage.journal.take_over(showtime_id) == Takeover(epoch + 2, was_released=True)


async def test_a_release_by_the_former_owner_does_not_count(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    await stage.journal.take_over(showtime_id)
    assert await stage.lane.save_snapshots([snapshot(showtime_id, epoch, 0, release=True)]) == set()
    assert await stage.journal.take_over(showtime_id) == Takeover(epoch + 2, was_released=False)


async def test_truncation_deletes_what_the_snapshot_replaces_and_the_fence_stays(
    stage: Stage,
) -> None:
    showtime_id, epoch = await stage.owned()
    assert await stage.write(showtime_id, epoch, 0, events=3)
    saves = [snapshot(showtime_id, epoch, 2, payload=b"two")]
    assert await stage.lane.save_snapshots(saves) == {showtime_id}
    assert await stage.lane.truncate(showtime_id, epoch, 10) == 2
    assert [row.seq for row in await stage.journal.history(showtime_id, 0, 10)] == [3]
    assert await stage.lane.truncate(showtime_id, epoch, 10) == 0
    assert not await stage.write(showtime_id, epoch, 0)
    assert not await stage.write(showtime_id, epoch, 1)
    assert await stage.write(showtime_id, epoch, 3)


async def test_nothing_is_truncated_without_a_snapshot(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    assert await stage.write(showtime_id, epoch, 0, events=2)
    assert await stage.lane.truncate(showtime_id, epoch, 10) is None
    assert len(await stage.journal.history(showtime_id, 0, 10)) == 2


async def test_a_truncation_takes_the_oldest_events_first_in_steps(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    other, other_epoch = await stage.owned()
    for one, its_epoch in ((showtime_id, epoch), (other, other_epoch)):
        assert await stage.write(one, its_epoch, 0, events=5)
        await stage.lane.save_snapshots([snapshot(one, its_epoch, 5, payload=b"five")])
    left = []
    for gone in (2, 2, 1, 0):
        assert await stage.lane.truncate(showtime_id, epoch, 2) == gone
        left.append([row.seq for row in await stage.journal.history(showtime_id, 0, 10)])
    assert left == [[3, 4, 5], [5], [], []]
    assert len(await stage.journal.history(other, 0, 10)) == 5
    loaded = await stage.journal.load(showtime_id)
    assert loaded == Loaded(epoch, 5, b"five", 5, ())


async def test_only_the_owner_truncates_also_between_two_steps(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    assert await stage.write(showtime_id, epoch, 0, events=4)
    await stage.lane.save_snapshots([snapshot(showtime_id, epoch, 4, payload=b"four")])
    assert await stage.lane.truncate(showtime_id, epoch, 2) == 2
    await stage.journal.take_over(showtime_id)
    assert await stage.lane.truncate(showtime_id, epoch, 2) is None
    assert [row.seq for row in await stage.journal.history(showtime_id, 0, 10)] == [3, 4]
    assert await stage.lane.truncate(some_id(), epoch, 2) is None


async def test_many_snapshots_go_in_one_statement(stage: Stage) -> None:
    owned = [await stage.owned() for _ in range(3)]
    key = some_id()
    saves = [
        snapshot(showtime_id, epoch, 0, payload=showtime_id, archive=[archive_row(key, ENDED_HOLD)])
        for showtime_id, epoch in owned
    ]
    assert await stage.lane.save_snapshots(saves) == {showtime_id for showtime_id, _ in owned}
    for showtime_id, epoch in owned:
        assert await stage.journal.load(showtime_id) == Loaded(epoch, 0, showtime_id, 0, ())
        assert await stage.journal.recall(showtime_id, key) == archive_row(key, ENDED_HOLD)


# --- archive


async def test_the_archive_has_the_last_end_of_a_hold(stage: Stage) -> None:
    """A payment that came late makes a booking of a hold that had expired."""
    showtime_id, epoch = await stage.owned()
    await stage.lane.append(batch(append(showtime_id, epoch, 0, events=2)))
    hold = some_id()
    for seq, payload in ((1, b"expired"), (2, b"booked"), (1, b"expired")):
        row = msgspec.structs.replace(archive_row(hold, ENDED_HOLD, payload=payload), seq=seq)
        await stage.lane.save_snapshots([snapshot(showtime_id, epoch, 2, archive=[row])])
    recalled = await stage.journal.recall(showtime_id, hold)
    assert recalled is not None
    assert (recalled.seq, recalled.payload) == (2, b"booked")


async def test_the_archive_keeps_the_first_row_of_a_key_by_showtime(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    other, _ = await stage.owned()
    key = some_id()
    for payload in (b"first", b"second"):
        row = archive_row(key, STORED_REPLY, payload=payload)
        await stage.lane.save_snapshots([snapshot(showtime_id, epoch, 0, archive=[row])])
    first = archive_row(key, STORED_REPLY, payload=b"first")
    assert await stage.journal.recall(showtime_id, key) == first
    assert await stage.journal.recall(other, key) is None
    assert await stage.journal.recall(showtime_id, some_id()) is None


async def test_the_sweep_deletes_old_replies_a_page_at_a_time_and_no_holds(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    old, older, young, hold = some_id(), some_id(), some_id(), some_id()
    rows = [
        archive_row(old, STORED_REPLY, at_us=20),
        archive_row(older, STORED_REPLY, at_us=10),
        archive_row(young, STORED_REPLY, at_us=30),
        archive_row(hold, ENDED_HOLD, at_us=5),
    ]
    await stage.lane.save_snapshots([snapshot(showtime_id, epoch, 0, archive=rows)])
    assert await stage.journal.sweep_archive(STORED_REPLY, 30, 1) == 1
    assert await stage.journal.recall(showtime_id, older) is None
    assert await stage.journal.recall(showtime_id, old) is not None
    assert await stage.journal.sweep_archive(STORED_REPLY, 30, 10) == 1
    assert await stage.journal.sweep_archive(STORED_REPLY, 30, 10) == 0
    assert await stage.journal.recall(showtime_id, old) is None
    assert await stage.journal.recall(showtime_id, young) is not None
    assert await stage.journal.recall(showtime_id, hold) is not None
    assert await stage.journal.sweep_archive(ENDED_HOLD, 5, 10) == 0
    assert await stage.journal.sweep_archive(ENDED_HOLD, 6, 10) == 1
    assert await stage.journal.recall(showtime_id, hold) is None


# --- deadlines and history


async def test_due_names_showtimes_by_deadline_whoever_owns_them(stage: Stage) -> None:
    owned = [await stage.owned() for _ in range(4)]
    deadlines = [300, 100, NEVER_US, 200]
    for (showtime_id, epoch), due_us in zip(owned, deadlines, strict=True):
        part = append(showtime_id, epoch, 0, next_due_us=due_us)
        assert await stage.lane.append([part]) == {showtime_id}
    late, early, _, middle = (showtime_id for showtime_id, _ in owned)
    all_due = [(100, early), (200, middle), (300, late)]
    assert await stage.journal.due(99, None, 10) == []
    assert await stage.journal.due(100, None, 10) == all_due[:1]
    assert await stage.journal.due(300, None, 10) == all_due
    assert await stage.journal.due(300, None, 2) == all_due[:2]


async def test_due_goes_on_behind_the_last_of_a_page(stage: Stage) -> None:
    owned = [await stage.owned() for _ in range(5)]
    for (showtime_id, epoch), due_us in zip(owned, [7, 7, 7, 8, 9], strict=True):
        await stage.lane.append([append(showtime_id, epoch, 0, next_due_us=due_us)])
    pages = []
    after = None
    while page := await stage.journal.due(8, after, 2):
        pages.append(page)
        after = page[-1]
    ids = [showtime_id for showtime_id, _ in owned]
    assert pages == [[(7, ids[0]), (7, ids[1])], [(7, ids[2]), (8, ids[3])]]


async def test_each_append_sets_the_deadline_anew(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    for prev_seq, due_us, expected in [
        (0, 50, [(50, showtime_id)]),
        (1, 200, []),
        (2, NEVER_US, []),
    ]:
        part = append(showtime_id, epoch, prev_seq, next_due_us=due_us)
        await stage.lane.append([part])
        assert await stage.journal.due(100, None, 10) == expected
    await stage.lane.append([append(showtime_id, epoch, 1, next_due_us=50)])
    assert await stage.journal.due(100, None, 10) == []


async def test_a_snapshot_corrects_the_deadline_only_of_the_head_it_was_made_at(
    stage: Stage,
) -> None:
    showtime_id, epoch = await stage.owned()
    await stage.lane.append([append(showtime_id, epoch, 0, events=2, next_due_us=50)])
    await stage.lane.save_snapshots([snapshot(showtime_id, epoch, 1)])
    assert await stage.journal.due(100, None, 10) == [(50, showtime_id)]
    await stage.lane.save_snapshots([snapshot(showtime_id, epoch, 2, payload=None)])
    assert await stage.journal.due(100, None, 10) == []
    loaded = await stage.journal.load(showtime_id)
    assert loaded is not None
    assert loaded.snapshot_seq == 1


async def test_a_takeover_leaves_deadline_and_events_alone(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    await stage.lane.append([append(showtime_id, epoch, 0, next_due_us=50)])
    await stage.journal.take_over(showtime_id)
    assert await stage.journal.due(50, None, 10) == [(50, showtime_id)]
    assert await stage.where(showtime_id) == (epoch + 1, 1)


async def test_history_comes_in_pages(stage: Stage) -> None:
    showtime_id, epoch = await stage.owned()
    await stage.write(showtime_id, epoch, 0, events=5)

    async def page(after_seq: int, limit: int) -> list[int]:
        return [row.seq for row in await stage.journal.history(showtime_id, after_seq, limit)]

    assert await page(0, 2) == [1, 2]
    assert await page(2, 2) == [3, 4]
    assert await page(4, 2) == [5]
    assert await page(5, 2) == []
    rows = await stage.journal.history(showtime_id, 4, 10)
    assert rows == (JournalRow(5, epoch, 5000, b"1:5"),)


async def test_a_save_that_comes_late_does_not_undo_what_a_later_one_archived(
    stage: Stage,
) -> None:
    """Nobody knew whether the first was written: it still can be, under the same epoch."""
    showtime_id, epoch = await stage.owned()
    for seq in range(2):
        assert await stage.write(showtime_id, epoch, seq)
    key = some_id()
    later = archive_row(key, ENDED_HOLD, seq=2, payload=b"booked")
    late = archive_row(key, ENDED_HOLD, seq=1, payload=b"expired")
    await stage.lane.save_snapshots([snapshot(showtime_id, epoch, 2, archive=[later])])
    await stage.lane.save_snapshots([snapshot(showtime_id, epoch, 1, archive=[late])])
    assert await stage.journal.recall(showtime_id, key) == later
