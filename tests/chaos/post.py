"""A mail server that refuses, stalls, loses its answers and goes away while nodes are killed.

In the end each mail that a visitor of the doors is owed has arrived at least once, always as the
same message, and so has each that is said to be sent.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from email import message_from_bytes, policy
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, Envelope, Session

from cinema.storage.database.pool import AnyConnection
from tests.support.mail_server import MailServer

Mood = Literal["well", "refuses", "stalls", "loses its answers", "is away"]

MOODS: dict[Mood, tuple[float, float]] = {
    "well": (1.0, 3.0),
    "refuses": (0.5, 1.5),
    "stalls": (1.0, 3.0),
    "loses its answers": (0.3, 1.0),
    "is away": (0.5, 2.0),
}
"""How long it is in which mood, in seconds."""

SENT_TIMEOUT_S = 120.0
HASTEN_EVERY_S = 5.0
POLL_S = 0.1

# Receipts are for later: they are due five minutes after the booking.
_OPEN = """
select exists (select from outbox)
    or exists (
        select from booking_mail_mark mark join public_events e on e.position > mark.position
    )
    or exists (
        select from messages
        where status = 'waiting' and kind <> 'booking_receipt' and send_at <= now()
    )"""
# As if the time between two attempts, or that of a claim whose node was killed, had passed.
_HASTEN = """
update messages set next_try_at = now()
where status = 'waiting' and kind <> 'booking_receipt' and send_at <= now()"""
# Of the many who only make the load the mails that have not been sent by the end are not awaited:
# tickets are printed for each.
_DROP = """
update messages set drop_after = now()
where status = 'waiting' and coalesce(drop_after > now(), true)
    and not recipient like '%@example.org'"""
_OWED = """
select b.id::text as booking_id, b.code, m.id::text as message_id, m.status
from bookings b
join users u on u.id = b.user_id and u.role = 'customer' and u.email like '%@example.org'
left join messages m on m.dedupe_key = 'booking_confirmed:' || b.id
where b.status = 'confirmed'"""
_MESSAGES = "select id::text as id, status from messages where channel = 'mail'"


class Post(MailServer):
    """Keeps of each mail which one it is, and how often it came."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.mood: Mood = "well"
        self.moods: Counter[str] = Counter()
        self.times: Counter[str] = Counter()
        self.texts: dict[str, str] = {}
        self._draw = random.Random(seed)
        self._changed = asyncio.Event()
        self.data = self._answer

    @property
    def again(self) -> int:
        """How many mails came more than once."""
        return sum(times > 1 for times in self.times.values())

    async def _answer(self) -> str:
        if self.mood == "refuses":
            return "451 not now"
        while self.mood == "stalls":
            await self._changed.wait()
        return "250 taken"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """See `MailServer`; it may have taken a mail and not say so."""
        if self.mood == "loses its answers":
            self.keep(envelope)
            server.transport.abort()  # type: ignore[attr-defined]
            return "250 taken"
        return await super().handle_DATA(server, session, envelope)

    def keep(self, envelope: Envelope) -> None:
        """Take a mail, without its files."""
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=policy.default)
        message_id = str(mail["Message-ID"]).strip("<>").partition("@")[0]
        self.times[message_id] += 1
        body: Any = mail.get_body(("plain",))  # type: ignore[attr-defined]
        text = str(body.get_content())
        self.texts.setdefault(message_id, text)

    @asynccontextmanager
    async def moody(self) -> AsyncIterator[None]:
        """In changing moods for as long as the body runs, and well after it."""
        moods = asyncio.create_task(self._moods(), name="post")
        try:
            yield
        finally:
            moods.cancel()
            with suppress(asyncio.CancelledError):
                await moods
            await self._be("well")

    async def _moods(self) -> None:
        while True:
            for mood in self._draw.sample(list(MOODS), len(MOODS)):
                await self._be(mood)
                await asyncio.sleep(self._draw.uniform(*MOODS[mood]))

    async def _be(self, mood: Mood) -> None:
        was, self.mood = self.mood, mood
        self.moods[mood] += 1
        self._changed.set()
        self._changed = asyncio.Event()
        if mood == "is away":
            await self.stop()
        elif was == "is away":
            await self.start()

    # --- the check

    async def check(self, database: AnyConnection) -> list[str]:
        """What is wrong once all that is due was sent; empty when all is well."""
        try:
            async with asyncio.timeout(SENT_TIMEOUT_S):
                await self._all_sent(database)
        except TimeoutError:
            return ["post: there are mails that are not sent"]
        messages = {row["id"]: row["status"] for row in await database.fetch(_MESSAGES)}
        faults = [
            *(f"post: {one} was given up" for one, how in messages.items() if how == "dead"),
            *(
                f"post: {one} is said to be sent, and never came"
                for one, how in messages.items()
                if how == "sent" and not self.times[one]
            ),
            *(f"post: nobody wrote {one}" for one in self.times.keys() - messages.keys()),
        ]
        for row in await database.fetch(_OWED):
            text = self.texts.get(row["message_id"] or "", "")
            if row["code"] not in text:
                faults.append(f"post: this booking was not told: {dict(row)}, {text!r}")
        return faults

    async def _all_sent(self, database: AnyConnection) -> None:
        looks = 0
        while await database.fetchval(_OPEN):
            await database.execute(_DROP)
            if looks % round(HASTEN_EVERY_S / POLL_S) == 0:
                await database.execute(_HASTEN)
            looks += 1
            await asyncio.sleep(POLL_S)
