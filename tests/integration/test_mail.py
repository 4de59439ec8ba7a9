"""Handing mails on: to a real mail server in its moods, and into a folder."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from cinema.features.messages.letters import Letters
from cinema.features.messages.rules import KINDS
from cinema.integrations.mail import NotSent
from cinema.integrations.mail.mailbox import MailboxFolder
from cinema.integrations.mail.smtp import SmtpSender
from tests.support.mail_server import HOST, MailServer, mail_server


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as started:
        yield started


def mail(message_id: str = "one", to: str = "ada@example.com") -> EmailMessage:
    """Some mail."""
    kind = "account_verification"
    letters = Letters("Kino Süd <no-reply@example.com>")
    at = datetime(2026, 6, 1, tzinfo=UTC)
    return letters.write(kind, "de", KINDS[kind].example, to=to, message_id=message_id, at=at)


def sender(server: MailServer, timeout_s: float = 30.0) -> SmtpSender:
    """A way to the server."""
    return SmtpSender(scheme="smtp", host=HOST, port=server.port, timeout_s=timeout_s)


def names(folder: Path) -> list[str]:
    """What there is in a folder."""
    return sorted(one.name for one in folder.iterdir())


async def test_a_mail_arrives_as_it_was_written(server: MailServer) -> None:
    sent = mail()
    await sender(server).send(sent)
    (arrived,) = server.mails
    assert server.recipients == ["ada@example.com"]
    for name in ("From", "To", "Subject", "Message-ID", "Date", "Auto-Submitted"):
        assert arrived[name] == sent[name]
    text = arrived.get_body(("plain",))
    assert text is not None
    assert "Bitte bestätigen Sie" in text.get_content()


@pytest.mark.parametrize("command", ["rcpt", "data"])
@pytest.mark.parametrize(("answer", "for_good"), [("450 busy", False), ("550 nobody", True)])
async def test_a_refusal_is_for_good_or_for_now(
    server: MailServer, command: str, answer: str, for_good: bool
) -> None:
    async def refuse() -> str:
        return answer

    setattr(server, command, refuse)
    with pytest.raises(NotSent, match=answer) as refused:
        await sender(server).send(mail())
    assert refused.value.for_good is for_good
    assert server.mails == []


async def test_a_server_that_hangs_is_not_waited_for(server: MailServer) -> None:
    never = asyncio.Event()

    async def hang() -> str:
        await never.wait()
        return "250 late"

    server.data = hang
    with pytest.raises(NotSent) as refused:
        await sender(server, timeout_s=0.2).send(mail())
    never.set()
    assert not refused.value.for_good


async def test_a_connection_that_breaks_leaves_it_open_whether_the_mail_was_taken(
    server: MailServer,
) -> None:
    async def drop() -> str:
        server.drop()
        return "250 taken"

    server.data = drop
    with pytest.raises(NotSent) as refused:
        await sender(server).send(mail())
    assert not refused.value.for_good


async def test_a_server_that_is_away_is_for_now(server: MailServer) -> None:
    await server.stop()
    with pytest.raises(NotSent) as refused:
        await sender(server).send(mail())
    assert not refused.value.for_good


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
async def test_a_server_without_the_tls_that_is_asked_for_gets_nothing(
    server: MailServer, scheme: str
) -> None:
    way = SmtpSender(scheme=scheme, host=HOST, port=server.port, timeout_s=5.0)
    with pytest.raises(NotSent) as refused:
        await way.send(mail())
    assert not refused.value.for_good
    assert server.mails == []


async def test_without_a_server_mails_are_files_that_only_we_may_read(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "mailbox"
    mailbox = MailboxFolder(folder)
    for message_id in ("one", "two", "one"):
        await mailbox.send(mail(message_id))
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == ["one@example.com.eml", "two@example.com.eml"]
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o600]
    assert folder.stat().st_mode & 0o777 == 0o700
    read = message_from_bytes(files[0].read_bytes(), policy=policy.default)
    assert read["Subject"] == mail()["Subject"]


async def test_a_mailbox_that_cannot_be_written_is_for_now(tmp_path: Path) -> None:
    (tmp_path / "mailbox").write_text("a file")
    with pytest.raises(NotSent) as refused:
        await MailboxFolder(tmp_path / "mailbox").send(mail())
    assert not refused.value.for_good


async def test_no_message_id_leads_out_of_the_mailbox(tmp_path: Path) -> None:
    await MailboxFolder(tmp_path / "mailbox").send(mail(f"..{os.sep}..{os.sep}etc"))
    (file,) = (tmp_path / "mailbox").iterdir()
    assert file.parent == tmp_path / "mailbox"


async def test_the_oldest_mails_of_a_folder_go_when_there_are_too_many(tmp_path: Path) -> None:
    mailbox = MailboxFolder(tmp_path, kept=3)
    (tmp_path / "ours.txt").touch()
    left = tmp_path / "left.1.part"
    left.touch()
    os.utime(left, (1, 1))
    for number in range(3):
        await mailbox.send(mail(f"mail{number}"))
        os.utime(tmp_path / f"mail{number}@example.com.eml", (10 - number, 10 - number))
    assert not left.exists()
    # One that is sent again is a young one.
    await mailbox.send(mail("mail2"))
    await mailbox.send(mail("mail3"))
    assert names(tmp_path) == [
        "mail0@example.com.eml",
        "mail2@example.com.eml",
        "mail3@example.com.eml",
        "ours.txt",
    ]


async def test_mails_that_another_node_has_deleted_meanwhile_are_no_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = MailboxFolder(tmp_path, kept=1)
    await mailbox.send(mail("mail0"))
    scan = os.scandir

    @contextmanager
    def scan_and_delete(folder: Path) -> Iterator[list[os.DirEntry[str]]]:
        with scan(folder) as entries:
            found = list(entries)
        (tmp_path / "mail0@example.com.eml").unlink()
        yield found

    monkeypatch.setattr(os, "scandir", scan_and_delete)
    await mailbox.send(mail("mail1"))
    assert names(tmp_path) == ["mail1@example.com.eml"]
