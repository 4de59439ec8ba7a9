"""Messages on a real Postgres: written with what they are about, and what admins see of them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from cinema.domain.paging import PAGE_LIMIT
from cinema.domain.rejections import Refused
from cinema.features.messages.letters import Letters
from cinema.features.messages.rules import KINDS, LANGUAGES
from cinema.features.messages.service import MessagesService
from cinema.features.messages.shapes import MessageQuery, PreviewQuery
from cinema.features.messages.store import PAYLOAD_LIMIT_BYTES, MessagesRepository
from cinema.storage.database.transactions import transaction
from cinema.storage.encryption import Cipher

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 6, 1, 17, 31, tzinfo=UTC)
CIPHER = Cipher([b"k" * 32])
LINK = "https://tickets.example.com/links/secret"

_serials = itertools.count(1)


class Desk:
    """Messages at a moment that tests move on."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self.pool = pool
        self.now = NOW
        self.messages = MessagesRepository(
            pool, CIPHER, new_id=lambda: next(_serials).to_bytes(16, "big"), now=lambda: self.now
        )
        self.service = MessagesService(self.messages, Letters("no-reply@example.com"))

    async def enqueue(
        self, dedupe_key: str = "one", *, after: Callable[[], Any] = bool, **message: Any
    ) -> bool:
        given: dict[str, Any] = {
            "kind": "account_verification",
            "to": "ada@example.com",
            "language": "de-AT,de;q=0.9",
            "payload": {"first_name": "Ada", "url": LINK, "expires_at": NOW},
            **message,
        }
        async with transaction(self.pool) as running:
            written = await self.messages.enqueue(running, dedupe_key=dedupe_key, **given)
            after()
            return written

    async def rows(self) -> list[asyncpg.Record]:
        return await self.pool.fetch("select * from messages order by id")

    async def kill(self, *dedupe_keys: str) -> None:
        await self.pool.execute(
            "update messages set status = 'dead', ended_at = $1, last_error = '550 no', "
            "attempts = 3 where dedupe_key = any($2)",
            self.now,
            list(dedupe_keys),
        )


@pytest.fixture
def desk(pool: asyncpg.Pool[asyncpg.Record]) -> Desk:
    return Desk(pool)


async def test_a_message_is_there_if_its_transaction_is(desk: Desk) -> None:
    with pytest.raises(ZeroDivisionError):
        await desk.enqueue(after=lambda: 1 // 0)
    assert await desk.rows() == []
    assert await desk.enqueue()
    (row,) = await desk.rows()
    assert (row["kind"], row["recipient"], row["language"], row["status"]) == (
        "account_verification",
        "ada@example.com",
        "de",
        "waiting",
    )
    assert row["created_at"] == row["send_at"] == row["next_try_at"] == NOW


async def test_what_a_message_says_is_sealed_for_its_row(desk: Desk) -> None:
    await desk.enqueue()
    (row,) = await desk.rows()
    assert b"links" not in row["body"]
    plain = CIPHER.open(row["body"], place=b"messages.body:" + row["id"].bytes)
    assert LINK.encode() in plain


async def test_two_messages_of_one_key_are_one(desk: Desk) -> None:
    answers = await asyncio.gather(*(desk.enqueue() for _ in range(5)))
    assert sorted(answers) == [False] * 4 + [True]
    assert await desk.enqueue("two")
    assert len(await desk.rows()) == 2


async def test_a_message_may_wait_for_its_time(desk: Desk) -> None:
    later = NOW + timedelta(hours=3)
    await desk.enqueue(send_at=later, drop_after=later + timedelta(minutes=5))
    (row,) = await desk.rows()
    assert row["created_at"] == NOW
    assert row["send_at"] == row["next_try_at"] == later


@pytest.mark.parametrize(
    "message",
    [{"kind": "nonsense"}, {"payload": {"first_name": "x" * PAYLOAD_LIMIT_BYTES}}],
)
async def test_a_message_that_cannot_be_written_is_a_bug_of_its_sender(
    desk: Desk, message: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"kind|payload"):
        await desk.enqueue(**message)
    assert await desk.rows() == []


async def test_admins_page_through_messages_of_a_status_newest_first(desk: Desk) -> None:
    for number in range(5):
        await desk.enqueue(str(number))
        desk.now += timedelta(minutes=number % 2)
    await desk.kill("0", "2", "3", "4")
    seen, cursor = [], None
    while True:
        page = await desk.service.messages(MessageQuery(limit=3, cursor=cursor))
        seen += [int(one.id) for one in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    ids = [int(UUID(bytes=row["id"].bytes)) for row in await desk.rows()]
    assert seen == [ids[4], ids[3], ids[2], ids[0]]
    waiting = await desk.service.messages(MessageQuery(status="waiting", limit=PAGE_LIMIT))
    assert [int(one.id) for one in waiting.items] == [ids[1]]
    assert "secret" not in repr(waiting)


async def test_a_dead_message_is_due_again_once_an_admin_says_so(desk: Desk) -> None:
    await desk.enqueue()
    (row,) = await desk.rows()
    message_id = UUID(bytes=row["id"].bytes)
    with pytest.raises(Refused) as refused:
        await desk.service.retry(message_id)
    assert refused.value.rejection.code == "MESSAGE_NOT_DEAD"
    await desk.kill("one")
    desk.now += timedelta(days=10)
    shown = await desk.service.retry(message_id)
    assert (shown.status, shown.attempts, shown.last_error) == ("waiting", 0, None)
    assert shown.next_try_at == desk.now
    (row,) = await desk.rows()
    assert row["send_at"] == desk.now
    with pytest.raises(Refused) as refused:
        await desk.service.retry(UUID(int=10**30))
    assert refused.value.rejection.code == "NOT_FOUND"


def test_admins_can_look_at_each_kind_in_each_language(desk: Desk) -> None:
    kinds = desk.service.kinds()
    assert [one.kind for one in kinds] == list(KINDS)
    for kind in kinds:
        for language in LANGUAGES:
            query = PreviewQuery(kind=kind.kind, language=language)  # type: ignore[arg-type]
            shown = desk.service.preview(query)
            assert shown.subject
            assert shown.text
            assert f'<html lang="{language}">' in shown.html
    with pytest.raises(Refused) as refused:
        desk.service.preview(PreviewQuery(kind="nonsense"))
    assert refused.value.rejection.code == "NOT_FOUND"
