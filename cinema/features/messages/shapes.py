"""Messages as admins see them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.paging import PageQuery

MessageStatus = Literal["waiting", "sent", "dropped", "dead"]


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A mail to be enqueued; see `MessagesRepository.enqueue`."""

    kind: str
    to: str
    language: str
    payload: Mapping[str, Any]
    dedupe_key: str
    send_at: datetime | None = None
    drop_after: datetime | None = None


class SentMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message and its outcome; its content is not shown, since there are links in it."""

    id: UUID
    kind: str
    to: str
    channel: Channel
    language: str
    status: MessageStatus
    created_at: datetime
    attempts: int
    next_try_at: datetime | None
    ended_at: datetime | None
    last_error: str | None


class MessageQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which messages."""

    status: Annotated[
        MessageStatus,
        Meta(
            description="`dead`: given up; an admin can send it again. `waiting`: will be sent, "
            "maybe after failures. `dropped`: no longer useful when its turn came."
        ),
    ] = "dead"


OptionalKind = Literal[
    "booking_confirmed", "payment_due", "booking_reminder", "refund_sent", "waitlist_offer"
]
"""Kinds that somebody can do without (`OPTIONAL` in `rules.py`)."""

SmsKind = Literal["booking_reminder", "waitlist_offer"]
"""Kinds that come to the telephone too, if somebody asks for it (`BY_SMS` in `rules.py`)."""

Channel = Literal["mail", "sms"]

OptionalKinds = Annotated[list[OptionalKind], Meta(max_length=16)]


class MessageChoices(msgspec.Struct, frozen=True, kw_only=True):
    """Which mails somebody does not want, and what comes to the telephone too.

    `optional` and `by_sms` say what there is to choose; a server that sends no short messages has
    none for the second.
    """

    off: list[OptionalKind]
    sms: list[SmsKind]
    phone: str | None
    optional: list[OptionalKind]
    by_sms: list[SmsKind]


class OthersChoices(msgspec.Struct, frozen=True, kw_only=True):
    """What an account has turned off, and what comes to its telephone, as admins see it.

    The number is its owner's affair. `optional` is all that can be turned off.
    """

    off: list[OptionalKind]
    sms: list[SmsKind]
    optional: list[OptionalKind]


class ChoicesInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The mails that are not wanted, all others are; and what is wanted on which telephone."""

    off: OptionalKinds
    sms: Annotated[list[SmsKind], Meta(max_length=16)] = []
    phone: (
        Annotated[
            str,
            Meta(
                pattern=r"^\+[1-9][0-9]{6,14}$",
                description="With the code of the country, as `+4930123456` (E.164).",
                examples=["+4930123456"],
            ),
        ]
        | None
    ) = None


class OffQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The token of the link in a mail."""

    token: Annotated[str, Meta(min_length=1, max_length=512)]


class KindChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Whether mails of a kind go to an address."""

    kind: OptionalKind
    off: bool


class MessageKind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of mail, and whether people can turn it off."""

    kind: str
    optional: bool


class PreviewQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which mail, in which language."""

    kind: Annotated[str, Meta(min_length=1, max_length=64)]
    language: Literal["en", "de"] = "en"


class MessagePreview(msgspec.Struct, frozen=True, kw_only=True):
    """A mail as it would be sent, with made-up values."""

    kind: str
    language: str
    subject: str
    text: str
    html: str
