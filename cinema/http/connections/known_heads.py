"""Heads of requests that the parser has read before: the same bytes mean the same again.

A client sends the same header lines with each request. The parser makes some forty objects of
them, a seventh of the time of a hold. So what it made of them is kept, by their bytes, apart from
the request line and the key of an idempotent request, which are different each time.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from aiohttp import HttpVersion11
from multidict import CIMultiDict, CIMultiDictProxy

from cinema.http.connections.body import CONTENT_LENGTH, IDEMPOTENCY_KEY
from cinema.http.connections.request import KnownRequest, Serving
from cinema.http.limits import HEADERS_LIMIT

if TYPE_CHECKING:
    from aiohttp.http import RawRequestMessage
    from aiohttp.streams import StreamReader

BLOCKS_KEPT: Final = 4096
LINES_KEPT: Final = 4096
"""Kept blocks of header lines, most of which are a customer's, and request lines."""

BLOCK_LIMIT_BYTES: Final = 2048
"""A longer block is not kept: with what the parser made of it, it takes twice its length."""

LINE_LIMIT_BYTES: Final = 256
"""A longer request line is left to the parser."""

_END: Final = b"\r\n\r\n"

_KEY_LINE: Final = re.compile(
    rb"\r\n[Ii]dempotency-[Kk]ey: ([!-~](?:[ -~]{0,126}[!-~])?)(?=\r\n|$)"
)

_PLAIN_LINE: Final = re.compile(rb"(GET|POST|PATCH|DELETE) ((?:/[\w-]+)+) HTTP/1\.1")
"""A request line without anything that a parser would have to interpret."""


class _Block(NamedTuple):
    """What a block of header lines means."""

    headers: CIMultiDictProxy[str]
    body_bytes: int


class KnownHeads:
    """Remembers heads, and recognises requests that begin with them.

    All of it is for requests that are whole: they come alone and complete, to a parser that is
    between two requests (`is_whole`).
    """

    __slots__ = ("_blocks", "_lines")

    def __init__(self) -> None:
        self._blocks: dict[bytes, _Block] = {}
        self._lines: dict[bytes, tuple[str, str]] = {}

    def __len__(self) -> int:
        return len(self._blocks)

    def request(self, data: bytes, connection: Serving) -> KnownRequest | None:
        """The request that `data` is, if the parser is certain to read just this in it."""
        # The last one is found sooner, and no block that is known has one within.
        end = data.rfind(_END)
        if end < 0:
            return None
        line_end = data.find(b"\r\n")
        head = data[line_end:end]
        block = self._blocks.get(head)
        headers = None
        if block is None:
            cut = _KEY_LINE.search(head)
            if cut is None:
                return None
            block = self._blocks.get(head[: cut.start()] + head[cut.end() :])
            if block is None:
                return None
            own = CIMultiDict(block.headers)
            own[IDEMPOTENCY_KEY] = cut[1].decode()
            headers = CIMultiDictProxy(own)
        body_at = end + 4
        if len(data) != body_at + block.body_bytes:
            return None
        line = data[:line_end]
        target = self._lines.get(line) or self._plain_target(line)
        if target is None:
            return None
        return KnownRequest(target, headers or block.headers, data[body_at:], connection)

    def learn(self, data: bytes, message: RawRequestMessage) -> None:
        """Keep the head of a whole request, which the parser has read as `message`."""
        line_end = data.find(b"\r\n")
        head = data[line_end : data.find(_END)]
        headers = message.headers
        if (
            len(head) > BLOCK_LIMIT_BYTES
            or message.version != HttpVersion11
            or message.should_close
            or len(headers) >= HEADERS_LIMIT
            or self._plain_target(data[:line_end]) != (message.method, message.path)
        ):
            return
        if IDEMPOTENCY_KEY in headers:
            cut = _KEY_LINE.search(head)
            if cut is None or len(headers.getall(IDEMPOTENCY_KEY)) > 1:
                return
            head = head[: cut.start()] + head[cut.end() :]
            others = CIMultiDict(headers)
            del others[IDEMPOTENCY_KEY]
            headers = CIMultiDictProxy(others)
        if len(self._blocks) >= BLOCKS_KEPT:
            self._blocks.clear()
        self._blocks[head] = _Block(headers, int(headers.get(CONTENT_LENGTH, "0")))

    def _plain_target(self, line: bytes) -> tuple[str, str] | None:
        """Method and path of a request line that is not known yet."""
        plain = _PLAIN_LINE.fullmatch(line) if len(line) <= LINE_LIMIT_BYTES else None
        if plain is None:
            return None
        if len(self._lines) >= LINES_KEPT:
            self._lines.clear()
        target = self._lines[line] = plain[1].decode(), plain[2].decode()
        return target


def is_whole(data: bytes, message: RawRequestMessage, payload: StreamReader) -> bool:
    """Whether `data` is exactly the request that a parser has just read, if that was at its start.

    Then the parser is at the start of a request again.
    """
    end = data.find(_END)
    return (
        end > 0
        and payload.is_eof()
        and not message.upgrade
        and not message.chunked
        and len(data) == end + 4 + int(message.headers.get(CONTENT_LENGTH, "0"))
    )
