"""Seats that are kept for channels of sale, until they are released."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from cinema.domain.rejections import Rejection
from cinema.domain.sale_rules import (
    APP,
    BOX_OFFICE,
    CHANNEL_CODES,
    WEB,
    ChannelQuota,
    SaleRules,
    ShowtimeRules,
    effective_rules,
)
from cinema.domain.seatmap import AVAILABLE
from cinema.domain.showtime import state as state_module
from cinema.domain.showtime.channels import left_for
from cinema.domain.showtime.commands import HoldSeats
from cinema.domain.showtime.events import (
    HoldBooked,
    HoldReleased,
    Offer,
    PlanChanged,
    SeatsChanged,
    SeatsHeld,
    SeatsUnblocked,
)
from cinema.domain.showtime.snapshot import decode_snapshot, encode_snapshot
from cinema.domain.showtime.state import Surplus
from cinema.domain.times import from_us
from tests.support.sale_rules import DEFAULTS
from tests.unit.domain.showtime.story import (
    START_US,
    Story,
    abandon,
    book,
    cancel,
    change,
    change_plan,
    give_back,
    given,
    hold,
    hold_best,
    id_of,
    join,
    paid,
    pause,
    pay,
    release,
    second,
    terms,
    unblock,
)

ROOM = ("rrrrrrrr",)
LABELS = [f"A{number}" for number in range(1, 9)]
AT_THE_TILL = {"by_staff": True}


def quota(channel: Any, seats: int, until_s: float | None = None) -> ChannelQuota:
    released_at = None if until_s is None else from_us(second(until_s))
    return ChannelQuota(channel=channel, seats=seats, released_at=released_at)


def kept(*quotas: ChannelQuota, **more: Any) -> dict[str, Any]:
    limits = {"seats_per_hold": 8, "live_holds_per_customer": 8, "live_holds_per_staff": 8}
    return {**limits, "channels": quotas, **more}


def room(*quotas: ChannelQuota, steps: tuple[Any, ...] = (), **more: Any) -> Story:
    return given(*steps, its_terms=terms(*ROOM, **kept(*quotas, **more)))


def left(story: Story, code: int, at_s: float = 0) -> int:
    state, quotas = story.state, story.terms.channels
    return left_for(quotas, state.seats, state.channels, code, second(at_s))


def test_what_is_kept_for_a_channel_others_cannot_hold_and_it_can() -> None:
    story = room(quota("box_office", 3))
    story.when(hold("A1 A2 A3 A4 A5", "web"))
    assert isinstance(story.decision, SeatsHeld)
    assert story.decision.channel == WEB
    story.when(hold("A6", "more")).then_refused("CHANNEL_SOLD_OUT", channel="web", left=0)
    story.when(hold_best(1, "more", channel=APP))
    story.then_refused("CHANNEL_SOLD_OUT", channel="app", left=0)
    story.when(hold("A6 A7 A8", "till", by="staff", **AT_THE_TILL))
    assert isinstance(story.decision, SeatsHeld)
    assert story.decision.channel == BOX_OFFICE


def test_a_channel_may_sell_more_than_its_quota_of_what_is_kept_for_nobody() -> None:
    story = room(quota("web", 2), quota("box_office", 2))
    assert [left(story, code) for code in (WEB, BOX_OFFICE, APP)] == [6, 6, 4]
    story.when(hold("A1 A2 A3 A4 A5 A6", "web"))
    assert [left(story, code) for code in (WEB, BOX_OFFICE, APP)] == [0, 2, 0]


def test_what_is_not_sold_by_its_time_goes_to_all() -> None:
    story = room(quota("box_office", 8, until_s=60))
    story.when(hold("A1"), 59.9).then_refused("CHANNEL_SOLD_OUT", channel="web", left=0)
    story.when(hold("A1"), 60)
    assert isinstance(story.decision, SeatsHeld)


@pytest.mark.parametrize(
    "back", [(release(None, "web"),), (book("web"), cancel(None)), (release("A1 A2", "web"),)]
)
def test_seats_that_are_given_back_count_for_the_quota_again(back: tuple[Any, ...]) -> None:
    story = room(quota("web", 3), quota("box_office", 5), steps=(hold("A1 A2", "web"),))
    assert left(story, WEB) == 1
    for step in back:
        story.when(step)
        assert not isinstance(story.decision, Rejection)
    assert left(story, WEB) == 3


def test_a_hold_that_expires_gives_its_seats_back_to_its_channel() -> None:
    story = room(quota("web", 3), quota("box_office", 5), steps=(hold("A1 A2 A3", "web"),))
    story.when(hold("A4", "till", by="staff", **AT_THE_TILL), 601)
    assert (left(story, WEB), left(story, BOX_OFFICE)) == (3, 4)


@pytest.mark.parametrize(("by", "code"), [("ann", WEB), ("till", BOX_OFFICE)])
def test_a_payment_that_comes_late_counts_for_the_channel_of_its_hold(by: str, code: int) -> None:
    extra = AT_THE_TILL if by == "till" else {}
    steps = (hold("A1 A2", "late", by=by, **extra), pay("late", by=by))
    story = room(quota("web", 3), quota("box_office", 3), steps=steps)
    story.when(abandon("late", by=by), 1300)
    assert (left(story, WEB), left(story, BOX_OFFICE)) == (5, 5)
    restored = decode_snapshot(encode_snapshot(story.state, Surplus(story.state, START_US)))
    assert restored.late_channels == {id_of("late"): code}
    story.when(paid(2, "late", by=by), 1301)
    assert isinstance(story.decision, HoldBooked)
    assert story.state.channels.count(code) == 2
    assert not story.state.late_channels


def test_a_late_payment_whose_hold_nobody_remembers_counts_for_the_web() -> None:
    steps = (hold("A1", "late"), pay("late"), abandon("late", expired=False))
    story = given(*steps, its_terms=terms(*ROOM, **kept()))
    story.terms = msgspec.structs.replace(story.terms, channels=(quota("box_office", 8),))
    story.when(paid(1, "late"))
    assert isinstance(story.decision, HoldBooked)
    assert story.state.channels.count(WEB) == 1


def test_channels_of_ended_holds_leave_memory_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "ENDED_HOLDS_KEPT", 0)
    steps = (hold("A1", "late"), pay("late"), abandon("late", expired=False))
    state = room(quota("web", 3), steps=steps).state
    surplus = Surplus(state, START_US)
    assert not decode_snapshot(encode_snapshot(state, surplus)).late_channels
    assert state.late_channels
    surplus.remove_from(state)
    assert not state.late_channels


def test_a_late_payment_keeps_its_channel_though_there_are_no_quotas_any_more() -> None:
    steps = (hold("A1", "late"), pay("late"), abandon("late", expired=False))
    story = room(quota("app", 3), steps=steps)
    story.terms = msgspec.structs.replace(story.terms, channels=())
    story.when(paid(1, "late"))
    assert isinstance(story.decision, HoldBooked)
    assert story.decision.channel == WEB


def test_a_hold_of_before_there_were_quotas_ends_unpaid_without_a_channel() -> None:
    story = given(hold("A1", "late"), pay("late"), its_terms=terms(*ROOM, **kept()))
    story.terms = msgspec.structs.replace(story.terms, channels=(quota("web", 3),))
    story.when(hold("A3", "other")).when(abandon("late", expired=False))
    assert story.state.channels
    assert not story.state.late_channels


def test_money_that_goes_back_leaves_no_channel_behind() -> None:
    steps = (hold("A1", "late"), pay("late"), abandon("late", expired=False), give_back("late"))
    assert not room(quota("web", 3), steps=steps).state.late_channels


def test_more_quotas_than_seats_are_sold_as_they_come() -> None:
    story = room(quota("web", 8), quota("box_office", 8))
    story.when(hold("A1 A2 A3 A4 A5 A6", "web"))
    assert (left(story, WEB), left(story, BOX_OFFICE)) == (2, 2)
    # Where a channel could have all there is, too few seats are too few.
    story.when(hold_best(3, "more")).then_refused("NOT_ENOUGH_SEATS", quantity=3)


def test_other_seats_of_a_booking_stay_with_its_channel() -> None:
    story = room(quota("web", 4), quota("box_office", 4), steps=(hold("A1", "hold"), book()))
    story.when(change("A1", "A8", 1000))
    assert not isinstance(story.decision, Rejection)
    assert [seat for seat, code in enumerate(story.state.channels) if code == WEB] == [7]
    assert (left(story, WEB), left(story, BOX_OFFICE)) == (3, 4)


def test_channels_move_with_their_seats_to_another_plan_and_survive_a_snapshot() -> None:
    story = room(quota("web", 4), quota("box_office", 4), steps=(hold("A2", "web"),))
    state = decode_snapshot(encode_snapshot(story.state, Surplus(story.state, START_US)))
    assert state.channels == story.state.channels
    story.when(change_plan("rrrr", "rrrr"))
    assert not isinstance(story.decision, Rejection)
    assert list(story.state.channels).count(WEB) == 1
    assert story.state.channels[story.terms.plan.index["A2"]] == WEB


def test_a_seat_of_a_booking_that_was_held_for_it_counts_once() -> None:
    steps = (hold("A1", "hold"), book(), hold("A8", "other"))
    story = room(quota("web", 4), quota("box_office", 4), steps=steps)
    assert left(story, WEB) == 2
    story.when(change("A1", "A8", 1000))
    assert not isinstance(story.decision, Rejection)
    assert left(story, WEB) == 3


@pytest.mark.parametrize("web", [2, 3])
def test_offers_of_another_plan_or_other_seats_keep_to_the_quotas_too(web: int) -> None:
    """On a larger plan there are seats, of which the web may have one if its quota says so."""
    steps = (
        hold("A1 A2", "web"),
        hold("A3 A4", "till", by="staff", **AT_THE_TILL),
        join(1, by="bob"),
    )
    quotas = (quota("web", web), quota("box_office", 8 - web))
    story = given(*steps, its_terms=terms("rrrr", **kept(*quotas)))
    story.when(change_plan("rrrrrrrr"))
    event = story.decision
    assert isinstance(event, PlanChanged)
    assert [offer.customer for offer in event.offers] == [id_of("bob")] * (web - 2)
    assert left(story, BOX_OFFICE) == 8 - web - 2


def test_seats_that_a_booking_leaves_are_offered_within_the_quotas() -> None:
    steps = (
        hold("A1", "hold"),
        book(),
        hold("A2 A3 A4", "rest"),
        join(1, by="bob"),
        hold("A5 A6 A7", "till", by="staff", **AT_THE_TILL),
    )
    story = given(*steps[:3], its_terms=terms("rrrrrrrr", **kept(quota("web", 4))))
    for step in (steps[4], hold("A8", "last", by="staff", **AT_THE_TILL), steps[3]):
        story.when(step)
        assert not isinstance(story.decision, Rejection), story.decision
    story.when(change("A1", "A2", 1000))
    event = story.decision
    assert isinstance(event, SeatsChanged)
    assert [offer.seats for offer in event.offers] == [(0,)]
    assert list(story.state.channels[:2]) == [WEB, WEB]


def test_a_code_lets_a_hold_in_before_sales_open_and_not_after_they_close() -> None:
    times = {"sales_opens_at_us": second(60), "sales_closes_at_us": second(120)}
    for command in (hold("A1", presale=True), hold_best(1, presale=True)):
        for at_s, is_open in ((0, True), (60, True), (119, True), (120, False)):
            story = given(**times).when(command, at_s)
            assert isinstance(story.decision, SeatsHeld) == is_open
    story = given(pause(), **times)
    story.when(hold("A1", presale=True)).then_refused("SALES_PAUSED")


def test_seats_sold_before_there_were_quotas_count_for_none() -> None:
    story = given(hold("A1"))
    assert story.decision.channel == 0  # type: ignore[union-attr]
    assert not story.state.channels


def test_what_becomes_free_is_offered_only_as_far_as_the_web_may_sell() -> None:
    steps = (
        hold("A1 A2 A3 A4", "web"),
        hold("A5 A6 A7 A8", "till", by="staff", **AT_THE_TILL),
        join(1, by="bob"),
        join(1, by="cid"),
    )
    story = room(quota("web", 4), quota("box_office", 4), steps=steps)
    story.when(release("A5 A6", "till", by="staff"))
    event = story.decision
    assert isinstance(event, HoldReleased)
    assert event.offers == ()
    story.when(release("A1", "web"))
    event = story.decision
    assert isinstance(event, HoldReleased)
    assert [(offer.customer, offer.channel) for offer in event.offers] == [(id_of("bob"), WEB)]
    assert isinstance(event.offers[0], Offer)
    assert (left(story, WEB), left(story, BOX_OFFICE)) == (0, 2)


def test_what_a_quota_leaves_when_it_is_released_is_offered_to_who_waits() -> None:
    steps = (hold("A1 A2 A3 A4", "web"), join(2, by="bob"))
    story = room(quota("box_office", 4, until_s=60), steps=steps)
    story.when(unblock(""), 59).then_nothing()
    story.when(unblock(""), 60)
    event = story.decision
    assert isinstance(event, SeatsUnblocked)
    assert event.seats == ()
    assert [(offer.customer, len(offer.seats)) for offer in event.offers] == [(id_of("bob"), 2)]
    story.when(unblock(""), 61).then_nothing()
    room(quota("web", 1)).when(unblock("")).then_nothing()


def test_all_who_wait_are_offered_the_best_of_what_a_quota_leaves_in_their_order() -> None:
    waiting = [join(2, by=name) for name in ("bob", "cat")]
    story = room(quota("box_office", 7, until_s=60), steps=(hold("A1", "web"), *waiting))
    story.when(unblock(""), 60)
    event = story.decision
    assert isinstance(event, SeatsUnblocked)
    assert [(offer.customer, len(offer.seats)) for offer in event.offers] == [
        (id_of("bob"), 2),
        (id_of("cat"), 2),
    ]
    assert not story.state.waitlist


def test_who_finds_only_seats_of_other_channels_can_wait() -> None:
    story = room(quota("box_office", 4), steps=(hold("A1 A2 A3 A4", "web"),))
    story.when(join(1))
    assert not isinstance(story.decision, Rejection)
    story = room(quota("box_office", 4))
    story.when(join(1)).then_refused("SEATS_AVAILABLE")


def test_a_showtime_names_each_channel_once_and_its_quotas_are_its_own() -> None:
    with pytest.raises(ValueError, match="once"):
        ShowtimeRules(channels=(quota("web", 1), quota("web", 2)))
    rules = ShowtimeRules(channels=(quota("web", 1),))
    effective = effective_rules(DEFAULTS, rules)
    assert isinstance(effective, SaleRules)
    assert effective.channels == (quota("web", 1),)


@examples(
    quotas=st.fixed_dictionaries(
        {"web": st.integers(0, 4), "box_office": st.integers(0, 3), "app": st.integers(0, 1)}
    ),
    asked=st.lists(
        st.tuples(
            st.sampled_from(["web", "app", "box_office"]),
            st.sets(st.sampled_from(LABELS), min_size=1, max_size=4),
            st.integers(0, 5),
        ),
        max_size=20,
    ),
)
def test_no_channel_takes_what_another_has_left_of_its_quota(
    quotas: dict[str, int], asked: list[tuple[str, set[str], int]]
) -> None:
    """Against a count of its own: who has which seat, in a dictionary."""
    story = room(*[quota(name, seats) for name, seats in quotas.items()], live_holds_per_staff=99)
    sold: dict[str, str] = {}
    holds: list[set[str]] = []
    for number, (channel, labels, gives_back) in enumerate(asked):
        if gives_back < len(holds):
            gone = holds.pop(gives_back)
            name = "".join(sorted(gone))
            by = sold[next(iter(gone))]
            story.when(release(None, name, by=by))
            for label in gone:
                del sold[label]
        rest = {
            name: max(0, seats - list(sold.values()).count(name)) for name, seats in quotas.items()
        }
        free = len(LABELS) - len(sold)
        assert free >= sum(rest.values())
        others = sum(count for name, count in rest.items() if name != channel)
        fits = len(labels) <= free - others
        command = hold(" ".join(sorted(labels)), "".join(sorted(labels)), by=channel)
        extra = {"by_staff": True} if channel == "box_office" else {"channel": CODES[channel]}
        command = HoldSeats(**(_fields(command) | extra | {"command_id": id_of(str(number))}))
        story.when(command)
        decision = story.decision
        if isinstance(decision, Rejection):
            taken = any(label in sold for label in labels)
            expected = "SEAT_UNAVAILABLE" if taken and (fits or free == free - others) else None
            assert decision.code == (expected or "CHANNEL_SOLD_OUT")
            assert decision.code == "SEAT_UNAVAILABLE" or not fits
        else:
            assert fits
            holds.append(set(labels))
            sold |= dict.fromkeys(labels, channel)
    used = {CHANNEL_CODES[name]: list(sold.values()).count(name) for name in quotas}
    assert {code: story.state.channels.count(code) for code in used} == used
    assert story.state.seats.count(AVAILABLE) == len(LABELS) - len(sold)


CODES = {"web": WEB, "app": APP}


def _fields(command: HoldSeats) -> dict[str, Any]:
    return {name: getattr(command, name) for name in command.__struct_fields__}
