"""Random lives of showtimes, each step compared with a box office on paper (`oracle`)."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cinema.domain.limits import IDEMPOTENCY_TTL_S
from cinema.domain.pricing.book import BookSettings, Conditions, Effect, PriceBook, Rule
from cinema.domain.pricing.rules import ready_book
from cinema.domain.rejections import Rejection
from cinema.domain.sale_rules import SaleRules
from cinema.domain.seatmap import STATUS_NAMES, Layout, parse_layout
from cinema.domain.showtime import expiry
from cinema.domain.showtime import state as state_module
from cinema.domain.showtime.commands import (
    AbandonPayment,
    AnyCommand,
    BlockSeats,
    BookHold,
    CancelBooking,
    ChangePlan,
    ChangeSeats,
    ConfirmPayment,
    ExtendHold,
    HoldBestAvailable,
    HoldSeats,
    PauseSales,
    ReleaseHold,
    ResumeSales,
    ReturnPayment,
    StartPayment,
    UnblockSeats,
)
from cinema.domain.showtime.decisions import Decision, Nothing, Replay
from cinema.domain.showtime.events import Event, HoldBooked, SeatsHeld, TermsChanged
from cinema.domain.showtime.packed import unpack
from cinema.domain.showtime.prices import price_inputs_of
from cinema.domain.showtime.state import ENDED_NAMES, NEVER_US, ended_as, waiting_for
from cinema.domain.showtime.terms import ShowtimeTerms
from tests.unit.domain.showtime.oracle import (
    BoxOffice,
    Done,
    Kept,
    NothingToDo,
    Refused,
    Repeated,
    Rules,
    WhereverBest,
)
from tests.unit.domain.showtime.oracle_room import Room, companions_alone
from tests.unit.domain.showtime.story import change_terms, fingerprint_of, id_of, second
from tests.unit.domain.showtime.telling import told
from tests.unit.domain.showtime.world import World, contents

CUSTOMERS = [id_of("ann"), id_of("bob"), id_of("cyd")]
STAFF = CUSTOMERS[2]
TTL_US = IDEMPOTENCY_TTL_S * 1_000_000
FACTOR_PERCENT = {"regular": 100, "premium": 125, "vip": 160}
DEMAND_PERCENT = 30

_NO_SEAT = 24
_WHICH = st.integers(0, 11)
_KEY = st.none() | st.integers(1, 8)
_SEAT = st.integers(0, _NO_SEAT - 1)
_SEATS = st.lists(_SEAT, min_size=1, max_size=3, unique=True) | st.lists(
    st.integers(0, _NO_SEAT), min_size=1, max_size=4
)
_PART = st.none() | _SEATS
_CUSTOMER = st.sampled_from(CUSTOMERS)
_RARELY = st.sampled_from([False, False, False, False, True])

SETTINGS = settings(max_examples=100, stateful_step_count=50)


class Showtime(RuleBasedStateMachine):
    """Commands in any order, time passing, snapshots and crashes in between."""

    layouts: ClassVar[list[Layout]]
    rules_: ClassVar[Rules]

    def __init__(self) -> None:
        super().__init__()
        self._limits = pytest.MonkeyPatch()
        self._limits.setattr(state_module, "ENDED_HOLDS_KEPT", 1)
        self._limits.setattr(state_module, "REPLY_RECORDS_KEPT", 1)
        self._limits.setattr(state_module, "COUNTING_FROM", 1)
        self._limits.setattr(expiry, "EXPIRIES_PER_COMMAND", 2)
        self.now_us = second(0)
        self.made = 0
        self.booked: list[bytes] = []
        self.payments: list[StartPayment] = []
        self.keyed: list[AnyCommand] = []
        self.version = 1
        self.dearer = 0
        layout = self.layout = self.layouts[0]
        self.office = BoxOffice(Room.of(layout, self._price_of()), self.rules_)
        self.book_version = 0
        self.price_inputs: dict[bytes, tuple[int, int, int, int, int]] = {}
        self.world = World(self._terms(layout))

    def teardown(self) -> None:
        self._limits.undo()

    def _price_of(self) -> dict[str, int]:
        base_minor = self._base_minor()
        return {name: base_minor * percent // 100 for name, percent in FACTOR_PERCENT.items()}

    def _base_minor(self) -> int:
        return 1000 + 100 * self.dearer

    def _terms(self, layout: Layout) -> ShowtimeTerms:
        plan = parse_layout(layout, self.version)
        its = self.rules_
        return ShowtimeTerms(
            showtime_id=id_of("showtime"),
            plan=plan,
            currency="EUR",
            prices_minor=tuple(self._price_of()[name] for name in plan.categories),
            starts_at_us=its.starts_us,
            ends_at_us=its.starts_us + 1,
            sales_opens_at_us=its.opens_us,
            sales_closes_at_us=its.closes_us,
            hold_ttl_s=its.ttl_s,
            hold_max_s=its.max_s,
            seats_per_hold=its.seats_per_hold,
            live_holds_per_customer=its.holds_per_customer,
            seats_per_staff_hold=its.seats_per_staff_hold,
            live_holds_per_staff=its.holds_per_staff,
            protect_orphans=its.protect_orphans,
            companions_need_accessible=its.companions_need_accessible,
            payment_window_s=its.payment_window_s,
            payment_grace_s=its.payment_grace_s,
            base_price_minor=self._base_minor(),
        )

    # --- what is asked

    @rule(seats=_SEATS, customer=_CUSTOMER, key=_KEY)
    def hold_any_seats(self, seats: list[int], customer: bytes, key: int | None) -> None:
        self._hold(self._labels(seats), customer, key)

    @rule(first=_SEAT, count=st.integers(1, 4), customer=_CUSTOMER, key=_KEY)
    def hold_seats_in_a_row(self, first: int, count: int, customer: bytes, key: int | None) -> None:
        labels = list(self.office.room.places)
        start = first % len(labels)
        self._hold(labels[start : start + count], customer, key)

    def _hold(self, labels: list[str], customer: bytes, key: int | None) -> None:
        names = self._name(key, "hold", customer, labels)
        names["by_staff"] = customer == STAFF
        self._perform(HoldSeats(hold_id=self._new(), customer=customer, labels=labels, **names))

    @rule(
        quantity=st.integers(1, 4),
        category=st.sampled_from([None, None, None, "regular", "premium", "vip", "box"]),
        accessible=_RARELY,
        customer=_CUSTOMER,
        key=_KEY,
    )
    def hold_the_best(
        self,
        quantity: int,
        category: str | None,
        accessible: bool,
        customer: bytes,
        key: int | None,
    ) -> None:
        wish = {"quantity": quantity, "category": category, "accessible": accessible}
        names = self._name(key, "hold", customer, wish)
        names["by_staff"] = customer == STAFF
        hold_id = self._new()
        self._perform(HoldBestAvailable(hold_id=hold_id, customer=customer, **wish, **names))

    @precondition(lambda self: self.office.holds)
    @rule(which=_WHICH, strange=_RARELY, key=_KEY)
    def extend(self, which: int, strange: bool, key: int | None) -> None:
        hold_id, customer = self._a_hold(which, strange)
        names = self._name(key, ("extend", hold_id), customer)
        self._perform(ExtendHold(hold_id=hold_id, customer=customer, **names))

    @precondition(lambda self: self.office.holds)
    @rule(which=_WHICH, strange=_RARELY, part=_PART, key=_KEY)
    def release(self, which: int, strange: bool, part: list[int] | None, key: int | None) -> None:
        hold_id, customer = self._a_hold(which, strange)
        labels = self._part(self.office.holds.get(hold_id), part)
        names = self._name(key, ("release", hold_id), customer, labels)
        self._perform(ReleaseHold(hold_id=hold_id, customer=customer, labels=labels, **names))

    @precondition(lambda self: self.office.holds)
    @rule(which=_WHICH, strange=_RARELY, key=_KEY)
    def book(self, which: int, strange: bool, key: int | None) -> None:
        hold_id, customer = self._a_hold(which, strange)
        self._perform(
            BookHold(
                hold_id=hold_id,
                customer=customer,
                booking_id=self._new(),
                code=f"CODE{self.made}",
                payment_id=id_of(f"payment {self.made}"),
                payment_method="demo",
                **self._name(key, "book", customer, hold_id),
            )
        )

    @precondition(lambda self: self.office.holds)
    @rule(which=_WHICH, strange=_RARELY, key=_KEY)
    def start_paying(self, which: int, strange: bool, key: int | None) -> None:
        hold_id, customer = self._a_hold(which, strange)
        command = StartPayment(
            hold_id=hold_id,
            customer=customer,
            booking_id=self._new(),
            code=f"CODE{self.made}",
            payment_id=id_of(f"payment {self.made}"),
            payment_method="stripe",
            **self._name(key, "pay", customer, hold_id),
        )
        self._perform(command)

    @precondition(lambda self: self.payments)
    @rule(which=_WHICH, strange=_RARELY, mixed=st.booleans(), fewer=_RARELY)
    def the_money_comes(self, which: int, strange: bool, mixed: bool, fewer: bool) -> None:
        """In time or late, told as often as the payment service likes."""
        payment, hold_id, customer = self._a_payment(which, strange, mixed)
        slip = self.office.holds.get(hold_id)
        self._perform(
            ConfirmPayment(
                hold_id=hold_id,
                customer=customer,
                booking_id=payment.booking_id,
                code=payment.code,
                payment_id=payment.payment_id,
                payment_method="stripe",
                seat_count=(len(slip.seats) if slip else 0) + fewer,
                **self._name(None, "confirm", b""),
            )
        )

    @precondition(lambda self: self.office.live())
    @rule(which=_WHICH, taken=st.booleans())
    def the_money_comes_too_late(self, which: int, taken: bool) -> None:
        """The hold has ended, and perhaps somebody else has one of its seats."""
        self.start_paying(which, strange=False, key=None)
        if not self.payments:
            return
        self.now_us += 25_000_000
        slip = self.office.holds[self.payments[-1].hold_id]
        if taken and slip.seats:
            self._hold(list(slip.seats)[:1], _other(slip.customer), None)
        self.the_money_comes(0, strange=False, mixed=False, fewer=False)

    @precondition(lambda self: self.payments)
    @rule(which=_WHICH, strange=_RARELY, mixed=st.booleans(), expired=st.booleans())
    def no_money_comes(self, which: int, strange: bool, mixed: bool, expired: bool) -> None:
        payment, hold_id, customer = self._a_payment(which, strange, mixed)
        self._perform(
            AbandonPayment(
                hold_id=hold_id,
                customer=customer,
                booking_id=payment.booking_id,
                expired=expired,
                **self._name(None, "abandon", b""),
            )
        )

    @precondition(lambda self: self.payments)
    @rule(which=_WHICH, strange=_RARELY, mixed=_RARELY)
    def the_money_goes_back(self, which: int, strange: bool, mixed: bool) -> None:
        payment, hold_id, customer = self._a_payment(which, strange, mixed)
        self._perform(
            ReturnPayment(
                hold_id=hold_id,
                customer=customer,
                booking_id=payment.booking_id,
                **self._name(None, "give back", b""),
            )
        )

    def _a_payment(
        self, which: int, strange: bool, mixed: bool
    ) -> tuple[StartPayment, bytes, bytes]:
        """A payment that began, the latest at first; or another customer's, or another hold's."""
        payment = self.payments[-1 - which % len(self.payments)]
        other = self.payments[which % len(self.payments)]
        customer = _other(payment.customer) if strange else payment.customer
        return payment, (other if mixed else payment).hold_id, customer

    @precondition(lambda self: self.booked)
    @rule(which=_WHICH, strange=_RARELY, staff=_RARELY, part=_PART, key=_KEY)
    def cancel(
        self, which: int, strange: bool, staff: bool, part: list[int] | None, key: int | None
    ) -> None:
        booking_id, customer = self._a_booking(which, strange)
        labels = self._part(self.office.bookings.get(booking_id), part)
        names = self._name(key, ("cancel", booking_id), b"staff" if staff else customer, labels)
        by = None if staff else customer
        self._perform(CancelBooking(booking_id=booking_id, customer=by, labels=labels, **names))

    @precondition(lambda self: self.booked)
    @rule(
        which=_WHICH,
        strange=_RARELY,
        staff=st.booleans(),
        part=_SEATS,
        seats=_SEATS,
        pays=st.booleans(),
        key=_KEY,
    )
    def change_seats(
        self,
        which: int,
        strange: bool,
        staff: bool,
        part: list[int],
        seats: list[int],
        pays: bool,
        key: int | None,
    ) -> None:
        """Mostly as many as are given up, at what they cost now."""
        booking_id, customer = self._a_booking(which, strange)
        chosen = self._labels(seats)
        slip = self.office.bookings.get(booking_id)
        left = (self._part(slip, part) or []) if slip else list(chosen)
        if not strange:
            left, chosen = left[: len(chosen)], chosen[: len(left)]
        self._change_seats(booking_id, None if staff else customer, left, chosen, pays, key)

    @precondition(lambda self: self.booked and self.office.live())
    @rule(which=_WHICH, held=_WHICH, staff=st.booleans(), few=st.booleans(), key=_KEY)
    def change_to_seats_of_a_hold(
        self, which: int, held: int, staff: bool, few: bool, key: int | None
    ) -> None:
        booking_id, customer = self._a_booking(which, strange=False)
        chosen = list(self.office.holds[self._a_hold(held, strange=False)[0]].seats)
        slip = self.office.bookings.get(booking_id)
        left = list(slip.seats if slip else chosen)
        count = 1 if few else min(len(left), len(chosen))
        left, chosen = left[:count], chosen[:count]
        self._change_seats(booking_id, None if staff else customer, left, chosen, True, key)

    def _change_seats(
        self,
        booking_id: bytes,
        by: bytes | None,
        left: list[str],
        chosen: list[str],
        pays: bool,
        key: int | None,
    ) -> None:
        slip, prices_now = self.office.bookings.get(booking_id), self.office.room.prices
        names = self._name(key, ("change", booking_id), by or b"staff", (left, chosen))
        self._perform(
            ChangeSeats(
                booking_id=booking_id,
                customer=by,
                left=left,
                chosen=chosen,
                layout_version=self.world.terms.plan.version,
                seen=tuple(slip.seats.items()) if slip else (),
                prices=tuple(prices_now.get(label, 0) for label in chosen),
                holder=STAFF if by is None else b"",
                payment_id=id_of(f"payment {self.made}"),
                payment_method="demo" if pays else "",
                **names,
            )
        )

    @rule(seats=_SEATS, key=_KEY)
    def block(self, seats: list[int], key: int | None) -> None:
        labels = self._labels(seats)
        self._perform(BlockSeats(labels=labels, **self._name(key, "block", b"", labels)))

    @precondition(lambda self: self.office.blocked)
    @rule(seats=_SEATS, key=_KEY)
    def unblock(self, seats: list[int], key: int | None) -> None:
        labels = self._labels(seats)
        self._perform(UnblockSeats(labels=labels, **self._name(key, "unblock", b"", labels)))

    @rule(really=_RARELY)
    def pause_or_resume(self, really: bool) -> None:
        self._perform((PauseSales if really else ResumeSales)(command_id=b""))

    @precondition(lambda self: self.keyed)
    @rule(which=_WHICH, otherwise=_RARELY)
    def repeat_a_key(self, which: int, otherwise: bool) -> None:
        command = self.keyed[-1 - which % len(self.keyed)]
        changes: dict[str, Any] = {}
        if isinstance(command, HoldSeats | HoldBestAvailable):
            changes["hold_id"] = self._new()
        if isinstance(command, BookHold | StartPayment):
            changes["booking_id"] = self._new()
        if otherwise:
            changes["fingerprint"] = fingerprint_of("something else")
        self._perform(msgspec.structs.replace(command, **changes))

    @rule(which=_WHICH)
    def change_the_plan(self, which: int) -> None:
        layout = self.layouts[which % len(self.layouts)]
        self._expire()
        self.version += 1
        terms = self._terms(layout)
        room = Room.of(layout, self._price_of())
        command = ChangePlan(command_id=id_of(f"plan {self.version}"), plan=terms.plan)
        decision = self.world.decide(command, self.now_us)
        in_the_way = self.office.in_the_way_of(room)
        if in_the_way:
            self._expect_refusal(Refused("PLAN_IN_USE", frozenset(in_the_way)), decision)
            return
        assert isinstance(decision, Event)
        self.world.record(decision, self.now_us, command)
        self.office.move_to(room)
        self.layout = layout

    @rule()
    def change_the_prices(self) -> None:
        """By one version of the row after the other: whoever has seen only the first is refused."""
        self._expire()
        self.dearer += 1
        terms = self.world.terms
        base_minor = self._base_minor()
        command = change_terms(seen=(terms.version,), rules=self._sale_rules(), **self._window())
        command = msgspec.structs.replace(
            command,
            command_id=id_of(f"prices {self.dearer}"),
            conditions=msgspec.structs.replace(command.conditions, base_price_minor=base_minor),
        )
        late = msgspec.structs.replace(command, seen=(terms.version - 1,))
        self._expect_refusal(Refused("PRECONDITION_FAILED"), self.world.decide(late, self.now_us))
        decision = self.world.decide(command, self.now_us)
        assert isinstance(decision, TermsChanged)
        self.world.record(decision, self.now_us, command)
        assert self.world.terms.version == terms.version + 1
        self.office.move_to(Room.of(self.layout, self._price_of()))

    @rule()
    def a_new_price_book(self) -> None:
        """Each version asks another amount more as soon as some seats are taken."""
        self.book_version += 1
        self.office.dearer_from_percent = DEMAND_PERCENT
        self.office.dearer_minor = 7 * self.book_version
        full = Conditions(taken_min=DEMAND_PERCENT)
        effect = Effect(kind="amount", value=self.office.dearer_minor)
        dearer = Rule(
            id=UUID(int=1), name="full", group="demand", priority=1, when=full, effect=effect
        )
        book = PriceBook(
            version=self.book_version,
            currency="EUR",
            time_zone="Europe/Berlin",
            settings=BookSettings(),
            rules=(dearer,),
        )
        self.world.terms = msgspec.structs.replace(
            self.world.terms, book=ready_book(book), book_version=self.book_version
        )

    def _sale_rules(self) -> SaleRules:
        names = [field.name for field in msgspec.structs.fields(SaleRules)]
        return SaleRules(**{name: getattr(self.world.terms, name) for name in names})

    def _window(self) -> dict[str, int]:
        its = self.rules_
        return {
            "starts_at_us": its.starts_us,
            "ends_at_us": its.starts_us + 1,
            "sales_opens_at_us": its.opens_us,
            "sales_closes_at_us": its.closes_us,
            "movie_id": self.world.terms.movie_id,
            "screen_id": self.world.terms.screen_id,
        }

    # --- time, snapshots, crashes

    @rule(step_us=st.sampled_from([1, 1_000_000, 4_000_000, 9_999_999, 10_000_000, 25_000_000]))
    def time_passes(self, step_us: int) -> None:
        self.now_us += step_us

    @precondition(lambda self: self.rules_.closes_us > second(IDEMPOTENCY_TTL_S))
    @rule(step_us=st.sampled_from([TTL_US - 5_000_000, TTL_US, TTL_US + 1]), really=_RARELY)
    def a_day_passes(self, step_us: int, really: bool) -> None:
        if really:
            self.now_us += step_us

    @precondition(lambda self: self.world.pending is None)
    @rule()
    def begin_a_snapshot(self) -> None:
        self.world.begin_snapshot(self.now_us)

    @precondition(lambda self: self.world.pending is not None)
    @rule(stored=st.booleans(), untold=_RARELY)
    def finish_the_snapshot(self, stored: bool, untold: bool) -> None:
        self.world.finish_snapshot(stored=stored, told=not untold)

    @precondition(lambda self: self.world.pending is None)
    @rule()
    def take_a_snapshot(self) -> None:
        self.world.begin_snapshot(self.now_us)
        self.world.finish_snapshot(stored=True, told=True)

    @rule()
    def sweep_the_archive(self) -> None:
        self.world.sweep_archive(self.now_us)

    @rule(really=_RARELY)
    def crash(self, really: bool) -> None:
        if really:
            self.world.crash()

    # --- how it is named

    def _new(self) -> bytes:
        self.made += 1
        return id_of(f"made {self.made}")

    def _a_hold(self, which: int, strange: bool) -> tuple[bytes, bytes]:
        """A hold, a live one at first, and its customer; or a stranger, or an unknown hold."""
        holds = [*self.office.live(), *reversed(self.office.holds)]
        hold_id = holds[which % len(holds)]
        customer = self.office.holds[hold_id].customer
        if not strange:
            return hold_id, customer
        return (id_of("never"), customer) if which % 4 == 0 else (hold_id, _other(customer))

    def _a_booking(self, which: int, strange: bool) -> tuple[bytes, bytes]:
        """A booking, a live one at first, and its customer; or a stranger."""
        bookings = [*self.office.bookings, *reversed(self.booked)]
        booking_id = bookings[which % len(bookings)]
        slip = self.office.bookings.get(booking_id)
        customer = slip.customer if slip else CUSTOMERS[0]
        return booking_id, _other(customer) if strange else customer

    def _labels(self, seats: list[int]) -> list[str]:
        labels = list(self.office.room.places)
        return ["Z9" if seat == _NO_SEAT else labels[seat % len(labels)] for seat in seats]

    def _part(self, slip: Any, seats: list[int] | None) -> list[str] | None:
        if seats is None or slip is None or not slip.seats:
            return None if seats is None else self._labels(seats)
        own = [*slip.seats, *slip.seats, *self._labels(seats[:1])]
        return [own[seat % len(own)] for seat in seats]

    def _name(self, key: int | None, route: Any, who: bytes, body: Any = None) -> dict[str, bytes]:
        if key is None:
            self.made += 1
            return {"command_id": id_of(f"command {self.made}")}
        command_id = id_of(f"{who!r} {route!r} {key}")
        return {"command_id": command_id, "fingerprint": fingerprint_of(repr(body))}

    # --- how it is answered

    def _expire(self) -> None:
        due = self.office.due(self.now_us)
        expired = self.world.expire(self.now_us)
        assert [event.hold_id for event in expired] == due
        labels = self.world.terms.plan.labels
        for event in expired:
            assert {labels[seat] for seat in event.seats} == set(
                self.office.holds[event.hold_id].seats
            )
            self.office.carry_out(Done("expired", event.hold_id), self.now_us)

    def _perform(self, command: AnyCommand) -> None:
        self._expire()
        decision = self.world.decide(command, self.now_us)
        self._forget_if_forgotten(command, decision)
        match self.office.answer(command, self.now_us):
            case Refused() as refused:
                self._expect_refusal(refused, decision)
            case Repeated(done, seq):
                assert isinstance(decision, Replay)
                assert told(decision.recorded.event, self.world.terms.plan.labels) == done
                assert decision.record.seq == seq
            case NothingToDo():
                assert isinstance(decision, Nothing)
            case WhereverBest():
                assert isinstance(command, HoldBestAvailable)
                self._expect_best(command, decision)
            case Done() as done:
                self._expect_event(command, done, decision)

    def _forget_if_forgotten(self, command: AnyCommand, decision: Decision) -> None:
        """After a day a key may be forgotten, but need not be."""
        kept = self.office.kept.get(command.command_id)
        if kept is None or kept.at_us >= self.now_us - TTL_US:
            return
        mismatch = isinstance(decision, Rejection) and decision.code == "IDEMPOTENCY_MISMATCH"
        if not isinstance(decision, Replay) and not mismatch:
            del self.office.kept[command.command_id]

    def _expect_refusal(self, refused: Refused, decision: Decision) -> None:
        assert isinstance(decision, Rejection), (refused, decision)
        details = decision.details or {}
        code = f"{decision.code} {details['status']}" if "status" in details else decision.code
        assert code == refused.code
        if refused.seats is not None:
            assert sorted(set(details["seats"])) == sorted(refused.seats)

    def _expect_best(self, command: HoldBestAvailable, decision: Decision) -> None:
        if isinstance(decision, Rejection):
            assert decision.code == "NOT_ENOUGH_SEATS"
            assert not self.office.fits_side_by_side(command)
            return
        assert isinstance(decision, Event)
        plan = self.world.terms.plan
        labels = list(told(decision, plan.labels).left)
        assert len(labels) == command.quantity
        places = [self.office.room.places[label] for label in labels]
        assert all(self.office.offered(label, command) for label in labels)
        if command.accessible:
            assert any(place.accessible for place in places)
            assert not companions_alone(self.office.room, labels)
        if self.office.fits_side_by_side(command):
            assert len({place.block for place in places}) == 1
        self._expect_event(command, self.office.held(command, labels, self.now_us), decision)

    def _expect_event(self, command: AnyCommand, done: Done, decision: Decision) -> None:
        assert isinstance(decision, Event), (done, decision)
        assert told(decision, self.world.terms.plan.labels) == done
        booking_id = b""
        if isinstance(decision, HoldBooked):
            assert isinstance(command, BookHold | ConfirmPayment)
            assert decision.pending == isinstance(command, ConfirmPayment)
            booking_id = decision.booking_id
            self.booked.append(booking_id)
            assert booking_id == command.booking_id
            assert decision.code == command.code
            assert decision.payment_id == command.payment_id
        if isinstance(command, StartPayment):
            self.payments.append(command)
        if isinstance(decision, SeatsHeld):
            taken = self.office.taken() if self.book_version else 0
            self.price_inputs[decision.hold_id] = (
                *(self.book_version, self.now_us, taken),
                *(self.office.seat_count(), self._base_minor()),
            )
        self.world.record(decision, self.now_us, command)
        self.office.carry_out(done, self.now_us, booking_id)
        if command.fingerprint:
            self.keyed.append(command)
            self.office.kept[command.command_id] = Kept(
                command.fingerprint, done, self.world.state.seq, self.now_us
            )

    # --- what must always be true

    @invariant()
    def the_seats_are_those_of_the_box_office(self) -> None:
        labels = self.world.terms.plan.labels
        assert list(labels) == list(self.office.room.places)
        for label, status in zip(labels, self.world.state.seats, strict=True):
            owners = self.office.owners(label) or ["available"]
            assert owners == [STATUS_NAMES[status]]

    @invariant()
    def holds_and_bookings_are_those_of_the_box_office(self) -> None:
        state = self.world.state
        holds = {key: self._on_paper(packed) for key, packed in state.holds.items()}
        assert holds == {
            key: (slip.customer, slip.seats, slip.placed_us, slip.until_us)
            for key, slip in self.office.live().items()
        }
        bookings = {key: self._on_paper(packed)[:2] for key, packed in state.bookings.items()}
        assert bookings == {
            key: (slip.customer, slip.seats) for key, slip in self.office.bookings.items()
        }
        paying = {key: waiting_for(waiting).booking_id for key, waiting in state.paying.items()}
        assert paying == {
            key: one.paid_by for key, one in self.office.live().items() if one.paid_by
        }
        assert state.paused == self.office.paused
        for customer in CUSTOMERS:
            mine = [slip for slip in self.office.live().values() if slip.customer == customer]
            assert state.live_holds_of(customer) == len(mine)

    @invariant()
    def holds_know_what_their_prices_follow_from(self) -> None:
        state = self.world.state
        assert state.taken == self.office.taken()
        assert not state.sold_by.keys() - state.holds.keys()
        for hold_id, packed in state.holds.items():
            price_inputs = price_inputs_of(state, self.world.terms, hold_id, packed, unpack(packed))
            what = (price_inputs.book_version, price_inputs.at_us, price_inputs.taken)
            assert (
                *what,
                price_inputs.seat_count,
                price_inputs.base_price_minor,
            ) == self.price_inputs[hold_id]

    @invariant()
    def every_ended_hold_says_how_it_ended(self) -> None:
        for hold_id, slip in self.office.holds.items():
            ended = self.world.ended(hold_id)
            if slip.status == "active":
                assert ended is None
                continue
            assert ended is not None
            how = ended_as(ended)
            assert ENDED_NAMES[how.status] == slip.status
            assert self._on_paper(how.packed)[:2] == (slip.customer, slip.seats)
            unpaid_by = None if slip.status == "booked" else slip.paid_by or None
            assert how.booking_id == unpaid_by
        assert self.world.ended(id_of("never")) is None

    @invariant()
    def the_next_deadline_is_bounded_from_below(self) -> None:
        deadlines = [slip.until_us for slip in self.office.live().values()]
        bound = self.world.state.next_due_us
        assert bound <= min(deadlines) if deadlines else bound == NEVER_US

    @invariant()
    def a_replay_gives_the_same_showtime(self) -> None:
        state = self.world.state
        restored = self.world.restored()
        assert contents(restored) == contents(state)
        replayed = self.world.replayed()
        for part in ("seq", "at_us", "layout_version", "old_plans", "paused", "seats", "holds"):
            assert contents(replayed)[part] == contents(state)[part]
        assert replayed.bookings == state.bookings

    def _on_paper(self, packed: bytes) -> tuple[bytes, dict[str, int], int, int]:
        group = unpack(packed)
        labels = self.world.terms.plan.labels
        seats = {labels[seat]: price for seat, price in zip(group.seats, group.prices, strict=True)}
        return group.customer, seats, group.placed_at_us, group.expires_at_us


def _other(customer: bytes) -> bytes:
    return CUSTOMERS[CUSTOMERS.index(customer) - 1]


def mirrored(layout: Layout) -> Layout:
    """Seats numbered from the other side, rows from the back."""
    return msgspec.structs.replace(
        layout,
        rows=tuple(
            msgspec.structs.replace(row, seats=row.seats[::-1]) for row in reversed(layout.rows)
        ),
    )
