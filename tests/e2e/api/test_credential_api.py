"""Passwords and addresses over HTTP: links of mails, and what answers do not tell."""

from __future__ import annotations

import os
import re
import tempfile
import uuid
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio

from cinema.features import messages
from tests.e2e.api.house import Answer, House, open_house

pytestmark = pytest.mark.asyncio(loop_scope="module")

OLD, NEW = "correct horse", "battery staple"
TEMPLATES = Path(messages.__file__).parent / "templates"
SUBJECT = re.compile(r"{% block subject %}(.+?){% endblock %}")
LINK = re.compile(r"^http\S+", re.MULTILINE)


class Mails:
    """The mails that a node has written into its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def link(self, email: str, kind: str) -> str | None:
        """The link in the only mail of that kind to an address."""
        (subject,) = SUBJECT.findall((TEMPLATES / f"account_{kind}.en.jinja").read_text())
        for path in self._folder.glob("*.eml"):
            mail = message_from_bytes(path.read_bytes(), policy=SMTP)
            if (mail["To"], mail["Subject"]) == (email, subject):
                text = mail.get_body(("plain",))
                assert text is not None
                return LINK.findall(text.get_content())[0]
        return None


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def posting(
    postgres_server: str, template_database: str
) -> AsyncIterator[tuple[House, Mails]]:
    """A house with a database of its own: another node would take its mails."""
    name = f"cinema_posting_{os.getpid()}"
    server = await asyncpg.connect(postgres_server)
    await server.execute(f"create database {name} template {template_database} strategy file_copy")
    address = urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        async with open_house(address, public_url="http://tickets.example", data_dir=data) as house:
            yield house, Mails(data / "mailbox")
    await server.execute(f"drop database {name} with (force)")
    await server.close()


@pytest.fixture
def own(posting: tuple[House, Mails]) -> House:
    return posting[0]


@pytest.fixture
def mails(posting: tuple[House, Mails]) -> Mails:
    return posting[1]


def new_email() -> str:
    return f"{uuid.uuid4()}@example.com"


async def post(house: House, path: str, body: Any, token: str = "", **headers: str) -> Answer:
    sent = {**headers, **({"Authorization": f"Bearer {token}"} if token else {})}
    return await house.ask(None, "POST", f"auth/{path}", body, headers=sent)


async def registered(house: House, email: str) -> str:
    made = await post(house, "register", {"email": email, "password": OLD})
    return str(made.data["access_token"])


async def link_to(house: House, mails: Mails, email: str, kind: str) -> str:
    await house.until(lambda: mails.link(email, kind) is not None)
    link = mails.link(email, kind)
    assert link is not None
    return link


async def token_to(house: House, mails: Mails, email: str, kind: str) -> str:
    return (await link_to(house, mails, email, kind)).partition("#token=")[2]


async def login(house: House, email: str, password: str) -> int:
    return (await post(house, "login", {"email": email, "password": password})).status


async def test_forgotten_password_over_http(own: House, mails: Mails) -> None:
    email = new_email()
    access = await registered(own, email)
    evil = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    asked = await post(own, "forgot-password", {"email": email.upper()}, **evil)
    assert asked.data == {"accepted": True}
    link = await link_to(own, mails, email, "password_reset")
    page, _, token = link.partition("#token=")
    assert page == "http://tickets.example/reset-password"
    weak = await post(own, "reset-password", {"token": token, "new_password": "password1"})
    assert weak.error == (400, "VALIDATION_ERROR")
    assert weak.details == {"path": "$.new_password"}
    done = await post(own, "reset-password", {"token": token, "new_password": NEW})
    assert done.data == {"ended": 1}
    rows = await own.database.fetch("select kind from messages where recipient = $1", email)
    assert sorted(row["kind"] for row in rows) == [
        "account_password_changed",
        "account_password_reset",
        "account_verification",
    ]
    again = await post(own, "reset-password", {"token": token, "new_password": NEW})
    assert again.error == (410, "INVALID_LINK")
    assert (await own.ask(None, "GET", "auth/me", headers=bearer(access))).status == 401
    assert await login(own, email, OLD) == 401
    assert await login(own, email, NEW) == 200


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("path", ["forgot-password", "verify-email/resend"])
async def test_answers_do_not_tell_whether_there_is_an_account(own: House, path: str) -> None:
    known, unknown = new_email(), new_email()
    await registered(own, known)
    answers = [await post(own, path, {"email": email}) for email in (known, unknown)]
    for one in answers:
        del one.envelope["data"]
    assert answers[0].envelope == answers[1].envelope
    assert [one.status for one in answers] == [200, 200]
    ignored = {"X-Request-ID", "Date"}
    heads = [{k: v for k, v in one.headers.items() if k not in ignored} for one in answers]
    assert heads[0] == heads[1]


async def test_verification_and_change_of_the_address_over_http(own: House, mails: Mails) -> None:
    email, other = new_email(), new_email()
    access = await registered(own, email)
    link = await token_to(own, mails, email, "verification")
    verified = await post(own, "verify-email", {"token": link})
    assert verified.data["email_verified"] is True
    assert (await post(own, "verify-email", {"token": link})).error == (410, "INVALID_LINK")
    wrong = await post(own, "change-email", {"email": other, "password": "wrong"}, access)
    assert wrong.error == (401, "INVALID_CREDENTIALS")
    asked = await post(own, "change-email", {"email": other, "password": OLD}, access)
    assert asked.data == {"accepted": True}
    link = await token_to(own, mails, other, "email_change")
    assert (await post(own, "verify-email", {"token": link})).data["email"] == other
    undo = await token_to(own, mails, email, "email_changed")
    assert (await post(own, "verify-email", {"token": undo})).data["email"] == email
    assert await login(own, email, OLD) == 401
    link = await token_to(own, mails, email, "password_reset")
    await post(own, "reset-password", {"token": link, "new_password": NEW})
    assert await login(own, email, NEW) == 200


async def test_change_of_the_password_over_http(own: House) -> None:
    email = new_email()
    access, elsewhere = await registered(own, email), await registered(own, new_email())
    other = await post(own, "login", {"email": email, "password": OLD})
    body = {"current_password": OLD, "new_password": NEW}
    assert (await post(own, "change-password", body)).error == (401, "UNAUTHENTICATED")
    assert (await post(own, "change-password", body, access)).data == {"ended": 1}
    for token, status in (
        (access, 200),
        (other.data["access_token"], 401),
        (elsewhere, 200),
    ):
        answer = await own.ask(None, "GET", "auth/me", headers=bearer(token))
        assert answer.status == status
