"""Sends messages: claimed for two minutes, at least once, tried again for three days.

Bounds: `CLAIM_S` below; backoff, jitter and when a message is dead in `rules.py`; eight at once on
each node (`cinema/jobs/worker.py`), of receipts `PATIENT_AT_ONCE`, in a queue of their own.
Telemetry: the log events below, the metrics of `metrics.py`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog

from cinema.domain.rejections import Refused
from cinema.features.messages.choice_store import ChoicesRepository
from cinema.features.messages.letters import CannotWrite, Enclosure, Letters
from cinema.features.messages.metrics import MessageCounts
from cinema.features.messages.off_links import address_digest
from cinema.features.messages.rules import ATTEMPTS_LIMIT, DEAD_AFTER, OPTIONAL, backoff_s
from cinema.features.messages.shapes import MessageStatus
from cinema.features.messages.store import MessagesRepository, WaitingMessage
from cinema.integrations.mail import MailSender, NotSent
from cinema.integrations.sms import SmsSender
from cinema.storage.encryption import CannotOpen
from cinema.telemetry.logging import LogLimit

MESSAGE_NOT_SENT: Final = "message_not_sent"
MESSAGE_DIED: Final = "message_died"

StillWanted = Callable[[Mapping[str, Any]], Awaitable[bool]]
"""Whether what a message of some kind tells is still so, from the values for its templates."""

_ADDRESS: Final = re.compile(r"\S+@\S+")

CLAIM_S: Final = 120.0
"""How long a claimed message belongs to one worker: four times the timeout for a mail server. After
that its process must have died, and another worker sends the message again."""

PATIENT_AT_ONCE: Final = 1
"""Receipts that a node prints and sends at a time: a processor is for the seats."""

LOOK_EVERY: Final = timedelta(seconds=15)
"""Time between two looks at how much waits, as often as metrics are scraped."""

Enclose = Callable[[Mapping[str, Any], str], Awaitable[Sequence[Enclosure]]]
"""Makes the files that come with a mail, from its payload and its language; may refuse OVERLOADED
and RETRY."""

ENCLOSING_ATTEMPTS: Final = 4
"""After so many attempts, some minutes, most mails are sent without their files: they are about
more."""

log = structlog.get_logger(__name__)


class Outgoing:
    """The queue of messages that are due, for a `Worker`."""

    def __init__(
        self,
        messages: MessagesRepository,
        choices: ChoicesRepository,
        letters: Letters,
        sender: MailSender,
        counts: MessageCounts,
        *,
        now: Callable[[], datetime],
        luck: Callable[[], float] = random.random,
    ) -> None:
        self._messages = messages
        self._choices = choices
        self._letters = letters
        self._sender = sender
        self._counts = counts
        self._now = now
        self._luck = luck
        self._look_at = now()
        self._still_wanted: dict[str, StillWanted] = {}
        self._failures = LogLimit()
        self._deaths = LogLimit()
        self._enclosures: dict[str, Enclose] = {}
        self._sms: SmsSender | None = None
        self._never_without: set[str] = set()

    def enclose(self, kind: str, enclose: Enclose, *, never_without: bool = False) -> None:
        """Have files with the mails of a kind from now on; with `never_without` it waits for them.

        Any other mail is sent without them after `ENCLOSING_ATTEMPTS`.
        """
        self._enclosures[kind] = enclose
        if never_without:
            self._never_without.add(kind)

    def ask_before(self, kind: str, still_wanted: StillWanted) -> None:
        """Ask this before each message of a kind is sent; one that is not wanted is dropped."""
        self._still_wanted[kind] = still_wanted

    def send_by(self, sender: MailSender) -> None:
        """Hand mails on in another way from now on."""
        self._sender = sender

    def send_short_by(self, sender: SmsSender) -> None:
        """Hand short messages on in this way; without one they are dropped."""
        self._sms = sender

    async def claim(self, limit: int) -> Sequence[WaitingMessage]:
        """Claim messages that are due, oldest first; no other worker gets them for a while."""
        now = self._now()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            self._counts.note(await self._messages.state(), now)
        return await self._messages.claim(now, now + timedelta(seconds=CLAIM_S), limit)

    async def claim_patient(self, limit: int) -> Sequence[WaitingMessage]:
        """The same for messages that nobody waits for."""
        now = self._now()
        until = now + timedelta(seconds=CLAIM_S)
        return await self._messages.claim(now, until, limit, patient=True)

    async def work(self, message: WaitingMessage) -> None:
        """Send one message, and note the outcome."""
        if message.drop_after is not None and message.drop_after <= self._now():
            await self._end(message, "dropped")
            return
        if message.attempts > ATTEMPTS_LIMIT:
            await self._end(message, "dead", "nobody came to the end of an attempt")
            return
        try:
            send = await self._ready(message)
        except (CannotOpen, CannotWrite, UnicodeError) as error:
            await self._end(message, "dead", f"cannot be written: {error}")
            return
        except Refused as refused:
            await self._not_sent(message, NotSent(f"not now: {refused.rejection.code}"))
            return
        if send is None:
            await self._end(message, "dropped")
            return
        try:
            await send()
        except NotSent as error:
            await self._not_sent(message, error)
            return
        await self._end(message, "sent")

    async def _ready(self, message: WaitingMessage) -> Callable[[], Awaitable[None]] | None:
        """What sends a message; None if nobody wants it any more.

        Raises `CannotOpen`, `CannotWrite`, `UnicodeError`. Refuses what may be tried again.
        """
        payload = self._messages.payload_of(message)
        still_wanted = self._still_wanted.get(message.kind)
        if still_wanted is not None and not await still_wanted(payload):
            return None
        if message.channel == "sms":
            number = await self._choices.number_of(message.to, message.kind)
            if number is None or self._sms is None:
                return None
            text = self._letters.short(message.kind, message.language, payload)
            return partial(self._sms.send, number, text, str(message.id))
        if await self._is_off(message):
            return None
        letter = self._letters.write(
            message.kind,
            message.language,
            payload,
            to=message.to,
            message_id=str(message.id),
            at=self._now(),
            enclosed=await self._enclosed(message, payload),
        )
        return partial(self._sender.send, letter)

    async def _is_off(self, message: WaitingMessage) -> bool:
        """Whether its recipient wants none of this kind, also if they have said so since."""
        if message.kind not in OPTIONAL:
            return False
        return await self._choices.is_off(address_digest(message.to), message.kind)

    async def _enclosed(
        self, message: WaitingMessage, payload: Mapping[str, Any]
    ) -> Sequence[Enclosure]:
        """The files of a mail; for most none after too many attempts to make them."""
        enclose = self._enclosures.get(message.kind)
        if enclose is None:
            return ()
        if message.attempts > ENCLOSING_ATTEMPTS and message.kind not in self._never_without:
            return ()
        return await enclose(payload, message.language)

    async def _not_sent(self, message: WaitingMessage, error: NotSent) -> None:
        now, reason = self._now(), str(error)
        wait = timedelta(seconds=backoff_s(message.attempts, self._luck()))
        if error.for_good or now + wait - message.send_at > DEAD_AFTER:
            await self._end(message, "dead", reason)
            return
        self._counts.count(_counted(message), "failed")
        self._failures.write(
            log.warning,
            MESSAGE_NOT_SENT,
            message=str(message.id),
            kind=message.kind,
            attempts=message.attempts,
            reason=_without_addresses(reason),
        )
        await self._messages.put_off(message, now + wait, reason)

    async def _end(
        self, message: WaitingMessage, status: MessageStatus, reason: str | None = None
    ) -> None:
        self._counts.count(_counted(message), status)
        if status == "dead":
            self._deaths.write(
                log.warning,
                MESSAGE_DIED,
                message=str(message.id),
                kind=message.kind,
                reason=_without_addresses(reason or ""),
            )
        await self._messages.end(message, status, self._now(), reason)


class PatientOutgoing:
    """The queue of messages that nobody waits for, for a `Worker`."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing

    async def claim(self, limit: int) -> Sequence[WaitingMessage]:
        """Claim messages that are due, oldest first; no other worker gets them for a while."""
        return await self._outgoing.claim_patient(limit)

    async def work(self, message: WaitingMessage) -> None:
        """Send one message, and note the outcome."""
        await self._outgoing.work(message)


def _counted(message: WaitingMessage) -> str:
    """The kind as metrics name it: those by telephone have a name of their own."""
    return message.kind if message.channel == "mail" else f"{message.kind}_by_{message.channel}"


def _without_addresses(reason: str) -> str:
    """The error for the log without the address, because mail servers repeat the address."""
    return _ADDRESS.sub("…", reason)
