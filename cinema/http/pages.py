"""Lists in the contract's form: items, and where the next page begins."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from cinema.domain.paging import Page
from cinema.http.responses import Reply, success

T = TypeVar("T")


class PageMeta(msgspec.Struct, frozen=True):
    """`next_cursor` is the `?cursor=` of the next page; null at the end."""

    next_cursor: str | None


def listed(page: Page[T]) -> Reply:
    """One page of a list."""
    return success(page.items, meta=PageMeta(page.next_cursor))
