"""Finds what a client sent after a request for another protocol that we decline."""

from __future__ import annotations

import asyncio

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser

from cinema.http.limits import HEADER_LIMIT_BYTES, HEADERS_LIMIT, REQUEST_LINE_LIMIT_BYTES


def behind_upgrade(come: bytes, loop: asyncio.AbstractEventLoop) -> bytes:
    """The part of `come` after the first request in it that asks for an upgrade.

    The library's parser stops at such a request. Unless it asks for WebSocket, the parser drops
    what it has not read (`Upgrade: h2c`, as curl sends it). Another parser that believes the
    upgrade was accepted gives this part back. `come` must begin with a request and contain the
    whole request that asks; the caller has checked both.
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
