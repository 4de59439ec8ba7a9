"""What the service of attempts does when the showtime or a provider cannot answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from cinema.actors.messages import OUTCOME_UNKNOWN, Accepted, Outcome, Unavailable
from cinema.domain.rejections import Rejection, refuse
from cinema.features.ledger.methods import (
    COUNTER,
    COUNTER_LATER,
    AtOnce,
    Attempt,
    ByDecision,
    MethodRegistry,
    Progress,
    RefundOrder,
    RefundProgress,
)
from cinema.features.ledger.metrics import RefundCounts
from cinema.features.ledger.refund_jobs import LOGGED_FROM, LONGEST_S, REFUND_DELAYED, RefundQueue
from cinema.features.ledger.refund_store import DueRefund
from cinema.features.ledger.service import PUT_ASIDE, AttemptsService
from cinema.features.ledger.store import Payable

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
BOOKING, ATTEMPT = UUID(int=1), UUID(int=2)
GONE = Rejection(code="HOLD_ENDED")


def attempt(method: str = "bank", status: Any = "pending", **more: Any) -> Attempt:
    return Attempt(
        id=ATTEMPT,
        booking_id=BOOKING,
        method=method,
        status=status,
        amount_minor=1000,
        refunded_minor=0,
        currency="EUR",
        reference=None,
        created_at=NOW,
        **more,
    )


def payable(*, was_sold: bool = False) -> Payable:
    return Payable(
        id=BOOKING,
        showtime_id=UUID(int=3),
        user_id=UUID(int=4),
        hold_id=UUID(int=5),
        code="CODE",
        status="pending",
        total_minor=1000,
        currency="EUR",
        payment_id=ATTEMPT,
        seat_count=1,
        was_sold=was_sold,
    )


class Bank(AtOnce):
    """A provider that says what it is told to say."""

    def __init__(self, says: Progress) -> None:
        super().__init__("bank", waits=True)
        self._says = says

    async def cancel(self, _attempt: Attempt) -> Progress:
        return self._says


class World:
    """A showtime that gives these answers, and the rows of one booking."""

    def __init__(self, *answers: Outcome, rows: Sequence[Attempt] = (), sold: bool = False) -> None:
        self.clock = self
        self.noted: list[tuple[str, str | None]] = []
        self.given_back: list[str] = []
        self._answers = list(answers)
        self._rows = list(rows)
        self._sold = sold

    def now_us(self) -> int:
        return int(NOW.timestamp()) * 1_000_000

    async def ask(self, *_: object) -> Outcome:
        return self._answers.pop(0)

    async def under_way(self, _booking: UUID) -> list[Attempt]:
        return self._rows

    async def find(self, _attempt: UUID) -> Attempt:
        return self._rows[0]

    async def payable(self, _booking: UUID) -> Payable:
        return payable(was_sold=self._sold)

    async def note(self, _attempt: UUID, progress: Progress, _now: datetime) -> None:
        self.noted.append((progress.status, progress.error_code))

    async def unwanted(self, _attempt: UUID, _refund: UUID, reason: str, *_: object) -> None:
        self.given_back.append(reason)


def service(world: World, *methods: AtOnce) -> AttemptsService:
    registry = MethodRegistry(demo=False)
    for method in methods:
        registry.add(method)
    anything = cast("Any", world)
    return AttemptsService(
        *(anything, anything, anything, registry, RefundCounts()), next_id=lambda: bytes(16)
    )


async def test_nothing_makes_way_whose_money_may_still_come() -> None:
    world = World(rows=[attempt()])
    busy = service(world, Bank(Progress(status="pending")))
    assert await busy.make_way(BOOKING, "gift_card") == "under_way"
    assert await busy.stop(BOOKING) == "under_way"
    assert world.noted == []


@pytest.mark.parametrize("name", ["exchange", "series"])
async def test_what_a_row_decides_about_makes_way_for_no_payment(name: str) -> None:
    asked: list[UUID] = []

    async def abort(booking_id: UUID, _now: datetime) -> str:
        asked.append(booking_id)
        return "aborted"

    world = World(rows=[attempt(name)])
    by_row = cast("Any", ByDecision(name, abort, now=lambda: NOW))
    assert await service(world, by_row).make_way(BOOKING, "gift_card") == "under_way"
    assert (asked, world.noted) == ([], [])


async def test_a_provider_that_is_not_set_up_any_more_says_nothing() -> None:
    assert await service(World(rows=[attempt()])).stop(BOOKING) == "under_way"


@pytest.mark.parametrize("status", ["refunded", "partially_refunded", "succeeded"])
async def test_money_that_was_decided_about_buys_nothing_again(status: str) -> None:
    assert await service(World()).settle(attempt(status=status)) == Rejection(code="BOOKING_ENDED")


async def test_nothing_goes_back_before_the_showtime_has_decided() -> None:
    away = Unavailable(OUTCOME_UNKNOWN)
    for answers in ([away], [GONE, away]):
        world = World(*answers)
        assert await service(world).settle(attempt()) == away
        assert world.given_back == []


async def test_money_that_has_bought_the_seats_does_not_go_back() -> None:
    sold = World(GONE, GONE, sold=True)
    assert await service(sold).settle(attempt()) == GONE
    assert sold.given_back == []
    late = World(GONE, GONE)
    assert await service(late).settle(attempt()) == GONE
    assert late.given_back == ["HOLD_ENDED"]


async def test_money_for_what_was_paid_otherwise_goes_back() -> None:
    paid = Accepted(event=None, seq=1, epoch=1, at_us=0, terms=cast("Any", None))
    world = World(paid, GONE)
    assert await service(world, Bank(Progress(status="succeeded"))).settle(attempt()) == paid
    assert world.given_back == ["PAID_OTHERWISE"]


async def test_what_is_put_aside_goes_back_if_the_showtime_refuses() -> None:
    world = World(Rejection(code="SEAT_UNAVAILABLE"), rows=[attempt(reserved=True)])
    refused = await service(world).confirm_reserved(BOOKING, ATTEMPT)
    assert isinstance(refused, Rejection)
    assert refused.code == "BOOKING_ENDED"
    assert world.noted == [("failed", "BOOKING_ENDED")]


class NoneUnderWay(World):
    """A booking whose last attempt ends while somebody asks to pay."""

    enough_by: Attempt | None = None

    async def under_way_by(self, _booking: UUID, _methods: Sequence[str]) -> None:
        return None

    async def add(self, *_: object) -> None:
        return None

    async def enough(self, _booking: UUID) -> Attempt | None:
        return self.enough_by


async def test_whoever_asks_to_pay_what_is_paid_is_told_by_which_attempt() -> None:
    world = NoneUnderWay()
    resumed = await service(world).resume(payable(), AtOnce(COUNTER))
    assert resumed is None
    world.enough_by = attempt("gift_card", reserved=True)
    assert await service(world).resume(payable(), AtOnce(COUNTER)) == (world.enough_by, PUT_ASIDE)


@pytest.mark.parametrize("found", [None, attempt(status="failed")])
async def test_an_attempt_that_has_ended_is_not_begun(found: Attempt | None) -> None:
    world = World(rows=cast("Any", [found]))
    assert await service(world).begin(ATTEMPT) is None


async def test_methods_that_ask_nobody_stand_as_they_began() -> None:
    later, now = AtOnce(COUNTER_LATER, waits=True), AtOnce(COUNTER)
    assert (await later.status(attempt(COUNTER_LATER))).status == "pending"
    assert (await now.status(attempt(COUNTER))).status == "succeeded"


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        (None, "cancelled"),
        ("aborted", "cancelled"),
        ("committed", "pending"),
        ("done", "pending"),
    ],
)
async def test_what_waits_for_a_decision_ends_only_if_it_was_not_committed(
    state: str | None, answer: str
) -> None:
    asked: list[tuple[UUID, datetime]] = []

    async def abort(booking_id: UUID, now: datetime) -> str | None:
        asked.append((booking_id, now))
        return state

    method = ByDecision("exchange", abort, now=lambda: NOW)
    waiting = attempt("exchange")
    assert (await method.start(waiting)).status == "pending"
    assert (await method.status(waiting)).status == "pending"
    assert (await method.cancel(waiting)).status == answer
    assert asked == [(BOOKING, NOW)]


async def test_what_waits_for_a_decision_refunds_nothing_itself() -> None:
    async def abort(_booking_id: UUID, _now: datetime) -> str | None:
        raise AssertionError("a refund decides nothing")

    method = ByDecision("exchange", abort, now=lambda: NOW)
    order = RefundOrder(id=UUID(int=9), booking_id=BOOKING, amount_minor=1, currency="EUR")
    refund = await method.refund(attempt("exchange"), order)
    assert (refund.status, refund.error_code) == ("failed", "exchange")


class Queue:
    """The rows of refunds: what was put off, and until when."""

    def __init__(self, found: Attempt | None) -> None:
        self._found = found
        self.put_off_to: list[tuple[datetime, str | None]] = []

    async def source_of(self, _attempt: UUID) -> Attempt | None:
        return self._found

    async def put_off(
        self, _due: DueRefund, until: datetime, _reference: str | None, reason: str | None
    ) -> None:
        self.put_off_to.append((until, reason))


class Away(AtOnce):
    """A provider that does not answer."""

    async def refund(self, _attempt: Attempt, _order: RefundOrder) -> RefundProgress:
        raise refuse("RETRY")


@pytest.mark.parametrize(
    ("found", "attempts", "reason", "wait_s", "told"),
    [
        (None, 1, "UNKNOWN_PAYMENT_METHOD", 2.0, 0),
        (attempt("gone"), 2, "UNKNOWN_PAYMENT_METHOD", 4.0, 0),
        (attempt(), LOGGED_FROM - 1, "RETRY", 2.0 ** (LOGGED_FROM - 1), 0),
        (attempt(), LOGGED_FROM, "RETRY", 2.0**LOGGED_FROM, 1),
        (attempt(), 99, "RETRY", LONGEST_S, 1),
    ],
)
async def test_a_refund_that_cannot_be_asked_for_is_asked_for_later_and_later(
    found: Attempt | None, attempts: int, reason: str, wait_s: float, told: int
) -> None:
    rows, registry, counts = Queue(found), MethodRegistry(demo=False), RefundCounts()
    registry.add(Away("bank"))
    anything = cast("Any", rows)
    queue = RefundQueue(anything, anything, registry, counts, now=lambda: NOW)
    due = DueRefund(
        id=UUID(int=9),
        payment_id=ATTEMPT,
        booking_id=BOOKING,
        kind="cancellation",
        amount_minor=1000,
        currency="EUR",
        reference=None,
        attempts=attempts,
        asked_again=0,
    )
    with capture_logs() as logs:
        await queue.work(due)
    assert rows.put_off_to == [(NOW + timedelta(seconds=wait_s), reason)]
    assert counts.outcomes["delayed"] == 1
    assert [one["event"] for one in logs] == [REFUND_DELAYED] * told
