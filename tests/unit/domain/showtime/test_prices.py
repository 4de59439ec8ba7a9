"""What seats cost by the price book of their cinema, and what holds remember of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from cinema.domain.pricing.book import BookSettings, Conditions, Effect, PriceBook, Rule
from cinema.domain.pricing.rules import ReadyBook, ready_book
from cinema.domain.showtime.commands import MoveShowtime, with_plan
from cinema.domain.showtime.events import PlanChanged, SeatsHeld, SoldBy
from cinema.domain.showtime.packed import book_and_taken, unpack
from cinema.domain.showtime.prices import PriceInputs, price_inputs_of, prices_now
from cinema.domain.showtime.snapshot import decode_snapshot, encode_snapshot
from cinema.domain.showtime.state import Surplus
from tests.unit.domain.seat_drawing import draw_plan
from tests.unit.domain.showtime.story import (
    ROOM,
    START_US,
    Story,
    book,
    cancel,
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
    terms,
)
from tests.unit.domain.showtime.world import contents


def rule(number: int, group: Any, more_minor: int, **when: Any) -> Rule:
    return Rule(
        id=UUID(int=number),
        name=f"Rule {number}",
        group=group,
        priority=number,
        when=Conditions(**when),
        effect=Effect(kind="amount", value=more_minor),
    )


def price_book(*rules: Rule, version: int = 3, **settings: Any) -> ReadyBook:
    return ready_book(
        PriceBook(
            version=version,
            currency="EUR",
            time_zone="Europe/Berlin",
            settings=BookSettings(**settings),
            rules=rules,
        )
    )


# 20 more from a quarter of the seats on, 100 more in the last hour, which is second 3600.
DEARER = price_book(rule(1, "demand", 20, taken_min=25), rule(2, "time", 100, hours_before_max=1))


def sold(*steps: Any, **more: Any) -> Story:
    return given(*steps, **{"book": DEARER, "book_version": 3, **more})


def held(story: Story) -> SeatsHeld:
    event = story.happened[-1]
    assert isinstance(event, SeatsHeld)
    return event


def price_inputs(story: Story, name: str = "hold") -> PriceInputs:
    packed = story.state.holds[id_of(name)]
    return price_inputs_of(story.state, story.terms, id_of(name), packed, unpack(packed))


def test_a_hold_without_a_book_costs_what_its_category_costs() -> None:
    story = given().when(hold("A1 B1"))
    assert (held(story).prices, held(story).book_version, held(story).taken) == ((1000, 1250), 0, 0)
    assert book_and_taken(story.state.holds[id_of("hold")]) == (0, 0)


def test_a_hold_costs_what_the_book_says_at_its_moment() -> None:
    story = sold().when(hold("A1 B1", "one"))
    assert (held(story).prices, held(story).book_version, held(story).taken) == ((1000, 1250), 3, 0)
    story.when(hold("A2", "two"), 1)
    assert (held(story).prices, held(story).taken) == ((1020,), 2)
    story.when(release(None, "two"), 2).when(release(None, "one"), 2)
    story.when(hold("A1", "three"), 3)
    assert (held(story).prices, held(story).taken) == ((1000,), 0)
    story.when(hold("A2", "four"), 3600)
    assert held(story).prices == (1000,)
    story.when(hold("A3", "five"), 3600.000001)
    assert held(story).prices == (1100,)


def test_demand_counts_what_is_held_or_booked_and_not_what_is_blocked() -> None:
    story = sold(hold("A1"), book())
    assert story.state.taken == 1
    story.when(cancel(), 1)
    assert story.state.taken == 0
    story.when(hold("A1"), 1).when(pay(), 1)
    story.when(hold("A2", "other", by="bob"), 1500)
    assert (held(story).taken, story.state.taken) == (0, 1)  # The unpaid hold is over by now.
    # The payment comes too late, and yet there are seats.
    story.when(paid(), 1501)
    assert story.state.taken == 2
    story.when(hold("A3", "third"), 1502)
    assert held(story).prices == (1020,)


def test_seats_of_a_payment_that_goes_back_are_not_taken_any_longer() -> None:
    story = sold(hold("A1"), pay()).when(give_back(), 1)
    assert story.state.taken == 0


def test_the_same_prices_are_not_worked_out_again() -> None:
    story = sold()
    first = prices_now(story.state, story.terms, START_US)
    assert prices_now(story.state, story.terms, START_US + 5) is first
    memo = story.state.tariffs
    assert memo is not None
    story.state.taken = 2
    assert prices_now(story.state, story.terms, START_US + 5) == (1020, 1270)
    assert story.state.tariffs is memo
    other = msgspec.structs.replace(story.terms, book=price_book(), book_version=4)
    assert prices_now(story.state, other, START_US) == (1000, 1250)
    assert story.state.tariffs is not memo


def test_a_format_and_a_category_cost_what_the_book_says() -> None:
    of = price_book(format_surcharges={"3D": 300}, category_factors={"premium": 20_000})
    story = given(book=of, book_version=3, format="3D").when(hold("A1 B1"))
    assert held(story).prices == (1300, 2300)
    story.when(change_terms(format="2D"), 1).when(hold("A2", "new"), 2)
    assert held(story).prices == (1000,)


def test_another_version_is_for_new_holds_only() -> None:
    story = sold(hold("A1"))
    before = price_inputs(story)
    of = price_book(rule(1, "time", 500), version=4)
    story.terms = msgspec.structs.replace(story.terms, book=of, book_version=4)
    for command in (extend(), hold("A2", "new", by="bob")):
        story.when(command, 5)
    assert (
        price_inputs(story)
        == before
        == PriceInputs(3, START_US, 0, 8, id_of("film"), 1000, (), "2D", second(7200), ("regular",))
    )
    assert held(story).prices == (1500,)
    assert (price_inputs(story, "new").book_version, price_inputs(story, "new").taken) == (4, 1)


@pytest.mark.parametrize(
    "step",
    [
        change_terms(base_price_minor=2000),
        change_terms(price_overrides=(("premium", 7),)),
        change_terms(format="IMAX"),
        change_terms(starts_at_us=second(7260)),
        change_plan("rrrr", "pppp", "rr"),
    ],
)
def test_a_hold_keeps_what_it_was_sold_by(step: Any) -> None:
    story = sold(hold("A1 B1"), hold("A2", "ends"))
    before = price_inputs(story)
    story.when(step, 1)
    assert price_inputs(story) == before
    story.when(hold("A3", "new"), 2)
    assert price_inputs(story, "new") != msgspec.structs.replace(
        before, at_us=second(2), taken=3, categories=("regular",)
    )
    story.when(extend(), 3).when(release("B1"), 4)
    assert price_inputs(story) == msgspec.structs.replace(before, categories=("regular",))
    again = decode_snapshot(encode_snapshot(story.state, Surplus(story.state, START_US)))
    assert contents(again) == contents(story.state)
    story.when(release(None, "ends"), 5)
    assert story.state.sold_by.keys() == {id_of("hold")}
    story.when(book(), 6)
    assert not story.state.sold_by


def test_what_changes_no_price_is_not_remembered() -> None:
    story = sold(hold("A1")).when(change_terms(language="de"), 1)
    assert not story.state.sold_by
    story = sold().when(change_terms(base_price_minor=2000), 1)
    assert story.happened[0].before is None


def move(*rows: str, version: int, seen: int) -> MoveShowtime:
    command = change_terms(screen_id=id_of(f"screen {version}"), seen=(seen,))
    looked_up = with_plan(command, draw_plan(*rows, version=version), seen)
    assert isinstance(looked_up, MoveShowtime)
    return looked_up


def test_a_hold_keeps_its_categories_on_another_screen() -> None:
    """Each screen has other categories under the same labels, and the first ones count."""
    story = sold(hold("A1 B1"))
    before = price_inputs(story)
    story.when(move("rrrr", "rrrr", version=7, seen=1), 1)
    event = story.happened[0]
    assert isinstance(event, PlanChanged)
    assert event.moved is not None
    assert event.moved.before == SoldBy(
        id_of("film"), 1000, (), "2D", second(7200), ROOM.seat_count, (("B1", "premium"),)
    )
    assert price_inputs(story) == before
    story.when(hold("A2", "second"), 2)
    second_before = price_inputs(story, "second")
    story.when(move("pppp", "vvvv", "rr", version=8, seen=2), 3)
    assert price_inputs(story) == before
    assert price_inputs(story, "second") == second_before
    story.when(change_terms(seen=(3,), screen_id=id_of("screen 8"), base_price_minor=1), 4)
    assert price_inputs(story) == before
    assert price_inputs(story, "second") == second_before


def test_a_pending_booking_keeps_its_mark() -> None:
    story = sold(hold("A1"), pay())
    assert book_and_taken(story.state.holds[id_of("hold")]) == (3, 0)
    story.when(change_terms(starts_at_us=second(7260)), 1)
    assert book_and_taken(story.state.holds[id_of("hold")]) == (3, 0)
    reserved = sold(hold("A1"), pay(before_start_s=60))
    reserved.when(change_terms(starts_at_us=second(7260)), 1)
    assert book_and_taken(reserved.state.holds[id_of("hold")]) == (3, 0)


def test_terms_say_the_format_and_the_zone() -> None:
    assert (terms().format, terms().time_zone) == ("2D", "UTC")
