"""Sending messages: a real Postgres, a real mail server, and time that tests move on."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from structlog.testing import capture_logs

from cinema.domain.rejections import refuse
from cinema.features.messages import jobs
from cinema.features.messages.choice_store import Choices, ChoicesRepository
from cinema.features.messages.jobs import (
    CLAIM_S,
    ENCLOSING_ATTEMPTS,
    MESSAGE_DIED,
    MESSAGE_NOT_SENT,
    PATIENT_AT_ONCE,
    Outgoing,
    PatientOutgoing,
)
from cinema.features.messages.letters import Enclosure, Letters
from cinema.features.messages.metrics import MessageCounts
from cinema.features.messages.off_links import address_digest
from cinema.features.messages.rules import ATTEMPTS_LIMIT, KINDS
from cinema.features.messages.store import DEAD_KEPT, KEPT, MessagesRepository, WaitingMessage
from cinema.integrations.mail.smtp import SmtpSender
from cinema.integrations.sms.http import HttpSms
from cinema.jobs.worker import AT_ONCE, Worker
from cinema.storage.database.transactions import transaction
from cinema.storage.encryption import Cipher
from tests.support.mail_server import HOST, MailServer, mail_server
from tests.support.receivers import receiver

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 6, 1, 17, 31, tzinfo=UTC)
KIND = "account_verification"

_serials = itertools.count(1)


class Office:
    """The queue of one database, a mail server, and any number of nodes that send."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], server: MailServer) -> None:
        self.pool = pool
        self.server = server
        self.now = NOW
        self.counts = MessageCounts()
        self.messages = self.keeping(b"k" * 32)
        self.choices = ChoicesRepository(pool, Cipher([b"k" * 32]))
        self.letters = Letters("no-reply@example.com")
        self.sender = SmtpSender(scheme="smtp", host=HOST, port=server.port, timeout_s=10.0)
        self.outgoing = self.node(self.messages)
        self.worker = Worker("messages", self.outgoing)
        self.receipts = Worker("receipts", PatientOutgoing(self.outgoing), PATIENT_AT_ONCE)

    def keeping(self, key: bytes, kind: type[MessagesRepository] = MessagesRepository) -> Any:
        """The messages, for whoever has this key."""
        return kind(
            self.pool,
            Cipher([key]),
            new_id=lambda: next(_serials).to_bytes(16, "big"),
            now=lambda: self.now,
            sends_sms=True,
        )

    def node(self, messages: MessagesRepository) -> Outgoing:
        """One more node that sends."""
        return Outgoing(
            messages,
            self.choices,
            self.letters,
            self.sender,
            self.counts,
            now=lambda: self.now,
            luck=lambda: 0.5,
        )

    async def enqueue(self, *keys: str, **message: Any) -> None:
        async with transaction(self.pool) as running:
            for key in keys or ("one",):
                kind = message.get("kind", KIND)
                given = {
                    "kind": kind,
                    "to": "ada@example.com",
                    "language": "en",
                    "payload": KINDS[kind].example,
                    **message,
                }
                await self.messages.enqueue(running, dedupe_key=key, **given)

    async def row(self, dedupe_key: str = "one") -> asyncpg.Record:
        row = await self.pool.fetchrow("select * from messages where dedupe_key = $1", dedupe_key)
        assert row is not None
        return row

    async def until_quiet(self) -> None:
        """Send all that is due."""
        while await self.worker.round() or await self.receipts.round():
            pass


@pytest.fixture
async def office(pool: asyncpg.Pool[asyncpg.Record]) -> AsyncIterator[Office]:
    async with mail_server() as server:
        yield Office(pool, server)


async def _busy() -> str:
    return "451 try again"


async def _nobody() -> str:
    return "550 <ada@example.com>: no such mailbox"


async def test_a_message_is_sent_once_and_what_it_said_is_gone(office: Office) -> None:
    await office.enqueue()
    await office.until_quiet()
    row = await office.row()
    assert (row["status"], row["ended_at"], row["body"], row["attempts"]) == ("sent", NOW, None, 1)
    (mail,) = office.server.mails
    assert mail["Message-ID"] == f"<{UUID(bytes=row['id'].bytes)}@example.com>"
    assert not await office.worker.round()
    assert office.counts.outcomes == {(KIND, "sent"): 1}


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_message_whose_reason_is_gone_is_dropped(office: Office, wanted: bool) -> None:
    asked: list[Any] = []

    async def still_wanted(payload: Any) -> bool:
        asked.append(payload)
        return wanted

    office.outgoing.ask_before(KIND, still_wanted)
    office.outgoing.ask_before("waitlist_offer", still_wanted)
    await office.enqueue()
    await office.until_quiet()
    assert asked == [dict(KINDS[KIND].example)]
    assert (await office.row())["status"] == ("sent" if wanted else "dropped")
    assert len(office.server.mails) == int(wanted)


async def test_mails_leave_by_another_server_once_that_is_set(office: Office) -> None:
    async with mail_server() as other:
        office.outgoing.send_by(SmtpSender(scheme="smtp", host=HOST, port=other.port))
        await office.enqueue()
        await office.until_quiet()
        assert (len(other.mails), len(office.server.mails)) == (1, 0)


async def test_a_mail_waits_for_its_files_and_at_last_goes_without_them(office: Office) -> None:
    asked: list[tuple[Any, str]] = []
    file = Enclosure("tickets.pdf", "application/pdf", b"%PDF")

    async def enclose(payload: Any, language: str) -> list[Enclosure]:
        asked.append((payload, language))
        if len(asked) == 2:
            return [file]
        raise refuse("OVERLOADED")

    office.outgoing.enclose(KIND, enclose)
    await office.enqueue("one")
    await office.until_quiet()
    assert office.server.mails == []
    assert (await office.row("one"))["last_error"] == "not now: OVERLOADED"
    office.now += timedelta(minutes=1)
    await office.until_quiet()
    (mail,) = office.server.mails
    (part,) = mail.iter_attachments()
    assert (part.get_filename(), part.get_content()) == ("tickets.pdf", b"%PDF")
    assert asked == [(KINDS[KIND].example, "en")] * 2
    await office.enqueue("two")
    for _ in range(ENCLOSING_ATTEMPTS + 1):
        await office.until_quiet()
        office.now += timedelta(hours=1)
    assert len(asked) == 2 + ENCLOSING_ATTEMPTS
    _, bare = office.server.mails
    assert list(bare.iter_attachments()) == []
    assert (await office.row("two"))["attempts"] == ENCLOSING_ATTEMPTS + 1


async def test_a_mail_that_is_nothing_without_its_files_waits_for_them(office: Office) -> None:
    async def enclose(_payload: Any, _language: str) -> list[Enclosure]:
        raise refuse("INVOICE_NOT_READY")

    office.outgoing.enclose("booking_receipt", enclose, never_without=True)
    await office.enqueue(kind="booking_receipt")
    for _ in range(ENCLOSING_ATTEMPTS + 2):
        await office.until_quiet()
        office.now += timedelta(hours=1)
    assert office.server.mails == []
    row = await office.row()
    assert (row["status"], row["attempts"]) == ("waiting", ENCLOSING_ATTEMPTS + 2)
    assert row["last_error"] == "not now: INVOICE_NOT_READY"
    office.now += timedelta(days=3)
    await office.until_quiet()
    assert (await office.row())["status"] == "dead"


async def test_receipts_are_in_nobodys_way(office: Office) -> None:
    printing, goes_on = asyncio.Event(), asyncio.Event()

    async def slow(_payload: Any, _language: str) -> list[Enclosure]:
        printing.set()
        await goes_on.wait()
        return []

    office.outgoing.enclose("booking_receipt", slow, never_without=True)
    await office.enqueue(*map(str, range(AT_ONCE + 1)), kind="booking_receipt")
    await office.enqueue("later")
    receipts = asyncio.ensure_future(office.receipts.round())
    async with asyncio.timeout(10):
        await printing.wait()
        await office.worker.round()
    assert (await office.row("later"))["status"] == "sent"
    goes_on.set()
    assert await receipts
    await office.until_quiet()
    assert len(office.server.mails) == AT_ONCE + 2


async def test_what_somebody_has_turned_off_is_not_sent_to_them(office: Office) -> None:
    digest = address_digest("Ada@Example.com")
    await office.enqueue("waits", kind="booking_reminder")
    # What is said while a mail waits counts.
    await office.choices.turn_off(digest, "booking_reminder", NOW)
    await office.enqueue("another kind", kind="payment_due")
    await office.enqueue("another person", kind="booking_reminder", to="bob@example.com")
    await office.until_quiet()
    assert (await office.row("waits"))["status"] == "dropped"
    assert len(office.server.mails) == 2
    await office.choices.turn_on(digest, "booking_reminder")
    await office.enqueue("again", kind="booking_reminder")
    await office.until_quiet()
    assert len(office.server.mails) == 3


async def test_what_everybody_has_to_be_told_cannot_be_turned_off(office: Office) -> None:
    for kind in ("booking_receipt", "showtime_cancelled", KIND):
        await office.choices.turn_off(address_digest("ada@example.com"), kind, NOW)
        await office.enqueue(kind, kind=kind)
    await office.until_quiet()
    assert len(office.server.mails) == 3


async def with_phone(office: Office, *kinds: str) -> None:
    """Let Ada have an account, and want these on her telephone too."""
    ada = UUID(int=11)
    await office.pool.execute(
        "insert into users (id, email, email_key, password_hash, created_at)"
        " values ($1, 'Ada@Example.com', 'ada@example.com', 'none', now())",
        ada,
    )
    chosen = Choices(off=[], sms=kinds, phone="+4930123456")
    assert await office.choices.choose(ada, chosen, NOW)


async def test_who_wants_it_gets_a_short_message_besides_the_mail(office: Office) -> None:
    await with_phone(office, "booking_reminder")
    await office.enqueue("other", kind="waitlist_offer")
    async with receiver() as provider:
        office.outgoing.send_short_by(HttpSms(provider.url, "secret"))
        await office.enqueue("one", kind="booking_reminder")
        await office.enqueue("one", kind="booking_reminder")
        await office.enqueue("bobs", kind="booking_reminder", to="bob@example.com")
        await office.until_quiet()
        (taken,) = provider.received
    row = await office.row("one:sms")
    assert taken.event == {
        "to": "+4930123456",
        "text": "Stalker: 2026-06-01 20:00, Kino Aurora, Saal 2. Seats: F7, F8. Booking: 7KXQ2MPA. "
        "https://tickets.example.com/bookings/019a0c1e",
        "id": str(row["id"]),
    }
    assert (row["status"], row["channel"], row["recipient"]) == (
        *("sent", "sms", "ada@example.com"),
    )
    assert len(office.server.mails) == 3
    assert office.counts.outcomes["booking_reminder_by_sms", "sent"] == 1


async def test_a_provider_that_is_down_does_not_keep_the_mail(office: Office) -> None:
    await with_phone(office, "booking_reminder")
    async with receiver() as provider:
        office.outgoing.send_short_by(HttpSms(provider.url, "secret"))
    await office.enqueue("one", kind="booking_reminder")
    await office.until_quiet()
    assert (await office.row("one"))["status"] == "sent"
    row = await office.row("one:sms")
    assert (row["status"], row["last_error"]) == ("waiting", "SMS: ClientConnectorError")
    assert row["next_try_at"] == NOW + timedelta(seconds=30)


async def test_a_short_message_that_nobody_wants_by_then_is_dropped(office: Office) -> None:
    await with_phone(office, "booking_reminder", "waitlist_offer")
    await office.enqueue("one", kind="booking_reminder")
    # No mail of a kind, and still a short message.
    await office.choices.turn_off(address_digest("ada@example.com"), "waitlist_offer", NOW)
    await office.enqueue("two", kind="waitlist_offer")
    chosen = Choices(off=["waitlist_offer"], sms=["waitlist_offer"], phone="+4930123456")
    await office.choices.choose(UUID(int=11), chosen, NOW)
    async with receiver() as provider:
        office.outgoing.send_short_by(HttpSms(provider.url, "secret"))
        await office.until_quiet()
        (taken,) = provider.received
    assert taken.event["text"].startswith("Seats for Stalker")
    assert (await office.row("one:sms"))["status"] == "dropped"
    assert (await office.row("two"))["status"] == "dropped"


async def test_without_a_way_to_send_them_short_messages_are_dropped(office: Office) -> None:
    await with_phone(office, "booking_reminder")
    await office.enqueue("one", kind="booking_reminder")
    await office.until_quiet()
    assert (await office.row("one:sms"))["status"] == "dropped"
    assert (await office.row("one"))["status"] == "sent"


async def test_more_than_go_at_once_are_all_sent(office: Office) -> None:
    await office.enqueue(*map(str, range(2 * AT_ONCE + 1)))
    await office.until_quiet()
    assert len({mail["Message-ID"] for mail in office.server.mails}) == 2 * AT_ONCE + 1


async def test_two_nodes_never_have_the_same_message(office: Office) -> None:
    await office.enqueue(*map(str, range(20)))
    nodes = [office.node(office.messages) for _ in range(4)]
    claims = await asyncio.gather(*(node.claim(5) for node in nodes))
    claimed = [message.id for claim in claims for message in claim]
    assert len(claimed) == len(set(claimed))
    # Whoever came while others had rows locked takes the rest now.
    while more := await nodes[0].claim(5):
        claimed += [message.id for message in more]
    assert len(claimed) == len(set(claimed)) == 20


async def test_an_attempt_of_which_nobody_heard_again_is_made_once_more_as_the_same_mail(
    office: Office,
) -> None:
    """As after `kill -9` between the mail server's answer and the note of it."""
    await office.enqueue()
    (message,) = await office.outgoing.claim(1)
    mail = office.letters.write(
        message.kind,
        message.language,
        office.messages.payload_of(message),
        to=message.to,
        message_id=str(message.id),
        at=NOW,
    )
    await office.sender.send(mail)
    assert not await office.worker.round()
    office.now += timedelta(seconds=CLAIM_S - 1)
    assert not await office.worker.round()
    office.now += timedelta(seconds=1)
    await office.until_quiet()
    office.now += timedelta(days=1)
    await office.until_quiet()
    first, second = office.server.mails
    assert first["Message-ID"] == second["Message-ID"]
    assert (await office.row())["attempts"] == 2


async def test_who_comes_back_late_notes_nothing_any_more(office: Office) -> None:
    await office.enqueue()
    (late,) = await office.outgoing.claim(1)
    office.now += timedelta(seconds=CLAIM_S)
    (second,) = await office.node(office.messages).claim(1)
    before = await office.row()
    await office.messages.put_off(late, NOW + timedelta(days=2), "late")
    await office.messages.end(late, "dead", NOW, "late")
    assert await office.row() == before
    await office.outgoing.work(second)
    assert (await office.row())["status"] == "sent"


async def test_a_mail_server_that_is_down_for_an_hour_costs_nothing_but_time(
    office: Office,
) -> None:
    await office.enqueue("one", "two")
    await office.server.stop()
    waits = []
    with capture_logs() as logs:
        while office.now < NOW + timedelta(hours=1):
            await office.until_quiet()
            due = (await office.row())["next_try_at"]
            waits.append(int((due - office.now).total_seconds()))
            office.now = due
    assert waits == [30, 60, 120, 240, 480, 960, 1920]
    assert {entry["event"] for entry in logs} == {MESSAGE_NOT_SENT}
    await office.server.start()
    await office.until_quiet()
    assert len(office.server.mails) == 2
    row = await office.row()
    assert (row["status"], row["attempts"]) == ("sent", 8)


async def test_what_the_server_refuses_for_now_is_tried_again(office: Office) -> None:
    await office.enqueue()
    office.server.rcpt = _busy
    await office.until_quiet()
    row = await office.row()
    assert (row["status"], row["last_error"]) == ("waiting", "451 try again")
    assert row["next_try_at"] == NOW + timedelta(seconds=30)
    assert office.counts.outcomes == {(KIND, "failed"): 1}


async def test_what_the_server_refuses_for_good_is_dead_until_somebody_has_it_sent(
    office: Office,
) -> None:
    await office.enqueue()
    office.server.rcpt = _nobody
    with capture_logs() as logs:
        await office.until_quiet()
    row = await office.row()
    assert (row["status"], row["last_error"]) == ("dead", "550 <ada@example.com>: no such mailbox")
    assert [entry["event"] for entry in logs] == [MESSAGE_DIED]
    assert "no such mailbox" in repr(logs)
    assert "ada" not in repr(logs)
    office.now += timedelta(days=30)
    await office.until_quiet()
    del office.server.rcpt
    office.server.rcpt = office.server.data
    assert await office.messages.revive(UUID(bytes=row["id"].bytes))
    await office.until_quiet()
    assert (await office.row())["status"] == "sent"
    assert len(office.server.mails) == 1


async def test_a_message_is_given_up_after_three_days(office: Office) -> None:
    later = NOW + timedelta(days=10)
    await office.enqueue(send_at=later)
    await office.until_quiet()
    assert (await office.row())["attempts"] == 0
    office.now = later
    office.server.data = _busy
    while (await office.row())["status"] == "waiting":
        await office.until_quiet()
        office.now = (await office.row())["next_try_at"]
    row = await office.row()
    assert row["status"] == "dead"
    assert timedelta(days=2, hours=18) < row["ended_at"] - later <= timedelta(days=3)


async def test_a_message_that_ends_its_sender_each_time_is_given_up(office: Office) -> None:
    await office.enqueue()
    for _ in range(ATTEMPTS_LIMIT):
        assert await office.outgoing.claim(1)
        office.now += timedelta(seconds=CLAIM_S)
    await office.until_quiet()
    assert (await office.row())["status"] == "dead"
    assert office.server.mails == []


async def test_a_message_whose_time_has_passed_is_dropped(office: Office) -> None:
    await office.enqueue(drop_after=NOW + timedelta(hours=1))
    office.now += timedelta(hours=1)
    await office.until_quiet()
    row = await office.row()
    assert (row["status"], row["body"]) == ("dropped", None)
    assert office.server.mails == []


async def test_a_message_that_no_key_opens_is_dead_and_keeps_no_other(office: Office) -> None:
    await office.enqueue("one")
    stranger = office.node(office.keeping(b"x" * 32))
    (message,) = await stranger.claim(1)
    await stranger.work(message)
    row = await office.row()
    assert row["status"] == "dead"
    assert "ENCRYPTION_KEYS" in row["last_error"]
    await office.enqueue("two")
    await office.until_quiet()
    assert (await office.row("two"))["status"] == "sent"


class _CannotRead(MessagesRepository):
    """Has a bug that one message meets."""

    def payload_of(self, message: WaitingMessage) -> dict[str, Any]:
        if message.to == "bug@example.com":
            raise ZeroDivisionError
        return super().payload_of(message)


async def test_a_bug_in_one_message_keeps_no_other(office: Office) -> None:
    await office.enqueue("one", "two")
    await office.pool.execute(
        "update messages set recipient = 'bug@example.com' where dedupe_key = 'one'"
    )
    office.worker = Worker("messages", office.node(office.keeping(b"k" * 32, _CannotRead)))
    with capture_logs() as logs:
        assert await office.worker.round()
    assert [entry["event"] for entry in logs] == ["queue_failed"]
    assert (await office.row("two"))["status"] == "sent"
    assert (await office.row("one"))["status"] == "waiting"


async def test_a_database_that_is_away_is_waited_for(office: Office) -> None:
    await office.pool.close()
    with capture_logs() as logs:
        assert not await office.worker.round()
    assert [entry["event"] for entry in logs] == ["queue_failed"]


async def test_what_waits_and_what_is_dead_is_told(office: Office) -> None:
    await office.enqueue("one", "two", "three")
    office.server.rcpt = _nobody
    (message,) = await office.outgoing.claim(1)
    await office.outgoing.work(message)
    office.now += jobs.LOOK_EVERY
    await office.outgoing.claim(0)
    assert (office.counts.waiting, office.counts.dead) == (2, 1)
    assert office.counts.late_s == jobs.LOOK_EVERY.total_seconds()
    names = {
        sample.name: sample.value for one in office.counts.families() for sample in one.samples
    }
    assert names["cinema_mails_dead"] == 1


async def test_what_became_of_messages_is_known_for_a_while(office: Office) -> None:
    await office.enqueue("one", "two")
    await office.until_quiet()
    await office.pool.execute("update messages set status = 'dead' where dedupe_key = 'two'")
    await office.enqueue("three")
    assert await office.messages.forget(NOW + KEPT, 10) == 0
    after = NOW + KEPT + timedelta(seconds=1)
    assert await office.messages.forget(after, 10) == 1
    assert await office.messages.forget(after, 10) == 0
    assert await office.messages.forget(NOW + DEAD_KEPT + timedelta(seconds=1), 10) == 1
    assert (await office.row("three"))["status"] == "waiting"
