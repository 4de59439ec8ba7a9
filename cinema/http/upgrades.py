"""What a client sent after a request for another protocol that we decline."""

from __future__ import annotations

import asyncio

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser

from cinema.http.limits import HEADER_LIMIT_BYTES, HEADERS_LIMIT, REQUEST_LINE_LIMIT_BYTES


def behind_upgrade(come: bytes, loop: asyncio.AbstractEventLoop) -> bytes:
    """The end of `come`, behind the first request in it that asks for an upgrade.

    The library's parser stops at such a request. Unless it is for WebSocket it drops what it has
    not read (`Upgrade: h2c`, as curl sends it). Another parser, told before that an upgrade has
    been agreed on, gives it back. `come` must begin with a request and hold all of the one that
    asks; whoever calls this has seen both.
    """
    parser = HttpRequestParser(
        BaseProtocol(loop),
        loop,
        # Larger than any body in it: nothing must pause this parser.
        len(come) + 1,
        max_line_size=REQUEST_LINE_LIMIT_BYTES,
        max_field_size=HEADER_LIMIT_BYTES,
        max_headers=HEADERS_LIMIT,
        auto_decompress=False,
    )
    parser.set_upgraded(True)
    _, _, rest = parser.feed_data(come)
    return bytes(rest)
