"""Series paid by points, gift card and card: all of one is booked, or nothing is paid."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from cinema.domain.rejections import refuse
from cinema.features.series.end_service import SeriesEndings
from cinema.features.series.store import SeriesRepository
from cinema.integrations.stripe.double.errors import ApiError
from cinema.integrations.stripe.double.faults import Fault
from tests.e2e.api import points
from tests.e2e.api.card_orders import until
from tests.e2e.api.card_shop import CardShop, open_card_shop
from tests.e2e.api.gift_cards import accounts, card, left
from tests.e2e.api.house import Answer, Clocks, House
from tests.e2e.api.money import faults_of
from tests.e2e.api.showtimes import cancel

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="function")]

WINDOW_S = 200
GRACE_S = 100

Series = dict[str, Any]


@pytest_asyncio.fixture(loop_scope="function")
async def shop(database: str, clocks: Clocks) -> AsyncIterator[CardShop]:
    async with open_card_shop(
        database, clocks=clocks, payment_window_seconds=WINDOW_S, payment_grace_seconds=GRACE_S
    ) as shop:
        house = shop.house
        token = house.token
        # Time passes; nobody has to sign in again.
        house.token = lambda person, **_: token(person, at_s=clocks.now_s())  # type: ignore[method-assign]
        yield shop


async def ask(
    shop: CardShop, showtimes: list[str], *seats: str, key: str | None = None, **payment: Any
) -> Answer:
    body = {
        "showtime_ids": showtimes,
        "seats": list(seats or ("A1",)),
        "payment": {"method": "stripe", **payment},
    }
    return await shop.house.ask("ada", "POST", "series", body, key=key)


async def begun(shop: CardShop, showtimes: list[str], *seats: str, **payment: Any) -> Series:
    """A series that waits for its money."""
    answer = await ask(shop, showtimes, *seats, **payment)
    assert (answer.status, answer.data["status"]) == (201, "pending"), answer
    return dict(answer.data)


async def seen(shop: CardShop, series: Series) -> Series:
    return dict((await shop.house.ask("ada", "GET", f"series/{series['id']}")).data)


async def until_state(shop: CardShop, series: Series, state: str) -> None:
    await until(shop.house, "select state = $2 from series where id = $1", series["id"], state)


async def until_over(shop: CardShop, series: Series) -> None:
    """Wait until nothing more can come of a series."""
    await until(
        shop.house,
        "select look_at is null and not to_free and state in ('done', 'aborted')"
        " from series where id = $1",
        series["id"],
    )


async def until_refunded(house: House, count: int) -> None:
    """Wait until so many refunds were made, and all are back."""
    await until(
        house, "select count(*) = $1 and bool_and(status = 'succeeded') from refunds", count
    )


async def look_now(shop: CardShop) -> None:
    await shop.house.database.execute("update series set look_at = now() where look_at is not null")


async def statuses(house: House, showtimes: list[str]) -> list[dict[str, str]]:
    return [await house.statuses(one) for one in showtimes]


async def test_one_payment_books_all_of_a_series_once(shop: CardShop) -> None:
    house = shop.house
    showtimes = [await house.showtime() for _ in range(3)]
    series = await begun(shop, showtimes, "A1", "A2", key="mine")
    assert series["payment"]["due"]["amount"] == series["total"]["amount"] == 6000
    intent = shop.intent_of(series)
    assert (intent["amount"], intent["metadata"]) == (6000, {"series_id": series["id"]})
    assert [one["status"] for one in series["bookings"]] == ["pending"] * 3
    again = await ask(shop, showtimes, "A1", "A2", key="mine")
    assert again.data == series, "the same intent"
    paying = await house.ask("ada", "POST", f"series/{series['id']}/pay")
    assert paying.data == series
    assert (await house.ask("bob", "POST", f"series/{series['id']}/pay")).error[1] == "NOT_FOUND"
    assert "client_secret" not in (await seen(shop, series))["payment"]
    shop.double.deliveries.held = True
    shop.pay(series)
    await shop.double.deliveries.release(backwards=True, times=3)
    await until_state(shop, series, "done")
    await shop.idle()
    paid = await seen(shop, series)
    assert (paid["status"], "payment" in paid) == ("confirmed", False)
    for booking in paid["bookings"]:
        assert booking["payment"]["amount"]["amount"] == 2000
        assert (booking["status"], booking["payment"]["method"]) == ("confirmed", "stripe")
    assert await statuses(house, showtimes) == [{"A1": "booked", "A2": "booked"}] * 3
    after = await house.ask("ada", "POST", f"series/{series['id']}/pay")
    assert after.data == paid
    assert len(shop.account.intents) == 1
    assert (await accounts(house))["stripe"] == 6000
    assert await faults_of(house) == []


async def test_points_pay_first_then_the_gift_card_and_the_card_the_rest(shop: CardShop) -> None:
    house = shop.house
    showtimes = [await house.showtime() for _ in range(3)]
    await points.give(house, "ada", 1500)
    bought = await card(house, 700)
    series = await begun(shop, showtimes, points=True, code=bought["code"])
    assert series["payment"]["due"]["amount"] == shop.intent_of(series)["amount"] == 800
    assert (await points.left(house, "ada"), await left(house, bought["id"])) == (0, 0)
    shop.pay(series)
    await until_state(shop, series, "done")
    paid = (await seen(shop, series))["bookings"]
    shown = [
        (
            one["payment"]["method"],
            [
                (part["method"], part["amount"]["amount"])
                for part in one["payment"].get("parts", [])
            ],
        )
        for one in paid
    ]
    assert shown == [
        ("points", []),
        ("gift_card", [("points", 500)]),
        ("stripe", [("gift_card", 200)]),
    ]
    assert all(one["payment"]["amount"]["amount"] == 1000 for one in paid)
    assert await faults_of(house) == []
    # Each is given back by itself, to where its money came from.
    for one in paid:
        assert (await house.ask("ada", "DELETE", f"bookings/{one['id']}")).status == 200
    await until_refunded(house, 5)
    (refund,) = shop.account.refunds.values()
    assert (refund["amount"], refund["metadata"]["booking_id"]) == (800, paid[2]["id"])
    assert (await points.left(house, "ada"), await left(house, bought["id"])) == (1500, 700)
    assert await faults_of(house) == []


async def test_a_gift_card_alone_books_at_once_and_points_alone_only_if_they_are_enough(
    shop: CardShop,
) -> None:
    house = shop.house
    showtimes = [await house.showtime() for _ in range(2)]
    bought = await card(house, 5000)
    await points.give(house, "ada", 1999)
    short = await ask(shop, showtimes, "A1", method="points")
    assert short.error == (409, "PAYMENT_REQUIRED")
    assert short.details["amount"] == {"amount": 1, "currency": "EUR"}
    await until(house, "select balance_minor = 1999 from loyalty_accounts")
    assert await statuses(house, showtimes) == [{}, {}]
    by_card = await ask(shop, showtimes, "A1", method="gift_card", code=bought["code"])
    assert (by_card.status, by_card.data["status"]) == (201, "confirmed"), by_card
    assert await left(house, bought["id"]) == 3000
    assert [one["payment"]["method"] for one in by_card.data["bookings"]] == ["gift_card"] * 2
    both = await ask(shop, showtimes, "A5", method="points", code=bought["code"])
    assert both.data["status"] == "confirmed", both
    nobody = await ask(shop, showtimes, "A6", method="points")
    assert nobody.error[1] == "POINTS_UNUSABLE"
    unnamed = await ask(shop, showtimes, "A6", method="gift_card")
    assert unnamed.error == (400, "VALIDATION_ERROR")
    assert await faults_of(house) == []


async def test_a_series_that_nobody_pays_in_time_is_free_again_and_its_parts_are_back(
    shop: CardShop, clocks: Clocks
) -> None:
    house = shop.house
    showtimes = [await house.showtime() for _ in range(2)]
    bought = await card(house, 500)
    series = await begun(shop, showtimes, code=bought["code"])
    with pytest.raises(ApiError, match="declined"):
        shop.pay(series, "pm_card_visa_chargeDeclined")
    await shop.idle()
    assert (await seen(shop, series))["status"] == "pending"
    clocks.ahead_s += WINDOW_S + 1
    await until_over(shop, series)
    assert await statuses(house, showtimes) == [{}, {}]
    (intent,) = shop.account.intents.values()
    assert intent["status"] == "canceled"
    await until(house, "select balance_minor = 500 from gift_cards")
    ended = await house.ask("ada", "POST", f"series/{series['id']}/pay")
    assert ended.error == (409, "SERIES_ENDED")
    assert (await seen(shop, series))["status"] == "cancelled"
    assert await faults_of(house) == []


async def test_a_payment_of_which_nobody_tells_is_found(shop: CardShop, clocks: Clocks) -> None:
    showtimes = [await shop.house.showtime() for _ in range(2)]
    shop.double.deliveries.held = True
    first = await begun(shop, showtimes, "A1")
    shop.pay(first)
    await look_now(shop)
    await until_state(shop, first, "done")
    # Its time to pay is over, and the money came within it.
    second = await begun(shop, showtimes, "A5")
    shop.pay(second)
    clocks.ahead_s += WINDOW_S + 1
    await until_state(shop, second, "done")
    booked = {"A1": "booked", "A5": "booked"}
    assert await statuses(shop.house, showtimes) == [booked] * 2
    assert await faults_of(shop.house) == []


async def test_money_that_comes_after_the_end_goes_back_as_a_whole(
    shop: CardShop, clocks: Clocks
) -> None:
    """Stripe was away until behind the second bound, and the customer pays then."""
    house = shop.house
    showtimes = [await house.showtime() for _ in range(2)]
    shop.double.deliveries.held = True
    series = await begun(shop, showtimes, "A1", "A2")
    shop.double.faults.add(Fault(kind="error", path="/v1/payment_intents", count=10_000))
    clocks.ahead_s += WINDOW_S + 1
    await look_now(shop)
    assert await statuses(house, showtimes) == [{"A1": "held", "A2": "held"}] * 2
    clocks.ahead_s += GRACE_S
    await until(house, "select state = 'aborted' and not to_free from series")
    assert await statuses(house, showtimes) == [{}, {}]
    assert await house.database.fetchval("select look_at is not null from series")
    shop.pay(series)
    shop.double.faults.clear()
    await shop.double.deliveries.release(times=2)
    await until_over(shop, series)
    await until_refunded(house, 2)
    assert sorted(one["amount"] for one in shop.account.refunds.values()) == [2000, 2000]
    assert await accounts(house) == {}
    assert await faults_of(house) == []


async def test_the_part_of_a_showtime_that_is_cancelled_goes_back(shop: CardShop) -> None:
    """One while the series waits for its money, another once it is booked."""
    house = shop.house
    showtimes = [await house.showtime() for _ in range(3)]
    series = await begun(shop, showtimes)
    assert (await cancel(house, showtimes[0])).status in {200, 202}
    shop.pay(series)
    await until_state(shop, series, "done")
    await until_refunded(house, 1)
    paid = await seen(shop, series)
    assert [one["status"] for one in paid["bookings"]] == ["cancelled", "confirmed", "confirmed"]
    assert paid["total"]["amount"] == 2000
    assert (await cancel(house, showtimes[2])).status in {200, 202}
    await until_refunded(house, 2)
    ids = [one["metadata"]["booking_id"] for one in shop.account.refunds.values()]
    assert ids == [paid["bookings"][0]["id"], paid["bookings"][2]["id"]]
    assert (await accounts(house))["stripe"] == 1000
    assert await faults_of(house) == []


async def test_who_gives_one_booking_up_calls_the_series_off_unless_it_is_paid(
    shop: CardShop,
) -> None:
    house = shop.house
    showtimes = [await house.showtime() for _ in range(2)]
    shop.double.deliveries.held = True
    series = await begun(shop, showtimes)
    first = series["bookings"][0]["id"]
    assert (await house.ask("ada", "DELETE", f"bookings/{first}")).status == 200
    await until_over(shop, series)
    assert await statuses(house, showtimes) == [{}, {}]
    (intent,) = shop.account.intents.values()
    assert intent["status"] == "canceled"
    paid = await begun(shop, showtimes)
    shop.pay(paid)
    late = await house.ask("ada", "DELETE", f"bookings/{paid['bookings'][1]['id']}")
    assert late.status in {200, 409}, late
    await until_state(shop, paid, "done")
    assert await faults_of(house) == []


async def test_an_intent_whose_answer_is_lost_is_gone_on_with(shop: CardShop) -> None:
    showtimes = [await shop.house.showtime() for _ in range(2)]
    shop.double.faults.add(Fault(kind="lost", path="/v1/payment_intents", count=3))
    answer = await ask(shop, showtimes, key="one")
    assert (answer.status, answer.data["status"]) == (201, "pending")
    assert "client_secret" not in answer.data["payment"]
    again = await ask(shop, showtimes, key="one")
    assert len(shop.account.intents) == 1
    shop.pay(again.data)
    await until_state(shop, again.data, "done")


async def test_too_little_for_a_card_is_refused_and_holds_nothing(shop: CardShop) -> None:
    showtimes = [await shop.house.showtime() for _ in range(2)]
    bought = await card(shop.house, 1990)
    refused = await ask(shop, showtimes, code=bought["code"])
    assert refused.error == (409, "PAYMENT_FAILED")
    assert refused.details["reason"] == "AMOUNT_NOT_PAYABLE"
    assert await statuses(shop.house, showtimes) == [{}, {}]
    await until(shop.house, "select balance_minor = 1990 from gift_cards")


async def test_a_lost_dispute_calls_all_of_a_series_off(shop: CardShop) -> None:
    house = shop.house
    showtimes = [await house.showtime() for _ in range(2)]
    series = await begun(shop, showtimes)
    shop.pay(series)
    await until_state(shop, series, "done")
    dispute = shop.account.dispute(shop.intent_of(series)["id"])
    await shop.idle()
    shop.account.close_dispute(dispute["id"], "lost")
    await shop.idle()
    await until(house, "select count(*) = 0 from booking_seats where live")
    await until_refunded(house, 2)
    assert await accounts(house) == {}
    assert await faults_of(house) == []


async def test_days_with_series_do_not_differ(shop: CardShop) -> None:
    house = shop.house
    showtimes = [await house.showtime() for _ in range(3)]
    shop.double.deliveries.held = True
    untold = await begun(shop, showtimes, "A5")
    shop.pay(untold)
    series = await begun(shop, showtimes)
    assert (await cancel(house, showtimes[1])).status in {200, 202}
    shop.pay(series)
    await look_now(shop)
    await until_state(shop, series, "done")
    first = series["bookings"][2]["id"]
    assert (await house.ask("ada", "DELETE", f"bookings/{first}")).status == 200
    await until(house, "select bool_and(status = 'succeeded') from refunds")
    for day in {
        datetime.fromtimestamp(one["created"], UTC).date().isoformat()
        for one in shop.account.intents.values()
    }:
        await house.database.execute(
            "insert into stripe_tasks (kind, name, created_at, due_at)"
            " values ('day', $1, now(), now()) on conflict (kind, name)"
            " do update set due_at = now(), ended_at = null",
            day,
        )
    await until(house, "select bool_and(ended_at is not null) from stripe_tasks where kind = 'day'")
    await until_state(shop, untold, "done")
    found = await house.database.fetch("select kind, name, ours, theirs from payment_differences")
    assert [tuple(row) for row in found] == []


async def test_what_a_cinema_takes_off_for_series_is_a_line_of_each_booking(
    shop: CardShop,
) -> None:
    house = shop.house
    path = f"cinemas/{house.cinema_id}/settings"
    before = await house.ask("admin", "GET", path)
    changed = {**before.data["settings"], "series_discount_percent": 10}
    headers = {"If-Match": before.headers["ETag"]}
    assert (await house.ask("admin", "PUT", path, changed, headers=headers)).status == 200
    showtimes = [await house.showtime() for _ in range(2)]
    series = await begun(shop, showtimes, "A1", "A2")
    assert shop.intent_of(series)["amount"] == series["total"]["amount"] == 3600
    shop.pay(series)
    await until_state(shop, series, "done")
    for booking in (await seen(shop, series))["bookings"]:
        assert booking["total"]["amount"] == 1800
        assert "promo_code" not in booking or not booking["promo_code"]
        lines = [(one["kind"], one["code"], one["amount"]["amount"]) for one in booking["lines"]]
        assert ("promo", "SERIES", -200) in lines
    hold_id = await house.held("ada", showtimes[0], "A5")
    alone = await house.book("ada", showtimes[0], hold_id)
    assert alone.data["total"]["amount"] == 1000
    assert await faults_of(house) == []


@pytest.mark.parametrize(
    ("owner", "step", "end"),
    [
        (SeriesRepository, "paid_by", asyncio.CancelledError()),
        (SeriesRepository, "ask", asyncio.CancelledError()),
        (SeriesRepository, "name", asyncio.CancelledError()),
        (SeriesRepository, "money_came", refuse("RETRY")),
        (SeriesRepository, "name_parts", refuse("RETRY")),
        (SeriesRepository, "looked", refuse("RETRY")),
        (SeriesEndings, "complete", refuse("RETRY")),
    ],
)
async def test_whoever_dies_behind_a_step_leaves_all_of_it_booked_or_nothing_paid(
    shop: CardShop,
    clocks: Clocks,
    monkeypatch: pytest.MonkeyPatch,
    owner: type[Any],
    step: str,
    end: BaseException,
) -> None:
    """The step is done, and nothing that comes behind it in the same process."""
    house = shop.house
    showtimes = [await house.showtime() for _ in range(2)]
    bought = await card(house, 1200)
    done, died = getattr(owner, step), asyncio.Event()

    async def die(self: Any, *values: Any, **named: Any) -> Any:
        result = await done(self, *values, **named)
        if not died.is_set():
            died.set()
            raise end
        return result

    monkeypatch.setattr(owner, step, die)
    # The connection ends somehow, for those steps that are the request's.
    await asyncio.gather(ask(shop, showtimes, code=bought["code"]), return_exceptions=True)
    if step == "paid_by":
        clocks.ahead_s += 61
        await until(house, "select state = 'aborted' and not to_free from series")
        assert await statuses(house, showtimes) == [{}, {}]
        await until(house, "select balance_minor = 1200 from gift_cards")
        assert not shop.account.intents
        assert await faults_of(house) == []
        return
    await look_now(shop)
    await until(house, "select reference is not null from series")
    (intent,) = shop.account.intents.values()
    assert intent["amount"] == 800
    shop.account.confirm_intent(intent["id"], {"payment_method": "pm_card_visa"})
    await look_now(shop)
    await until(house, "select state = 'done' from series")
    await asyncio.wait_for(died.wait(), 60)
    assert await statuses(house, showtimes) == [{"A1": "booked"}] * 2
    assert (await accounts(house))["stripe"] == 800
    assert await faults_of(house) == []


async def test_whoever_dies_while_money_goes_back_gives_each_part_back_once(
    shop: CardShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = shop.house
    showtimes = [await house.showtime() for _ in range(3)]
    shop.double.deliveries.held = True
    series = await begun(shop, showtimes)
    await house.database.execute("update series set state = 'aborted', to_free = true")
    await until(house, "select not to_free from series")
    give, given = SeriesEndings.give_back, 0  # where it dies

    async def die(self: SeriesEndings, *values: Any) -> None:
        nonlocal given
        await give(self, *values)
        given += 1
        if given in {1, 3}:
            raise refuse("RETRY")

    monkeypatch.setattr(SeriesEndings, "give_back", die)
    shop.pay(series)
    await look_now(shop)
    await shop.double.deliveries.release(times=2)
    await until_refunded(house, 3)
    assert [one["amount"] for one in shop.account.refunds.values()] == [1000] * 3
    assert await accounts(house) == {}
