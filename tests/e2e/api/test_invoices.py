"""Invoices and their corrections over HTTP, issued by a node that runs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from cinema.features.bookings.billing_store import BillingRepository
from tests.e2e.api.billing import documents_of, invoice_of
from tests.e2e.api.house import UNKNOWN_ID, Answer, House
from tests.e2e.api.paying import get, process, reserve, verify

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def buy(house: House, person: str, *seats: str) -> Any:
    """A booking that is paid."""
    showtime_id = await house.showtime()
    hold_id = await house.held(person, showtime_id, *seats)
    return (await house.book(person, showtime_id, hold_id)).data


async def settle(house: House, **settings: Any) -> None:
    """Say how the cinema is run."""
    path = f"cinemas/{house.cinema_id}/settings"
    seen = await house.ask("admin", "GET", path)
    body = seen.data["settings"] | settings
    answer = await house.ask("admin", "PUT", path, body, headers={"If-Match": seen.headers["ETag"]})
    assert answer.status == 200, answer


async def test_a_confirmed_booking_has_an_invoice(house: House) -> None:
    await settle(
        house,
        legal_name="House GmbH",
        legal_address="Hauptstraße 1, 10115 Berlin",
        tax_number="DE123456789",
        invoice_prefix="HOU-",
    )
    booking = await buy(house, "ada", "A1", "B2")
    invoice = await invoice_of(house, "ada", booking["payment"]["id"])
    year = invoice["issued_on"][:4]
    assert (invoice["kind"], invoice["number"]) == ("invoice", f"HOU-{year}-1")
    assert invoice["seller"]["name"] == "House GmbH"
    assert invoice["seller"]["address"] == "Hauptstraße 1, 10115 Berlin"
    assert invoice["booking"]["code"] == booking["code"]
    assert invoice["total"] == booking["total"]
    assert [line["seat"] for line in invoice["lines"]] == ["A1", "B2"]
    assert [line["gross"] for line in invoice["lines"]] == [
        seat["price"] for seat in booking["seats"]
    ]
    assert await get(house, "ada", f"invoices/{invoice['id']}") == invoice


async def test_refunds_have_credit_notes_and_a_whole_one_a_cancellation(house: House) -> None:
    booking = await buy(house, "ada", "A1", "A2")
    assert (await house.ask("ada", "DELETE", f"bookings/{booking['id']}?seats=A2")).status == 200
    assert (await house.ask("ada", "DELETE", f"bookings/{booking['id']}")).status == 200
    first, part, rest = await documents_of(house, "ada", booking["id"], 3)
    assert [one["kind"] for one in (first, part, rest)] == ["invoice", "credit_note", "credit_note"]
    assert part["corrects"]["number"] == rest["corrects"]["number"] == first["number"]
    assert [line["seat"] for line in part["lines"]] == ["A2"]
    other = await buy(house, "ada", "A1", "A2")
    assert (await house.ask("ada", "DELETE", f"bookings/{other['id']}")).status == 200
    first, ended = await documents_of(house, "ada", other["id"], 2)
    assert (ended["kind"], ended["total"]) == ("cancellation", first["total"])


async def test_what_is_not_paid_has_no_invoice_yet(house: House) -> None:
    await verify(house, "ada")
    booking = await reserve(house, "ada", await house.showtime(), "A1")
    path = f"payments/{booking['payment']['id']}/invoice"
    answer = await house.ask("ada", "GET", path)
    assert answer.error == (409, "INVOICE_NOT_READY")
    assert answer.details == {"booking_status": "pending"}
    assert (await process(house, "staff", booking["id"])).status == 200
    invoice = await invoice_of(house, "ada", booking["payment"]["id"])
    assert invoice["payment"] == {"id": booking["payment"]["id"], "method": "counter"}


async def test_who_may_see_documents(house: House) -> None:
    booking = await buy(house, "guest", "A1")
    invoice = await invoice_of(house, "guest", booking["payment"]["id"])
    paths = (
        f"payments/{booking['payment']['id']}/invoice",
        f"invoices/{invoice['id']}",
        f"bookings/{booking['id']}/documents",
    )
    for path in paths:
        for person in ("guest", "staff", "manager", "admin"):
            assert (await house.ask(person, "GET", path)).status == 200, (path, person)
        for person in ("ada", "staff elsewhere", "manager elsewhere"):
            assert (await house.ask(person, "GET", path)).error == (404, "NOT_FOUND")
        assert (await house.ask(None, "GET", path)).error == (401, "UNAUTHENTICATED")
    await house.database.execute(
        "update guests set claimed_by = $1, claimed_at = now() where id = $2",
        house.people["ada"],
        house.people["guest"],
    )
    for path in paths:
        assert (await house.ask("ada", "GET", path)).status == 200
    for path in ("payments/{}/invoice", "invoices/{}", "bookings/{}/documents"):
        answer = await house.ask("admin", "GET", path.format(UNKNOWN_ID))
        assert answer.error == (404, "NOT_FOUND")


async def test_managers_list_the_documents_of_their_cinema(house: House) -> None:
    bookings = [await buy(house, "ada", "A1") for _ in range(3)]
    for booking in bookings:
        await invoice_of(house, "ada", booking["payment"]["id"])
    path = f"cinemas/{house.cinema_id}/invoices"
    found: list[Any] = []
    cursor = ""
    while True:
        answer = await house.ask("manager", "GET", f"{path}?limit=2{cursor}")
        found += answer.data
        if answer.envelope["meta"]["next_cursor"] is None:
            break
        cursor = f"&cursor={answer.envelope['meta']['next_cursor']}"
    year = found[0]["issued_on"][:4]
    numbers = [one["number"] for one in found]
    assert [number.rpartition(f"-{year}-")[2] for number in numbers] == ["3", "2", "1"]
    assert {one["booking_id"] for one in found} == {one["id"] for one in bookings}
    last = found[0]
    for query, count in (
        ("kind=credit_note", 0),
        ("kind=invoice", 3),
        (f"number={last['number']}", 1),
        ("number=X", 0),
        (f"date_from={last['issued_on']}&date_to={last['issued_on']}", 3),
        ("date_to=2020-01-01", 0),
    ):
        assert len(await get(house, "manager", f"{path}?{query}")) == count, query
    for person, error in (
        (None, (401, "UNAUTHENTICATED")),
        ("ada", (403, "FORBIDDEN")),
        ("staff", (403, "FORBIDDEN")),
        ("manager elsewhere", (403, "FORBIDDEN")),
    ):
        assert (await house.ask(person, "GET", path)).error == error


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json", 200),
        ("*/*", 200),
        ("application/*;q=0.1", 200),
        ("image/png, application/json;q=0.5", 200),
        ("", 200),
        ("image/png", 406),
        ("application/json;q=0", 406),
        ("application/json;q=much", 406),
        ("*/*;q=0", 406),
    ],
)
async def test_documents_come_in_forms_that_are_accepted(
    house: House, accept: str, status: int
) -> None:
    booking = await buy(house, "ada", "A1")
    invoice = await invoice_of(house, "ada", booking["payment"]["id"])
    answer: Answer = await house.ask(
        "ada", "GET", f"invoices/{invoice['id']}", headers={"Accept": accept}
    )
    assert answer.status == status
    if status == 406:
        assert answer.error == (406, "NOT_ACCEPTABLE")


async def test_a_showtime_that_was_moved_since_does_not_change_its_invoices(house: House) -> None:
    booking = await buy(house, "ada", "A1")
    before = await invoice_of(house, "ada", booking["payment"]["id"])
    await house.move(booking["showtime_id"], starts_in=timedelta(days=40))
    assert await invoice_of(house, "ada", booking["payment"]["id"]) == before


async def printed(
    house: House, person: str, path: str, query: str = "", **headers: str
) -> tuple[int, str, bytes]:
    """A document as a PDF: status, media type, content."""
    sent = {"Authorization": f"Bearer {house.token(person)}", "Accept": "application/pdf"}
    async with house.client.get(f"{path}{query}", headers={**sent, **headers}) as reply:
        return reply.status, reply.headers["Content-Type"], await reply.read()


async def test_documents_are_printed_in_the_language_of_the_customer(house: House) -> None:
    booking = await buy(house, "ada", "A1")
    payment = f"payments/{booking['payment']['id']}/invoice"
    invoice = await invoice_of(house, "ada", booking["payment"]["id"])
    english = await printed(house, "ada", payment)
    assert english[:2] == (200, "application/pdf")
    assert english[2].startswith(b"%PDF-")
    path = f"invoices/{invoice['id']}"
    accepted = {"Accept-Language": "de-AT, en;q=0.3"}
    german, again = await asyncio.gather(
        printed(house, "ada", path, **accepted),
        printed(house, "ada", path, "?language=en", **accepted),
    )
    assert german[2] != english[2]
    assert again == english
    wrong = await house.ask("ada", "GET", f"{path}?language=tlh")
    assert wrong.error == (400, "VALIDATION_ERROR")


async def test_types_fees_and_taxes_are_those_of_the_booking(house: House) -> None:
    await settle(house, tax_rates={"standard": 1900, "reduced": 700})
    path = f"cinemas/{house.cinema_id}/pricing"
    seen = await house.ask("admin", "GET", path)
    types = seen.data["settings"]["ticket_types"]
    book = {
        "ticket_types": [*types, {**types[0], "code": "child", "name": "Child"}],
        "fees": [
            {"code": "online", "name": "Online", "per": "order", "amount": 150, "tax": "standard"}
        ],
        "ticket_tax": "reduced",
    }
    headers = {"If-Match": seen.headers["ETag"]}
    changed = await house.ask("admin", "PUT", path, seen.data["settings"] | book, headers=headers)
    assert changed.status == 200, changed
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1", "A2")
    body = {
        "showtime_id": showtime_id,
        "hold_id": hold_id,
        "payment": {"method": "demo"},
        "tickets": [{"seat": "A2", "type": "child"}],
    }
    booking = (await house.ask("ada", "POST", "bookings", body)).data
    invoice = await invoice_of(house, "ada", booking["payment"]["id"])
    assert invoice["total"] == booking["total"]
    assert [(line["kind"], line["type"], line["name"]) for line in invoice["lines"]] == [
        ("seat", "adult", ""),
        ("seat", "child", ""),
        ("fee", "", "Online"),
    ]
    taxes = [line for line in booking["lines"] if line["kind"] == "tax"]
    assert {(tax["rate"], tax["tax"]["amount"]) for tax in invoice["taxes"]} == {
        (line["rate"], line["amount"]["amount"]) for line in taxes
    }
    assert {tax["rate"] for tax in invoice["taxes"]} == {1900, 700}


async def test_money_that_goes_back_alone_has_a_credit_note(house: House) -> None:
    booking = await buy(house, "ada", "A1", "A2")
    await documents_of(house, "ada", booking["id"], 1)
    body = {
        "booking_id": booking["id"],
        "reason": "The sound failed.",
        "amount": {"amount": 500, "currency": "EUR"},
    }
    for key in ("one", "one"):
        refunded = await house.ask("manager", "POST", "payments/refund", body, key=key)
        assert refunded.status in {200, 201}, refunded
    first, note = await documents_of(house, "ada", booking["id"], 2)
    assert (note["kind"], note["total"]["amount"]) == ("credit_note", 500)
    assert note["corrects"]["number"] == first["number"]
    assert [line["gross"]["amount"] for line in note["lines"]] == [250, 250]
    # What is left goes back with the seats, and no more.
    assert (await house.ask("ada", "DELETE", f"bookings/{booking['id']}")).status == 200
    documents = await documents_of(house, "ada", booking["id"], 3)
    back = sum(one["total"]["amount"] for one in documents[1:])
    assert back == documents[0]["total"]["amount"]


FIRM = {"name": "Lovelace Ltd", "address": "12 St James's Square", "tax_id": "GB123456789"}
BUYER = {"name": FIRM["name"], "address": FIRM["address"], "tax_number": FIRM["tax_id"]}


async def named(house: House) -> set[str]:
    """The bookings with billing addresses that no invoice has yet."""
    rows = await house.database.fetch("select booking_id::text from booking_billing")
    return {row["booking_id"] for row in rows}


async def test_an_invoice_and_its_corrections_are_for_whom_the_customer_has_named(
    house: House,
) -> None:
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1", "A2")
    body = {"showtime_id": showtime_id, "hold_id": hold_id, "payment": {"method": "demo"}}
    made = await house.ask("ada", "POST", "bookings", {**body, "billing": FIRM})
    assert made.status == 201, made
    booking_id = made.data["id"]
    invoice = await invoice_of(house, "ada", made.data["payment"]["id"])
    assert invoice["buyer"] == BUYER
    assert booking_id not in await named(house), "the invoice has it"
    late = await house.ask("ada", "PUT", f"bookings/{booking_id}/billing", FIRM)
    assert late.error == (409, "INVOICE_ISSUED")
    await house.ask("ada", "DELETE", f"bookings/{booking_id}?seats=A1")
    documents = await documents_of(house, "ada", booking_id, 2)
    note = (await house.ask("ada", "GET", f"invoices/{documents[1]['id']}")).data
    assert (note["kind"], note["buyer"]) == ("credit_note", BUYER)


async def test_whom_an_invoice_is_for_is_named_until_it_is_issued(house: House) -> None:
    await verify(house, "ada")
    booking = await reserve(house, "ada", await house.showtime(), "A1")
    path = f"bookings/{booking['id']}/billing"
    for wrong in ({**FIRM, "name": ""}, {**FIRM, "address": " "}, {"name": "A"}):
        refused = await house.ask("ada", "PUT", path, wrong)
        assert refused.error == (400, "VALIDATION_ERROR")
    for other in ("bob", "staff elsewhere"):
        assert (await house.ask(other, "PUT", path, FIRM)).error == (404, "NOT_FOUND")
    for person, name in (("staff", "First"), ("ada", FIRM["name"])):
        put = await house.ask(person, "PUT", path, {**FIRM, "name": name})
        assert put.data == {**FIRM, "name": name}
    assert (await process(house, "staff", booking["id"])).data["status"] == "confirmed"
    assert (await invoice_of(house, "ada", booking["payment"]["id"]))["buyer"] == BUYER
    await house.ask("ada", "DELETE", f"bookings/{booking['id']}")
    assert (await house.ask("ada", "PUT", path, FIRM)).error == (409, "BOOKING_ENDED")


async def test_whom_no_invoice_will_be_for_is_forgotten(house: House) -> None:
    await verify(house, "ada")
    showtime_id = await house.showtime()
    before = await named(house)
    gone, kept = [await reserve(house, "ada", showtime_id, seat) for seat in ("A1", "A3")]
    for booking in (gone, kept):
        await house.ask("ada", "PUT", f"bookings/{booking['id']}/billing", FIRM)
    await house.ask("ada", "DELETE", f"bookings/{gone['id']}")
    body = {"showtime_id": showtime_id, "hold_id": UNKNOWN_ID, "payment": {"method": "demo"}}
    refused = await house.ask("ada", "POST", "bookings", {**body, "billing": FIRM})
    assert refused.error == (404, "NOT_FOUND")
    assert len(await named(house) - before) == 3
    async with asyncpg.create_pool(house.address, min_size=1, max_size=1) as pool:
        store = BillingRepository(pool)
        now = datetime.now(UTC)
        assert await store.forget(now, 10) == 0
        assert await store.forget(now + timedelta(hours=2), 10) >= 2
    assert await named(house) - before == {kept["id"]}
