"""What customers with an account find in their mailbox after they have booked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any, NamedTuple
from uuid import UUID

import icalendar
import pytest
import pytest_asyncio

from cinema.settings import Secret
from tests.e2e.api.card_shop import CardShop, database_of_a_module, open_card_shop
from tests.e2e.api.doors import read_codes
from tests.e2e.api.guests import PRINTING_S, account_of, new_email, text_of
from tests.e2e.api.house import House
from tests.support.mail_server import HOST, MailServer, mail_server

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]


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

    def mails_to(self, email: str) -> list[EmailMessage]:
        """The mails to somebody about bookings."""
        return [
            mail
            for mail in self.post.mails
            if mail["To"].addresses[0].addr_spec == email and "/bookings/" in text_of(mail)
        ]

    async def mail_to(self, email: str) -> EmailMessage:
        """The one mail to somebody about a booking, once it is there."""
        async with asyncio.timeout(PRINTING_S):
            while not (found := self.mails_to(email)):
                self.post.arrived.clear()
                await self.post.arrived.wait()
        (mail,) = found
        return mail

    async def until(self, question: str, *values: Any) -> None:
        """Wait until the database says yes."""
        async with asyncio.timeout(PRINTING_S):
            while not await self.house.database.fetchval(question, *values):
                pass


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
    assert town.mails_to(email) == []
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
    assert [row["kind"] for row in kinds] == ["order_link"]


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
    assert town.mails_to(email) == []
