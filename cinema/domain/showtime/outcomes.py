"""The outcomes that a decision can have besides an event or a refusal."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.domain.rejections import Rejection
from cinema.domain.showtime.events import AnyEvent, Recorded
from cinema.domain.showtime.records import ReplyRecord


class Nothing(msgspec.Struct, frozen=True):
    """The command asks for what already is: accepted, and nothing to record."""


class Replay(msgspec.Struct, frozen=True):
    """The command was carried out before under the same key; this is what it did."""

    record: ReplyRecord
    recorded: Recorded


class Recall(msgspec.Struct, frozen=True):
    """Whether `key` is known can only be said after a look into the archive."""

    key: bytes


class FindPlan(msgspec.Struct, frozen=True):
    """The command can only be decided with the plan of this version of a screen's layout.

    It fits what is sold by terms of `terms_version`, and by no others.
    """

    screen_id: bytes
    layout_version: int
    terms_version: int


Decision = AnyEvent | Rejection | Nothing | Replay | Recall | FindPlan

NOTHING: Final = Nothing()
NOT_FOUND: Final = Rejection(code="NOT_FOUND")
