"""Seats of several showtimes that are booked together, all or none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from cinema.actors.kernel import Kernel
from cinema.actors.messages import Outcome, Unavailable
from cinema.domain.rejections import refuse
from cinema.domain.showtime.commands import AbandonPayment, ConfirmPayment
from cinema.features.series import jobs
from cinema.features.series.store import SeriesRepository
from tests.e2e.api.books import TYPES, sells_by
from tests.e2e.api.house import LABELS, PATIENCE_S, UNKNOWN_ID, Answer, Clocks, House, open_house
from tests.e2e.api.money import faults_of
from tests.e2e.api.paying import process, reserve, verify
from tests.e2e.api.showtimes import cancel
from tests.support.waiting import look_again

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def clocked(database: str, clocks: Clocks) -> AsyncIterator[House]:
    """A house whose time the test moves."""
    async with open_house(database, clocks=clocks) as house:
        yield house


async def book(
    house: House,
    person: str,
    showtimes: list[str],
    *seats: str,
    key: str | None = None,
    method: str = "demo",
    **more: Any,
) -> Answer:
    body: dict[str, Any] = {"showtime_ids": showtimes, "payment": {"method": method}, **more}
    if seats:
        body["seats"] = list(seats)
    return await house.ask(person, "POST", "series", body, key=key)


async def statuses(house: House, showtimes: list[str]) -> list[dict[str, str]]:
    return [await house.statuses(one) for one in showtimes]


async def test_the_same_seats_of_all_showtimes_are_booked_and_paid(house: House) -> None:
    showtimes = [await house.showtime() for _ in range(3)]
    answer = await book(house, "ada", showtimes, "A1", "A2", key="mine")
    assert answer.status == 201, answer
    series = answer.data
    assert (series["status"], series["total"]["amount"]) == ("confirmed", 6000)
    assert [one["showtime_id"] for one in series["bookings"]] == showtimes
    for booking in series["bookings"]:
        assert (booking["status"], booking["payment"]["method"]) == ("confirmed", "demo")
        assert booking["payment"]["amount"]["amount"] == 2000
    assert await statuses(house, showtimes) == [{"A1": "booked", "A2": "booked"}] * 3
    again = await book(house, "ada", showtimes, "A2", "A1", key="mine")
    assert again.data == series
    other = await book(house, "ada", showtimes, "A4", key="mine")
    assert other.error == (422, "IDEMPOTENCY_MISMATCH")
    path = f"series/{series['id']}"
    assert (await house.ask("ada", "GET", path)).data == series
    assert (await house.ask("bob", "GET", path)).error == (404, "NOT_FOUND")
    # From now on each is a booking like any other.
    booking = series["bookings"][0]["id"]
    assert (await house.ask("ada", "DELETE", f"bookings/{booking}")).status == 200
    shown = (await house.ask("ada", "GET", path)).data
    assert [one["status"] for one in shown["bookings"]] == ["cancelled", "confirmed", "confirmed"]
    assert await faults_of(house) == []


async def test_who_has_booked_series_lists_them_newest_first_page_by_page(house: House) -> None:
    showtimes = [await house.showtime() for _ in range(2)]
    series = [
        (await book(house, "staff elsewhere", showtimes, seat)).data for seat in ("A1", "A2", "A3")
    ]
    # What was refused is no series.
    assert (await book(house, "staff elsewhere", showtimes, "A1")).status == 409
    newest = [one["id"] for one in reversed(series)]
    first = await house.ask("staff elsewhere", "GET", "series?limit=2")
    assert [one["id"] for one in first.data] == newest[:2]
    assert first.data[0] == series[-1]
    cursor = first.envelope["meta"]["next_cursor"]
    rest = await house.ask("staff elsewhere", "GET", f"series?limit=2&cursor={cursor}")
    assert [one["id"] for one in rest.data] == newest[2:]
    assert rest.envelope["meta"]["next_cursor"] is None
    mine = [one["id"] for one in (await house.ask("manager elsewhere", "GET", "series")).data]
    assert not set(mine) & set(newest)


async def test_the_best_seats_of_each_showtime_may_be_others(house: House) -> None:
    showtimes = [await house.showtime() for _ in range(2)]
    best = await book(house, "ada", showtimes, best_available={"quantity": 2})
    assert best.status == 201
    first = [seat["label"] for seat in best.data["bookings"][0]["seats"]]
    await house.ask("bob", "GET", "auth/me")
    second = await book(house, "bob", showtimes, best_available={"quantity": 2})
    assert [seat["label"] for seat in second.data["bookings"][0]["seats"]] != first


async def test_one_showtime_that_refuses_leaves_nothing_anywhere(house: House) -> None:
    showtimes = [await house.showtime() for _ in range(3)]
    await house.held("bob", showtimes[1], "A1")
    refused = await book(house, "ada", showtimes, "A1", "A2", key="again")
    assert refused.error == (409, "SEAT_UNAVAILABLE")
    assert refused.details["showtime_id"] == showtimes[1]
    assert await statuses(house, showtimes) == [{}, {"A1": "held"}, {}]
    # The key has had no success, and so no effect.
    assert (await book(house, "ada", showtimes, "A4", key="again")).status == 201


async def test_of_two_series_that_cross_one_gets_all_or_both_get_nothing(house: House) -> None:
    showtimes = [await house.showtime() for _ in range(3)]
    answers = await asyncio.gather(
        book(house, "ada", showtimes, "A1"),
        book(house, "bob", showtimes[::-1], "A1"),
        book(house, "admin", showtimes[1:] + showtimes[:1], "A1"),
    )
    won = [answer for answer in answers if answer.status == 201]
    assert len(won) <= 1
    expected = {"A1": "booked"} if won else {}
    assert await statuses(house, showtimes) == [expected] * 3


async def test_what_is_not_decided_in_time_is_free_again_and_what_is_decided_is_booked(
    clocked: House, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service stops behind the row, once before it is decided, and once after."""
    showtimes = [await clocked.showtime() for _ in range(2)]

    async def stop(*_: Any) -> bool:
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(SeriesRepository, "commit", stop)
        patched.setattr(SeriesRepository, "abort", stop)
        with pytest.raises(Exception):  # noqa: B017, PT011  (the connection ends somehow)
            await book(clocked, "ada", showtimes, "A1")
    assert await statuses(clocked, showtimes) == [{"A1": "held"}] * 2
    (series,) = await clocked.database.fetch("select id, state from series")
    assert series["state"] == "pending"
    clocks.ahead_s += 61
    async with asyncio.timeout(3 * PATIENCE_S):
        while await statuses(clocked, showtimes) != [{}, {}]:
            await look_again()
    commit = SeriesRepository.commit

    async def decide_and_stop(self: SeriesRepository, series_id: UUID, now: datetime) -> bool:
        assert await commit(self, series_id, now)
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(SeriesRepository, "commit", decide_and_stop)
        with pytest.raises(Exception):  # noqa: B017, PT011
            await book(clocked, "ada", showtimes, "A1")
    async with asyncio.timeout(3 * PATIENCE_S):
        while await statuses(clocked, showtimes) != [{"A1": "booked"}] * 2:
            await look_again()
    states = await clocked.database.fetch("select state from series order by started_at")
    assert states[0]["state"] == "aborted"
    assert await faults_of(clocked) == []


async def test_a_booking_that_is_given_up_before_the_decision_calls_the_series_off(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    showtimes = [await house.showtime() for _ in range(2)]
    commit = SeriesRepository.commit

    async def give_up_first(self: SeriesRepository, series_id: UUID, now: datetime) -> bool:
        (booking, _) = await house.database.fetch(
            "select booking_id from series_bookings where series_id = $1 order by place", series_id
        )
        given_up = await house.ask("ada", "DELETE", f"bookings/{booking['booking_id']}")
        assert given_up.status == 200, given_up
        return await commit(self, series_id, now)

    with monkeypatch.context() as patched:
        patched.setattr(SeriesRepository, "commit", give_up_first)
        refused = await book(house, "ada", showtimes, "A1")
    assert refused.error == (503, "RETRY")
    assert await statuses(house, showtimes) == [{}, {}]
    assert await faults_of(house) == []


async def test_seats_of_a_series_that_was_called_off_are_free_though_its_node_has_died(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies behind the row; and a first look at the row finds a showtime away."""
    showtimes = [await house.showtime() for _ in range(2)]
    abort, ask = SeriesRepository.abort, Kernel.ask
    is_away = True

    async def abort_and_stop(self: SeriesRepository, series_id: UUID, now: datetime) -> bool:
        await abort(self, series_id, now)
        raise asyncio.CancelledError

    async def away(self: Kernel, showtime_id: bytes, message: Any) -> Outcome:
        nonlocal is_away
        is_there = showtime_id == UUID(showtimes[1]).bytes
        if is_away and is_there and isinstance(message, AbandonPayment):
            is_away = False
            return Unavailable(code="RETRY", retry_after_s=1)
        return await ask(self, showtime_id, message)

    with monkeypatch.context() as patched:
        patched.setattr(Kernel, "ask", away)
        patched.setattr(SeriesRepository, "commit", abort_and_stop)
        with pytest.raises(Exception):  # noqa: B017, PT011  (the connection ends somehow)
            await book(house, "ada", showtimes, "A1")
        async with asyncio.timeout(3 * PATIENCE_S):
            while await statuses(house, showtimes) != [{}, {}]:
                await look_again()
    assert not is_away
    left = "select count(*) from series where to_free"
    async with asyncio.timeout(3 * PATIENCE_S):
        while await house.database.fetchval(left):
            await look_again()
    assert await faults_of(house) == []


async def test_a_booking_that_is_given_up_frees_the_seats_of_the_others_of_its_series(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node that has begun it dies, and the customer gives one of the bookings up."""
    showtimes = [await house.showtime() for _ in range(2)]

    async def stop(*_: Any) -> bool:
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(SeriesRepository, "commit", stop)
        with pytest.raises(Exception):  # noqa: B017, PT011
            await book(house, "ada", showtimes, "A1")
    assert await statuses(house, showtimes) == [{"A1": "held"}] * 2
    bookings = (await house.ask("ada", "GET", "bookings?limit=100")).data
    (first,) = [one["id"] for one in bookings if one["showtime_id"] == showtimes[0]]
    assert (await house.ask("ada", "DELETE", f"bookings/{first}")).status == 200
    async with asyncio.timeout(3 * PATIENCE_S):
        while await statuses(house, showtimes) != [{}, {}]:
            await look_again()


async def test_a_series_costs_nothing_for_a_showtime_that_was_cancelled_before_its_booking(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    showtimes = [await house.showtime() for _ in range(2)]
    commit = SeriesRepository.commit

    async def cancel_behind(self: SeriesRepository, series_id: UUID, now: datetime) -> bool:
        is_committed = await commit(self, series_id, now)
        assert (await cancel(house, showtimes[0])).status in {200, 202}
        return is_committed

    await house.till("staff")
    with monkeypatch.context() as patched:
        patched.setattr(SeriesRepository, "commit", cancel_behind)
        answer = await book(house, "staff", showtimes, "A1", method="counter")
    assert (answer.status, answer.data["status"]) == (201, "confirmed"), answer
    paid = [one["payment"]["status"] == "succeeded" for one in answer.data["bookings"]]
    assert paid == [False, True]
    assert answer.data["total"]["amount"] == 1000
    shown = (await house.ask("staff", "GET", f"series/{answer.data['id']}")).data
    assert shown["total"]["amount"] == 1000
    unpaid = answer.data["bookings"][0]["payment"]["id"]
    takings = "select count(*) from cash_takings where payment_id = $1"
    assert await house.database.fetchval(takings, UUID(unpaid)) == 0
    assert await faults_of(house) == []


async def test_a_series_at_the_counter_is_sold_as_the_counter_sells(house: House) -> None:
    showtimes = [await house.showtime() for _ in range(2)]
    adult, *others = TYPES
    await house.till("staff")
    await sells_by(house, showtimes[0], ticket_types=[{**adult, "channels": ["counter"]}, *others])
    at_counter = await book(house, "staff", showtimes, "A1", method="counter")
    assert at_counter.status == 201, at_counter
    online = await book(house, "ada", showtimes, "A3")
    assert online.error == (422, "TICKETS_NOT_ALLOWED")
    await sells_by(house, showtimes[0])


async def test_a_series_of_an_app_is_sold_by_the_quota_of_apps(house: House) -> None:
    kept = [{"channel": "app", "seats": len(LABELS)}]
    showtimes = [await house.showtime(channels=kept) for _ in range(2)]
    refused = await book(house, "ada", showtimes, "A1")
    assert refused.error == (409, "CHANNEL_SOLD_OUT")
    assert (await book(house, "ada", showtimes, "A1", channel="app")).status == 201


async def test_what_is_decided_is_no_refusal_although_a_showtime_does_not_answer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    showtimes = [await house.showtime() for _ in range(2)]
    ask = Kernel.ask

    async def away(self: Kernel, showtime_id: bytes, message: Any) -> Outcome:
        if isinstance(message, ConfirmPayment):
            return Unavailable(code="RETRY", retry_after_s=1)
        return await ask(self, showtime_id, message)

    with monkeypatch.context() as patched:
        patched.setattr(Kernel, "ask", away)
        answer = await book(house, "ada", showtimes, "A1")
    assert (answer.status, answer.data["status"]) == (201, "confirmed"), answer
    async with asyncio.timeout(3 * PATIENCE_S):
        while await statuses(house, showtimes) != [{"A1": "booked"}] * 2:
            await look_again()
    assert await faults_of(house) == []


async def test_series_of_a_showtime_that_does_not_answer_keep_no_others_waiting(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    showtimes = [await house.showtime() for _ in range(3)]
    ask = Kernel.ask

    async def away(self: Kernel, showtime_id: bytes, message: Any) -> Outcome:
        if isinstance(message, ConfirmPayment) and showtime_id in silent:
            return Unavailable(code="RETRY", retry_after_s=1)
        return await ask(self, showtime_id, message)

    silent = {UUID(one).bytes for one in showtimes}
    with monkeypatch.context() as patched:
        patched.setattr(jobs, "PAGE", 1)
        patched.setattr(Kernel, "ask", away)
        for first, seat in ((0, "A1"), (1, "A5")):
            answer = await book(house, "ada", showtimes[first : first + 2], seat)
            assert answer.status == 201, answer
        silent -= {UUID(one).bytes for one in showtimes[1:]}
        async with asyncio.timeout(3 * PATIENCE_S):
            while (await statuses(house, showtimes))[2] != {"A5": "booked"}:
                await look_again()
        assert (await house.statuses(showtimes[0])) == {"A1": "held"}
    async with asyncio.timeout(3 * PATIENCE_S):
        while (await house.statuses(showtimes[0])) != {"A1": "booked"}:
            await look_again()


async def test_an_answer_that_is_lost_with_the_database_is_not_called_a_refusal(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    showtimes = [await house.showtime() for _ in range(2)]
    commit = SeriesRepository.commit

    async def lost(self: SeriesRepository, series_id: UUID, now: datetime) -> bool:
        assert await commit(self, series_id, now)
        raise refuse("OUTCOME_UNKNOWN")

    async def away(*_: Any) -> None:
        raise refuse("RETRY")

    with monkeypatch.context() as patched:
        patched.setattr(SeriesRepository, "commit", lost)
        patched.setattr(SeriesRepository, "abort", away)
        answer = await book(house, "ada", showtimes, "A1")
    assert answer.error == (503, "OUTCOME_UNKNOWN")
    async with asyncio.timeout(3 * PATIENCE_S):
        while await statuses(house, showtimes) != [{"A1": "booked"}] * 2:
            await look_again()


async def test_what_cannot_be_is_refused_and_holds_nothing(house: House) -> None:
    showtimes = [await house.showtime() for _ in range(2)]
    later = (datetime.now(UTC) + timedelta(hours=12)).isoformat()
    closed = await house.showtime(sales={"opens_at": later})
    for person, named, more, error in (
        ("ada", [*showtimes, closed], {}, (409, "SALES_CLOSED")),
        ("ada", [*showtimes, UNKNOWN_ID], {}, (404, "NOT_FOUND")),
        ("ada", showtimes[:1], {}, (400, "VALIDATION_ERROR")),
        ("ada", [showtimes[0], showtimes[0]], {}, (400, "VALIDATION_ERROR")),
        ("ada", showtimes, {"method": "counter"}, (403, "FORBIDDEN")),
        ("ada", showtimes, {"method": "series"}, (422, "UNKNOWN_PAYMENT_METHOD")),
        ("ada", showtimes, {"method": "points"}, (409, "POINTS_UNUSABLE")),
        ("ada", showtimes, {"method": "counter_later"}, (422, "UNKNOWN_PAYMENT_METHOD")),
        ("staff", showtimes, {"method": "counter"}, (409, "CASH_SESSION_REQUIRED")),
        ("guest", showtimes, {}, (403, "FORBIDDEN")),
    ):
        answer = await book(house, person, named, "A1", **more)
        assert answer.error == error, (person, named, answer)
    hold_id = await house.held("ada", showtimes[0], "B1")
    alone = await house.book("ada", showtimes[0], hold_id, method="series")
    assert alone.error == (422, "UNKNOWN_PAYMENT_METHOD")
    await house.ask("ada", "DELETE", f"showtimes/{showtimes[0]}/holds/{hold_id}")
    assert await statuses(house, showtimes) == [{}, {}]


@pytest.mark.parametrize("state", ["pending", "committed"])
async def test_a_booking_of_a_series_is_not_paid_alone_while_that_is_decided(
    house: House, state: str
) -> None:
    await verify(house, "ada")
    showtime_id = await house.showtime()
    booking = await reserve(house, "ada", showtime_id, "A1")
    series_id, stored = (
        uuid4(),
        await house.database.fetchrow(
            "select user_id, hold_id, payment_id from bookings where id = $1", UUID(booking["id"])
        ),
    )
    await house.database.execute(
        "insert into series (id, state, customer_id, payment_method, total_minor, currency, "
        "started_at, commit_until) values ($1, $2, $3, 'demo', 1000, 'EUR', now(), "
        "now() + interval '1 day')",
        *(series_id, state, stored["user_id"]),
    )
    await house.database.execute(
        "insert into series_bookings (series_id, place, showtime_id, hold_id, booking_id, code, "
        "payment_id) values ($1, 0, $2, $3, $4, 'CODE', $5)",
        *(series_id, UUID(showtime_id), stored["hold_id"], UUID(booking["id"]), uuid4()),
    )
    await house.database.execute(
        "update payments set method = 'series' where booking_id = $1", UUID(booking["id"])
    )
    for person, method in (("ada", "demo"), ("staff", "counter")):
        answer = await process(house, person, booking["id"], method=method)
        assert answer.status == 409, answer
    assert (await house.ask("ada", "GET", f"bookings/{booking['id']}")).data["status"] == "pending"
