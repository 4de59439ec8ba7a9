"""Holds that are being paid: nothing is confirmed unpaid, late payments take nobody's seats."""

from __future__ import annotations

import pytest

from cinema.domain.ids import format_id
from cinema.domain.showtime import state as state_module
from cinema.domain.showtime.commands import IN_TIME_ONLY
from cinema.domain.showtime.decisions import Archived
from cinema.domain.showtime.events import (
    AnyEvent,
    HoldBooked,
    PaymentEnded,
    PaymentReturned,
    PaymentStarted,
    ShowtimeCancelled,
)
from cinema.domain.showtime.packed import unpack
from cinema.domain.showtime.snapshot import decode_snapshot, encode_snapshot
from cinema.domain.showtime.state import Surplus
from cinema.domain.times import format_time
from tests.unit.domain.showtime.story import (
    Story,
    abandon,
    book,
    cancel,
    cancel_showtime,
    change_plan,
    change_terms,
    extend,
    give_back,
    given,
    hold,
    id_of,
    paid,
    pay,
    release,
    second,
)

ANN = id_of("ann")
HOLD, BOOKING = id_of("hold"), id_of("booking")
UNDER_WAY = {"booking_id": format_id(BOOKING), "pay_until": format_time(second(600))}


def _started(until_s: float = 600, before_start_s: int = -1) -> PaymentStarted:
    return PaymentStarted(
        hold_id=HOLD,
        customer=ANN,
        seats=(0, 4),
        prices=(1000, 1250),
        expires_at_us=second(until_s + 600),
        pay_until_us=second(until_s),
        booking_id=BOOKING,
        code="7KXQ2MPA",
        payment_id=id_of("payment of booking"),
        payment_method="stripe",
        currency="EUR",
        before_start_s=before_start_s,
    )


def _booked(seats: tuple[int, ...] = (0, 4), prices: tuple[int, ...] = (1000, 1250)) -> HoldBooked:
    return HoldBooked(
        hold_id=HOLD,
        customer=ANN,
        seats=seats,
        prices=prices,
        booking_id=BOOKING,
        code="7KXQ2MPA",
        payment_id=id_of("payment of booking"),
        payment_method="stripe",
        currency="EUR",
        pending=True,
    )


def _ended(*, expired: bool) -> PaymentEnded:
    return PaymentEnded(HOLD, ANN, (0, 4), (1000, 1250), BOOKING, expired)


def _paying(*more: AnyEvent) -> Story:
    return given(hold("A1 B1"), pay(), *more)


def test_a_hold_that_is_being_paid_keeps_its_seats_for_the_window_and_the_grace() -> None:
    story = given(hold("A1 B1")).when(pay(), 5).then(_started(605))
    assert story.drawn() == "h... h..."
    group = unpack(story.state.holds[HOLD])
    assert (group.placed_at_us, group.expires_at_us) == (second(0), second(1205))
    # Its own deadline of 600 s no longer counts.
    assert story.when(hold("A1", "other", by="bob"), 1204).drawn() == "h... h..."
    story.when(hold("A1", "other", by="bob"), 1206)
    assert story.happened[0] == _ended(expired=True)
    assert story.drawn() == "h... ...."
    story.when(release()).then_refused("HOLD_ENDED", status="expired")


def test_an_unpaid_reservation_lasts_until_shortly_before_the_start() -> None:
    given(hold("A1 B1")).when(pay(before_start_s=1800), 5).then(_started(5400, 1800))
    story = given(hold("A1 B1"))
    story.when(pay(before_start_s=7200)).then_refused("SALES_CLOSED")
    assert story.message == "Seats can no longer be reserved unpaid: pay for them now."
    assert story.drawn() == "h... h..."


def test_a_reservation_moves_with_the_start() -> None:
    for starts_s, until_s in ((4000, 2200), (9000, 7200), (1000, 10)):
        story = given(
            hold("A1 B1"), pay(before_start_s=1800), hold("A2", "card"), pay("card", "card")
        )
        before = unpack(story.state.holds[id_of("card")])
        times = {"starts_at_us": second(starts_s), "ends_at_us": second(starts_s + 7200)}
        story.when(change_terms(**times), 10)
        group = unpack(story.state.holds[HOLD])
        assert (group.placed_at_us, group.expires_at_us) == (second(0), second(until_s + 600))
        assert group.seats == (0, 4)
        details = {**UNDER_WAY, "pay_until": format_time(second(until_s))}
        story.when(extend(), 10).then_refused("PAYMENT_IN_PROGRESS", **details)
        # A card is paid now, whenever the film begins.
        assert unpack(story.state.holds[id_of("card")]) == before


def test_only_so_many_seats_can_be_reserved_unpaid() -> None:
    story = given(hold("A1 B1"))
    details = {"limit": "unpaid_reservation_seats", "value": 1}
    story.when(pay(seats_limit=1)).then_refused("HOLD_LIMIT", **details)
    story.when(pay(seats_limit=2)).then(_started())


def test_a_hold_is_paid_by_one_booking_at_a_time() -> None:
    story = _paying()
    for command in (pay(booking_id="second"), book(), release(), release("A1"), extend()):
        story.when(command, 1).then_refused("PAYMENT_IN_PROGRESS", **UNDER_WAY)
    story.when(pay(by="bob")).then_refused("NOT_FOUND")
    story.when(pay("unknown")).then_refused("NOT_FOUND")
    story.when(release(by="bob")).then_refused("NOT_FOUND")
    assert story.drawn() == "h... h..."


def test_a_payment_that_comes_books_the_hold() -> None:
    story = _paying().when(paid(2), 30).then(_booked())
    assert story.drawn() == "b... b..."
    assert not story.state.paying
    assert unpack(story.state.bookings[BOOKING])[1:] == (
        second(30),
        second(30),
        (0, 4),
        (1000, 1250),
    )
    story.when(abandon()).then_refused("HOLD_ENDED", status="booked")
    story.when(cancel("A1"), 40)
    assert story.drawn() == ".... b..."


def test_money_that_goes_back_by_itself_books_in_time_or_never() -> None:
    """What a gift card has put aside is gone when the hold has ended, though the seats are free."""
    _paying().when(paid(IN_TIME_ONLY), 30).then(_booked())
    story = _paying(_ended(expired=True)).when(paid(IN_TIME_ONLY), 5000)
    story.then_refused("SEAT_UNAVAILABLE", seats=[])
    story.when(give_back(), 5001).then(_returned(waited=False, expired=True))
    assert story.drawn() == ".... ...."


def test_a_payment_that_is_told_twice_books_once() -> None:
    story = _paying().when(paid(2), 30).then(_booked())
    story.when(paid(2, key="told again"), 31).then_nothing()
    # The refund of a cancelled booking must not be followed by a booking without money.
    story.when(cancel(), 32)
    story.when(paid(2, key="told late"), 33).then_refused("HOLD_ENDED", status="booked")
    assert story.drawn() == ".... ...."


def _returned(*, waited: bool, expired: bool = False) -> PaymentReturned:
    return PaymentReturned(HOLD, ANN, (0, 4), (1000, 1250), BOOKING, waited, expired)


def test_money_that_goes_back_books_nothing_any_more() -> None:
    """Two are told of a late payment: one is refused and gives it back, the other comes later."""
    story = _paying(_ended(expired=True)).when(hold("A1", "other", by="bob"), 5000)
    story.when(paid(2), 5001).then_refused("SEAT_UNAVAILABLE", seats=["A1"])
    story.when(give_back(), 5002).then(_returned(waited=False, expired=True))
    assert story.drawn() == "h... ...."
    story.when(release(hold_id="other", by="bob"), 5003)
    story.when(paid(2, key="told late"), 5004).then_refused("NOT_FOUND")
    story.when(give_back(), 5005).then_nothing()
    story.when(abandon(), 5005).then_refused("NOT_FOUND")
    story.when(release()).then_refused("HOLD_ENDED", status="expired")
    assert story.drawn() == ".... ...."


def test_money_that_goes_back_ends_the_wait_for_it() -> None:
    story = _paying().when(give_back(), 5).then(_returned(waited=True))
    assert story.drawn() == ".... ...."
    assert not story.state.paying
    story.when(paid(2), 6).then_refused("NOT_FOUND")
    story.when(give_back(), 7).then_nothing()
    story.when(release()).then_refused("HOLD_ENDED", status="released")
    story = _paying(_ended(expired=False)).when(give_back(), 9)
    story.then(_returned(waited=False))


def test_money_for_what_is_booked_does_not_go_back() -> None:
    story = _paying().when(paid(2), 30)
    story.when(give_back(), 31).then_refused("HOLD_ENDED", status="booked")
    # It went back with the cancellation.
    story.when(cancel(), 32).when(give_back(), 33).then_refused("HOLD_ENDED", status="booked")


def test_only_its_own_money_goes_back() -> None:
    story = _paying()
    for command in (
        give_back(booking_id="other"),
        give_back(by="bob"),
        give_back("unknown"),
    ):
        story.when(command).then_refused("NOT_FOUND")
    assert story.drawn() == "h... h..."
    given(hold("A1")).when(give_back()).then_refused("NOT_FOUND")
    given(hold("A1"), release()).when(give_back(), 5).then_nothing()
    story = _paying(_ended(expired=True))
    story.when(give_back(booking_id="other")).then_refused("NOT_FOUND")
    story.when(give_back(by="bob")).then_refused("NOT_FOUND")


def test_another_bookings_payment_books_nothing() -> None:
    story = _paying()
    story.when(paid(2, booking_id="other")).then_refused("NOT_FOUND")
    story.when(paid(2, by="bob")).then_refused("NOT_FOUND")
    story.when(paid(2, "unknown")).then_refused("NOT_FOUND")
    story.when(abandon(booking_id="other")).then_refused("NOT_FOUND")
    story.when(abandon(by="bob")).then_refused("NOT_FOUND")
    story.when(abandon("unknown")).then_refused("NOT_FOUND")
    assert story.drawn() == "h... h..."


def test_a_hold_without_a_payment_under_way_is_not_booked_by_one() -> None:
    story = given(hold("A1"))
    story.when(paid()).then_refused("NOT_FOUND")
    story.when(abandon()).then_refused("NOT_FOUND")


def test_a_payment_that_is_given_up_frees_the_seats() -> None:
    story = _paying().when(abandon(expired=False), 9).then(_ended(expired=False))
    assert story.drawn() == ".... ...."
    assert not story.state.paying
    story.when(abandon(), 10).then_nothing()
    story.when(abandon(booking_id="other")).then_refused("NOT_FOUND")
    story.when(release()).then_refused("HOLD_ENDED", status="released")
    story.when(abandon(by="bob")).then_refused("NOT_FOUND")
    # Not before its time, whatever clock the sender has.
    story = _paying().when(abandon(), 599).then_refused("PAYMENT_IN_PROGRESS", **UNDER_WAY)
    assert story.when(abandon(), 600).happened == [_ended(expired=True)]


def test_a_late_payment_gets_the_seats_if_they_are_free() -> None:
    story = _paying(_ended(expired=True)).when(paid(2), 5000).then(_booked())
    assert story.drawn() == "b... b..."
    story.when(paid(2, key="told again"), 5001).then_nothing()
    story.when(abandon()).then_refused("HOLD_ENDED", status="booked")
    # Money that went back with the booking buys no second one.
    story.when(cancel(), 5002).when(paid(2, key="told late"), 5003)
    story.then_refused("HOLD_ENDED", status="booked")


def test_a_late_payment_never_takes_the_seats_of_others() -> None:
    story = _paying(_ended(expired=True)).when(hold("B1 B2", "bobs", by="bob"), 1300)
    story.when(paid(2)).then_refused("SEAT_UNAVAILABLE", seats=["B1"])
    story.when(book("bobs", "bobs", by="bob"))
    story.when(paid(2)).then_refused("SEAT_UNAVAILABLE", seats=["B1"])
    story.when(paid(2, by="bob")).then_refused("NOT_FOUND")
    assert story.drawn() == ".... bb.."


def test_a_late_payment_for_seats_that_are_gone_is_given_back() -> None:
    story = _paying(_ended(expired=True)).when(change_plan("rrrr"), 1300)
    story.when(paid(2)).then_refused("SEAT_UNAVAILABLE", seats=[])
    assert story.drawn() == "...."


def test_a_late_payment_for_a_showtime_that_has_begun_is_given_back() -> None:
    _paying(_ended(expired=True)).when(paid(2), 7200).then_refused("SHOWTIME_STARTED")
    # A payment that is under way may end after the start.
    story = given(hold("A1 B1"))
    story.when(pay(), 1).when(paid(2), 1200).then(_booked())


def test_a_hold_that_was_booked_otherwise_is_not_booked_again() -> None:
    story = given(hold("A1"), book(booking_id="counter")).when(cancel(booking_id="counter"))
    story.when(paid()).then_refused("HOLD_ENDED", status="booked")
    story.when(abandon()).then_refused("HOLD_ENDED", status="booked")


def test_a_cancelled_showtime_ends_what_was_being_paid() -> None:
    story = given(hold("A1 B1"), pay(), hold("A2", "other")).when(cancel_showtime(), 5)
    event = story.happened[0]
    assert isinstance(event, ShowtimeCancelled)
    assert (event.holds, event.unpaid) == ((HOLD, id_of("other")), (BOOKING,))
    assert not story.state.paying
    story.when(paid(2)).then_refused("SHOWTIME_CANCELLED")
    story.when(abandon()).then_nothing()


def test_seats_that_are_being_paid_move_with_the_plan() -> None:
    story = (
        _paying()
        .when(change_plan("rrrr", "rrrr", "pppp"), 5)
        .then_refused("PLAN_IN_USE", seats=["B1"])
    )
    story.when(change_plan("rrrrr", "pppp"), 5).when(paid(2), 30).then(_booked((0, 5)))


def test_what_the_archive_has_is_asked_for_late_payments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "ENDED_HOLDS_KEPT", 0)
    for ending, again, code in (
        (_ended(expired=True), abandon(), None),
        (_booked(), abandon(), "HOLD_ENDED"),
        (_booked(), paid(2, key="late"), "HOLD_ENDED"),
    ):
        story = _paying(ending)
        if code:
            story.when(cancel())
        surplus = Surplus(story.state, second(1))
        for hold_id, packed in surplus.ended:
            story.archive[hold_id] = Archived(ended=packed)
        surplus.remove_from(story.state)
        story.when(again, 2)
        if code is None:
            story.then_nothing()
            story.when(paid(2), 3).then(_booked())
        else:
            story.then_refused(code, status="booked")


def test_a_snapshot_remembers_what_is_being_paid() -> None:
    story = _paying()
    story.state = decode_snapshot(encode_snapshot(story.state, Surplus(story.state, second(1))))
    story.when(extend()).then_refused("PAYMENT_IN_PROGRESS", **UNDER_WAY)
    story.when(paid(2), 2).then(_booked())


def test_money_for_a_hold_that_only_the_archive_has_goes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(state_module, "ENDED_HOLDS_KEPT", 0)
    story = _paying(_ended(expired=True))
    surplus = Surplus(story.state, second(1))
    story.archive |= {hold_id: Archived(ended=packed) for hold_id, packed in surplus.ended}
    surplus.remove_from(story.state)
    assert not story.state.ended
    story.when(give_back(), 2).then(_returned(waited=False, expired=True))
    assert list(story.state.ended) == [HOLD]
