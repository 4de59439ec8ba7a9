"""What a checkout gives back, and what it answers, if something has changed or does not answer."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from cinema.actors.messages import OUTCOME_UNKNOWN, HoldSeen, Outcome, Unavailable
from cinema.domain.principal import CUSTOMER, Principal
from cinema.domain.rejections import Refused, Rejection, refuse
from cinema.domain.showtime.commands import BookHold
from cinema.domain.showtime.sales import HOLD_CHANGED
from cinema.features.accounts.shapes import Client
from cinema.features.bookings.service import QUOTES_A_BOOKING, BookingsService, act_of
from cinema.features.bookings.shapes import Billing, Booking, BookingInput, Payment, PaymentInput
from cinema.features.ledger.methods import MethodRegistry, Progress
from cinema.features.seats.service import money

ADA = Principal(user_id=bytes(16), role=CUSTOMER, session_id=bytes(16), expires_at_s=0.0)
SHOWTIME, HOLD, BOOKING, CINEMA = (UUID(int=number) for number in range(1, 5))
PAYMENT = UUID(int=5)
ENDED = Rejection(code="HOLD_ENDED")
UNKNOWN = Unavailable(OUTCOME_UNKNOWN)


class World:
    """The rooms around a checkout: what they answer, and what they were told to give back."""

    def __init__(self, *answers: Outcome, price_inputs: Any = ()) -> None:
        self.answers = list(answers)
        self.price_inputs = SimpleNamespace(at_us=0) if price_inputs == () else price_inputs
        self.told: list[str] = []
        self.fails: dict[str, str] = {}
        self.progress: Progress | None = None
        self.outcome: Outcome = ENDED
        self.clock = SimpleNamespace(now_us=lambda: 1)
        self.methods = MethodRegistry(demo=True)

    def _tell(self, what: str) -> None:
        self.told.append(what)
        if what in self.fails:
            raise refuse(self.fails[what])

    # The showtime.

    async def ask(self, _showtime_id: bytes, command: Any) -> Any:
        if not isinstance(command, BookHold):
            terms = SimpleNamespace(currency="EUR", cinema_id=CINEMA.bytes, plan=None)
            plan = SimpleNamespace(index={})
            terms.plan = plan
            return HoldSeen(
                HOLD.bytes,
                "active",
                None,
                1,
                1,
                terms,
                self.price_inputs,  # type: ignore[arg-type]
            )
        self._tell("asked")
        return self.answers.pop(0)

    # Prices, promo codes, products.

    async def priced(self, _seen: HoldSeen, _inputs: Any) -> Any:
        return SimpleNamespace(labels=["A1"], show=None, price_inputs=SimpleNamespace(at_us=0))

    def sale(self, *_values: Any) -> Any:
        return SimpleNamespace(total_minor=1000, promo_code="TEN", types=())

    async def usable_for(self, code: str, *_values: Any) -> Any:
        fields = ("discount", "per", "stackable", "currency", "minimum_order", "max_uses")
        more = ("max_uses_per_customer", "valid_from", "valid_until", "active")
        nothing = dict.fromkeys((*fields, *more))
        return SimpleNamespace(code=code, movie_ids=[], cinema_ids=[], weekdays=[], **nothing)

    async def sold(self, *_values: Any) -> Any:
        return ()

    async def cinema_of(self, _showtime_id: UUID) -> UUID:
        return CINEMA

    async def put(self, *_values: Any) -> None:
        self._tell("billed")

    # Attempts and bookings.

    async def begin(self, _attempt_id: UUID) -> Progress | None:
        self._tell("begun")
        return self.progress

    async def confirm_reserved(self, *_values: Any) -> Outcome:
        return self.outcome

    async def find(self, *_values: Any) -> Booking:
        self._tell("found")
        return made("confirmed")


class Codes:
    """What uses a promo code, or a code of products, for a booking."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    async def reserve(self, *_values: Any) -> None:
        self._world._tell(f"{self._name} reserved")  # noqa: SLF001

    async def give_back(self, _booking_id: UUID) -> None:
        self._world._tell(f"{self._name} given back")  # noqa: SLF001

    async def pick_up_of(self, _booking_id: UUID) -> Any:
        self._world._tell(f"{self._name} shown")  # noqa: SLF001


def service(world: Any) -> BookingsService:
    codes: Any = Codes(world, "promo code")
    products: Any = Codes(world, "pick-up code")
    nobody: Any = None
    return BookingsService(
        *(world, world, nobody, nobody, world, world, codes, nobody, nobody, nobody, products),
        world,
        unpaid_seats=nobody,
        next_id=lambda: bytes(16),
    )


def made(status: Any = "pending") -> Booking:
    total = money(1000, "EUR")
    return Booking(
        id=BOOKING,
        code="CODE",
        showtime_id=SHOWTIME,
        status=status,
        seats=[],
        total=total,
        created_at=datetime(2026, 6, 1, tzinfo=UTC),
        payment=Payment(PAYMENT, "gift_card", "pending", total),
    )


def asked(**more: Any) -> BookingInput:
    payment = PaymentInput(method="demo")
    return BookingInput(showtime_id=SHOWTIME, hold_id=HOLD, payment=payment, **more)


WITH_CODES: dict[str, Any] = {"promo_code": "TEN", "concessions": [object()]}


async def send(world: World, **more: Any) -> Outcome:
    booking = BookHold(
        command_id=bytes(16),
        hold_id=HOLD.bytes,
        customer=ADA.user_id,
        booking_id=BOOKING.bytes,
        code="CODE",
        payment_id=PAYMENT.bytes,
        payment_method="demo",
    )
    return await service(world)._sent(ADA, asked(**more), booking, None)  # noqa: SLF001


RESERVED = ["promo code reserved", "pick-up code reserved"]
GIVEN_BACK = ["promo code given back", "pick-up code given back"]


async def test_a_hold_that_changes_is_quoted_again_and_uses_its_codes_once() -> None:
    world = World(HOLD_CHANGED, UNKNOWN)
    assert await send(world, **WITH_CODES) == UNKNOWN
    assert world.told == [*RESERVED, "asked", "asked"]


async def test_a_hold_that_changes_each_time_is_refused_and_nothing_stays_used() -> None:
    world = World(*[HOLD_CHANGED] * QUOTES_A_BOOKING)
    assert await send(world, **WITH_CODES) == HOLD_CHANGED
    assert world.told == [*RESERVED, *["asked"] * QUOTES_A_BOOKING, *GIVEN_BACK]
    assert world.answers == []


async def test_what_the_showtime_refuses_uses_no_code() -> None:
    world = World(ENDED)
    assert await send(world, **WITH_CODES) == ENDED
    assert world.told == [*RESERVED, "asked", *GIVEN_BACK]


async def test_codes_go_back_if_the_second_of_them_cannot_be_had() -> None:
    world = World()
    world.fails = {"pick-up code reserved": "RETRY"}
    with pytest.raises(Refused, match="RETRY"):
        await send(world, **WITH_CODES)
    assert world.told == [*RESERVED, GIVEN_BACK[0]]


async def test_codes_go_back_if_the_showtime_cannot_be_asked() -> None:
    world = World()
    world.fails = {"asked": "RETRY"}
    with pytest.raises(Refused, match="RETRY"):
        await send(world, **WITH_CODES)
    assert world.told == [*RESERVED, "asked", *GIVEN_BACK]


async def test_a_price_that_was_refused_has_used_nothing() -> None:
    world = World()
    world.fails = {"asked": "RETRY"}
    with pytest.raises(Refused, match="RETRY"):
        await send(world)
    assert world.told == ["asked"]


async def test_a_showtime_that_tells_no_prices_books_only_what_needs_none() -> None:
    plain = World(ENDED, price_inputs=None)
    assert await send(plain) == ENDED
    priced = World(ENDED, price_inputs=None)
    with pytest.raises(Refused, match="RETRY"):
        await send(priced, **WITH_CODES)
    assert priced.told == []


@pytest.mark.parametrize("code", ["OUTCOME_UNKNOWN", "RETRY"])
async def test_a_receiver_of_the_invoice_that_may_be_noted_is_nothing_to_look_for(
    code: str,
) -> None:
    world = World()
    world.fails = {"billed": code}
    request = asked(billing=Billing(name="A", address="B"))
    with pytest.raises(Refused, match="RETRY"):
        await service(world)._expect_billing(request, BOOKING)  # noqa: SLF001
    assert world.told == ["billed"]


async def test_a_booking_is_answered_without_its_pick_up_code_if_that_cannot_be_read() -> None:
    world = World()
    world.fails = {"pick-up code shown": "RETRY"}
    booking = made()
    assert await service(world)._with_code(booking) is booking  # noqa: SLF001


@pytest.mark.parametrize("code", ["RETRY", "OUTCOME_UNKNOWN", "OVERLOADED"])
async def test_money_that_cannot_be_put_aside_now_leaves_the_booking_pending(code: str) -> None:
    world = World()
    world.fails = {"begun": code}
    booking = made()
    assert await service(world)._from_here(booking) is booking  # noqa: SLF001


async def test_money_that_may_not_be_put_aside_is_refused() -> None:
    world = World()
    world.fails = {"begun": "PAYMENT_IN_PROGRESS"}
    with pytest.raises(Refused, match="PAYMENT_IN_PROGRESS"):
        await service(world)._from_here(made())  # noqa: SLF001


async def test_what_the_showtime_refuses_of_money_that_is_here_is_said() -> None:
    world = World()
    world.progress = Progress(status="succeeded", reserved=True)
    world.outcome = Rejection(code="SHOWTIME_CANCELLED")
    with pytest.raises(Refused, match="SHOWTIME_CANCELLED"):
        await service(world)._from_here(made())  # noqa: SLF001
    # The hold has ended: by the confirmation of a twin, or in time. The rows know.
    world.outcome = ENDED
    assert (await service(world)._from_here(made())).status == "confirmed"  # noqa: SLF001


def test_what_staff_do_is_noted_with_who_and_when() -> None:
    client = Client(address="192.0.2.1", agent="", request_id="r")
    dispatch: Any = World()
    act = act_of(ADA, client, dispatch, lambda: BOOKING.bytes)
    assert (act.by, act.entry_id) == (UUID(bytes=ADA.user_id), BOOKING)
    assert (act.at, act.client) == (datetime(1970, 1, 1, microsecond=1, tzinfo=UTC), client)
