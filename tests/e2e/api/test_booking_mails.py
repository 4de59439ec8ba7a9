"""What customers find in their mailbox after they have booked, and before they go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from email.message import EmailMessage
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp
import icalendar
import pytest
import pytest_asyncio
from pypdfium2 import PdfDocument

from cinema.settings import Secret
from tests.e2e.api.card_shop import CardShop, database_of_a_module, open_card_shop
from tests.e2e.api.doors import read_codes
from tests.e2e.api.guests import account_of, guest_of, new_email, text_of
from tests.e2e.api.house import House
from tests.support.mail_server import HOST, MailServer, mail_server
from tests.support.waiting import look_again

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]


BUSY_S = 180.0
"""Far longer than a mail with tickets takes on a machine that is busy with other tests."""

LOOK_EVERY_S = 0.2


class Town(NamedTuple):
    """A cinema that takes cards, and the server that all its mails go to."""

    shop: CardShop
    post: MailServer

    @property
    def house(self) -> House:
        return self.shop.house

    async def customer(self, language: str = "en") -> str:
        """Let Ada be somebody new; the address."""
        email = new_email()
        account = await account_of(self.house, email)
        await self.house.database.execute(
            "update users set language = $2, first_name = 'Ada' where id = $1",
            UUID(account.id),
            language,
        )
        await self.house.database.execute(
            "insert into sessions (id, user_id, created_at, expires_at)"
            " values ($1, $1, now(), now() + interval '1 day')",
            UUID(account.id),
        )
        self.house.people["ada"] = account.id
        return email

    async def mails_to(self, email: str, kind: str = "booking_confirmed") -> list[EmailMessage]:
        """The mails of a kind that have come to somebody; one that came twice is one."""
        rows = await self.house.database.fetch(
            "select id from messages where recipient = $1 and kind = $2", email, kind
        )
        by_id = {mail["Message-ID"][1:37]: mail for mail in self.post.mails}
        return [by_id[one] for row in rows if (one := str(row["id"])) in by_id]

    async def mail_to(self, email: str, kind: str = "booking_confirmed") -> EmailMessage:
        """The one mail of a kind to somebody, once it is there."""
        async with asyncio.timeout(BUSY_S):
            while not (found := await self.mails_to(email, kind)):
                await self.hurry()
        (mail,) = found
        return mail

    async def hurry(self) -> None:
        """Let what waits be tried again now: a busy machine may have failed to print once.

        What a worker has claimed has longer to wait than this looks for.
        """
        await self.house.database.execute(
            "update messages set next_try_at = now() where status = 'waiting'"
            " and next_try_at between now() and now() + interval '50 seconds'"
        )
        await self.house.database.execute(
            "update messages set next_try_at = now() where kind = 'booking_receipt'"
            " and status = 'waiting' and attempts = 0"
        )
        self.post.arrived.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY_S):
                await self.post.arrived.wait()

    async def until(self, question: str, *values: Any) -> None:
        """Wait until the database says yes."""
        async with asyncio.timeout(BUSY_S):
            while not await self.house.database.fetchval(question, *values):
                await look_again()

    async def press(self, mail: EmailMessage) -> int:
        """What a program of mail does when its button is pressed (RFC 8058); the status."""
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        address = urlsplit(mail["List-Unsubscribe"].strip("<>"))
        assert (address.scheme, address.netloc) == ("http", "tickets.example")
        url = f"http://127.0.0.1:{self.house.port}{address.path}?{address.query}"
        form = {"List-Unsubscribe": "One-Click"}
        async with aiohttp.ClientSession() as program, program.post(url, data=form) as answer:
            return answer.status


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(postgres_server: str, template_database: str) -> AsyncIterator[Town]:
    async with (
        mail_server() as post,
        database_of_a_module(postgres_server, template_database) as address,
        open_card_shop(
            address,
            public_url="http://tickets.example",
            smtp_url=Secret(f"smtp://{HOST}:{post.port}"),
        ) as shop,
    ):
        yield Town(shop, post)


async def test_a_customer_gets_a_mail_with_tickets_and_the_date(town: Town) -> None:
    email, showtime_id = await town.customer(), await town.house.showtime()
    booking_id = await town.house.booked("ada", showtime_id, "A1", "A2")
    mail = await town.mail_to(email)
    booking = (await town.house.ask("ada", "GET", f"bookings/{booking_id}")).data
    link = f"http://tickets.example/bookings/{booking_id}"
    for said in (booking["code"], "Hello Ada", "Film", "House", "A1, A2", "20.00 EUR", link):
        assert said in text_of(mail)
    tickets = (await town.house.ask("ada", "GET", f"tickets?booking_id={booking_id}")).data
    pdf, date = mail.iter_attachments()
    assert (pdf.get_filename(), pdf.get_content_type()) == ("tickets.pdf", "application/pdf")
    expected = [tickets[0]["group_token"], *[one["token"] for one in tickets]]
    assert read_codes(pdf.get_content()) == expected
    assert (date.get_filename(), date.get_content_type()) == ("showtime.ics", "text/calendar")
    (event,) = icalendar.Calendar.from_ical(date.get_content()).walk("VEVENT")
    assert event["UID"] == booking_id


async def test_the_mail_is_in_the_customers_language(town: Town) -> None:
    email, showtime_id = await town.customer("de"), await town.house.showtime()
    await town.house.booked("ada", showtime_id, "A1")
    mail = await town.mail_to(email)
    assert "Ihre Buchung" in mail["Subject"]
    assert "Plätze: A1" in text_of(mail)


async def test_a_card_is_paid_before_the_mail_comes(town: Town) -> None:
    email, showtime_id = await town.customer(), await town.house.showtime()
    booking = await town.shop.book("ada", showtime_id, "A1")
    # Somebody books behind it, whose mail has come: its own would have been written by then.
    waiting, later = town.house.people["ada"], await town.customer()
    await town.house.booked("ada", showtime_id, "A2")
    await town.mail_to(later)
    town.house.people["ada"] = waiting
    assert await town.mails_to(email) == []
    town.shop.pay(booking)
    await town.shop.until(booking, "confirmed")
    assert booking["code"] in text_of(await town.mail_to(email))


async def test_a_guest_has_the_mail_with_the_link_alone(town: Town) -> None:
    showtime_id = await town.house.showtime()
    booking_id = await town.house.booked("guest", showtime_id, "A1")
    email = await town.customer()
    await town.house.booked("ada", showtime_id, "A2")
    await town.mail_to(email)
    kinds = await town.house.database.fetch(
        "select kind from messages where dedupe_key like '%' || $1", booking_id
    )
    assert sorted(row["kind"] for row in kinds) == ["booking_receipt", "order_link"]


async def test_a_booking_that_is_cancelled_before_its_mail_is_sent_has_none(town: Town) -> None:
    email, showtime_id = await town.customer(), await town.house.showtime()
    taken = town.post.rcpt

    async def busy() -> str:
        return "451 try again"

    town.post.rcpt = busy
    try:
        booking_id = await town.house.booked("ada", showtime_id, "A1")
        key = f"booking_confirmed:{booking_id}"
        await town.until("select last_error is not null from messages where dedupe_key = $1", key)
    finally:
        town.post.rcpt = taken
    assert (await town.house.ask("ada", "DELETE", f"bookings/{booking_id}")).status == 200
    await town.house.database.execute(
        "update messages set next_try_at = now() where dedupe_key = $1", key
    )
    await town.until("select status <> 'waiting' from messages where dedupe_key = $1", key)
    status = await town.house.database.fetchval(
        "select status from messages where dedupe_key = $1", key
    )
    assert status == "dropped"
    assert await town.mails_to(email) == []


async def test_the_receipt_comes_with_the_invoice_to_guests_too(town: Town) -> None:
    email, showtime_id = await town.customer("de"), await town.house.showtime()
    booking_id = await town.house.booked("ada", showtime_id, "A1")
    mail = await town.mail_to(email, "booking_receipt")
    (pdf,) = mail.iter_attachments()
    assert (pdf.get_filename(), pdf.get_content_type()) == ("invoice.pdf", "application/pdf")
    payment_id = (await town.house.ask("ada", "GET", f"bookings/{booking_id}")).data["payment"][
        "id"
    ]
    invoice = (await town.house.ask("ada", "GET", f"payments/{payment_id}/invoice")).data
    said = "".join(
        page.get_textpage().get_text_bounded() for page in PdfDocument(pdf.get_content())
    )
    assert invoice["number"] in said
    assert "Rechnung" in said
    guest, address = await guest_of(town.house), new_email()
    await guest.booked(showtime_id, address, "A2")
    (pdf,) = (await town.mail_to(address, "booking_receipt")).iter_attachments()
    assert pdf.get_content().startswith(b"%PDF")


async def test_other_seats_come_with_new_tickets(town: Town) -> None:
    email, showtime_id = await town.customer(), await town.house.showtime()
    booking_id = await town.house.booked("ada", showtime_id, "A1", "A2")
    body = {"from": ["A2"], "to": ["A4"]}
    assert (await town.house.ask("ada", "POST", f"bookings/{booking_id}/seats", body)).status == 200
    mail = await town.mail_to(email, "booking_changed")
    assert "other seats: A4 instead of A2. All of its seats: A1, A4." in text_of(mail)
    tickets = (await town.house.ask("ada", "GET", f"tickets?booking_id={booking_id}")).data
    live = {one["token"] for one in tickets if one["status"] == "valid"}
    pdf, _date = mail.iter_attachments()
    assert live < set(read_codes(pdf.get_content()))


async def test_who_cancels_is_told_so_and_when_the_money_is_back(town: Town) -> None:
    email, showtime_id = await town.customer(), await town.house.showtime()
    booking_id = await town.house.booked("ada", showtime_id, "A1", "A2")
    await town.mail_to(email)
    path = f"bookings/{booking_id}?seats=A1"
    assert (await town.house.ask("ada", "DELETE", path)).status == 200
    cancelled = text_of(await town.mail_to(email, "booking_cancelled"))
    assert "cancelled: A1. You still have: A2." in cancelled
    assert "You get back: 10.00 EUR." in cancelled
    assert "10.00 EUR" in text_of(await town.mail_to(email, "refund_sent"))


async def test_the_button_of_a_mail_turns_its_kind_off_and_the_account_on_again(
    town: Town,
) -> None:
    email, showtime_id = await town.customer(), await town.house.showtime()
    await town.house.booked("ada", showtime_id, "A1")
    mail = await town.mail_to(email)
    assert await town.press(mail) == 200
    choices = (await town.house.ask("ada", "GET", "auth/me/messages")).data
    assert choices["off"] == ["booking_confirmed"]
    second = await town.house.booked("ada", showtime_id, "A2")
    key = f"booking_confirmed:{second}"
    await town.until("select status = 'dropped' from messages where dedupe_key = $1", key)
    # What is owed comes all the same.
    await town.until(
        "select exists (select from messages where dedupe_key = $1)", f"booking_receipt:{second}"
    )
    # An admin, whom somebody asks where the mails are, sees it.
    seen = await town.house.ask(
        "admin", "GET", f"admin/users/{town.house.people['ada']}/message-choices"
    )
    assert seen.data == {name: choices[name] for name in ("off", "sms", "optional")}
    answer = await town.house.ask("ada", "PUT", "auth/me/messages", {"off": []})
    assert (answer.status, answer.data["off"]) == (200, [])
    third = await town.house.booked("ada", showtime_id, "A3")
    await town.until(
        "select status = 'sent' from messages where dedupe_key = $1",
        f"booking_confirmed:{third}",
    )
    assert len(await town.mails_to(email)) == 2


async def test_a_link_in_a_mail_that_was_cut_off_turns_nothing_off(town: Town) -> None:
    for method in ("POST", "DELETE"):
        answer = await town.house.ask(None, method, "messages/off?token=AAAA")
        assert answer.error == (410, "INVALID_LINK")
    assert (await town.house.ask(None, "POST", "messages/off")).status == 400
    answer = await town.house.ask("ada", "PUT", "auth/me/messages", {"off": ["booking_receipt"]})
    assert answer.status == 400


async def test_a_reminder_comes_before_the_start(town: Town) -> None:
    email, showtime_id = await town.customer(), await town.house.showtime()
    await town.house.move(showtime_id, starts_in=timedelta(hours=2, minutes=50))
    booking_id = await town.house.booked("ada", showtime_id, "A1")
    # Who has just booked needs none: this was booked yesterday.
    await town.house.database.execute(
        "update bookings set created_at = created_at - interval '1 day' where id = $1",
        UUID(booking_id),
    )
    # A node may have looked before that, and have noted that nobody is to be reminded.
    await town.until(
        "with anew as (delete from showtime_reminders) select exists ("
        "select from messages where dedupe_key like 'booking_reminder:' || $1 || ':%')",
        booking_id,
    )
    mail = await town.mail_to(email, "booking_reminder")
    assert "Soon" in mail["Subject"]
    assert f"http://tickets.example/bookings/{booking_id}" in text_of(mail)


async def test_who_has_not_paid_is_told_before_the_seats_are_given_up(town: Town) -> None:
    email, showtime_id = await town.customer(), await town.house.showtime()
    booking = await town.shop.book("ada", showtime_id, "A1")
    booking_id, key = UUID(booking["id"]), f"payment_due:{booking['id']}"
    await town.house.database.execute(
        "update bookings set created_at = created_at - interval '9 minutes' where id = $1",
        booking_id,
    )
    # However long a busy machine takes to look, the two minutes are not over.
    await town.until(
        "with later as (update bookings set pay_until = now() + interval '110 seconds'"
        " where id = $1) select exists (select from messages where dedupe_key = $2)",
        *(booking_id, key),
    )
    await town.house.database.execute(
        "update bookings set pay_until = now() + interval '1 hour' where id = $1", booking_id
    )
    await town.house.database.execute(
        "update messages set drop_after = null where dedupe_key = $1 and status = 'waiting'", key
    )
    mail = await town.mail_to(email, "payment_due")
    assert "your seats are kept until" in mail["Subject"]
    assert booking["code"] in text_of(mail)
