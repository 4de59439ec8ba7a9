"""Pages of lists: one item more than asked for tells whether there is another page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from cinema.domain.cursors import decode_cursor, encode_cursor
from cinema.domain.rejections import refuse
from cinema.services.shapes import Page

T = TypeVar("T")
K = TypeVar("K")

BY_TEXT: Final = msgspec.json.Decoder(tuple[str, str])
BY_MOMENT: Final = msgspec.json.Decoder(tuple[int, str])


def page(found: Sequence[T], limit: int, key: Callable[[T], tuple[object, str]]) -> Page[T]:
    """The first `limit` of up to `limit + 1` items; `key` gives an item's sort key and id."""
    items = list(found[:limit])
    more = len(found) > limit
    return Page(items=items, next_cursor=encode_cursor(*key(items[-1])) if more else None)


def after(cursor: str | None, decoder: msgspec.json.Decoder[tuple[K, str]]) -> tuple[K, str] | None:
    """Where a page starts; refuses a cursor that is not ours."""
    if cursor is None:
        return None
    position = decode_cursor(cursor, decoder)
    if position is None:
        raise refuse("VALIDATION_ERROR", "This cursor is not one of ours.", path="$.cursor")
    return position
