"""aiohttp's inner code that our connections build on: an upgrade is read before it is trusted."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import http_parser
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest
from aiohttp.web_server import Server

READ: dict[Callable[..., Any], str] = {
    RequestHandler.__init__: "46c577d1f419158f",
    RequestHandler.connection_made: "44d50b5763b2c7e4",
    RequestHandler.connection_lost: "df2fe6e95fd04c7c",
    RequestHandler.data_received: "1ee57ebe052e6c80",
    RequestHandler.start: "2e565fd40c8e04fb",
    RequestHandler._handle_request: "a88a34ee65a2714c",
    RequestHandler.finish_response: "b7eb53db8f4b30ca",
    RequestHandler._process_keepalive: "b472e0fb8445ce42",
    RequestHandler._resume_reading_if_drained: "27f2a6fbbb3a790e",
    RequestHandler.close: "84518f965e198ee3",
    RequestHandler.force_close: "38d0e1e798e4d3b7",
    RequestHandler.shutdown: "5eb4bd473db61e84",
    RequestHandler.set_parser: "bb548eb2b85d5c28",
    BaseProtocol.pause_reading: "c35fb392028cd397",
    BaseProtocol.resume_reading: "21dee847a31af724",
    BaseProtocol.pause_writing: "e727e6c57a46116e",
    BaseProtocol.resume_writing: "7db135e0841e0425",
    BaseProtocol.connection_lost: "8b4e1725c5648b9c",
    StreamReader.feed_eof: "01592f4473c176b3",
    StreamReader._read_nowait_chunk: "672849652cf250d3",
    BaseRequest.__init__: "dae5bbed7d90f1dd",
    Server.connection_lost: "fff3ade6ffe866a8",
    Server.pre_shutdown: "e01318ac421ba9fe",
    Server.shutdown: "fc8f137a6c82728c",
}
"""What `connection.py` and `taskless_connection.py` of `http/connections` were written against."""


@pytest.mark.parametrize("code", READ, ids=lambda code: code.__qualname__)
def test_code_of_aiohttp_is_the_one_we_have_read(code: Callable[..., Any]) -> None:
    digest = hashlib.sha256(inspect.getsource(code).encode()).hexdigest()[:16]
    assert digest == READ[code], (
        f"aiohttp has changed {code.__qualname__}. Read it against taskless_connection.py and "
        f"connection.py, run tests/e2e/http, then note {digest} here."
    )


def test_parser_is_the_one_in_c() -> None:
    """What it drops behind an upgrade, `cinema/http/upgrades.py` finds; Python's drops nothing."""
    assert http_parser.HttpRequestParser is not http_parser.HttpRequestParserPy
