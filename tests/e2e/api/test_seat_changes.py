"""Tickets that get other seats, over HTTP, with what they cost more or less."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest

from cinema.features.invoices.store import LOCK_NUMBER
from tests.e2e.api.billing import documents_of, invoice_of
from tests.e2e.api.books import sells_by
from tests.e2e.api.house import GUEST_EMAIL, UNKNOWN_ID, Answer, House
from tests.e2e.api.money import faults_of
from tests.e2e.api.paying import get, reserve, verify
from tests.support.told import TOLD

pytestmark = pytest.mark.asyncio(loop_scope="module")

EUR_250 = {"amount": {"amount": 250, "currency": "EUR"}}


async def change(
    house: House,
    person: str,
    booking_id: str,
    left: str,
    chosen: str,
    *,
    key: str | None = None,
    **payment: str,
) -> Answer:
    body: dict[str, Any] = {"from": left.split(), "to": chosen.split()}
    if payment:
        body["payment"] = payment
    return await house.ask(person, "POST", f"bookings/{booking_id}/seats", body, key=key)


def seats_of(booking: Any) -> dict[str, int]:
    return {seat["label"]: seat["price"]["amount"] for seat in booking["seats"]}


def paid(booking: Any) -> tuple[int, int, int]:
    """What a booking costs, what was paid for it, and what went back."""
    payment = booking["payment"]
    back = payment.get("refunded", {"amount": 0})["amount"]
    return booking["total"]["amount"], payment["amount"]["amount"], back


async def test_seats_of_the_same_price_change_for_nothing(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2", "A3")
    answer = await change(house, "ada", booking_id, "A2 A3", "A3 A5", key="one")
    assert answer.status == 200, answer
    assert seats_of(answer.data) == {"A1": 1000, "A3": 1000, "A5": 1000}
    assert paid(answer.data) == (3000, 3000, 0)
    seen = await get(house, "ada", f"bookings/{booking_id}")
    assert seats_of(seen) == seats_of(answer.data)
    assert {**seen, "seats": []} == {**answer.data, "seats": []}
    assert await house.statuses(showtime_id) == dict.fromkeys(("A1", "A3", "A5"), "booked")
    assert (await house.hold("bob", showtime_id, "A2")).status == 201
    again = await change(house, "ada", booking_id, "A2 A3", "A3 A5", key="one")
    assert again.data == answer.data
    assert (await change(house, "ada", booking_id, "A2 A3", "A3 A5")).error == (
        409,
        "SEAT_NOT_INCLUDED",
    )
    assert await faults_of(house) == []


async def test_dearer_seats_are_paid_at_once(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    unpaid = await change(house, "ada", booking_id, "A1", "B1")
    assert (unpaid.error, unpaid.details) == ((409, "PAYMENT_REQUIRED"), EUR_250)
    assert await house.statuses(showtime_id) == {"A1": "booked", "A2": "booked"}
    dearer = (await change(house, "ada", booking_id, "A1", "B1", method="demo")).data
    assert seats_of(dearer) == {"B1": 1250, "A2": 1000}
    assert paid(dearer) == (2250, 2250, 0)
    assert paid(await get(house, "ada", f"bookings/{booking_id}")) == (2250, 2250, 0)
    assert await faults_of(house) == []
    part = (await house.ask("ada", "DELETE", f"bookings/{booking_id}?seats=B1")).data
    assert (seats_of(part), paid(part)) == ({"A2": 1000}, (1000, 2250, 1250))
    assert part["payment"]["status"] == "partially_refunded"
    assert paid(await get(house, "ada", f"bookings/{booking_id}")) == (1000, 2250, 1250)
    whole = (await house.ask("ada", "DELETE", f"bookings/{booking_id}")).data
    assert (whole["status"], whole["payment"]["status"]) == ("cancelled", "refunded")
    assert paid(whole)[1:] == (2250, 2250)
    assert await faults_of(house) == []


async def test_what_cheaper_seats_cost_less_goes_back(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "B1", "B2")
    cheaper = (await change(house, "ada", booking_id, "B2", "A2", key="less")).data
    assert (seats_of(cheaper), paid(cheaper)) == ({"B1": 1250, "A2": 1000}, (2250, 2500, 250))
    assert (await change(house, "ada", booking_id, "B2", "A2", key="less")).data == cheaper
    assert paid(await get(house, "ada", f"bookings/{booking_id}")) == (2250, 2500, 250)
    # And back, for as much.
    dearer = (await change(house, "ada", booking_id, "A2", "B2", method="demo")).data
    assert (seats_of(dearer), paid(dearer)) == ({"B1": 1250, "B2": 1250}, (2500, 2750, 250))
    assert await faults_of(house) == []


async def test_dearer_and_cheaper_seats_are_set_off(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "B1")
    answer = await change(house, "ada", booking_id, "A1 B1", "B2 A2")
    assert seats_of(answer.data) == {"B2": 1250, "A2": 1000}
    assert paid(answer.data) == (2250, 2250, 0)


async def test_the_counter_takes_the_difference_into_a_drawer(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    by_customer = await change(house, "ada", booking_id, "A1", "B1", method="counter")
    assert by_customer.error == (403, "FORBIDDEN")
    without = await change(house, "staff", booking_id, "A1", "B1", method="counter")
    assert without.error == (409, "CASH_SESSION_REQUIRED")
    await house.till("staff")
    taken = await change(house, "staff", booking_id, "A1", "B9", method="counter")
    assert taken.error == (422, "UNKNOWN_SEAT")
    await house.held("bob", showtime_id, "B8")
    taken = await change(house, "staff", booking_id, "A1", "B8", method="counter")
    assert taken.error == (409, "SEAT_UNAVAILABLE")
    # What was refused is in no drawer.
    drawer = "select t.tender, p.amount_minor from cash_takings t left join payments p"
    drawer += " on p.id = t.payment_id left join bookings b on b.id = p.booking_id"
    assert await house.database.fetch(f"{drawer} where b.id = $1 or p.id is null", booking_id) == []
    done = await change(
        house, "staff", booking_id, "A1", "B1", method="counter", tender="terminal", key="till"
    )
    assert paid(done.data) == (2250, 2250, 0)
    again = await change(
        house, "staff", booking_id, "A1", "B1", method="counter", tender="terminal", key="till"
    )
    assert again.data == done.data
    # Changed back, and the till closed: the repetition would cost something, if it were none.
    assert (await change(house, "staff", booking_id, "B1", "A1")).status == 200
    await house.database.execute(
        "update cash_sessions set closed_at = now(), closed_by = opened_by, counted_minor = 0,"
        " expected_minor = 0 where opened_by = $1",
        house.people["staff"],
    )
    late = await change(
        house, "staff", booking_id, "A1", "B1", method="counter", tender="terminal", key="till"
    )
    assert (late.status, seats_of(late.data)) == (200, seats_of(done.data))
    fresh = await change(house, "staff", booking_id, "A1", "B1", method="counter")
    assert fresh.error == (409, "CASH_SESSION_REQUIRED")
    (row,) = await house.database.fetch(f"{drawer} where b.id = $1 or p.id is null", booking_id)
    assert tuple(row) == ("terminal", 250)
    assert (
        await house.database.fetchval(
            "select sum(amount) from ledger_lines where booking_id = $1 and account = 'terminal'",
            booking_id,
        )
        == 250
    )
    assert await faults_of(house) == []


async def test_staff_may_also_after_the_start(house: House) -> None:
    showtime_id = await house.showtime()
    await house.move(showtime_id, starts_in=timedelta(minutes=-5))
    await house.till("staff")
    hold_id = await house.held("staff", showtime_id, "A1")
    booking = (await house.book("staff", showtime_id, hold_id, method="counter")).data
    late = await change(house, "staff elsewhere", booking["id"], "A1", "A2")
    assert late.error == (404, "NOT_FOUND")
    assert (await change(house, "staff", booking["id"], "A1", "A2")).status == 200


async def test_customers_may_not_after_the_start(house: House) -> None:
    showtime_id = await house.showtime()
    await house.move(showtime_id, starts_in=timedelta(minutes=-5))
    booking_id = await house.booked("ada", showtime_id, "A1")
    late = await change(house, "ada", booking_id, "A1", "A2")
    assert late.error == (409, "SHOWTIME_STARTED")


@pytest.mark.parametrize(
    ("left", "chosen", "error"),
    [
        ("A1", "A3 A4", (400, "VALIDATION_ERROR")),
        ("A1 A2", "A1 A2", (400, "VALIDATION_ERROR")),
        ("Z1", "A3", (422, "UNKNOWN_SEAT")),
        ("A1", "Z3", (422, "UNKNOWN_SEAT")),
        ("A1 A2", "A3 A3", (422, "DUPLICATE_SEAT")),
        ("A3", "A4", (409, "SEAT_NOT_INCLUDED")),
        ("A1", "C1", (409, "COMPANION_ONLY")),
    ],
)
async def test_what_cannot_be_meant_is_refused(
    house: House, left: str, chosen: str, error: tuple[int, str]
) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    assert (await change(house, "ada", booking_id, left, chosen)).error == error
    assert await house.statuses(showtime_id) == {"A1": "booked", "A2": "booked"}


@pytest.mark.parametrize("method", ["counter_later", "free", "carrier pigeon"])
async def test_only_what_pays_at_once_pays_for_a_change(house: House, method: str) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1")
    answer = await change(house, "ada", booking_id, "A1", "B1", method=method)
    assert answer.error == (422, "UNKNOWN_PAYMENT_METHOD")


async def test_bookings_of_others_and_unpaid_ones_keep_their_seats(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1")
    assert (await change(house, "bob", booking_id, "A1", "A2")).error == (404, "NOT_FOUND")
    assert (await change(house, "ada", UNKNOWN_ID, "A1", "A2")).error == (404, "NOT_FOUND")
    await verify(house, "ada")
    unpaid = await reserve(house, "ada", showtime_id, "A4")
    assert (await change(house, "ada", unpaid["id"], "A4", "A5")).error == (
        409,
        "PAYMENT_IN_PROGRESS",
    )
    await house.ask("ada", "DELETE", f"bookings/{booking_id}")
    assert (await change(house, "ada", booking_id, "A1", "A2")).error == (409, "BOOKING_ENDED")


async def test_seats_of_a_hold_can_be_chosen(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1")
    hold_id = await house.held("ada", showtime_id, "A3", "A4")
    theirs = await house.held("bob", showtime_id, "A6")
    refused = await change(house, "ada", booking_id, "A1", "A6")
    assert (refused.error, refused.details) == ((409, "SEAT_UNAVAILABLE"), {"seats": ["A6"]})
    assert seats_of((await change(house, "ada", booking_id, "A1", "A4")).data) == {"A4": 1000}
    hold = await get(house, "ada", f"showtimes/{showtime_id}/holds/{hold_id}")
    assert (hold["status"], [seat["label"] for seat in hold["seats"]]) == ("active", ["A3"])
    # Staff use a hold that the customer has not; that of others stays theirs.
    till = await house.held("staff", showtime_id, "A7")
    assert (await change(house, "staff", booking_id, "A4", "A6")).status == 409
    assert (await change(house, "staff", booking_id, "A4", "A7")).status == 200
    hold = await get(house, "staff", f"showtimes/{showtime_id}/holds/{till}")
    assert hold["status"] == "booked"
    hold = await get(house, "bob", f"showtimes/{showtime_id}/holds/{theirs}")
    assert hold["status"] == "active"


async def test_guests_change_their_seats_too(house: House) -> None:
    showtime_id = await house.showtime()
    hold_id = await house.held("guest", showtime_id, "A1")
    made = await house.book("guest", showtime_id, hold_id)
    assert made.status == 201, (made, GUEST_EMAIL)
    answer = await change(house, "guest", made.data["id"], "A1", "A2")
    assert seats_of(answer.data) == {"A2": 1000}


async def test_of_clicks_at_once_one_counts(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    clicks = [
        change(house, "ada", booking_id, "A1", "B1", method="demo", key=key)
        for key in ("same", "same", "same", None, None)
    ]
    answers = await asyncio.gather(*clicks)
    assert {answer.status for answer in answers} <= {200, 409}
    done = [answer for answer in answers if answer.status == 200]
    assert done
    assert paid(await get(house, "ada", f"bookings/{booking_id}")) == (2250, 2250, 0)
    assert await faults_of(house) == []


async def test_a_ticket_keeps_its_type_and_the_prices_of_its_moment(house: House) -> None:
    showtime_id = await house.showtime()
    await sells_by(house, showtime_id)
    hold_id = await house.held("ada", showtime_id, "A1", "A2")
    body = {
        "showtime_id": showtime_id,
        "hold_id": hold_id,
        "payment": {"method": "demo"},
        "tickets": [{"seat": "A2", "type": "child"}],
    }
    booking = (await house.ask("ada", "POST", "bookings", body)).data
    assert paid(booking) == (1500, 1500, 0)
    # From here on premium seats cost a lot more, which is not for her.
    await sells_by(house, showtime_id, category_factors={"premium": 30_000})
    unpaid = await change(house, "ada", booking["id"], "A2", "B2")
    assert unpaid.details == {"amount": {"amount": 125, "currency": "EUR"}}
    changed = (await change(house, "ada", booking["id"], "A2", "B2", method="demo")).data
    assert [(seat["label"], seat["type"]) for seat in changed["seats"]] == [
        ("A1", "adult"),
        ("B2", "child"),
    ]
    assert seats_of(changed) == {"A1": 1000, "B2": 625}
    assert await get(house, "ada", f"bookings/{booking['id']}") == changed
    # 98 of 1500 and 8 of 125 at 7 %: what the seats say is what the ledger says.
    tax = "select sum(tax_minor)::int from booking_seats where booking_id = $1 and live"
    assert await house.database.fetchval(tax, booking["id"]) == 98 + 8
    tax = "select -sum(amount)::int from ledger_lines where booking_id = $1 and account = 'tax'"
    assert await house.database.fetchval(tax, booking["id"]) == 98 + 8
    assert await faults_of(house) == []


async def test_documents_follow_a_changed_booking(house: House) -> None:
    """The invoice has the seats as they were sold, and corrections are made by these."""
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "B1", "B2")
    await change(house, "ada", booking_id, "B1 B2", "B2 A2")
    first, less = await documents_of(house, "ada", booking_id, 2)
    assert [line["seat"] for line in first["lines"]] == ["B1", "B2"]
    assert (first["total"]["amount"], less["total"]["amount"]) == (2500, 250)
    # The ticket for A2 was sold for B2.
    await house.ask("ada", "DELETE", f"bookings/{booking_id}?seats=A2")
    *_, part = await documents_of(house, "ada", booking_id, 3)
    assert (part["kind"], part["total"]["amount"]) == ("credit_note", 1000)
    assert "B2" in [line["seat"] for line in part["lines"]]


async def test_what_dearer_seats_cost_more_has_an_invoice_of_its_own(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    await change(house, "ada", booking_id, "A1", "B1", method="demo")
    await change(house, "ada", booking_id, "B1", "B2")
    first, second = await documents_of(house, "ada", booking_id, 2)
    assert (second["kind"], second["total"]["amount"]) == ("invoice", 250)
    assert second["supplements"]["number"] == first["number"]
    (line,) = second["lines"]
    assert (line["seat"], line["instead_of"]) == ("B1", "A1")
    # Each payment has its own.
    paid_first, paid_more = first["payment"]["id"], second["payment"]["id"]
    assert await invoice_of(house, "ada", paid_first) == first
    assert await invoice_of(house, "ada", paid_more) == second
    printed = await house.ask("ada", "GET", f"invoices/{second['id']}")
    assert printed.status == 200
    # The ticket for B2 was sold for A1, and paid by both.
    await house.ask("ada", "DELETE", f"bookings/{booking_id}?seats=B2")
    *_, note, of_more = await documents_of(house, "ada", booking_id, 4)
    assert [(one["kind"], one["total"]["amount"]) for one in (note, of_more)] == [
        ("credit_note", 1000),
        ("credit_note", 250),
    ]
    assert note["corrects"]["number"] == first["number"]
    assert of_more["corrects"]["number"] == second["number"]


async def test_a_document_names_the_ticket_that_had_a_seat_when_it_was_given_back(
    house: House,
) -> None:
    """A2 is given back, and then the other ticket is for A2, before any document is made."""
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    await documents_of(house, "ada", booking_id, 1)
    async with house.database.transaction():
        # Whoever issues documents has this lock.
        await house.database.execute("select pg_advisory_xact_lock($1)", LOCK_NUMBER)
        await house.ask("ada", "DELETE", f"bookings/{booking_id}?seats=A2")
        assert (await change(house, "ada", booking_id, "A1", "A2")).status == 200
    _, note = await documents_of(house, "ada", booking_id, 2)
    assert [line["seat"] for line in note["lines"]] == ["A2"]


async def test_a_booking_of_former_builds_is_priced_by_the_showtime_as_it_is(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1")
    await house.database.execute("update bookings set priced_by = null where id = $1", booking_id)
    unpaid = await change(house, "ada", booking_id, "A1", "B1")
    assert (unpaid.error, unpaid.details) == ((409, "PAYMENT_REQUIRED"), EUR_250)


@pytest.mark.parametrize("former", [False, True])
async def test_goodwill_behind_a_change_goes_back_once(house: House, former: bool) -> None:
    """Also of a booking of former builds, which does not say which payment counts."""
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1")
    assert (await change(house, "ada", booking_id, "A1", "B1", method="demo")).status == 200
    if former:
        await house.database.execute(
            "update bookings set payment_id = null where id = $1", booking_id
        )
    body = {"booking_id": booking_id, "amount": {"amount": 100, "currency": "EUR"}}
    answer = await house.ask("manager", "POST", "payments/refund", {**body, "reason": "Cold."})
    assert answer.status == 200, answer
    assert paid(await get(house, "ada", f"bookings/{booking_id}")) == (1150, 1250, 100)
    assert await faults_of(house) == []


async def test_a_change_is_told(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    await change(house, "ada", booking_id, "A1", "B1", method="demo")
    kinds = f"select kind from {TOLD} where showtime_id = $1"
    assert [row[0] for row in await house.database.fetch(kinds, showtime_id)] == [
        "booking.confirmed",
        "booking.changed",
    ]


@pytest.mark.parametrize("seed", range(3))
async def test_money_balances_after_any_changes(house: House, seed: int) -> None:
    """Against a price list on paper; a discount of a policy is on paper too."""
    rng = random.Random(seed)
    showtime_id = await house.showtime()
    labels = [f"{row}{number}" for row in "AB" for number in range(1, 9)]
    list_price = {label: 1000 if label[0] == "A" else 1250 for label in labels}
    own = rng.sample(labels, 4)
    booking_id = await house.booked("ada", showtime_id, *own)
    total = sum(list_price[label] for label in own)
    for _ in range(12):
        count = rng.randint(1, len(own))
        left, chosen = rng.sample(own, count), rng.sample(labels, count)
        if len(own) > 2 and rng.random() < 0.15:
            gone = own.pop()
            answer = await house.ask("ada", "DELETE", f"bookings/{booking_id}?seats={gone}")
            total -= list_price[gone]
            assert answer.status == 200, answer
        else:
            pays = {"method": "demo"} if rng.random() < 0.7 else {}
            pair = " ".join(left), " ".join(chosen)
            answer = await change(house, "ada", booking_id, *pair, **pays)
            more = sum(map(list_price.get, chosen)) - sum(map(list_price.get, left))  # type: ignore[arg-type]
            if set(chosen) & (set(own) - set(left)):
                assert answer.error == (409, "SEAT_UNAVAILABLE")
            elif left == chosen:
                assert answer.error == (400, "VALIDATION_ERROR")
            elif more > 0 and not pays:
                assert answer.error == (409, "PAYMENT_REQUIRED")
            else:
                assert answer.status == 200, answer
                own = [label for label in own if label not in left] + chosen
                total += more
        seen = await get(house, "ada", f"bookings/{booking_id}")
        assert seats_of(seen) == {label: list_price[label] for label in own}
        was_total, was_paid, went_back = paid(seen)
        assert was_total == total == was_paid - went_back
        assert await faults_of(house) == []
    assert await house.statuses(showtime_id) == dict.fromkeys(own, "booked")
