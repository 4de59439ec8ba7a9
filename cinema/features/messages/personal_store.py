"""What messages know of somebody, for the export and for erasure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import UUID

from cinema.domain.times import EPOCH
from cinema.features.messages.choice_store import ChoicesRepository
from cinema.features.personal import PAGE_ROWS, PersonalFile, json_list, json_object
from cinema.storage.database.transactions import Pool, connection

# What came to the address before the account may have been for somebody else.
_MESSAGES: Final = """
select message.id, message.kind, message.recipient as to, message.channel, message.language,
    message.status, message.created_at, message.ended_at
from users join messages message on message.recipient = users.email
where users.id = $1 and message.created_at >= users.created_at
    and (message.created_at, message.id) > ($2, $3)
order by message.created_at, message.id limit $4"""

_NOBODY: Final = UUID(int=0)


class MessageFacts:
    """Reads the messages to an account, a page at a time, and which it wants."""

    def __init__(self, pool: Pool, choices: ChoicesRepository) -> None:
        self._pool = pool
        self._choices = choices

    async def disclose(self, user_id: UUID) -> AsyncIterator[PersonalFile]:
        """Messages, as long as it is kept what became of them; what they said is not kept."""
        yield PersonalFile("mails.json", json_list(self._messages(user_id)))
        chosen = await self._choices.of_account(user_id)
        yield PersonalFile("mail_choices.json", json_object(chosen or {}))

    async def _messages(self, user_id: UUID) -> AsyncIterator[Sequence[Any]]:
        at, last_id = EPOCH, _NOBODY
        while True:
            async with connection(self._pool) as reading:
                rows = await reading.fetch(_MESSAGES, user_id, at, last_id, PAGE_ROWS)
            if not rows:
                return
            yield [dict(row) for row in rows]
            at, last_id = rows[-1]["created_at"], rows[-1]["id"]
