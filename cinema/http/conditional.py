"""Conditional requests: whether the client already has the current version (RFC 9110, 13)."""

from __future__ import annotations

import re
from typing import Final

from aiohttp.web import BaseRequest
from multidict import istr

from cinema.http.responses import JSON_REVALIDATED, Medium, Reply, header_lines

IF_MATCH: Final = istr("If-Match")
IF_NONE_MATCH: Final = istr("If-None-Match")

_VERSION_TAG: Final = re.compile(r'"(0|[1-9]\d{0,17})(?:;[0-9.;]{1,40})?"')


def has_seen(request: BaseRequest, tag: str) -> bool:
    """Whether `If-None-Match` names `tag` (with its quotes), weakly compared."""
    header: str | None = request.headers.get(IF_NONE_MATCH)
    if header is None:
        return False
    if header == tag or header.strip() == "*":
        return True
    return any(part.strip().removeprefix("W/") == tag for part in header.split(","))


def versions_seen(request: BaseRequest) -> frozenset[int] | None:
    """The versions whose tags (`"3"`) are in `If-Match`; None without the header, and for `*`.

    An update needs the version that its sender has seen, whatever else the tag says
    (`version_tag`). Tags are compared strongly, so weak ones and those of another form match no
    version.
    """
    headers = request.headers.getall(IF_MATCH, None)
    if headers is None:
        return None
    tags = [tag.strip() for tag in ",".join(headers).split(",")]
    if "*" in tags:
        return None
    return frozenset(int(found[1]) for tag in tags if (found := _VERSION_TAG.fullmatch(tag)))


def version_tag(version: int, *beside: float) -> str:
    """The tag of a row's version, as `ETag` shows it.

    `beside` is what an answer shows that changes without another version: a client that has the
    answer has to see another tag then, and one that changes the row need not have seen it.
    """
    return f'"{";".join(map(str, (version, *beside)))}"'


def tagged(request: BaseRequest, tag: str, body: bytes, medium: Medium = JSON_REVALIDATED) -> Reply:
    """`body` with its tag as `ETag`, or 304 to a client that has it."""
    extra = header_lines(etag=tag)
    if has_seen(request, tag):
        return Reply(304, extra=extra, medium=medium)
    return Reply(200, body, extra, medium)
