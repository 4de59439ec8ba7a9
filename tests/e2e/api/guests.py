"""Guests of a house, as clients see them, and the mails that they get."""

from __future__ import annotations

import asyncio
import uuid
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple

from tests.e2e.api.house import Answer, House

FILES_EVERY_S = 0.05

PRINTING_S = 60.0
"""How long a mail with tickets may take: they are printed by a process of its own."""


class Guest(NamedTuple):
    """Somebody without an account."""

    house: House
    id: str
    token: str

    async def ask(self, method: str, path: str, body: Any = None, **rest: Any) -> Answer:
        """A request with the guest's token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return await self.house.ask(None, method, path, body, headers=headers, **rest)

    async def hold(self, showtime_id: str, *seats: str) -> Answer:
        """An attempt to hold the named seats."""
        return await self.ask("POST", f"showtimes/{showtime_id}/holds", {"seats": list(seats)})

    async def held(self, showtime_id: str, *seats: str) -> str:
        """The id of a hold that must succeed."""
        return str((await self.hold(showtime_id, *seats)).data["hold_id"])

    async def book(
        self, showtime_id: str, hold_id: str, email: str | None, key: str | None = None
    ) -> Answer:
        """An attempt to book a hold."""
        body: dict[str, Any] = {"showtime_id": showtime_id, "hold_id": hold_id}
        body["payment"] = {"method": "demo"}
        if email is not None:
            body["email"] = email
        return await self.ask("POST", "bookings", body, key=key)

    async def booked(self, showtime_id: str, email: str, *seats: str) -> str:
        """The id of a booking that must succeed."""
        hold_id = await self.held(showtime_id, *seats)
        return str((await self.book(showtime_id, hold_id, email)).data["id"])


async def guest_of(house: House) -> Guest:
    """A new guest."""
    made = (await house.ask(None, "POST", "auth/guest")).data
    return Guest(house, made["guest"]["id"], made["access_token"])


class Account(NamedTuple):
    """A customer with an address of their own."""

    house: House
    id: str
    token: str

    async def ask(self, method: str, path: str, body: Any = None, **rest: Any) -> Answer:
        """A request with the account's token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return await self.house.ask(None, method, path, body, headers=headers, **rest)

    async def claim(self, guest: Guest | None = None) -> Answer:
        """An attempt to make guests the account's."""
        body = None if guest is None else {"guest_token": guest.token}
        return await self.ask("POST", "auth/guest/claim", body)


async def account_of(house: House, email: str, *, verified: bool = True) -> Account:
    """A new account."""
    body = {"email": email, "password": "correct horse"}
    made = (await house.ask(None, "POST", "auth/register", body)).data
    user_id = made["user"]["id"]
    if verified:
        await house.database.execute(
            "update users set email_verified = true where id = $1", uuid.UUID(user_id)
        )
    return Account(house, user_id, made["access_token"])


def new_email() -> str:
    """An address that nobody has."""
    return f"{uuid.uuid4()}@example.com"


async def mail_to(mailbox: Path, email: str) -> EmailMessage:
    """The first mail to an address about a booking, once it is there."""
    async with asyncio.timeout(PRINTING_S):
        while True:
            for mail in mails(mailbox):
                if mail["To"].addresses[0].addr_spec == email and "/orders/" in text_of(mail):
                    return mail
            await asyncio.sleep(FILES_EVERY_S)


def mails(mailbox: Path) -> list[EmailMessage]:
    """All mails of a folder."""
    return [
        message_from_bytes(path.read_bytes(), policy=policy.default)
        for path in sorted(mailbox.glob("*.eml"))
    ]


def text_of(mail: EmailMessage) -> str:
    """Its plain text."""
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def link_in(mail: EmailMessage) -> str:
    """The link to a booking."""
    (link,) = [word for word in text_of(mail).split() if "#token=" in word]
    return link


def token_of(mail: EmailMessage) -> dict[str, str]:
    """The header that the link in a mail is for."""
    return {"Link-Token": link_in(mail).partition("#token=")[2]}
