"""Exports over HTTP: asked for, followed as a job, mailed, downloaded."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from tests.e2e.api.house import PATIENCE_S, Clocks, House, open_house
from tests.support.waiting import look_again

PUBLIC_URL = "https://tickets.example"
DAY_S = 86_400


class Link(NamedTuple):
    """Where a link leads, and its token."""

    path: str
    headers: dict[str, str]


@pytest.fixture
async def own(database: str, tmp_path: Path, clocks: Clocks) -> AsyncIterator[House]:
    async with open_house(
        database, clocks=clocks, data_dir=tmp_path, public_url=PUBLIC_URL
    ) as house:
        await house.database.execute("update users set email_verified = true")
        yield house


async def made(house: House, folder: Path, person: str) -> Link:
    """The link to an export, which is waited for."""
    asked = await house.ask(person, "POST", "auth/me/export")
    assert asked.status == 202
    assert asked.headers["Location"] == f"/api/v1/jobs/{asked.data['id']}"
    # Documents are printed for it, and printing gives way to all else.
    async with asyncio.timeout(6 * PATIENCE_S):
        while (await house.ask(person, "GET", f"jobs/{asked.data['id']}")).data["status"] != "done":
            await look_again()
        address = f"{house.people[person]}@example.com"
        while True:
            mails = [
                message_from_bytes(path.read_bytes(), policy=policy.default)
                for path in (folder / "mailbox").glob("*.eml")
            ]
            for mail in mails:
                if mail["To"] == address:
                    text = mail.get_body(("plain",))
                    assert text is not None
                    page = f"{PUBLIC_URL}/exports/"
                    for url in [w for w in text.get_content().split() if w.startswith(page)]:
                        export_id, _, token = url.removeprefix(page).partition("#token=")
                        return Link(f"auth/exports/{export_id}", {"Link-Token": token})
            await look_again()


async def test_an_export_is_asked_for_mailed_and_downloaded(own: House, tmp_path: Path) -> None:
    await own.booked("ada", await own.showtime(), "A1")
    async with asyncio.timeout(PATIENCE_S):
        while not await own.database.fetchval("select count(*) from invoices"):
            await look_again()
    link = await made(own, tmp_path, "ada")
    async with own.client.get(link.path, headers=link.headers) as reply:
        assert reply.status == 200
        whole = await reply.read()
        headers = reply.headers
    assert headers["Content-Type"] == "application/zip"
    assert headers["Content-Disposition"].startswith('attachment; filename="cinema-20')
    assert headers["Cache-Control"] == "private, no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Robots-Tag"] == "noindex"
    assert int(headers["Content-Length"]) == len(whole)
    with zipfile.ZipFile(io.BytesIO(whole)) as zipped:
        profile = msgspec.json.decode(zipped.read("profile.json"))
        (invoice,) = msgspec.json.decode(zipped.read("invoices.json"))
        printed = zipped.read(f"invoices/{invoice['number']}-{invoice['id']}.pdf")
    assert profile["id"] == own.people["ada"]
    assert printed.startswith(b"%PDF")
    assert len(printed) > 5000
    async with own.client.head(link.path, headers=link.headers) as reply:
        assert (reply.status, await reply.read()) == (200, b"")
        assert int(reply.headers["Content-Length"]) == len(whole)


async def test_a_job_is_shown_to_its_owner_and_admins_alone(own: House) -> None:
    job = (await own.ask("ada", "POST", "auth/me/export")).data
    again = (await own.ask("ada", "POST", "auth/me/export")).data
    assert again["kind"] == "account_export"
    for person, status in {"ada": 200, "bob": 404, "manager": 404, "admin": 200}.items():
        assert (await own.ask(person, "GET", f"jobs/{job['id']}")).status == status


async def test_a_link_ends_after_seven_days(own: House, tmp_path: Path, clocks: Clocks) -> None:
    link = await made(own, tmp_path, "ada")
    clocks.ahead_s = 7 * DAY_S - 60
    async with own.client.get(link.path, headers=link.headers) as reply:
        assert reply.status == 200
    clocks.ahead_s = 7 * DAY_S + 60
    assert (await own.ask(None, "GET", link.path, headers=link.headers)).error == (
        410,
        "INVALID_LINK",
    )


async def test_without_a_proven_address_there_is_no_export(own: House) -> None:
    await own.database.execute("update users set email_verified = false")
    assert (await own.ask("ada", "POST", "auth/me/export")).error == (403, "FORBIDDEN")


async def test_too_many_exports_are_refused_with_the_time_to_wait(
    own: House, tmp_path: Path
) -> None:
    for _ in range(3):
        job = (await own.ask("ada", "POST", "auth/me/export")).data
        async with asyncio.timeout(PATIENCE_S):
            while (await own.ask("ada", "GET", f"jobs/{job['id']}")).data["status"] != "done":
                await look_again()
    refused = await own.ask("ada", "POST", "auth/me/export")
    assert refused.error == (429, "RATE_LIMITED")
    assert DAY_S - 60 < int(refused.headers["Retry-After"]) <= DAY_S
