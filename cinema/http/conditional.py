"""Conditional requests: whether the client has already what it asks for (RFC 9110, 13)."""

from __future__ import annotations

from typing import Final

from aiohttp.web import BaseRequest
from multidict import istr

from cinema.http.responses import JSON_REVALIDATED, Medium, Reply, header_lines

IF_NONE_MATCH: Final = istr("If-None-Match")


def has_seen(request: BaseRequest, tag: str) -> bool:
    """Whether `If-None-Match` names `tag` (with its quotes), weakly compared."""
    header: str | None = request.headers.get(IF_NONE_MATCH)
    if header is None:
        return False
    if header == tag or header.strip() == "*":
        return True
    return any(part.strip().removeprefix("W/") == tag for part in header.split(","))


def tagged(request: BaseRequest, tag: str, body: bytes, medium: Medium = JSON_REVALIDATED) -> Reply:
    """`body` with its tag as `ETag`, or 304 to a client that has it."""
    extra = header_lines(etag=tag)
    if has_seen(request, tag):
        return Reply(304, extra=extra, medium=medium)
    return Reply(200, body, extra, medium)
