"""Pages of lists: reading one item more than requested shows whether there is another page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Final, Generic, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.cursors import decode_cursor, encode_cursor
from cinema.domain.limits_catalog import CURSOR_CHARS, PAGE_DEFAULT, PAGE_LIMIT
from cinema.domain.rejections import Rejection

T = TypeVar("T")
K = TypeVar("K")

NOT_OURS: Final = Rejection(
    code="VALIDATION_ERROR",
    message="This cursor is not valid.",
    details={"path": "$.cursor"},
)

BY_TEXT: Final = msgspec.json.Decoder(tuple[str, UUID])

LATEST_US: Final = 253_402_300_799_999_999
"""The end of the year 9999, the latest possible time."""

BY_NUMBER: Final = msgspec.json.Decoder(tuple[int, UUID])
BY_MOMENT: Final = msgspec.json.Decoder(tuple[Annotated[int, Meta(ge=0, le=LATEST_US)], UUID])


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Part of a list; `next_cursor` is None at its end."""

    items: list[T]
    next_cursor: str | None


Limit = Annotated[int, Meta(ge=1, le=PAGE_LIMIT)]
Cursor = Annotated[str, Meta(max_length=CURSOR_CHARS)]


class PageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of a list."""

    limit: Limit = PAGE_DEFAULT
    cursor: Cursor | None = None


def page(found: Sequence[T], limit: int, key: Callable[[T], tuple[object, UUID]]) -> Page[T]:
    """The first `limit` of up to `limit + 1` items; `key` gives an item's sort key and id."""
    items = list(found[:limit])
    more = len(found) > limit
    return Page(items=items, next_cursor=encode_cursor(*key(items[-1])) if more else None)


def after(
    cursor: str | None, decoder: msgspec.json.Decoder[tuple[K, UUID]]
) -> tuple[K, UUID] | Rejection | None:
    """Where a page starts; refuses a cursor that this server did not make."""
    if cursor is None:
        return None
    return decode_cursor(cursor, decoder) or NOT_OURS
