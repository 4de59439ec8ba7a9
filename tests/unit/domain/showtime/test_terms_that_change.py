"""Showtimes whose terms change while they are being sold, and those that do not take place."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cinema.domain.sale_rules import SaleRules
from cinema.domain.showtime.commands import ChangeLayout, MoveShowtime, with_plan
from cinema.domain.showtime.decisions import FindPlan, Replay
from cinema.domain.showtime.events import (
    HoldExtended,
    PlanChanged,
    SalesPaused,
    SeatsHeld,
    ShowtimeCancelled,
    TermsChanged,
)
from cinema.domain.showtime.prices import sold_now
from cinema.domain.showtime.snapshot import decode_snapshot, encode_snapshot
from cinema.domain.showtime.state import Surplus
from cinema.domain.showtime.terms import terms_after
from tests.unit.domain.seat_drawing import draw_plan
from tests.unit.domain.showtime.story import (
    RULES,
    Story,
    block,
    book,
    cancel,
    cancel_showtime,
    change_plan,
    change_terms,
    conditions,
    extend,
    given,
    hold,
    id_of,
    pause,
    release,
    resume,
    second,
    terms,
)
from tests.unit.domain.showtime.world import contents

HALF_AN_HOUR_S = 1800
A_WEEK_S = 7 * 24 * 3600
START_S = 7200
ELSEWHERE = id_of("other screen")


def changed(story: Story) -> TermsChanged:
    (event,) = story.happened
    assert isinstance(event, TermsChanged)
    return event


def move(*rows: str, version: int = 7, **changes: Any) -> MoveShowtime:
    """Onto another screen of these rows; its owner has looked the plan up."""
    command = change_terms(screen_id=ELSEWHERE, **changes)
    looked_up = with_plan(command, draw_plan(*rows, version=version), *command.seen)
    assert isinstance(looked_up, MoveShowtime)
    return looked_up


def changed_on(story: Story) -> TermsChanged:
    """The other terms, on this screen or another."""
    (event,) = story.happened
    if isinstance(event, PlanChanged):
        assert event.moved is not None
        return event.moved
    return changed(story)


# --- prices


def test_new_prices_are_for_new_holds_only() -> None:
    story = given(hold("A1"), hold("A2", "sold"), book("sold"))
    story.when(change_terms(base_price_minor=2000), 1)
    told = (second(START_S), second(START_S))
    wanted = conditions(base_price_minor=2000)
    story.then(TermsChanged(2, wanted, second(START_S), 0, told, before=sold_now(terms())))
    story.when(hold("A3", "new"), 2)
    story.then(SeatsHeld(id_of("new"), id_of("ann"), (2,), (2000,), second(602)))
    story.when(hold("B1", "dear"), 2)
    assert story.happened[0].prices == (2500,)
    story.when(extend(), 3)
    story.then(HoldExtended(id_of("hold"), id_of("ann"), (0,), (1000,), second(603)))
    story.when(book(booking_id="late"), 4)
    assert story.happened[0].prices == (1000,)
    story.when(cancel(booking_id="booking"), 5)
    assert story.happened[0].cancelled_prices == (1000,)


def test_a_category_may_have_a_price_of_its_own() -> None:
    story = given().when(change_terms(price_overrides=(("premium", 300),)))
    story.when(hold("A1 B1"))
    assert story.happened[0].prices == (1000, 300)


def test_a_price_for_a_category_that_the_plan_lacks_is_refused() -> None:
    story = given().when(change_terms(price_overrides=(("box", 300), ("vip", 1))))
    story.then_refused("UNKNOWN_CATEGORY", category="box", categories=["premium", "regular"])


# --- everything else


def test_other_rules_and_another_window_count_from_then_on() -> None:
    rules = msgspec.structs.replace(RULES, seats_per_hold=1, hold_ttl_s=60)
    wanted = change_terms(
        rules=rules, sales_opens_at_us=second(-60), sales_closes_at_us=second(100)
    )
    story = given().when(wanted, 1)
    story.when(hold("A1 A2"), 2).then_refused("HOLD_LIMIT", limit="seats_per_hold", value=1)
    story.when(hold("A1"), 2)
    story.then(SeatsHeld(id_of("hold"), id_of("ann"), (0,), (1000,), second(62)))
    story.when(hold("A2", "late"), 100)
    assert story.decision.code == "SALES_CLOSED"


def test_every_rule_of_a_sale_is_one_of_the_terms() -> None:
    """A rule that terms lack would fail here, and not at the first change of a showtime."""
    rules = SaleRules(
        seats_per_hold=1,
        live_holds_per_customer=2,
        seats_per_staff_hold=3,
        live_holds_per_staff=4,
        hold_ttl_s=5,
        hold_max_s=6,
        protect_orphans=True,
        companions_need_accessible=True,
    )
    its = given().when(change_terms(rules=rules)).terms
    for name, value in msgspec.structs.asdict(rules).items():
        assert getattr(its, name) == value


def test_whoever_has_not_seen_the_last_version_changes_nothing() -> None:
    story = given().when(change_terms(base_price_minor=1100), 1)
    story.when(change_terms(base_price_minor=1200), 2)
    story.then_refused("PRECONDITION_FAILED", version=2)
    story.when(change_terms(base_price_minor=1200, seen=(1, 2)), 3)
    assert changed(story).version == 3
    story.when(cancel_showtime(), 4).then_refused("PRECONDITION_FAILED", version=3)


@pytest.mark.parametrize("between", [pause(), change_plan("rrrr", "pppp")])
def test_a_version_counts_each_change_of_the_showtimes_row(between: Any) -> None:
    story = given(between).when(change_terms(), 1)
    story.then_refused("PRECONDITION_FAILED", version=2)


def test_sales_that_resume_are_another_version() -> None:
    story = given(pause()).when(resume(), 1)
    assert story.terms.version == 3


def test_a_change_of_plan_says_which_version_it_made() -> None:
    story = given().when(change_plan("rrrr", "pppp", "rr"), 1)
    event = story.happened[0]
    assert isinstance(event, PlanChanged)
    assert (event.terms_version, story.state.terms_version, story.terms.version) == (2, 2, 2)


def test_what_is_no_change_of_terms_is_told_apart() -> None:
    with pytest.raises(TypeError, match="HoldExtended changes no terms"):
        terms_after(terms(), extend(), HoldExtended(b"", b"", (), (), 0))


# --- the start


@pytest.mark.parametrize("moved_s", [-HALF_AN_HOUR_S, 60, HALF_AN_HOUR_S])
def test_a_start_may_move_by_half_an_hour(moved_s: int) -> None:
    story = given(hold("A1")).when(change_terms(starts_at_us=second(START_S + moved_s)))
    event = changed(story)
    assert (event.promised_start_us, event.free_refund_until_us) == (second(START_S), 0)
    assert story.terms.starts_at_us == second(START_S + moved_s)


@pytest.mark.parametrize("moved_s", [-HALF_AN_HOUR_S - 1, HALF_AN_HOUR_S + 1, 86_400])
@pytest.mark.parametrize("sold", [[hold("A1")], [hold("A1"), book()]])
def test_a_start_that_moves_further_is_refunded_for_a_week(moved_s: int, sold: list[Any]) -> None:
    starts_us = second(START_S + moved_s)
    story = given(*sold).when(change_terms(starts_at_us=starts_us), 5)
    event = changed(story)
    assert (event.promised_start_us, event.free_refund_until_us) == (
        starts_us,
        second(5 + A_WEEK_S),
    )


def test_small_moves_add_up() -> None:
    story = given(hold("A1", by="bob"), book(by="bob"))
    story.when(change_terms(starts_at_us=second(START_S + 1200)), 1)
    assert changed(story).free_refund_until_us == 0
    story.when(change_terms(starts_at_us=second(START_S + 2400), seen=(2,)), 2)
    event = changed(story)
    assert event.promised_start_us == second(START_S + 2400)
    assert event.free_refund_until_us == second(2 + A_WEEK_S)
    story.when(change_terms(starts_at_us=second(START_S + 2400), seen=(3,)), 9)
    assert changed(story).free_refund_until_us == second(2 + A_WEEK_S)


@pytest.mark.parametrize(
    "moved_s",
    [
        (1500, -1500),
        (1500, 0, -1500),
        (-1500, 0, 0, 1500),
        (600, 1200, -601),
    ],
)
def test_a_start_does_not_swing_around_what_was_promised(moved_s: tuple[int, ...]) -> None:
    """Who got a seat in between was told another start than who came first."""
    story = given(hold("A1", by="bob"), book(by="bob"))
    for seen, by_s in enumerate(moved_s, 1):
        assert story.terms.free_refund_until_us == 0
        state = story.state
        restored = decode_snapshot(encode_snapshot(state, Surplus(state, state.at_us)))
        assert restored.told_starts_us == state.told_starts_us
        story.when(change_terms(starts_at_us=second(START_S + by_s), seen=(seen,)), seen)
    event = changed(story)
    last_us = second(START_S + moved_s[-1])
    assert event.told_starts_us == (last_us, last_us)
    assert event.promised_start_us == last_us
    assert event.free_refund_until_us == second(len(moved_s) + A_WEEK_S)


def test_a_start_that_swings_by_half_an_hour_in_all_is_kept() -> None:
    story = given(hold("A1", by="bob"), book(by="bob"))
    for seen, by_s in enumerate((1200, -600, 1200, 0), 1):
        story.when(change_terms(starts_at_us=second(START_S + by_s), seen=(seen,)), seen)
    assert changed(story).free_refund_until_us == 0
    assert changed(story).promised_start_us == second(START_S)
    # Whoever comes when nobody has a seat any more was told nothing else.
    story.when(cancel(), 5).when(hold("A1"), 6)
    assert story.state.told_starts_us == (second(START_S - 600), second(START_S + 1200))


def test_a_move_to_another_screen_is_no_way_around_the_promise() -> None:
    story = given(hold("A1", by="bob"), book(by="bob"), its_terms=terms("rrr"))
    story.when(change_terms(starts_at_us=second(START_S + 1500)), 1)
    story.when(move("rrr", seen=(2,), starts_at_us=second(START_S)), 2)
    story.when(change_terms(screen_id=ELSEWHERE, seen=(3,), starts_at_us=second(START_S - 1500)), 3)
    assert changed(story).free_refund_until_us == second(3 + A_WEEK_S)


FAR_S = HALF_AN_HOUR_S + 1
JOB = id_of("a job")


@pytest.mark.parametrize(
    ("wanted", "job_id"),
    [
        (change_terms(starts_at_us=second(START_S + FAR_S), job_id=JOB), JOB),
        (move("rrr", job_id=JOB), JOB),
        (move("rrr", starts_at_us=second(START_S + FAR_S), job_id=JOB), JOB),
        (change_terms(starts_at_us=second(START_S + HALF_AN_HOUR_S), job_id=JOB), b""),
        (change_terms(base_price_minor=5, job_id=JOB), b""),
        # From a build that does not ask for it.
        (move("rrr"), b""),
    ],
)
def test_whoever_has_booked_is_told_of_another_time_or_screen(wanted: Any, job_id: bytes) -> None:
    story = given(hold("A1"), book(), its_terms=terms("rrr")).when(wanted)
    assert changed_on(story).job_id == job_id
    only_held = given(hold("A1"), its_terms=terms("rrr")).when(wanted)
    assert changed_on(only_held).job_id == b""


def test_each_far_move_is_told() -> None:
    story = given(hold("A1"), book(), its_terms=terms("rrr"))
    for number in (1, 2):
        far = second(START_S + number * FAR_S)
        wanted = change_terms(starts_at_us=far, seen=(number,), job_id=id_of(f"{number}"))
        assert changed(story.when(wanted, number)).job_id == id_of(f"{number}")
    # A price is nobody's matter while the week of the second is under way.
    same = change_terms(starts_at_us=far, base_price_minor=5, seen=(3,), job_id=JOB)
    assert changed(story.when(same, 3)).job_id == b""


def test_what_was_moved_far_is_given_back_for_a_week_even_if_it_is_over() -> None:
    """Whoever reads of it only then could not come."""
    soon = change_terms(starts_at_us=second(10), ends_at_us=second(3600))
    story = given(
        hold("A1", "one"), book("one", "first"), hold("A3", "two"), its_terms=terms("rrr")
    )
    story.when(soon, 1).when(book("two", "second"), 2)
    story.when(cancel(booking_id="second"), 11).then_refused("SHOWTIME_STARTED")
    story.when(cancel(booking_id="first"), 1 + A_WEEK_S).then_refused("SHOWTIME_STARTED")
    story.when(cancel(booking_id="first"), A_WEEK_S)
    assert story.drawn() == "..b"


def test_who_gives_back_one_seat_may_give_back_the_other_later() -> None:
    soon = change_terms(starts_at_us=second(10), ends_at_us=second(3600))
    story = given(hold("A1 A3"), book(), its_terms=terms("rrr"))
    story.when(soon, 1).when(cancel(labels="A1"), 5).when(cancel(), 11)
    assert story.drawn() == "..."


def test_a_start_moves_freely_while_nobody_has_a_seat() -> None:
    story = given(hold("A1"), release(), hold("A2", "sold"), book("sold"), cancel())
    story.when(change_terms(starts_at_us=second(90_000)), 1)
    event = changed(story)
    assert (event.promised_start_us, event.free_refund_until_us) == (second(90_000), 0)
    story.when(change_terms(starts_at_us=second(90_060), seen=(2,)), 1)
    assert changed(story).promised_start_us == second(90_060)


def test_a_showtime_that_has_started_starts_no_more() -> None:
    story = given().when(change_terms(starts_at_us=second(9000)), START_S)
    story.then_refused("SHOWTIME_STARTED")
    story.when(change_terms(base_price_minor=1), START_S)
    assert changed(story).version == 2


# --- the film


def test_another_film_is_shown_only_if_nobody_has_a_seat_for_this_one() -> None:
    story = given(hold("A1")).when(change_terms(movie_id=id_of("other")))
    story.then_refused("SHOWTIME_IN_USE", field="movie_id")
    story.when(release(), 1).when(change_terms(movie_id=id_of("other")), 2)
    assert story.terms.movie_id == id_of("other")


# --- no showtime after all


def test_holds_end_with_their_showtime_and_no_others_begin() -> None:
    story = given(hold("A1 A2"), hold("A3", "second"), hold("B1", "sold"), book("sold"))
    story.when(cancel_showtime(), 1)
    ends = (id_of("hold"), id_of("second"))
    story.then(ShowtimeCancelled(2, "no heating", ends, (0, 1, 2), 1, id_of("job")))
    assert story.drawn() == ".... b..."
    assert story.state.holds == {}
    story.when(hold("A1", "new"), 2).then_refused("SHOWTIME_CANCELLED")
    story.when(extend(), 2).then_refused("HOLD_ENDED", status="released")
    story.when(book(), 2).then_refused("HOLD_ENDED", status="released")


def test_without_bookings_there_is_nothing_left_to_do() -> None:
    given(hold("A1")).when(cancel_showtime()).then(
        ShowtimeCancelled(2, "no heating", (id_of("hold"),), (0,), 0, b"")
    )


def test_what_nobody_has_booked_is_cancelled_whatever_was_seen() -> None:
    unbooked = msgspec.structs.replace(cancel_showtime(seen=()), unless_booked=True)
    story = given(hold("A1"), pause()).when(unbooked)
    assert (story.state.cancelled, story.drawn()[0]) == (True, ".")
    story.when(unbooked).then_nothing()
    booked = given(hold("A1"), book())
    booked.when(unbooked).then_refused("SHOWTIME_IN_USE", bookings=1)
    booked.when(unbooked, 14_400).then_refused("SHOWTIME_STARTED")
    # What builds from before take it for.
    given().when(cancel_showtime(seen=())).then_refused("PRECONDITION_FAILED", version=1)


def test_bookings_are_cancelled_after_their_showtime() -> None:
    story = given(hold("A1"), book()).when(cancel_showtime(), 1)
    story.when(cancel(by=None), 2)
    assert story.drawn() == ".... ...."
    assert story.state.bookings == {}


def test_a_showtime_is_cancelled_once() -> None:
    story = given(hold("A1"), book()).when(cancel_showtime(key="once"), 1)
    story.when(cancel_showtime("again", seen=(9,)), 2).then_nothing()
    story.when(cancel_showtime(key="once"), 3)
    assert isinstance(story.decision, Replay)
    story.when(change_terms(seen=(2,)), 4).then_refused("SHOWTIME_CANCELLED")
    story.when(change_plan("rrrr"), 4).then_refused("SHOWTIME_CANCELLED")


def test_sales_may_pause_and_resume_and_stay_cancelled() -> None:
    story = given(cancel_showtime()).when(pause(), 1).then(SalesPaused())
    story.when(resume(), 2).when(hold("A1"), 3).then_refused("SHOWTIME_CANCELLED")


def test_a_showtime_that_has_begun_can_still_be_cancelled_and_one_that_is_over_cannot() -> None:
    story = given(hold("A1"), book()).when(cancel_showtime(), 14_400)
    story.then_refused("SHOWTIME_STARTED")
    assert story.message == "The showtime is over."
    given(hold("A1"), book()).when(cancel_showtime(), 14_399).then(
        ShowtimeCancelled(2, "no heating", (), (), 1, id_of("job"))
    )


def test_a_snapshot_keeps_what_became_of_the_showtime() -> None:
    story = given(hold("A1"), change_terms(), cancel_showtime(seen=(2,)))
    state = story.state
    restored = decode_snapshot(encode_snapshot(state, Surplus(state, state.at_us)))
    assert contents(restored) == contents(state)
    assert (restored.cancelled, restored.terms_version) == (True, 3)


# --- another layout, another screen


def change_layout(version: int = 2, seen: tuple[int, ...] = (1,)) -> ChangeLayout:
    return ChangeLayout(command_id=id_of(f"layout {version}"), seen=seen, layout_version=version)


def test_another_layout_is_looked_up_first() -> None:
    story = given().when(change_layout())
    assert story.decision == FindPlan(id_of("screen"), 2, 1)
    story.when(with_plan(change_layout(), draw_plan("rrrr", "pppp", "vv", version=2), 1))
    assert story.terms.plan.version == 2
    # A category that is new has its price from the terms.
    assert story.terms.prices_minor == (1000, 1250, 1600)
    assert story.terms.version == 2


def test_the_layout_that_is_pinned_already_is_not_looked_up() -> None:
    given().when(change_layout(1)).then_nothing()


def test_a_layout_is_changed_by_whoever_has_seen_the_last_version() -> None:
    given(pause()).when(change_layout()).then_refused("PRECONDITION_FAILED", version=2)
    looked_up = with_plan(change_layout(), draw_plan("rr", version=2), 1)
    given(pause()).when(looked_up).then_refused("PRECONDITION_FAILED", version=2)
    given(cancel_showtime()).when(change_layout(seen=(2,))).then_refused("SHOWTIME_CANCELLED")


def test_a_showtime_moves_to_a_screen_that_has_all_seats_that_are_taken() -> None:
    story = given(hold("A2"), hold("B1", "sold"), book("sold"), its_terms=terms("rrr", "rr"))
    story.when(change_terms(screen_id=ELSEWHERE), 1)
    assert story.decision == FindPlan(ELSEWHERE, 0, 1)
    story.when(move("prrr", "rr", base_price_minor=2000), 1)
    (event,) = story.happened
    assert isinstance(event, PlanChanged)
    assert (event.layout_version, event.mapping) == (7, (0, 1, 2, 4, 5))
    assert event.moved is not None
    assert event.moved.conditions.screen_id == ELSEWHERE
    assert (event.terms_version, event.moved.version) == (2, 2)
    assert story.drawn() == ".h.. b."
    its = story.terms
    assert (its.screen_id, its.plan.version, its.version) == (ELSEWHERE, 7, 2)
    assert its.prices_minor == (2500, 2000)
    assert story.state.layout_version == 7


@pytest.mark.parametrize(
    ("rows", "missing"),
    [(("rr", "Wr"), ["A3"]), (("rrr", "rr"), ["B1"]), (("r",), ["A3", "B1", "B2"])],
)
def test_a_screen_without_a_seat_that_is_taken_is_refused(
    rows: tuple[str, ...], missing: list[str]
) -> None:
    story = given(
        hold("A3"), hold("B1", "sold"), book("sold"), block("B2"), its_terms=terms("rrr", "Wr")
    )
    story.when(move(*rows)).then_refused("SHOWTIME_IN_USE", field="screen_id", seats=missing)
    assert story.terms.screen_id == id_of("screen")


@pytest.mark.parametrize("kinds", ["rW", "Wr", "rC", "Cr", "CW", "WC"])
def test_nobody_is_moved_to_a_seat_that_is_made_for_others(kinds: str) -> None:
    """Whoever came without a wheelchair finds no chair there, and takes the place from somebody."""
    here, there = kinds
    story = given(hold("A1 A3"), its_terms=terms(f"{here}rW"))
    wanted = move(f"{there}rW")
    story.when(wanted).then_refused("SHOWTIME_IN_USE", field="screen_id", seats=["A1"])
    # It is nobody's seat that matters.
    free = given(hold("A3"), its_terms=terms(f"{here}rW")).when(wanted)
    assert free.state.layout_version == 7


def test_prices_of_a_move_are_for_the_categories_there() -> None:
    wanted = move("vv", price_overrides=(("premium", 1),))
    given().when(wanted).then_refused("UNKNOWN_CATEGORY", category="premium", categories=["vip"])
    story = given().when(move("vv", price_overrides=(("vip", 1),)))
    assert story.terms.prices_minor == (1,)
