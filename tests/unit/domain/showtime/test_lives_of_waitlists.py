"""Random lives of showtimes whose wait list is kept on paper beside them.

The paper knows who came when, and which seats are free; from that alone it says who must be offered
seats, and that nobody waits while there are seats that would do. Which seats do is left to the
search for the best ones, which has an oracle of its own, and to counting.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cinema.domain.best_available import find_best_available
from cinema.domain.limits import OFFER_TTL_S, WAITLIST_END_S
from cinema.domain.rejections import Rejection
from cinema.domain.seatmap import AVAILABLE, HELD, SeatPlan
from cinema.domain.showtime import expiry, waitlist_decisions
from cinema.domain.showtime.changes import seat_changes
from cinema.domain.showtime.commands import AnyCommand, ConfirmPayment, JoinWaitlist
from cinema.domain.showtime.events import (
    AnyEvent,
    Event,
    HoldBooked,
    Offering,
    PlanChanged,
    ShowtimeCancelled,
    WaitlistJoined,
    WaitlistLeft,
)
from cinema.domain.showtime.packed import unpack
from cinema.domain.showtime.state import waiting_for
from cinema.domain.showtime.waiting import Wish, seats_for
from tests.unit.domain.seat_drawing import draw_plan
from tests.unit.domain.showtime.story import (
    abandon,
    block,
    book,
    cancel,
    cancel_showtime,
    change,
    change_plan,
    change_terms,
    give_back,
    hold,
    hold_best,
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
from tests.unit.domain.showtime.world import World, contents

ROOMS = (("WCrr", "rr rr", "pppp"), ("rrrr", "WCrr", "pppp"), ("WCrr", "rr rr", "pppp", "rr"))
NAMES = ("ann", "bob", "cyd", "dan", "eve", "fay")
STARTS_S = 9000
_WHO = st.sampled_from(NAMES)
_SEATS = st.lists(st.integers(0, 13), min_size=1, max_size=4, unique=True)
_WHICH = st.integers(0, 11)
_RARELY = st.sampled_from([False, False, False, False, False, True])
_WISHES = st.builds(
    Wish,
    st.integers(1, 3),
    st.sampled_from([None, None, "regular", "premium"]),
    st.sampled_from([False, False, True]),
    st.booleans(),
)


class Waiting(NamedTuple):
    """One line on the paper."""

    customer: bytes
    entry_id: bytes
    wish: Wish


def would_do(plan: SeatPlan, taken: bytes, wish: Wish) -> bool:
    """Whether there are free seats for somebody, in any way that they accept."""
    if wish.category is not None and wish.category not in plan.categories:
        return False
    category = None if wish.category is None else plan.categories.index(wish.category)
    found = find_best_available(
        plan,
        taken,
        wish.quantity,
        category=category,
        accessible=wish.accessible,
        protect_orphans=False,
    )
    if found is not None or wish.together:
        return found is not None
    free = [
        seat
        for seat in range(plan.seat_count)
        if taken[seat] == AVAILABLE and category in {None, plan.category_of[seat]}
    ]
    ordinary = len([seat for seat in free if not plan.reserved[seat]])
    places = len([seat for seat in free if plan.accessible[seat]])
    if not wish.accessible:
        return ordinary >= wish.quantity
    return places >= 1 and ordinary >= wish.quantity - 1


class WaitingLives(RuleBasedStateMachine):
    """Everybody waits, holds, books and gives back in any order; snapshots and crashes between."""

    def __init__(self) -> None:
        super().__init__()
        self._limits = pytest.MonkeyPatch()
        self._limits.setattr(expiry, "EXPIRIES_WITH_WAITLIST", 2)
        self._limits.setattr(waitlist_decisions, "WAITLIST_ENTRIES", 4)
        self.now_us = second(0)
        self.made = 0
        self.paper: list[Waiting] = []
        self.starts_s = STARTS_S
        its = terms(
            *ROOMS[0],
            starts_at_us=second(STARTS_S),
            sales_closes_at_us=second(STARTS_S),
            hold_ttl_s=300,
            hold_max_s=2000,
            payment_window_s=200,
            payment_grace_s=100,
            seats_per_hold=14,
            live_holds_per_customer=3,
            seats_per_staff_hold=20,
            live_holds_per_staff=50,
        )
        self.world = World(its)

    def teardown(self) -> None:
        self._limits.undo()

    # --- what people do

    @initialize(wishes=st.lists(_WISHES, min_size=3, max_size=3))
    def the_room_fills(self, wishes: list[Wish]) -> None:
        labels = self.world.terms.plan.labels
        for name, some in (("ann", labels[:3]), ("bob", labels[3:8]), ("cyd", labels[8:])):
            self._perform(hold(" ".join(some), self._name("hold"), by=name))
        for name, wish in zip(("dan", "eve", "fay"), wishes, strict=True):
            self.wait(name, wish)

    @rule()
    def a_till_takes_the_rest(self) -> None:
        plan, seats = self.world.terms.plan, self.world.state.seats
        free = [plan.labels[seat] for seat, status in enumerate(seats) if status == AVAILABLE]
        if free:
            self._perform(hold(" ".join(free), self._name("hold"), by="till", by_staff=True))

    @rule(whoever=st.lists(st.tuples(_WHO, _WISHES), min_size=1, max_size=3))
    def some_wait(self, whoever: list[tuple[str, Wish]]) -> None:
        self.a_till_takes_the_rest()
        for who, wish in whoever:
            self.wait(who, wish)

    @rule(who=_WHO, wish=_WISHES)
    def wait(self, who: str, wish: Wish) -> None:
        command = join(by=who, **wish._asdict())
        entry_id = id_of(self._name("entry"))
        self._perform(msgspec.structs.replace(command, entry_id=entry_id, command_id=entry_id))

    @rule(who=_WHO)
    def wait_no_longer(self, who: str) -> None:
        self._perform(leave(by=who))

    @rule(who=_WHO, seats=_SEATS)
    def hold_named(self, who: str, seats: list[int]) -> None:
        self._perform(hold(self._labels(seats), self._name("hold"), by=who))

    @rule(who=_WHO, quantity=st.integers(1, 4))
    def hold_the_best(self, who: str, quantity: int) -> None:
        self._perform(hold_best(quantity, self._name("hold"), by=who))

    @precondition(lambda self: self.world.state.holds)
    @rule(which=_WHICH, part=st.integers(0, 2))
    def give_a_hold_back(self, which: int, part: int) -> None:
        hold_id, group = self._hold(which)
        labels = [self.world.terms.plan.labels[seat] for seat in group.seats][part:]
        self._perform(
            msgspec.structs.replace(
                release(" ".join(labels)), hold_id=hold_id, customer=group.customer
            )
        )

    @precondition(lambda self: self.world.state.holds)
    @rule(which=_WHICH)
    def book_a_hold(self, which: int) -> None:
        hold_id, group = self._hold(which)
        booking_id = id_of(self._name("booking"))
        command = msgspec.structs.replace(
            book(), hold_id=hold_id, customer=group.customer, booking_id=booking_id
        )
        self._perform(command)

    @precondition(lambda self: self.world.state.holds)
    @rule(which=_WHICH)
    def begin_to_pay(self, which: int) -> None:
        hold_id, group = self._hold(which)
        booking_id = id_of(self._name("booking"))
        command = msgspec.structs.replace(
            pay(), hold_id=hold_id, customer=group.customer, booking_id=booking_id
        )
        self._perform(command)

    @precondition(lambda self: self.world.state.paying)
    @rule(which=_WHICH, how=st.sampled_from(["comes", "comes not", "goes back"]))
    def end_a_payment(self, which: int, how: str) -> None:
        paying = list(self.world.state.paying.items())
        hold_id, waiting = paying[which % len(paying)]
        group = unpack(self.world.state.holds[hold_id])
        of = {
            "hold_id": hold_id,
            "customer": group.customer,
            "booking_id": waiting_for(waiting).booking_id,
        }
        command: AnyCommand = paid(len(group.seats))
        if how != "comes":
            command = give_back() if how == "goes back" else abandon(expired=False)
        self._perform(msgspec.structs.replace(command, **of))

    @precondition(lambda self: self.world.state.bookings)
    @rule(which=_WHICH, part=st.integers(0, 2))
    def cancel_a_booking(self, which: int, part: int) -> None:
        booking_id, group = self._booking(which)
        labels = [self.world.terms.plan.labels[seat] for seat in group.seats][part:]
        command = msgspec.structs.replace(cancel(" ".join(labels), by=None), booking_id=booking_id)
        self._perform(command)

    @precondition(lambda self: self.world.state.bookings)
    @rule(which=_WHICH, seat=st.integers(0, 13))
    def change_a_seat(self, which: int, seat: int) -> None:
        booking_id, group = self._booking(which)
        plan = self.world.terms.plan
        left, chosen = plan.labels[group.seats[0]], self._labels([seat])
        seen = {plan.labels[at]: price for at, price in zip(group.seats, group.prices, strict=True)}
        wanted = change(
            left,
            chosen,
            group.prices[0],
            by=None,
            seen=seen,
            layout_version=plan.version,
            payment_method="demo",
        )
        self._perform(msgspec.structs.replace(wanted, booking_id=booking_id))

    @rule(seats=_SEATS)
    def block_some(self, seats: list[int]) -> None:
        self._perform(block(self._labels(seats)))

    @rule(seats=_SEATS)
    def unblock_some(self, seats: list[int]) -> None:
        self._perform(unblock(self._labels(seats)))

    @rule(which=st.sampled_from([pause(), resume(), resume()]))
    def pause_or_go_on(self, which: AnyCommand) -> None:
        self._perform(which)

    @rule(which=st.integers(0, len(ROOMS) - 1), really=_RARELY)
    def rebuild_the_room(self, which: int, really: bool) -> None:
        if really:
            version = self.world.terms.plan.version + 1
            self._perform(change_plan(*ROOMS[which], version=version))

    @rule(later_s=st.sampled_from([0, 600, 4000]), base_minor=st.integers(5, 20), really=_RARELY)
    def change_the_terms(self, later_s: int, base_minor: int, really: bool) -> None:
        if not really:
            return
        wanted = change_terms(
            seen=(self.world.terms.version,),
            base_price_minor=100 * base_minor,
            starts_at_us=second(self.starts_s + later_s),
            ends_at_us=second(self.starts_s + later_s + 100),
            sales_closes_at_us=second(self.starts_s + later_s),
        )
        rules = msgspec.structs.replace(
            wanted.rules, seats_per_hold=14, live_holds_per_customer=3, hold_ttl_s=300
        )
        rules = msgspec.structs.replace(rules, seats_per_staff_hold=20, live_holds_per_staff=50)
        if self._perform(msgspec.structs.replace(wanted, rules=rules)) is not None:
            self.starts_s += later_s

    @rule(really=_RARELY, again=_RARELY)
    def cancel_the_showtime(self, really: bool, again: bool) -> None:
        if really and again:
            self._perform(cancel_showtime(seen=(self.world.terms.version,)))

    @rule(step_s=st.sampled_from([1, 1, 1, 100, 300, OFFER_TTL_S]))
    def time_passes(self, step_s: int) -> None:
        self.now_us += step_s * 1_000_000
        self._expire()

    @rule(really=_RARELY)
    def the_list_ends(self, really: bool) -> None:
        if really:
            self.now_us = max(self.now_us, second(self.starts_s - WAITLIST_END_S))
            self._expire()

    @rule(stored=st.booleans(), told=st.booleans())
    def take_a_snapshot(self, stored: bool, told: bool) -> None:
        self.world.begin_snapshot(self.now_us)
        self.world.finish_snapshot(stored=stored, told=told)

    # --- how it is named

    def _name(self, kind: str) -> str:
        self.made += 1
        return f"{kind} {self.made}"

    def _labels(self, seats: list[int]) -> str:
        labels = self.world.terms.plan.labels
        return " ".join(dict.fromkeys(labels[seat % len(labels)] for seat in seats))

    def _hold(self, which: int) -> tuple[bytes, Any]:
        holds = list(self.world.state.holds.items())
        hold_id, packed = holds[which % len(holds)]
        return hold_id, unpack(packed)

    def _booking(self, which: int) -> tuple[bytes, Any]:
        bookings = list(self.world.state.bookings.items())
        booking_id, packed = bookings[which % len(bookings)]
        return booking_id, unpack(packed)

    # --- what must come of it

    def _expire(self) -> None:
        while self.world.state.next_due_us <= self.now_us:
            before, seq = bytes(self.world.state.seats), len(self.world.journal)
            line = list(self.paper)
            expired = self.world.expire(self.now_us)
            if not expired:
                break
            assert len(self.world.journal) == seq + len(expired)
            seats = bytearray(before)
            for event in expired:
                self._follow(event, bytes(seats))
                for seat, status in seat_changes(event):
                    seats[seat] = status
            assert [one for one in line if one in self.paper] == self.paper

    def _perform(self, command: AnyCommand) -> Event | None:
        self._expire()
        before = bytes(self.world.state.seats)
        decision = self.world.decide(command, self.now_us)
        if isinstance(command, JoinWaitlist):
            self._check_join(command, decision)
        if isinstance(decision, HoldBooked):
            assert decision.pending == isinstance(command, ConfirmPayment)
        if not isinstance(decision, Event):
            return None
        self.world.record(decision, self.now_us, command)
        self._follow(decision, before)
        return decision

    def _check_join(self, command: JoinWaitlist, decision: Any) -> None:
        wish = Wish(command.quantity, command.category, command.accessible, command.together)
        there = would_do(self.world.terms.plan, bytes(self.world.state.seats), wish)
        if isinstance(decision, WaitlistJoined):
            assert not there
            assert command.customer not in [one.customer for one in self.paper]
            assert len(self.paper) < 4
            self.paper.append(Waiting(command.customer, command.entry_id, wish))
            return
        assert isinstance(decision, Rejection)
        if decision.code == "SEATS_AVAILABLE":
            assert there
        elif decision.code == "WAITLIST_FULL":
            assert len(self.paper) == 4

    def _follow(self, event: AnyEvent, before: bytes) -> None:
        """Note on paper what an event does to those who wait, and that it does all it must."""
        if isinstance(event, WaitlistLeft):
            self.paper = [one for one in self.paper if one.entry_id != event.entry_id]
        if isinstance(event, ShowtimeCancelled):
            self.paper = []
        if not isinstance(event, Offering):
            return
        plan = self.world.terms.plan
        bare = msgspec.structs.replace(event, offers=())
        seats = bytearray(before)
        if isinstance(event, PlanChanged):
            seats = bytearray(plan.seat_count)
            for old, new in enumerate(event.mapping):
                if new >= 0:
                    seats[new] = before[old]
        for seat, status in seat_changes(bare):
            seats[seat] = status
        offers = list(event.offers)
        stays = []
        for one in self.paper:
            if not self._offers_now() or not would_do(plan, bytes(seats), one.wish):
                stays.append(one)
                continue
            offer = offers.pop(0)
            assert (offer.customer, offer.hold_id) == (one.customer, one.entry_id)
            assert offer.expires_at_us == self.now_us + OFFER_TTL_S * 1_000_000
            self._check_seats(plan, seats, one.wish, offer.seats)
            prices = self.world.terms.prices_minor
            assert offer.prices == tuple(prices[plan.category_of[seat]] for seat in offer.seats)
            for seat in offer.seats:
                seats[seat] = HELD
        assert offers == []
        self.paper = stays

    def _check_seats(
        self, plan: SeatPlan, seats: bytearray, wish: Wish, chosen: tuple[int, ...]
    ) -> None:
        assert len(set(chosen)) == len(chosen) == wish.quantity
        assert all(seats[seat] == AVAILABLE for seat in chosen)
        if wish.category is not None:
            names = {plan.categories[plan.category_of[seat]] for seat in chosen}
            assert names == {wish.category}
        assert any(plan.accessible[seat] for seat in chosen) == wish.accessible
        if wish.together and not wish.accessible and wish.quantity == 2:
            first, last = chosen
            assert last == first + 1 or plan.row_of[last] == plan.row_of[first] + 1

    def _offers_now(self) -> bool:
        state, closes_us = self.world.state, self.world.terms.sales_closes_at_us
        ends_us = min(closes_us, self.world.terms.starts_at_us - WAITLIST_END_S * 1_000_000)
        return not state.paused and not state.cancelled and self.now_us < ends_us

    # --- what must always be true

    @invariant()
    def the_list_is_the_paper(self) -> None:
        state = self.world.state
        assert list(state.waitlist) == [one.customer for one in self.paper]

    @invariant()
    def nobody_waits_for_seats_that_are_free(self) -> None:
        if self._offers_now():
            plan, seats = self.world.terms.plan, bytes(self.world.state.seats)
            assert not [one for one in self.paper if would_do(plan, seats, one.wish)]

    @invariant()
    def seats_are_taken_by_those_who_have_them(self) -> None:
        state = self.world.state
        held = [seat for packed in state.holds.values() for seat in unpack(packed).seats]
        booked = [seat for packed in state.bookings.values() for seat in unpack(packed).seats]
        assert len({*held, *booked}) == len([*held, *booked]) == state.taken
        assert {seat for seat, status in enumerate(state.seats) if status == HELD} == set(held)

    @invariant()
    def a_replay_gives_the_same_showtime(self) -> None:
        state = self.world.state
        assert contents(self.world.restored()) == contents(state)
        replayed = contents(self.world.replayed())
        for part in ("seats", "taken", "waitlist", "offered", "holds", "bookings"):
            assert replayed[part] == contents(state)[part]


TestWaitingLives = WaitingLives.TestCase
TestWaitingLives.settings = settings(max_examples=100, stateful_step_count=50)


@given(
    st.sampled_from(ROOMS), _WISHES, st.lists(st.integers(0, 13), max_size=14), st.integers(0, 13)
)
def test_whom_seats_would_do_they_do_with_one_more_free(
    room: tuple[str, ...], wish: Wish, taken: list[int], more: int
) -> None:
    """Else somebody could begin to fit when a seat is taken, and nobody would look."""
    plan = draw_plan(*room)
    fuller, emptier = bytearray(plan.seat_count), bytearray(plan.seat_count)
    for seat in taken:
        fuller[seat % plan.seat_count] = emptier[seat % plan.seat_count] = HELD
    emptier[more % plan.seat_count] = AVAILABLE
    if seats_for(plan, fuller, wish, protect_orphans=True) is not None:
        assert seats_for(plan, emptier, wish, protect_orphans=False) is not None
    assert (seats_for(plan, fuller, wish, protect_orphans=False) is not None) == would_do(
        plan, bytes(fuller), wish
    )
