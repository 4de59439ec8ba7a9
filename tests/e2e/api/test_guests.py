"""Guests: hold and book without an account, the link in the mail, and whose it all becomes."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import icalendar
import jwt
import pytest
import pytest_asyncio

from tests.e2e.api.doors import read_codes
from tests.e2e.api.guests import (
    Guest,
    account_of,
    guest_of,
    link_in,
    mail_to,
    mails,
    new_email,
    text_of,
    token_of,
)
from tests.e2e.api.house import KEY, PATIENCE_S, UNKNOWN_ID, Clocks, House, open_house
from tests.e2e.api.sockets import watching
from tests.support.waiting import look_again

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY_S = 86_400


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def posting(
    postgres_server: str, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[House, Path]]:
    """A house with a database of its own, which another node would take the mails of."""
    name = f"cinema_guests_{os.getpid()}"
    server = await asyncpg.connect(postgres_server)
    await server.execute(f"create database {name} template {template_database} strategy file_copy")
    address = urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
    folder = tmp_path_factory.mktemp("guests")
    async with open_house(
        address,
        public_url="http://tickets.example",
        data_dir=folder,
        order_requests_per_minute_per_address=1000,
    ) as house:
        yield house, folder / "mailbox"
    await server.execute(f"drop database {name} with (force)")
    await server.close()


@pytest.fixture
def own(posting: tuple[House, Path]) -> House:
    return posting[0]


@pytest.fixture
def mailbox(posting: tuple[House, Path]) -> Path:
    return posting[1]


async def test_guest_gets_a_token_for_a_day_and_no_refresh_token(house: House) -> None:
    answer = await house.ask(None, "POST", "auth/guest")
    assert answer.status == 201
    made = answer.data
    assert set(made) == {"guest", "access_token", "token_type", "expires_in"}
    assert (made["token_type"], made["guest"]["role"]) == ("Bearer", "guest")
    assert made["guest"]["email"] is None
    assert DAY_S - 5 <= made["expires_in"] <= DAY_S
    assert "Set-Cookie" not in answer.headers
    claims = jwt.decode(made["access_token"], KEY, algorithms=["HS256"], issuer="cinema")
    assert set(claims) == {"sub", "role", "sid", "iat", "exp", "iss"}
    assert (claims["sub"], claims["role"]) == (made["guest"]["id"], "guest")
    refreshed = await house.ask(None, "POST", "auth/refresh?transport=body", {"refresh_token": "x"})
    assert refreshed.status == 401


async def test_guest_holds_books_sees_and_cancels(house: House) -> None:
    guest, showtime_id, email = await guest_of(house), await house.showtime(), new_email()
    hold_id = await guest.held(showtime_id, "A1", "A2")
    path = f"showtimes/{showtime_id}/holds/{hold_id}"
    assert (await guest.ask("PATCH", path, {"extend": True})).data["status"] == "active"
    assert (await guest.ask("DELETE", f"{path}?seats=A2")).data["status"] == "active"
    answer = await guest.book(showtime_id, hold_id, email)
    assert (answer.status, answer.data["status"]) == (201, "confirmed")
    assert email not in str(answer.envelope)
    booking = answer.data
    assert (await guest.ask("GET", "bookings")).data == [booking]
    assert (await guest.ask("GET", f"bookings/{booking['id']}")).data == booking
    seats = (await guest.ask("GET", f"showtimes/{showtime_id}/seats")).data["seats"]
    assert [one["label"] for one in seats if one.get("mine")] == ["A1"]
    assert (await guest.ask("DELETE", f"bookings/{booking['id']}")).data["status"] == "cancelled"
    assert await house.statuses(showtime_id) == {}


async def test_guest_holds_over_a_socket(house: House) -> None:
    guest, showtime_id = await guest_of(house), await house.showtime()
    async with watching(house, showtime_id, "?deltas=false") as socket:
        assert "data" in await socket.ask(type="auth", token=guest.token)
        held = await socket.ask(type="hold", ref=1, seats=["B1"])
        released = await socket.ask(type="release", ref=2, hold_id=held["data"]["hold_id"])
        assert released["data"]["status"] == "released"


@pytest.mark.parametrize(
    "email", [None, "", "nobody", "a@b@c.example", "x@y.example\r\nBcc: z@z.example"]
)
async def test_booking_of_a_guest_needs_an_address(house: House, email: str | None) -> None:
    guest, showtime_id = await guest_of(house), await house.showtime()
    hold_id = await guest.held(showtime_id, "A1")
    answer = await guest.book(showtime_id, hold_id, email)
    assert answer.error == (400, "VALIDATION_ERROR")
    assert answer.details == {"path": "$.email"}
    assert await house.statuses(showtime_id) == {"A1": "held"}


async def test_accounts_name_no_address(house: House) -> None:
    showtime_id = await house.showtime()
    hold_id = await house.held("ada", showtime_id, "A1")
    body: dict[str, Any] = {"showtime_id": showtime_id, "hold_id": hold_id}
    body |= {"payment": {"method": "demo"}, "email": "ada@example.com"}
    answer = await house.ask("ada", "POST", "bookings", body)
    assert answer.error == (400, "VALIDATION_ERROR")
    assert answer.details == {"path": "$.email"}


async def test_guest_pays_at_no_counter(house: House) -> None:
    guest, showtime_id = await guest_of(house), await house.showtime()
    body: dict[str, Any] = {"showtime_id": showtime_id, "email": new_email()}
    body |= {"hold_id": await guest.held(showtime_id, "A1"), "payment": {"method": "counter"}}
    assert (await guest.ask("POST", "bookings", body)).error == (403, "FORBIDDEN")


async def test_guest_keeps_the_address_of_the_first_booking(house: House) -> None:
    guest, showtime_id, email = await guest_of(house), await house.showtime(), new_email()
    mistyped = await guest.book(showtime_id, UNKNOWN_ID, "mistyped@example.com")
    assert mistyped.error == (404, "NOT_FOUND")
    await guest.booked(showtime_id, email, "A1")
    hold_id = await guest.held(showtime_id, "A2")
    other = await guest.book(showtime_id, hold_id, new_email())
    assert other.error == (409, "GUEST_HAS_EMAIL")
    spelled = f" {email.upper()} "
    assert (await guest.book(showtime_id, hold_id, spelled)).status == 201


async def test_repeated_booking_of_a_guest_is_one_whatever_the_spelling(house: House) -> None:
    guest, showtime_id, email = await guest_of(house), await house.showtime(), new_email()
    hold_id = await guest.held(showtime_id, "A1")
    first = await guest.book(showtime_id, hold_id, email, key="k")
    again = await guest.book(showtime_id, hold_id, email.upper(), key="k")
    assert (again.status, again.data) == (201, first.data)
    other = await guest.book(showtime_id, hold_id, new_email(), key="k")
    assert other.error == (409, "GUEST_HAS_EMAIL")


async def test_nothing_is_booked_that_nobody_could_be_told_of(own: House) -> None:
    """Takes 4 s: the wait for a lock ends with the transaction's limit."""
    guest, showtime_id, email = await guest_of(own), await own.showtime(), new_email()
    hold_id = await guest.held(showtime_id, "A1")
    async with own.database.transaction():
        await own.database.execute("lock table guest_orders in exclusive mode")
        assert (await guest.book(showtime_id, hold_id, email)).error == (503, "RETRY")
    assert await own.statuses(showtime_id) == {"A1": "held"}
    assert (await guest.book(showtime_id, hold_id, email)).status == 201


async def test_guests_may_hold_what_unproven_accounts_may(database: str) -> None:
    async with open_house(database, unpaid_seats_per_unverified=3) as house:
        guest, showtime_id = await guest_of(house), await house.showtime()
        assert (await guest.hold(showtime_id, "A1", "A2")).status == 201
        answer = await guest.hold(await house.showtime(), "A1", "A2")
        assert answer.error == (409, "HOLD_LIMIT")
        assert answer.details == {"limit": "unpaid_seats", "value": 3, "unpaid": 2}


async def test_guests_of_one_address_are_bounded_and_renewals_are_not(database: str) -> None:
    async with open_house(database, guests_per_hour_per_address=2) as house:
        guest = await guest_of(house)
        await guest_of(house)
        refused = await house.ask(None, "POST", "auth/guest")
        assert refused.error == (429, "RATE_LIMITED")
        assert int(refused.headers["Retry-After"]) > 0
        assert (await guest.ask("POST", "auth/guest")).status == 201


async def test_mails_to_one_address_are_bounded_and_refused_bookings_do_not_count(
    database: str,
) -> None:
    async with open_house(database, guest_bookings_per_hour_per_email=2) as house:
        showtime_id, email = await house.showtime(), new_email()
        guest = await guest_of(house)
        for _ in range(3):
            answer = await guest.book(showtime_id, UNKNOWN_ID, email)
            assert answer.error == (404, "NOT_FOUND")
        await guest.booked(showtime_id, email, "A1")
        await (await guest_of(house)).booked(showtime_id, email.upper(), "A2")
        hold_id = await guest.held(showtime_id, "A3")
        assert (await guest.book(showtime_id, hold_id, email)).error == (429, "RATE_LIMITED")
        other = await guest_of(house)
        assert (await other.booked(showtime_id, new_email(), "A4")) != ""


async def test_guest_lasts_a_day_and_longer_only_while_holding(
    database: str, clocks: Clocks
) -> None:
    async with open_house(database, clocks=clocks, seat_hold_ttl_seconds=7200) as house:
        idle, holding = await guest_of(house), await guest_of(house)
        showtime_id = await house.showtime()
        clocks.ahead_s = DAY_S - 3600
        await holding.held(showtime_id, "A1")
        left = (await idle.ask("POST", "auth/guest")).data
        assert 3500 < left["expires_in"] <= 3600
        anew = (await holding.ask("POST", "auth/guest")).data
        assert anew["guest"]["id"] == holding.id
        assert DAY_S - 60 < anew["expires_in"] <= DAY_S
        clocks.ahead_s = DAY_S + 60
        for token in (left["access_token"], idle.token, holding.token):
            refused = await Guest(house, "", token).ask("GET", "bookings")
            assert refused.error == (401, "UNAUTHENTICATED")
            assert refused.details == {"reason": "TOKEN_EXPIRED"}
        assert (await Guest(house, "", anew["access_token"]).ask("GET", "bookings")).status == 200


async def test_guest_who_ended_is_nobody(house: House) -> None:
    guest = await guest_of(house)
    assert (await guest.ask("GET", "bookings")).status == 200
    assert (await guest.ask("DELETE", "auth/guest")).data == {"ended": True}
    refused = await guest.ask("GET", "bookings")
    assert refused.error == (401, "UNAUTHENTICATED")
    assert refused.details == {"reason": "TOKEN_REVOKED"}
    assert (await guest.ask("POST", "auth/guest")).error == (401, "UNAUTHENTICATED")


async def test_guest_becomes_no_admin(house: House) -> None:
    guest = await guest_of(house)
    path = f"admin/users/{guest.id}/promote"
    assert (await guest.ask("POST", path, {"role": "admin"})).error == (403, "FORBIDDEN")
    assert (await house.ask("admin", "POST", path, {"role": "admin"})).error == (404, "NOT_FOUND")
    assert (await house.ask("admin", "GET", f"admin/users/{guest.id}")).status == 404
    claims = jwt.decode(guest.token, KEY, algorithms=["HS256"], issuer="cinema")
    for role in ("customer", "admin"):
        # Even with the key of the server: no account has this id.
        forged = Guest(house, "", jwt.encode({**claims, "role": role}, KEY))
        assert (await forged.ask("GET", "auth/me")).error == (401, "UNAUTHENTICATED")
    ada = house.people["ada"]
    as_ada = Guest(house, "", jwt.encode({**claims, "sub": ada, "sid": ada}, KEY))
    assert (await as_ada.ask("GET", "bookings")).error == (401, "UNAUTHENTICATED")


async def test_what_is_a_guests_is_unknown_to_other_guests(house: House) -> None:
    guest, other, showtime_id = await guest_of(house), await guest_of(house), await house.showtime()
    hold_id = await guest.held(showtime_id, "A1")
    booking_id = await guest.booked(showtime_id, new_email(), "A2")
    held = f"showtimes/{showtime_id}/holds/{hold_id}"
    assert (await other.ask("GET", held)).error == (404, "NOT_FOUND")
    assert (await other.ask("DELETE", held)).error == (404, "NOT_FOUND")
    assert (await other.book(showtime_id, hold_id, new_email())).error == (404, "NOT_FOUND")
    assert (await other.ask("GET", f"bookings/{booking_id}")).error == (404, "NOT_FOUND")
    assert (await other.ask("DELETE", f"bookings/{booking_id}")).error == (404, "NOT_FOUND")


async def test_booking_tells_nobody_whether_an_address_has_an_account(own: House) -> None:
    email, unknown = new_email(), new_email()
    await account_of(own, email)
    showtime_id = await own.showtime()
    answers = []
    for seat, address in (("A1", email), ("A3", unknown)):
        guest = await guest_of(own)
        answers.append(await guest.book(showtime_id, await guest.held(showtime_id, seat), address))
    known, stranger = answers
    assert (known.status, stranger.status) == (201, 201)
    assert known.data.keys() == stranger.data.keys()
    assert known.headers.keys() == stranger.headers.keys()


# --- the link in the mail


async def test_mail_has_the_link_with_which_a_booking_is_seen_and_cancelled(
    own: House, mailbox: Path
) -> None:
    guest, showtime_id, email = await guest_of(own), await own.showtime(), new_email()
    booking_id = await guest.booked(showtime_id, email, "A1", "A2")
    mail = await mail_to(mailbox, email)
    link = link_in(mail)
    assert link.startswith(f"http://tickets.example/orders/{booking_id}#token=")
    booking = (await guest.ask("GET", f"bookings/{booking_id}")).data
    for said in (booking["code"], "Film", "House", "A1, A2"):
        assert said in text_of(mail)
    path, header = f"orders/{booking_id}", token_of(mail)
    assert (await own.ask(None, "GET", path, headers=header)).data == booking
    part = await own.ask(None, "DELETE", f"{path}?seats=A2", headers=header, key="k")
    assert [one["label"] for one in part.data["seats"]] == ["A1"]
    again = await own.ask(None, "DELETE", f"{path}?seats=A2", headers=header, key="k")
    assert again.data == part.data
    whole = await own.ask(None, "DELETE", path, headers=header)
    assert (whole.data["status"], whole.data["payment"]["status"]) == ("cancelled", "refunded")
    assert await own.statuses(showtime_id) == {}
    shown = await own.ask(None, "GET", path, headers=header)
    assert shown.data["status"] == "cancelled"
    ended = await own.ask(None, "DELETE", path, headers=header)
    assert ended.error == (409, "BOOKING_ENDED")


async def test_mail_brings_the_tickets_and_the_date(own: House, mailbox: Path) -> None:
    guest, showtime_id, email = await guest_of(own), await own.showtime(), new_email()
    booking_id = await guest.booked(showtime_id, email, "A1", "A2")
    mail = await mail_to(mailbox, email)
    tickets = (await guest.ask("GET", f"tickets?booking_id={booking_id}")).data
    pdf, date = mail.iter_attachments()
    assert (pdf.get_filename(), pdf.get_content_type()) == ("tickets.pdf", "application/pdf")
    expected = [tickets[0]["group_token"], *[one["token"] for one in tickets]]
    assert read_codes(pdf.get_content()) == expected
    assert (date.get_filename(), date.get_content_type()) == ("showtime.ics", "text/calendar")
    (event,) = icalendar.Calendar.from_ical(date.get_content()).walk("VEVENT")
    assert event["UID"] == booking_id


async def test_link_is_good_for_its_booking_alone(own: House, mailbox: Path) -> None:
    showtime_id, email = await own.showtime(), new_email()
    booking_id = await (await guest_of(own)).booked(showtime_id, email, "A1")
    other, other_email = await guest_of(own), new_email()
    others = await other.booked(showtime_id, other_email, "A3")
    header = token_of(await mail_to(mailbox, other_email))
    for tried in (booking_id, UNKNOWN_ID):
        for method in ("GET", "DELETE"):
            refused = await own.ask(None, method, f"orders/{tried}", headers=header)
            assert refused.error == (410, "INVALID_LINK")
            # Signed in as who made it, the link of another is as bad.
            bearer = {**header, "Authorization": f"Bearer {other.token}"}
            refused = await own.ask(None, method, f"orders/{tried}", headers=bearer)
            assert refused.error == (410, "INVALID_LINK")
    for wrong in ("x", "", header["Link-Token"] + "x"):
        refused = await own.ask(None, "GET", f"orders/{others}", headers={"Link-Token": wrong})
        assert refused.error == (410, "INVALID_LINK")
    without = await own.ask(None, "GET", f"orders/{others}")
    assert without.error == (401, "UNAUTHENTICATED")
    assert without.details == {"reason": "NO_LINK_TOKEN"}
    assert (await own.ask(None, "GET", f"orders/{others}", headers=header)).status == 200


async def test_link_fetches_the_invoice_of_its_booking(own: House, mailbox: Path) -> None:
    showtime_id, email = await own.showtime(), new_email()
    guest, other, other_email = await guest_of(own), await guest_of(own), new_email()
    booking_id = await guest.booked(showtime_id, email, "A1")
    await other.booked(showtime_id, other_email, "A3")
    path, header = f"orders/{booking_id}/invoice", token_of(await mail_to(mailbox, email))
    async with asyncio.timeout(20):
        while (shown := await own.ask(None, "GET", path, headers=header)).status == 409:
            assert shown.error == (409, "INVOICE_NOT_READY")
            await look_again()
    booking = (await guest.ask("GET", f"bookings/{booking_id}")).data
    of_payment = await guest.ask("GET", f"payments/{booking['payment']['id']}/invoice")
    assert shown.data == of_payment.data
    assert (shown.data["booking"]["id"], shown.data["kind"]) == (booking_id, "invoice")
    others = token_of(await mail_to(mailbox, other_email))
    refused = await own.ask(None, "GET", path, headers=others)
    assert refused.error == (410, "INVALID_LINK")


async def test_link_says_what_would_go_back_for_its_booking(own: House, mailbox: Path) -> None:
    showtime_id, email = await own.showtime(), new_email()
    guest, other, other_email = await guest_of(own), await guest_of(own), new_email()
    booking_id = await guest.booked(showtime_id, email, "A1", "A2")
    await other.booked(showtime_id, other_email, "B1")
    path, header = f"orders/{booking_id}/refund-quote", token_of(await mail_to(mailbox, email))
    for query in ("", "?seats=A2"):
        shown = await own.ask(None, "GET", path + query, headers=header)
        as_guest = await guest.ask("GET", f"bookings/{booking_id}/refund-quote{query}")
        assert shown.data == as_guest.data
    assert shown.data["seats"] == ["A2"]
    others = token_of(await mail_to(mailbox, other_email))
    refused = await own.ask(None, "GET", path, headers=others)
    assert refused.error == (410, "INVALID_LINK")
    assert (await own.ask(None, "DELETE", f"orders/{booking_id}", headers=header)).status == 200
    refused = await own.ask(None, "GET", path, headers=header)
    assert refused.error == (409, "BOOKING_ENDED")


async def test_link_cancels_no_showtime_that_has_started(own: House, mailbox: Path) -> None:
    showtime_id, email = await own.showtime(), new_email()
    await own.move(showtime_id, starts_in=timedelta(seconds=-60))
    booking_id = await (await guest_of(own)).booked(showtime_id, email, "A1")
    header = token_of(await mail_to(mailbox, email))
    refused = await own.ask(None, "DELETE", f"orders/{booking_id}", headers=header)
    assert refused.error == (409, "SHOWTIME_STARTED")


async def test_link_is_good_until_thirty_days_after_the_showtime(own: House, mailbox: Path) -> None:
    showtime_id, email = await own.showtime(), new_email()
    booking_id = await (await guest_of(own)).booked(showtime_id, email, "A1")
    header = token_of(await mail_to(mailbox, email))
    move = (
        "update showtimes set starts_at = now() - $2::interval - interval '2 hours',"
        " ends_at = now() - $2, clear_at = now() - $2 where id = $1"
    )
    for days, status in ((29, 200), (31, 410)):
        await own.database.execute(move, uuid.UUID(showtime_id), timedelta(days=days))
        shown = await own.ask(None, "GET", f"orders/{booking_id}", headers=header)
        assert shown.status == status


async def test_requests_with_links_are_bounded_by_address(database: str) -> None:
    async with open_house(database, order_requests_per_minute_per_address=2) as house:
        header = {"Link-Token": "x"}
        answers = [
            await house.ask(None, "GET", f"orders/{UNKNOWN_ID}", headers=header) for _ in range(3)
        ]
        assert [one.status for one in answers] == [410, 410, 429]


async def test_each_booking_is_told_once_in_the_language_of_its_guest(
    own: House, mailbox: Path
) -> None:
    guest, showtime_id, email = await guest_of(own), await own.showtime(), new_email()
    hold_id = await guest.held(showtime_id, "A1")
    body: dict[str, Any] = {"showtime_id": showtime_id, "hold_id": hold_id, "email": email}
    body |= {"payment": {"method": "demo"}}
    headers = {"Authorization": f"Bearer {guest.token}", "Accept-Language": "de-AT,en;q=0.5"}
    for _ in range(2):
        answer = await own.ask(None, "POST", "bookings", body, headers=headers, key="k")
        assert answer.status == 201
    mail = await mail_to(mailbox, email)
    assert mail["Subject"] == f"Ihre Buchung {answer.data['code']}"
    owed = "select count(*) from guest_orders o join guests g on g.id = guest_id where email = $1"
    assert await own.database.fetchval(f"{owed} and mailed_at is not null", email) == 1
    to_them = [one for one in mails(mailbox) if one["To"].addresses[0].addr_spec == email]
    assert len([one for one in to_them if "#token=" in text_of(one)]) == 1


async def test_mail_goes_to_the_ascii_form_of_a_domain(own: House, mailbox: Path) -> None:
    name = uuid.uuid4()
    guest, showtime_id = await guest_of(own), await own.showtime()
    await guest.booked(showtime_id, f"{name}@bücher.example", "A1")
    await mail_to(mailbox, f"{name}@xn--bcher-kva.example")


# --- whose it becomes


async def test_account_with_the_address_claims_bookings_and_holds(own: House) -> None:
    email, showtime_id = new_email(), await own.showtime()
    guest = await guest_of(own)
    booking_id = await guest.booked(showtime_id, f"  {email.upper()}", "A1", "A2")
    hold_id = await guest.held(showtime_id, "B1", "B2")
    account = await account_of(own, email)
    mine = await account.ask("GET", "bookings")
    assert mine.data == []
    claimed = await account.claim()
    assert claimed.data == {"guests": 1, "bookings": 1}
    (booking,) = (await account.ask("GET", "bookings?when=upcoming")).data
    assert booking["id"] == booking_id
    assert (await account.ask("GET", f"bookings/{booking_id}")).data == booking
    seats = (await account.ask("GET", f"showtimes/{showtime_id}/seats")).data["seats"]
    assert [one["label"] for one in seats if one.get("mine")] == ["A1", "A2", "B1", "B2"]
    path = f"showtimes/{showtime_id}/holds/{hold_id}"
    assert (await account.ask("GET", path)).data["status"] == "active"
    assert (await account.ask("PATCH", path, {"extend": True})).status == 200
    assert (await account.ask("DELETE", f"{path}?seats=B2", key="k")).status == 200
    again = await account.ask("DELETE", f"{path}?seats=B2", key="k")
    assert [one["label"] for one in again.data["seats"]] == ["B1"]
    body: dict[str, Any] = {"showtime_id": showtime_id, "hold_id": hold_id}
    body |= {"payment": {"method": "demo"}}
    made = await account.ask("POST", "bookings", body, key="k")
    assert made.status == 201
    assert (await account.ask("POST", "bookings", body, key="k")).data == made.data
    assert len((await account.ask("GET", "bookings")).data) == 2
    part = await account.ask("DELETE", f"bookings/{booking_id}?seats=A2")
    assert (part.status, part.data["status"]) == (200, "confirmed")
    refused = await guest.ask("GET", "bookings")
    assert refused.error == (401, "UNAUTHENTICATED")
    assert refused.details == {"reason": "TOKEN_REVOKED"}
    assert (await guest.ask("POST", "auth/guest")).status == 401
    # Claimed twice, nothing more comes.
    assert (await account.claim()).data == {"guests": 0, "bookings": 0}
    assert (await account.claim(guest)).data == {"guests": 0, "bookings": 0}


async def test_claimed_booking_is_seen_and_cancelled_page_by_page(own: House) -> None:
    email, showtime_id = new_email(), await own.showtime()
    account = await account_of(own, email)
    made = []
    for number in range(1, 5):
        guest = await guest_of(own)
        made.append(await guest.booked(showtime_id, email, f"A{number}"))
    hold = await account.ask("POST", f"showtimes/{showtime_id}/holds", {"seats": ["B1"]})
    body = {"showtime_id": showtime_id, "hold_id": hold.data["hold_id"]}
    body |= {"payment": {"method": "demo"}}
    made.append((await account.ask("POST", "bookings", body)).data["id"])
    assert (await account.claim()).data == {"guests": 4, "bookings": 4}
    seen: list[str] = []
    cursor = ""
    while True:
        page = await account.ask("GET", f"bookings?limit=2{cursor}")
        seen += [one["id"] for one in page.data]
        if page.envelope["meta"]["next_cursor"] is None:
            break
        cursor = f"&cursor={page.envelope['meta']['next_cursor']}"
    assert seen == made[::-1]


async def test_holds_alone_are_claimed_with_the_guests_token(own: House) -> None:
    guest, showtime_id = await guest_of(own), await own.showtime()
    hold_id = await guest.held(showtime_id, "A1")
    account = await account_of(own, new_email())
    path = f"showtimes/{showtime_id}/holds/{hold_id}"
    assert (await account.claim()).data == {"guests": 0, "bookings": 0}
    assert (await account.ask("GET", path)).error == (404, "NOT_FOUND")
    assert (await account.claim(guest)).data == {"guests": 1, "bookings": 0}
    assert (await account.ask("GET", path)).data["status"] == "active"
    unknown = f"showtimes/{showtime_id}/holds/{UNKNOWN_ID}"
    assert (await account.ask("GET", unknown)).error == (404, "NOT_FOUND")
    body = {"showtime_id": showtime_id, "hold_id": UNKNOWN_ID, "payment": {"method": "demo"}}
    assert (await account.ask("POST", "bookings", body)).error == (404, "NOT_FOUND")
    other = await account_of(own, new_email())
    assert (await other.claim(guest)).error == (410, "GUEST_ENDED")
    assert (await other.ask("GET", path)).error == (404, "NOT_FOUND")


async def test_claimed_hold_is_released_over_a_socket(own: House) -> None:
    guest, showtime_id = await guest_of(own), await own.showtime()
    hold_id = await guest.held(showtime_id, "A1")
    account = await account_of(own, new_email())
    await account.claim(guest)
    async with watching(own, showtime_id, "?deltas=false") as socket:
        assert "data" in await socket.ask(type="auth", token=account.token)
        extended = await socket.ask(type="extend", ref=1, hold_id=hold_id)
        assert extended["data"]["status"] == "active"
        released = await socket.ask(type="release", ref=2, hold_id=hold_id)
        assert released["data"]["status"] == "released"


async def test_unproven_account_claims_nothing_and_another_address_claims_nobody(
    own: House,
) -> None:
    email, showtime_id = new_email(), await own.showtime()
    guest = await guest_of(own)
    booking_id = await guest.booked(showtime_id, email, "A1")
    thief = await account_of(own, email, verified=False)
    assert (await thief.claim()).error == (409, "EMAIL_NOT_VERIFIED")
    assert (await thief.claim(guest)).error == (409, "EMAIL_NOT_VERIFIED")
    other = await account_of(own, new_email())
    assert (await other.claim()).data == {"guests": 0, "bookings": 0}
    assert (await other.claim(guest)).error == (409, "GUEST_HAS_EMAIL")
    for account in (thief, other):
        assert (await account.ask("GET", f"bookings/{booking_id}")).error == (404, "NOT_FOUND")
        assert (await account.ask("DELETE", f"bookings/{booking_id}")).status == 404
    for token in ("x", other.token, jwt.encode({"sub": "x"}, KEY)):
        refused = await other.claim(Guest(own, "", token))
        assert refused.error == (410, "GUEST_ENDED")
    assert (await guest.ask("GET", f"bookings/{booking_id}")).status == 200


async def test_two_accounts_that_claim_a_guest_at_once_get_it_once(own: House) -> None:
    accounts = [await account_of(own, new_email()) for _ in range(2)]
    for _ in range(5):
        guest = await guest_of(own)
        answers = await asyncio.gather(*(one.claim(guest) for one in accounts))
        assert sorted(one.status for one in answers) == [200, 410]


async def test_claim_is_in_the_audit_log_without_an_address(own: House) -> None:
    email, guest = new_email(), await guest_of(own)
    await guest.booked(await own.showtime(), email, "A1")
    account = await account_of(own, email)
    await account.claim()
    (row,) = (await own.ask("admin", "GET", f"admin/audit?target={guest.id}")).data
    assert (row["action"], row["actor_id"]) == ("guest_claimed", account.id)
    assert row["after"] == {"bookings": 1}
    assert email not in str(row)


async def test_claim_waits_for_the_change_of_an_address(own: House) -> None:
    """Whoever gives an address up right now claims nothing by it any more."""
    email = new_email()
    guest = await guest_of(own)
    await guest.booked(await own.showtime(), email, "A1")
    account = await account_of(own, email)
    async with own.database.transaction():
        await own.database.execute(
            "update users set email = $2, email_key = $2 where id = $1",
            uuid.UUID(account.id),
            new_email(),
        )
        claiming = asyncio.ensure_future(account.claim())
        waits = "select count(*) from pg_locks where not granted"
        async with asyncio.timeout(PATIENCE_S):
            while not await own.database.fetchval(waits):
                await look_again()
    assert (await claiming).data == {"guests": 0, "bookings": 0}
