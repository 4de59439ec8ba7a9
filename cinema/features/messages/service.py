"""What admins do with messages: see their outcome, send one again, and look at each kind."""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Final
from uuid import UUID

from cinema.domain.paging import BY_MOMENT, Page, after, page
from cinema.domain.rejections import refuse
from cinema.domain.times import from_us, to_us
from cinema.features.messages.letters import Letters
from cinema.features.messages.rules import KINDS
from cinema.features.messages.shapes import (
    MessageKind,
    MessagePreview,
    MessageQuery,
    PreviewQuery,
    SentMessage,
)
from cinema.features.messages.store import MessagesRepository
from cinema.features.refusals import found, granted

PREVIEWED_TO: Final = "ada@example.com"


class MessagesService:
    """Use cases of messages; each refuses with a code of `docs/errors.md`."""

    def __init__(self, messages: MessagesRepository, letters: Letters) -> None:
        self._messages = messages
        self._letters = letters

    async def messages(self, query: MessageQuery) -> Page[SentMessage]:
        """Messages of one status, newest first."""
        position = granted(after(query.cursor, BY_MOMENT))
        rows = await self._messages.page_of(
            query.status,
            after=None if position is None else (from_us(position[0]), position[1]),
            limit=query.limit + 1,
        )
        return page(rows, query.limit, lambda one: (to_us(one.created_at), one.id))

    async def retry(self, message_id: UUID) -> SentMessage:
        """Send a dead message as if it were new."""
        if await self._messages.revive(message_id):
            return found(await self._messages.find(message_id))
        found(await self._messages.find(message_id))
        raise refuse("MESSAGE_NOT_DEAD")

    def kinds(self) -> list[MessageKind]:
        """All kinds of mails."""
        return [MessageKind(kind=one.name, optional=one.optional) for one in KINDS.values()]

    def preview(self, query: PreviewQuery) -> MessagePreview:
        """A mail of a kind as it would be sent, filled in with its example."""
        kind = found(KINDS.get(query.kind))
        mail = self._letters.write(
            kind.name,
            query.language,
            kind.example,
            to=PREVIEWED_TO,
            message_id="preview",
            at=datetime(2026, 6, 1, 17, 31, tzinfo=UTC),
        )
        return MessagePreview(
            kind=kind.name,
            language=query.language,
            subject=str(mail["Subject"]),
            text=_part(mail, "plain"),
            html=_part(mail, "html"),
        )


def _part(mail: EmailMessage, subtype: str) -> str:
    body = mail.get_body((subtype,))
    assert body is not None
    return str(body.get_content())
