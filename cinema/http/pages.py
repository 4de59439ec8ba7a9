"""Lists in the contract's form: items, and where the next page begins."""

from __future__ import annotations

from hashlib import blake2b
from typing import TypeVar

import msgspec
from aiohttp.web import BaseRequest

from cinema.domain.paging import Page
from cinema.http.conditional import tagged
from cinema.http.responses import JSON_SHARED, Reply, success, success_body

T = TypeVar("T")


class PageMeta(msgspec.Struct, frozen=True):
    """`next_cursor` is the `?cursor=` of the next page; null at the end."""

    next_cursor: str | None


def listed(page: Page[T]) -> Reply:
    """One page of a list."""
    return success(page.items, meta=PageMeta(page.next_cursor))


def shared_list(request: BaseRequest, page: Page[T]) -> Reply:
    """One page of a list that is the same for everybody, whoever asks."""
    return shared(request, success_body(page.items, meta=PageMeta(page.next_cursor)))


def shared(request: BaseRequest, body: bytes) -> Reply:
    """An answer that is the same for everybody, with a tag of its content."""
    tag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    return tagged(request, tag, body, JSON_SHARED)
