"""The mails of accounts, in the form in which they are handed to the sender."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec

from cinema.features.messages.store import MessagesRepository
from cinema.storage.database.transactions import PooledConnection

SESSION_REUSED: Final = "account_session_reused"
PASSWORD_RESET: Final = "account_password_reset"  # noqa: S105  (a kind of letter)
PASSWORD_CHANGED: Final = "account_password_changed"  # noqa: S105
VERIFICATION: Final = "account_verification"
EMAIL_CHANGE: Final = "account_email_change"
EMAIL_CHANGED: Final = "account_email_changed"
INVITATION: Final = "account_invitation"
SECOND_FACTOR_ON: Final = "account_second_factor_on"
SECOND_FACTOR_OFF: Final = "account_second_factor_off"
SECOND_FACTOR_REPLACED: Final = "account_second_factor_replaced"
SECOND_FACTOR_RESET: Final = "account_second_factor_reset"
RECOVERY_CODE_USED: Final = "account_recovery_code_used"
RECOVERY_CODES_RENEWED: Final = "account_recovery_codes_renewed"
CODE_USED_AGAIN: Final = "account_code_used_again"
EXPORT: Final = "account_export"
DELETION_SCHEDULED: Final = "account_deletion_scheduled"


class AccountLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one address; a second one with the same `dedupe` is not sent."""

    kind: str
    to: str
    language: str
    payload: Mapping[str, Any]
    dedupe: str


class Post(Protocol):
    """Takes a letter in the transaction of the change that it is about: both happen, or neither."""

    async def __call__(self, running: PooledConnection, letter: AccountLetter, /) -> None: ...


class MessagePost:
    """See `Post`: letters become messages; one with an expired link is not sent."""

    def __init__(self, messages: MessagesRepository) -> None:
        self._messages = messages

    async def __call__(self, running: PooledConnection, letter: AccountLetter, /) -> None:
        """Enqueue a letter."""
        await self._messages.enqueue(
            running,
            kind=letter.kind,
            to=letter.to,
            language=letter.language,
            payload=letter.payload,
            dedupe_key=letter.dedupe,
            drop_after=letter.payload.get("expires_at"),
        )


async def no_post(_running: PooledConnection, _letter: AccountLetter) -> None:
    """Sends nothing."""
