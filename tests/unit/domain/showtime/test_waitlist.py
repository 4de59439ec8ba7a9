"""Who waits for seats gets them, in order, in the event that frees them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from cinema.domain.ids import format_id
from cinema.domain.limits import (
    EXPIRIES_WITH_WAITLIST,
    OFFER_TTL_S,
    WAITLIST_END_S,
    WAITLIST_ENTRIES,
)
from cinema.domain.pricing.book import BookSettings, Effect, PriceBook, Rule
from cinema.domain.pricing.book import Conditions as When
from cinema.domain.pricing.rules import ready_book
from cinema.domain.showtime.commands import AnyCommand, MoveShowtime
from cinema.domain.showtime.decisions import Replay, due_expiries
from cinema.domain.showtime.events import (
    BookingCancelled,
    Event,
    HoldExpired,
    HoldReleased,
    Offer,
    Offering,
    PlanChanged,
    SalesResumed,
    SeatsChanged,
    SeatsUnblocked,
    TermsChanged,
    WaitlistJoined,
    WaitlistLeft,
)
from cinema.domain.showtime.packed import book_and_taken, unpack
from cinema.domain.showtime.prices import price_inputs_of
from cinema.domain.showtime.waiting import Entry, Wish, seats_for, unpacked_entry
from tests.unit.domain.seat_drawing import draw_plan, draw_status
from tests.unit.domain.showtime.story import (
    PRICES_MINOR,
    Story,
    abandon,
    block,
    book,
    cancel,
    cancel_showtime,
    change,
    change_plan,
    change_terms,
    entry_of,
    extend,
    give_back,
    given,
    hold,
    id_of,
    join,
    leave,
    paid,
    pause,
    pay,
    release,
    resume,
    second,
    terms,
    unblock,
)

ANN, BOB, CYD = id_of("ann"), id_of("bob"), id_of("cyd")
LAST_S = 7200 - WAITLIST_END_S
FULL = (hold("A1 A2"), hold("A3 A4", "other"), hold("B1 B2", "third"), hold("B3 B4", "fourth"))


def full(*steps: Any, **changes: Any) -> Story:
    """A room whose eight seats are held by Ann, two in each hold, and then these steps."""
    return given(*FULL, *steps, **changes)


def offer(by: str, *seats: int, at_s: float = 0) -> Offer:
    prices = tuple(PRICES_MINOR[seat // 4] for seat in seats)
    until_us = second(at_s + OFFER_TTL_S)
    return Offer(id_of(entry_of(by)), id_of(by), seats, prices, until_us)


def offers(story: Story) -> tuple[Offer, ...]:
    """What the last event has offered."""
    event = story.happened[-1]
    assert isinstance(event, Offering)
    return event.offers


def line(story: Story) -> list[bytes]:
    return list(story.state.waitlist)


# --- to wait


def test_who_finds_no_seats_waits_for_them() -> None:
    story = full().when(join(2, category="premium", together=True), 5)
    story.then(WaitlistJoined(id_of(entry_of("bob")), BOB, 2, "premium", False, True, 1))
    entry = unpacked_entry(story.state.waitlist[BOB])
    wish = Wish(2, "premium", accessible=False, together=True)
    assert entry == Entry(id_of(entry_of("bob")), second(5), wish)


def test_those_who_wait_are_in_the_order_in_which_they_came() -> None:
    story = full(join(by="cyd"), join(by="bob"), join(by="dan"), leave(by="bob"), join(by="bob"))
    assert line(story) == [CYD, id_of("dan"), BOB]
    event = story.happened[-1]
    assert isinstance(event, WaitlistJoined)
    assert event.position == 3


def test_who_waits_no_longer_is_offered_nothing() -> None:
    story = full(join(), join(by="cyd")).when(leave(), 1)
    story.then(WaitlistLeft(id_of(entry_of("bob")), BOB))
    story.when(release("A1"), 2)
    assert offers(story) == (offer("cyd", 0, at_s=2),)


def test_who_does_not_wait_cannot_leave() -> None:
    full(join()).when(leave(by="cyd")).then_refused("NOT_FOUND")


def test_a_repeated_key_joins_once() -> None:
    story = full(join(key="k"))
    story.when(join(key="k"))
    assert isinstance(story.decision, Replay)
    story.when(join(2, key="k")).then_refused("IDEMPOTENCY_MISMATCH")
    assert line(story) == [BOB]


def test_seats_that_are_there_are_to_be_held_and_not_waited_for() -> None:
    story = full(release("A1"))
    story.when(join()).then_refused("SEATS_AVAILABLE")
    story.when(join(2))
    assert isinstance(story.decision, WaitlistJoined)


def test_a_customer_waits_once() -> None:
    details = {"status": "waiting", "entry_id": format_id(id_of(entry_of("bob")))}
    full(join()).when(join(2)).then_refused("ALREADY_WAITING", **details)


def test_who_was_offered_seats_waits_again_only_after_these() -> None:
    details = {"status": "offered", "entry_id": format_id(id_of(entry_of("bob")))}
    story = full(join(), release("A1"))
    story.when(join(2)).then_refused("ALREADY_WAITING", **details)
    assert story.message
    story.when(release(None, entry_of("bob"), by="bob"))
    again = msgspec.structs.replace(join(2), entry_id=id_of("again"))
    story.when(again)
    assert isinstance(story.decision, WaitlistJoined)


@pytest.mark.parametrize(
    ("steps", "wish", "at_s", "code"),
    [
        ((cancel_showtime(),), join(), 0, "SHOWTIME_CANCELLED"),
        ((), join(), -3601, "SALES_CLOSED"),
        ((), join(), 7200, "SALES_CLOSED"),
        ((pause(),), join(), 0, "SALES_PAUSED"),
        ((), join(), LAST_S, "WAITLIST_CLOSED"),
        ((), join(category="sofa"), 0, "UNKNOWN_CATEGORY"),
        ((), join(7), 0, "HOLD_LIMIT"),
        ((), join(by="ann"), 0, "HOLD_LIMIT"),
        ((), join(5, category="premium"), 0, "NOT_ENOUGH_SEATS"),
        ((), join(accessible=True), 0, "NOT_ENOUGH_SEATS"),
    ],
)
def test_some_cannot_wait(steps: Any, wish: AnyCommand, at_s: float, code: str) -> None:
    story = given(*steps) if at_s < 0 else full(*steps)
    story.when(wish, at_s)
    assert getattr(story.decision, "code", None) == code, story.decision
    assert line(story) == []


def test_a_list_ends_with_the_sales_if_they_end_earlier() -> None:
    story = full(sales_closes_at_us=second(100))
    story.when(join(), 99)
    assert line(story) == [BOB]
    story.when(release("A1"), 100)
    assert offers(story) == ()


def test_a_list_has_a_limit() -> None:
    story = full(*[join(by=f"guest {at}") for at in range(WAITLIST_ENTRIES)])
    story.when(join()).then_refused("WAITLIST_FULL", value=WAITLIST_ENTRIES)


def test_the_first_of_several_refusals_is_given() -> None:
    """In the order that `decisions.py` documents: each step takes away the first reason."""
    its = terms(seats_per_hold=1, live_holds_per_customer=1, sales_opens_at_us=second(10))
    story = Story(its)
    story.state.cancelled = story.state.paused = True
    bad = join(9, by="ann", category="sofa")
    story.when(bad).then_refused(
        "UNKNOWN_CATEGORY", category="sofa", categories=list(its.plan.categories)
    )
    bad = join(9, by="ann")
    story.when(bad).then_refused("SHOWTIME_CANCELLED")
    story.state.cancelled = False
    assert story.when(bad).decision.code == "SALES_CLOSED"  # type: ignore[union-attr]
    assert story.when(bad, 5500).decision.code == "SALES_PAUSED"  # type: ignore[union-attr]
    story.state.paused = False
    assert story.when(bad, 5500).decision.code == "WAITLIST_CLOSED"  # type: ignore[union-attr]
    assert story.when(bad, 20).decision.code == "HOLD_LIMIT"  # type: ignore[union-attr]


# --- offers


def test_released_seats_are_held_for_whoever_waits() -> None:
    story = full(join(2)).when(release(), 5)
    story.then(
        HoldReleased(
            *(id_of("hold"), ANN, (0, 1), (1000, 1000), (), (), second(600)),
            (offer("bob", 0, 1, at_s=5),),
        )
    )
    assert story.drawn() == "hhhh hhhh"
    assert story.state.taken == 8
    assert line(story) == []
    hold_id = id_of(entry_of("bob"))
    assert unpack(story.state.holds[hold_id]) == (
        *(BOB, second(5), second(5 + OFFER_TTL_S)),
        *((0, 1), (1000, 1000)),
    )


def test_what_was_offered_can_be_booked_as_any_hold() -> None:
    story = full(join(), release("A1"))
    story.when(book(entry_of("bob"), "late", by="bob"), 1)
    assert story.drawn() == "bhhh hhhh"
    assert line(story) == []


def test_nobody_else_can_take_what_was_offered() -> None:
    story = full(join(), release("A1"))
    story.when(hold("A1", "thief", by="cyd")).then_refused("SEAT_UNAVAILABLE", seats=["A1"])
    story.when(release(None, entry_of("bob"), by="cyd")).then_refused("NOT_FOUND")


def test_an_offer_that_is_given_back_goes_to_the_next() -> None:
    story = full(join(), join(by="cyd"), release("A1"))
    story.when(release(None, entry_of("bob"), by="bob"), 9)
    assert offers(story) == (offer("cyd", 0, at_s=9),)


def test_an_offer_that_expires_goes_to_the_next_in_the_same_event() -> None:
    story = given(hold("A1"), join(by="bob"), its_terms=terms("r")).when(release(), 1)
    assert offers(story) == (offer("bob", 0, at_s=1),)
    story.when(join(by="cyd"), 2)
    story.when(pause(), 1 + OFFER_TTL_S)
    assert story.happened[0] == HoldExpired(
        id_of(entry_of("bob")), (0,), (offer("cyd", 0, at_s=1 + OFFER_TTL_S),)
    )
    assert story.drawn() == "h"


def test_an_offer_can_be_extended_no_further_than_a_hold() -> None:
    story = full(join(), release("A1"), hold_max_s=OFFER_TTL_S)
    story.when(extend(entry_of("bob"), by="bob"))
    assert getattr(story.decision, "code", None) == "HOLD_LIMIT"


def test_an_offer_counts_as_a_hold() -> None:
    story = given(
        hold("A1"), hold("A2", "own", by="bob"), join(by="bob"),
        its_terms=terms("rr", live_holds_per_customer=2),
    )  # fmt: skip
    story.when(release(), 1)
    story.when(hold("A1", "more", by="bob"))
    assert getattr(story.decision, "code", None) == "HOLD_LIMIT"
    assert story.state.live_holds_of(BOB) == 2


def test_who_does_not_fit_keeps_the_place() -> None:
    story = full(join(3, by="bob"), join(2, by="cyd"), join(1, by="dan")).when(release("A1"), 1)
    assert offers(story) == (offer("dan", 0, at_s=1),)
    assert line(story) == [BOB, CYD]
    story.when(release("A2"), 2)
    assert offers(story) == ()
    story.when(release(hold_id="other"), 3)
    assert offers(story) == (offer("bob", 1, 2, 3, at_s=3),)
    assert line(story) == [CYD]


def test_several_get_seats_of_one_event_in_order() -> None:
    story = full(join(2, by="bob"), join(2, by="cyd"), join(1, by="dan"), join(1, by="eve"))
    story.when(release(), 1).when(release(hold_id="third"), 2)
    assert line(story) == [id_of("dan"), id_of("eve")]
    story.when(release(hold_id="other"), 3)
    assert [one.customer for one in offers(story)] == [id_of("dan"), id_of("eve")]
    assert story.drawn() == "hhhh hhhh"


def test_seats_that_nobody_wants_stay_free() -> None:
    story = full(join(category="premium")).when(release("A1"), 1)
    assert offers(story) == ()
    assert story.drawn() == ".hhh hhhh"


def test_who_wants_to_sit_together_is_not_offered_seats_apart() -> None:
    its = terms("rr rr", "rr rr", "rr rr", "rr rr", "rr rr", seats_per_hold=20)
    story = given(hold(" ".join(its.plan.labels)), join(2, by="bob", together=True), its_terms=its)
    story.when(join(2, by="cyd"), 1)
    story.when(release("A1"), 2).when(release("D4"), 3)
    assert [one.customer for one in offers(story)] == [CYD]
    story.when(release("B1 B2"), 4)
    assert [one.customer for one in offers(story)] == [BOB]


def test_who_needs_an_accessible_seat_gets_one() -> None:
    its = terms("Wrr", "rrr", "rrr", "rrr", seats_per_hold=12)
    story = given(hold(" ".join(its.plan.labels)), its_terms=its)
    story.when(join(2, by="bob", accessible=True))
    story.when(release("D3"), 1).when(release("D1"), 2)
    assert offers(story) == ()
    story.when(release("A1"), 3)
    assert [its.plan.labels[seat] for seat in offers(story)[0].seats] == ["A1", "D1"]


def test_others_are_not_offered_accessible_seats() -> None:
    its = terms("Wr")
    story = given(hold("A1 A2"), join(by="bob"), its_terms=its).when(release("A1"), 1)
    assert offers(story) == ()
    assert story.drawn() == ".h"


@pytest.mark.parametrize(
    ("steps", "freed", "kind"),
    [
        ((), release("A1"), HoldReleased),
        ((book(),), cancel("A1"), BookingCancelled),
        ((release(), block("A1"), hold("A2", "again")), unblock("A1"), SeatsUnblocked),
    ],
)
def test_each_way_by_which_seats_become_free_offers_them(
    steps: Any, freed: AnyCommand, kind: type[Event]
) -> None:
    story = full(*steps, join()).when(freed, 1)
    assert isinstance(story.decision, kind)
    assert offers(story) == (offer("bob", 0, at_s=1),)
    assert "." not in story.drawn()


@pytest.mark.parametrize("freed", [abandon(expired=False), give_back()])
def test_seats_of_a_payment_that_does_not_come_are_offered(freed: AnyCommand) -> None:
    story = full(pay(), join(2)).when(freed, 1)
    assert offers(story) == (offer("bob", 0, 1, at_s=1),)
    assert "." not in story.drawn()
    story.when(paid(2))
    assert getattr(story.decision, "code", None) in {"SEAT_UNAVAILABLE", "NOT_FOUND"}


def test_seats_of_a_payment_that_expires_are_offered() -> None:
    story = given(hold("A1"), pay(), join(by="bob"), its_terms=terms("r"))
    story.when(pause(), 1200)
    assert story.happened[0].offers == (offer("bob", 0, at_s=1200),)  # type: ignore[union-attr]


def test_money_that_goes_back_after_the_hold_has_ended_offers_nothing() -> None:
    story = full(pay(), abandon(expired=False)).when(join(3), 1)
    story.when(give_back(), 2)
    assert offers(story) == ()


def test_seats_that_a_ticket_leaves_are_offered() -> None:
    story = full(book(), release("A3", "other"), join(2))
    story.when(change("A2", "A3", seen={"A1": 1000, "A2": 1000}), 1)
    assert offers(story) == ()
    assert line(story) == [BOB]
    story.when(join(by="cyd")).then_refused("SEATS_AVAILABLE")
    story.when(release("A4", "other"), 2)
    event = story.happened[-1]
    assert isinstance(event, HoldReleased)
    assert event.offers == (offer("bob", 1, 3, at_s=2),)


def test_the_seat_that_a_ticket_leaves_goes_to_whoever_waits() -> None:
    story = full(book(), release("A3", "other"), hold("A3", "own", by="eve"), join())
    story.when(change("A2", "A3", seen={"A1": 1000, "A2": 1000}, holder=id_of("eve")), 1)
    assert isinstance(story.decision, SeatsChanged)
    assert story.decision.offers == (offer("bob", 1, at_s=1),)
    assert story.drawn() == "bhbh hhhh"


# --- what ends offers


def test_nothing_is_offered_while_sales_are_paused_and_all_once_they_go_on() -> None:
    story = full(join(2), join(by="cyd"), pause()).when(release(), 1)
    assert offers(story) == ()
    assert story.drawn() == "..hh hhhh"
    story.when(resume(), 2).then(SalesResumed((offer("bob", 0, 1, at_s=2),)))
    assert story.drawn() == "hhhh hhhh"
    assert line(story) == [CYD]


def test_nothing_is_offered_from_half_an_hour_before_the_start_on() -> None:
    story = full(join(), join(by="cyd"), hold_ttl_s=7000, hold_max_s=7000)
    story.when(release("A1"), LAST_S - 1)
    assert offers(story) == (offer("bob", 0, at_s=LAST_S - 1),)
    story.when(release("A2"), LAST_S)
    assert offers(story) == ()
    assert story.drawn() == "h.hh hhhh"


def test_a_showtime_that_is_moved_to_later_goes_on_offering() -> None:
    story = full(join(), hold_ttl_s=7000, hold_max_s=7000).when(release("A1"), LAST_S)
    story.when(change_terms(starts_at_us=second(9000), sales_closes_at_us=second(9000)), LAST_S + 1)
    event = story.decision
    assert isinstance(event, TermsChanged)
    assert event.offers == (offer("bob", 0, at_s=LAST_S + 1),)
    assert story.drawn() == "hhhh hhhh"


def test_offers_of_changed_terms_are_sold_by_these() -> None:
    story = full(join(), hold_ttl_s=7000, hold_max_s=7000).when(release("A1"), LAST_S)
    later = {"starts_at_us": second(9000), "sales_closes_at_us": second(9000)}
    story.when(change_terms(base_price_minor=2000, **later), LAST_S + 1)
    (made,) = offers(story)
    assert made.prices == story.terms.prices_minor[:1]
    assert made.prices != PRICES_MINOR[:1]
    packed = story.state.holds[made.hold_id]
    price_inputs = price_inputs_of(story.state, story.terms, made.hold_id, packed, unpack(packed))
    assert price_inputs.base_price_minor == 2000
    old = story.state.holds[id_of("other")]
    price_inputs = price_inputs_of(story.state, story.terms, id_of("other"), old, unpack(old))
    assert price_inputs.base_price_minor == 1000


def test_nobody_waits_for_a_cancelled_showtime() -> None:
    story = full(join(), join(by="cyd"), release("A1"), cancel_showtime())
    assert line(story) == []
    assert story.state.offered == {}
    assert story.state.taken == 0


def test_seats_of_a_new_plan_are_offered() -> None:
    story = full(join(2, by="bob"), join(by="cyd")).when(change_plan("rrrr", "pppp", "rrr"), 1)
    event = story.decision
    assert isinstance(event, PlanChanged)
    until_us = second(1 + OFFER_TTL_S)
    assert [(one.customer, one.expires_at_us) for one in event.offers] == [
        (BOB, until_us),
        (CYD, until_us),
    ]
    assert story.drawn() == "hhhh hhhh hhh"
    assert event.offers[0].prices == (1000, 1000)


def test_seats_that_a_new_plan_lacks_are_not_offered() -> None:
    story = given(hold("A1 A2"), join(2), its_terms=terms("rr", "p"))
    assert story.drawn() == "hh ."
    story.when(change_plan("rrrr"), 1)
    assert [one.seats for one in offers(story)] == [(2, 3)]
    assert story.drawn() == "hhhh"


def test_what_was_offered_and_booked_goes_on_when_it_is_cancelled() -> None:
    steps = (hold("A1 A2"), hold("B1", "other"), join(category="premium"))
    story = given(*steps, its_terms=terms("rr", "p"))
    story.when(release(None, "other"), 1).when(book(entry_of("bob"), by="bob"), 2)
    story.when(join(by="cyd", category="premium"), 3).when(cancel(by="bob"), 4)
    assert [one.customer for one in offers(story)] == [CYD]


def test_who_waits_for_a_category_that_is_gone_keeps_the_place() -> None:
    its = terms("rr", "p")
    steps = (hold("A1 A2"), hold("B1", "other"), join(category="premium"), pause())
    story = given(*steps, its_terms=its)
    story.when(release(None, "other"), 1)
    story.when(change_plan("rrr"), 2)
    story.when(resume(), 3)
    assert offers(story) == ()
    assert line(story) == [BOB]


def test_seats_of_another_screen_are_offered() -> None:
    story = full(join(2))
    wanted = change_terms(screen_id=id_of("large"))
    fields = msgspec.structs.asdict(wanted)
    move = MoveShowtime(**fields, plan=draw_plan("rrrr", "pppp", "rr", version=2))
    story.when(move, 1)
    event = story.decision
    assert isinstance(event, PlanChanged)
    assert event.moved is not None
    assert event.moved.offers == ()
    assert [one.customer for one in event.offers] == [BOB]
    assert story.drawn() == "hhhh hhhh hh"


# --- what an offer costs


def test_offers_are_priced_by_the_book_and_remember_it() -> None:
    dearer = Rule(
        id=UUID(int=1),
        name="full",
        group="demand",
        priority=1,
        when=When(taken_min=90),
        effect=Effect(kind="amount", value=500),
    )
    book_of_cinema = PriceBook(
        version=7,
        currency="EUR",
        time_zone="UTC",
        rules=(dearer,),
        settings=BookSettings(),
    )
    its = terms("rrrrr", "rrrrr", seats_per_hold=10, book_version=7)
    its = msgspec.structs.replace(its, book=ready_book(book_of_cinema))
    story = given(hold(" ".join(its.plan.labels)), its_terms=its)
    story.when(join(by="bob")).when(join(by="cyd"))
    story.when(release("A1 A2"), 1)
    first, then = offers(story)
    assert (first.book_version, first.taken, then.taken) == (7, 8, 9)
    assert (first.prices, then.prices) == ((1000,), (1500,))
    assert book_and_taken(story.state.holds[first.hold_id]) == (7, 8)
    assert book_and_taken(story.state.holds[then.hold_id]) == (7, 9)


# --- bounds


def test_fewer_holds_expire_in_a_turn_while_somebody_waits() -> None:
    labels = [f"A{at}" for at in range(1, EXPIRIES_WITH_WAITLIST + 3)]
    its = terms("r" * len(labels), live_holds_per_customer=50)
    story = given(*[hold(label, label) for label in labels], its_terms=its)
    assert len(due_expiries(story.state, second(600))) == len(labels)
    story.when(join())
    assert len(due_expiries(story.state, second(600))) == EXPIRIES_WITH_WAITLIST


def test_the_state_forgets_offers_that_have_ended() -> None:
    story = given(hold("A1"), join(by="bob"), its_terms=terms("r"))
    story.when(release(), 1).when(join(by="cyd"), 2)
    story.when(release(None, entry_of("bob"), by="bob"), 3)
    assert list(story.state.offered) == [CYD]


# --- which seats would do


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        (Wish(1, None, accessible=False, together=False), "D3"),
        (Wish(2, None, accessible=False, together=False), "A3 D3"),
        (Wish(2, None, accessible=False, together=True), None),
        (Wish(3, None, accessible=False, together=False), None),
        (Wish(1, "premium", accessible=False, together=False), "D3"),
        (Wish(1, "vip", accessible=False, together=False), None),
        (Wish(1, None, accessible=True, together=False), "A1"),
        (Wish(3, None, accessible=True, together=False), "A1 A2 A3"),
        (Wish(2, "premium", accessible=True, together=False), None),
    ],
)
def test_seats_that_would_do(wish: Wish, found: str | None) -> None:
    plan = draw_plan("WCrr", "rrrr", "rrrr", "pppp")
    taken = draw_status("...x", "xxxx", "xxxx", "xx.x")
    seats = seats_for(plan, taken, wish, protect_orphans=True)
    labels = None if seats is None else " ".join(plan.labels[seat] for seat in seats)
    assert labels == found
