"""What admins do with messages: see their outcome, and send one again."""

from __future__ import annotations

from uuid import UUID

from cinema.domain.paging import BY_MOMENT, Page, after, page
from cinema.domain.rejections import refuse
from cinema.domain.times import from_us, to_us
from cinema.features.messages.shapes import MessageQuery, SentMessage
from cinema.features.messages.store import MessagesRepository
from cinema.features.refusals import found, granted


class MessagesService:
    """Use cases of messages; each refuses with a code of `docs/errors.md`."""

    def __init__(self, messages: MessagesRepository) -> None:
        self._messages = messages

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
