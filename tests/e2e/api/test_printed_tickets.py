"""Tickets over HTTP: who sees them, what their codes say, and how they are printed."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import icalendar
import pypdfium2
import pytest
import zxingcpp
from PIL import Image

from cinema.features.tickets.rules import GROUP, bytes_of, claim_in, ticket_id
from tests.e2e.api.doors import open_doors, read_codes, scan, sold, tickets_of
from tests.e2e.api.house import UNKNOWN_ID, House
from tests.e2e.api.paying import reserve, verify
from tests.e2e.api.showtimes import cancel as cancel_showtime

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def raw(
    house: House, person: str | None, path: str, **headers: str
) -> tuple[int, Any, bytes]:
    if person is not None:
        headers["Authorization"] = f"Bearer {house.token(person)}"
    async with house.client.get(path, headers=headers) as reply:
        return reply.status, reply.headers, await reply.read()


def words_of(pdf: bytes) -> str:
    return "".join(page.get_textpage().get_text_bounded() for page in pypdfium2.PdfDocument(pdf))


async def test_a_booking_has_a_ticket_for_each_seat(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "B2")
    first, second = await tickets_of(house, "ada", booking_id)
    assert (first["seat"], second["seat"]) == ("A1", "B2")
    for place, ticket in enumerate((first, second)):
        assert ticket["id"] == str(ticket_id(UUID(booking_id), place))
        assert (ticket["booking_id"], ticket["showtime_id"]) == (booking_id, showtime_id)
        assert (ticket["status"], ticket["used_at"], ticket["blocked"]) == ("valid", None, False)
        claim = claim_in(bytes_of(ticket["token"]) or b"")
        assert str(claim.ticket_id) == ticket["id"]
        assert claim.showtime == UUID(showtime_id).bytes[:8]
        assert (await house.ask("ada", "GET", f"tickets/{ticket['id']}")).data == ticket
    assert first["group_token"] == second["group_token"]
    whole = claim_in(bytes_of(first["group_token"]) or b"")
    assert whole.ticket_id == ticket_id(UUID(booking_id), GROUP)
    (alone,) = await sold(house, showtime_id, "A5")
    assert alone["group_token"] is None


async def test_tickets_are_listed_page_by_page(house: House) -> None:
    showtime_id = await house.showtime()
    over = await house.showtime()
    expected = [
        ticket["id"]
        for seats in (("A1", "A2", "A3"), ("B1",), ("B2", "B3"))
        for ticket in await sold(house, showtime_id, *seats, person="bob")
    ]
    await house.move(over, starts_in=timedelta(minutes=5))
    (late,) = await sold(house, over, "A1", person="bob")
    await house.database.execute(
        "update showtimes set starts_at = now() - interval '3 hours', ends_at = now() - interval"
        " '1 hour' where id = $1",
        over,
    )
    newest_first = [*expected[4:], *expected[3:4], *expected[:3]]
    seen: list[str] = []
    path = "tickets?limit=2&when=upcoming"
    cursor = ""
    while True:
        answer = await house.ask("bob", "GET", path + cursor)
        seen += [one["id"] for one in answer.data]
        if answer.envelope["meta"]["next_cursor"] is None:
            break
        assert len(answer.data) == 2
        cursor = f"&cursor={answer.envelope['meta']['next_cursor']}"
    assert seen == newest_first
    past = (await house.ask("bob", "GET", "tickets?when=past")).data
    assert [one["id"] for one in past] == [late["id"]]
    both = (await house.ask("bob", "GET", "tickets?limit=100")).data
    assert {one["id"] for one in both} == {*seen, late["id"]}
    assert (await house.ask("bob", "GET", "tickets?cursor=x")).error == (400, "VALIDATION_ERROR")
    of_one = f"tickets?booking_id={both[-1]['booking_id']}&limit=2"
    page = await house.ask("bob", "GET", of_one)
    rest = await house.ask("bob", "GET", f"{of_one}&cursor={page.envelope['meta']['next_cursor']}")
    assert [one["id"] for one in (*page.data, *rest.data)] == expected[:3]


async def test_a_booking_that_is_not_paid_has_no_tickets(house: House) -> None:
    await verify(house, "bob")
    showtime_id = await house.showtime()
    booking = await reserve(house, "bob", showtime_id, "A1")
    ticket = ticket_id(UUID(booking["id"]), 0)
    for path in (
        f"tickets/{ticket}",
        f"tickets/{ticket}/qr.svg",
        f"tickets?booking_id={booking['id']}",
        f"bookings/{booking['id']}/tickets.pdf",
        f"bookings/{booking['id']}/calendar.ics",
    ):
        assert (await house.ask("bob", "GET", path)).error == (409, "TICKET_UNPAID"), path
    assert booking["id"] not in {
        one["booking_id"] for one in (await house.ask("bob", "GET", "tickets?limit=100")).data
    }


async def test_cancelled_seats_leave_cancelled_tickets(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    await house.ask("ada", "DELETE", f"bookings/{booking_id}?seats=A2")
    stays, gone = await tickets_of(house, "ada", booking_id)
    assert (stays["status"], gone["status"]) == ("valid", "cancelled")
    assert gone["token"] is stays["group_token"] is None
    qr = await house.ask("ada", "GET", f"tickets/{gone['id']}/qr.png")
    assert qr.error == (409, "TICKET_CANCELLED")
    _, _, pdf = await raw(house, "ada", f"bookings/{booking_id}/tickets.pdf")
    assert read_codes(pdf) == [stays["token"]]
    await house.ask("ada", "DELETE", f"bookings/{booking_id}")
    assert {one["status"] for one in await tickets_of(house, "ada", booking_id)} == {"cancelled"}
    printed = await house.ask("ada", "GET", f"bookings/{booking_id}/tickets.pdf")
    assert printed.error == (409, "TICKET_CANCELLED")
    _, _, file = await raw(house, "ada", f"bookings/{booking_id}/calendar.ics")
    (event,) = icalendar.Calendar.from_ical(file).walk("VEVENT")
    assert event["STATUS"] == "CANCELLED"


async def test_tickets_of_a_cancelled_showtime_are_cancelled(house: House) -> None:
    showtime_id = await house.showtime()
    (ticket,) = await sold(house, showtime_id, "A1")
    assert (await cancel_showtime(house, showtime_id)).status == 202
    assert (await house.ask("ada", "GET", f"tickets/{ticket['id']}")).data["status"] == "cancelled"


async def test_a_ticket_with_another_seat_keeps_its_id_and_gets_a_new_code(house: House) -> None:
    showtime_id = await open_doors(house)
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    first, second = await tickets_of(house, "ada", booking_id)
    for left, chosen in (("A1", "A5"), ("A5", "A7"), ("A7", "A1")):
        before, _ = await tickets_of(house, "ada", booking_id)
        seats = {"from": [left], "to": [chosen]}
        answer = await house.ask("ada", "POST", f"bookings/{booking_id}/seats", seats)
        assert answer.status == 200, answer
        after, other = await tickets_of(house, "ada", booking_id)
        assert (after["id"], after["seat"]) == (first["id"], chosen)
        assert other == second
        refused = await scan(house, before["token"])
        assert refused.error == (409, "TICKET_REVOKED")
    # The code of the booking is for all of its tickets, on whatever seats.
    assert after["group_token"] == first["group_token"]
    assert (await scan(house, after["token"])).status == 200


async def test_a_ticket_that_is_issued_again_makes_the_codes_before_useless(house: House) -> None:
    showtime_id = await open_doors(house)
    lost, other = await sold(house, showtime_id, "A1", "A2")
    answer = await house.ask("ada", "POST", f"tickets/{lost['id']}/reissue")
    assert answer.status == 200, answer
    again = answer.data
    assert again["token"] != lost["token"]
    assert again["group_token"] != lost["group_token"]
    for token in (lost["token"], lost["group_token"]):
        assert (await scan(house, token)).error == (409, "TICKET_REVOKED")
    for token in (again["token"], other["token"]):
        assert (await scan(house, token)).status == 200
    twice = await house.ask("staff", "POST", f"tickets/{lost['id']}/reissue")
    assert twice.data["token"] not in {lost["token"], again["token"]}
    await house.database.execute(
        "update ticket_states set generation = 255 where booking_id = $1", lost["booking_id"]
    )
    refused = await house.ask("ada", "POST", f"tickets/{lost['id']}/reissue")
    assert refused.error == (409, "TICKET_REISSUE_LIMIT")
    audited = await house.database.fetch(
        "select actor_id::text from audit_log where action = 'ticket_reissued' and target_id = $1"
        " order by at",
        lost["id"],
    )
    assert [row[0] for row in audited] == [house.people["ada"], house.people["staff"]]


async def test_codes_are_read_back_from_their_pictures(house: House) -> None:
    first, _ = await sold(house, await house.showtime(), "A1", "A2")
    for of, token in (("ticket", first["token"]), ("group", first["group_token"])):
        status, headers, png = await raw(house, "ada", f"tickets/{first['id']}/qr.png?of={of}")
        assert (status, headers["Content-Type"]) == (200, "image/png")
        (read,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(png)).convert("RGB"))
        assert read.text == token
    status, headers, svg = await raw(house, "ada", f"tickets/{first['id']}/qr.svg")
    assert (status, headers["Content-Type"]) == (200, "image/svg+xml")
    assert b"<script" not in svg
    assert headers["Cache-Control"] == "no-store"
    (alone,) = await sold(house, await house.showtime(), "A1")
    missing = await house.ask("ada", "GET", f"tickets/{alone['id']}/qr.svg?of=group")
    assert missing.error == (404, "NOT_FOUND")


async def test_printed_tickets_are_read_back_from_the_pages(house: House) -> None:
    showtime_id = await house.showtime()
    await house.database.execute(
        "update movies set title = $2, age_rating = '16' where id = $1",
        house.movie_id,
        "Лунный путь · Ο δρόμος προς το φεγγάρι " + "und noch viel weiter " * 9,
    )
    try:
        seats = [f"A{number}" for number in range(1, 6)]
        tickets = await sold(house, showtime_id, *seats)
        path = f"bookings/{tickets[0]['booking_id']}/tickets.pdf"
        status, headers, pdf = await raw(house, "ada", path)
        assert (status, headers["Content-Type"]) == (200, "application/pdf")
        assert headers["Content-Disposition"] == 'inline; filename="tickets.pdf"'
        expected = [tickets[0]["group_token"], *[one["token"] for one in tickets]]
        assert read_codes(pdf) == expected
        words = words_of(pdf)
        for text in ("Лунный путь", "φεγγάρι", "From age 16", "House, Screen", *seats):
            assert text in words
        assert (await raw(house, "ada", path))[2] == pdf
        german = words_of((await raw(house, "ada", f"{path}?language=de"))[2])
        for text in ("Alle 5 Karten dieser Buchung", "Ab 16 Jahren", "Erwachsene"):
            assert text in german
    finally:
        await house.database.execute(
            "update movies set title = 'Film', age_rating = null where id = $1", house.movie_id
        )


async def test_a_booking_goes_into_the_calendar_of_its_customer(house: House) -> None:
    showtime_id = await house.showtime()
    booking_id = await house.booked("ada", showtime_id, "A1", "A2")
    status, headers, file = await raw(house, "ada", f"bookings/{booking_id}/calendar.ics")
    assert (status, headers["Content-Type"]) == (200, "text/calendar; charset=utf-8")
    (event,) = icalendar.Calendar.from_ical(file).walk("VEVENT")
    showtime = (await house.ask(None, "GET", f"showtimes/{showtime_id}")).data
    booking = (await house.ask("ada", "GET", f"bookings/{booking_id}")).data
    starts_at = datetime.fromisoformat(showtime["starts_at"])
    assert event["DTSTART"].dt == starts_at.replace(microsecond=0)
    assert (event["UID"], event["SUMMARY"]) == (booking_id, "Film")
    assert str(event["DESCRIPTION"]).startswith(f"{booking['code']}: A1, A2\n")
    assert (event["STATUS"], event["TRANSP"]) == ("CONFIRMED", "OPAQUE")


async def test_tickets_are_seen_by_their_owner_and_the_staff_of_their_cinema(house: House) -> None:
    (ticket,) = await sold(house, await house.showtime(), "A1")
    booking_id = ticket["booking_id"]
    paths = (
        f"tickets/{ticket['id']}",
        f"tickets?booking_id={booking_id}",
        f"tickets/{ticket['id']}/qr.svg",
        f"bookings/{booking_id}/tickets.pdf",
        f"bookings/{booking_id}/calendar.ics",
    )
    for path in paths:
        for person in ("ada", "staff", "admin"):
            assert (await raw(house, person, path))[0] == 200, (path, person)
        for person in ("bob", "guest", "staff elsewhere", "manager elsewhere"):
            assert (await raw(house, person, path))[0] == 404, (path, person)
        assert (await raw(house, None, path))[0] == 401
    assert (await house.ask("admin", "GET", f"tickets/{UNKNOWN_ID}")).error == (404, "NOT_FOUND")
    # Another place of the same booking is no ticket.
    nowhere = ticket_id(UUID(booking_id), 7)
    assert (await house.ask("ada", "GET", f"tickets/{nowhere}")).error == (404, "NOT_FOUND")


async def test_guests_have_tickets_too(house: House) -> None:
    (ticket,) = await sold(house, await house.showtime(), "A1", person="guest")
    (listed,) = [
        one
        for one in (await house.ask("guest", "GET", "tickets")).data
        if one["id"] == ticket["id"]
    ]
    assert listed == ticket
