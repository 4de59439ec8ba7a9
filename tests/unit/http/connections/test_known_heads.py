"""Known heads: what passes the parser by is what the parser would have read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest
from aiohttp import HttpVersion11
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser
from hypothesis import assume, example, given
from hypothesis import strategies as st

from cinema.http.connections import known_heads
from cinema.http.connections.known_heads import KnownHeads, is_whole
from cinema.http.connections.request import KnownRequest
from cinema.http.limits import HEADERS_LIMIT

CONNECTION = cast("Any", None)
HOLDS = b"POST /api/v1/showtimes/019a0c1e-7000-7000-8000-0000000000e1/holds HTTP/1.1"
HOST = b"Host: tickets.example"
TOKEN = b"Authorization: Bearer abc.def-_"
JSON = b"Content-Type: application/json"
SIZED = b"Content-Length: 16"
KEY = b"Idempotency-Key: 7 of 9"
BODY = b'{"seats":["F7"]}'

Read = tuple[str, str, list[tuple[str, str]], bytes]


def head(*lines: bytes) -> bytes:
    return b"\r\n".join(lines) + b"\r\n\r\n"


def new_parser(loop: asyncio.AbstractEventLoop) -> HttpRequestParser:
    return HttpRequestParser(
        BaseProtocol(loop), loop, 2**16, max_headers=HEADERS_LIMIT, auto_decompress=False
    )


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def parsed(loop: asyncio.AbstractEventLoop, data: bytes) -> list[tuple[Any, Any]]:
    return list(new_parser(loop).feed_data(data)[0])


def learnt(loop: asyncio.AbstractEventLoop, *known: bytes) -> KnownHeads:
    """Heads of whole requests, as a connection learns them."""
    heads = KnownHeads()
    for data in known:
        try:
            ((message, payload),) = parsed(loop, data)
        except (HttpProcessingError, ValueError):
            continue
        if is_whole(data, message, payload):
            heads.learn(data, message)
    return heads


def read_by_parser(loop: asyncio.AbstractEventLoop, data: bytes) -> Read | None:
    """The only request in `data`, None if it is not exactly one."""
    try:
        found = parsed(loop, data + head(b"GET /next HTTP/1.1", HOST))
    except HttpProcessingError:
        return None
    if len(found) != 2 or found[1][0].path != "/next" or found[0][0].should_close:
        return None
    message, payload = found[0]
    assert message.version == HttpVersion11
    body = payload.read_nowait()
    return message.method, message.path, sorted(message.headers.items()), body


def read_as_known(request: KnownRequest) -> Read:
    headers = sorted(request.headers.items())
    return request.method, request.raw_path, headers, request.body


def test_a_head_is_known_once_it_has_been_read(loop: asyncio.AbstractEventLoop) -> None:
    whole = head(HOLDS, HOST, TOKEN, JSON, SIZED) + BODY
    assert KnownHeads().request(whole, CONNECTION) is None
    heads = learnt(loop, whole)
    other = head(HOLDS.replace(b"e1/", b"e2/"), HOST, TOKEN, JSON, SIZED) + BODY.replace(b"7", b"8")
    for data in (whole, other):
        request = heads.request(data, CONNECTION)
        assert request is not None
        assert read_as_known(request) == read_by_parser(loop, data)
        assert request.keep_alive
        assert request.version == HttpVersion11
        assert request.query_string == ""


def test_keys_differ_from_request_to_request(loop: asyncio.AbstractEventLoop) -> None:
    heads = learnt(loop, head(HOLDS, HOST, KEY, TOKEN, JSON, SIZED) + BODY)
    assert len(heads) == 1
    for key in (b"Idempotency-Key: 8", b"idempotency-key: ab cd"):
        data = head(HOLDS, HOST, TOKEN, JSON, key, SIZED) + BODY
        request = heads.request(data, CONNECTION)
        assert request is not None
        assert read_as_known(request)[3] == BODY
        assert request.headers["Idempotency-Key"] == key.partition(b": ")[2].decode()
    without = heads.request(head(HOLDS, HOST, TOKEN, JSON, SIZED) + BODY, CONNECTION)
    assert without is not None
    assert "Idempotency-Key" not in without.headers


@pytest.mark.parametrize(
    "data",
    [
        head(HOLDS, HOST, TOKEN, JSON, SIZED) + BODY[:-1],
        head(HOLDS, HOST, TOKEN, JSON, SIZED) + BODY + b"x",
        head(HOLDS, HOST, TOKEN, JSON, SIZED),
        head(HOLDS, HOST, TOKEN, JSON, SIZED)[:-1],
        b"",
        b"\r\n" + head(HOLDS, HOST, TOKEN, JSON, SIZED) + BODY,
        head(HOLDS.replace(b"1.1", b"1.0"), HOST, TOKEN, JSON, SIZED) + BODY,
        head(HOLDS.replace(b"POST", b"post"), HOST, TOKEN, JSON, SIZED) + BODY,
        head(HOLDS.replace(b"/holds", b"/h%6Flds"), HOST, TOKEN, JSON, SIZED) + BODY,
        head(HOLDS.replace(b"/holds", b"/holds?a=b"), HOST, TOKEN, JSON, SIZED) + BODY,
        head(HOLDS.replace(b"/holds", b"/" + b"h" * 300), HOST, TOKEN, JSON, SIZED) + BODY,
        head(HOLDS, HOST, TOKEN, JSON, KEY, KEY, SIZED) + BODY,
        head(HOLDS, HOST, TOKEN, JSON, b"Idempotency-Key: " + b"x" * 129, SIZED) + BODY,
        head(HOLDS, HOST, TOKEN, JSON, b"Idempotency-Key:  x", SIZED) + BODY,
        head(HOLDS, HOST, TOKEN, JSON, b"Idempotency-Key: x ", SIZED) + BODY,
        head(HOLDS, HOST, TOKEN, JSON, b"Idempotency-Key: \x01", SIZED) + BODY,
        head(HOLDS, HOST, TOKEN + b"x", JSON, SIZED) + BODY,
    ],
)
def test_whatever_is_not_certain_is_left_to_the_parser(
    loop: asyncio.AbstractEventLoop, data: bytes
) -> None:
    heads = learnt(loop, head(HOLDS, HOST, TOKEN, JSON, SIZED) + BODY)
    assert heads.request(data, CONNECTION) is None


@pytest.mark.parametrize(
    "data",
    [
        head(HOLDS, HOST, b"Connection: close", SIZED) + BODY,
        head(HOLDS.replace(b"1.1", b"1.0"), HOST, b"Connection: keep-alive", SIZED) + BODY,
        head(HOLDS, HOST, b"X: " + b"y" * known_heads.BLOCK_LIMIT_BYTES, SIZED) + BODY,
        head(HOLDS, HOST, KEY, b"idempotency-key: other", SIZED) + BODY,
        head(HOLDS, HOST, b"Idempotency-Key:  two spaces", SIZED) + BODY,
        head(HOLDS, HOST, *(b"X%d: y" % number for number in range(HEADERS_LIMIT - 2)), SIZED)
        + BODY,
        head(HOLDS.replace(b"/holds", b"/holds?a=b"), HOST, SIZED) + BODY,
        head(HOLDS, HOST, b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
        head(HOLDS, HOST, b"Connection: upgrade", b"Upgrade: websocket"),
        b"\r\n" + head(HOLDS, HOST, SIZED) + BODY,
    ],
)
def test_other_heads_are_not_kept(loop: asyncio.AbstractEventLoop, data: bytes) -> None:
    assert len(learnt(loop, data)) == 0


def test_not_more_heads_are_kept_than_there_is_room_for(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_heads, "BLOCKS_KEPT", 3)
    monkeypatch.setattr(known_heads, "LINES_KEPT", 3)
    for number in range(5):
        token, line = b"%b%d" % (TOKEN, number), b"GET /x%d HTTP/1.1" % number
        heads = learnt(
            loop, *[head(line, HOST, b"%b%d" % (TOKEN, one)) for one in range(number + 1)]
        )
        assert 1 <= len(heads) <= 3
        assert heads.request(head(line, HOST, token), CONNECTION) is not None


PIECES = (
    HOLDS,
    b"GET /a HTTP/1.1",
    HOST,
    TOKEN,
    JSON,
    SIZED,
    b"Content-Length: 0",
    b"Transfer-Encoding: chunked",
    KEY,
    b"idempotency-key: 8",
    b"Connection: close",
    b" folded",
    b"\tfolded",
    b"Upgrade: websocket",
    b"",
    BODY,
    b"\n",
    b"\r",
)


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """Something like a request, from pieces that could be taken for each other."""
    pieces = draw(st.lists(st.sampled_from(PIECES), max_size=8))
    ending = draw(st.sampled_from([b"", b"\r\n", b"\r\n\r\n", b"\n\n"]))
    return b"\r\n".join(pieces) + ending + draw(st.sampled_from([b"", BODY, BODY * 2, b"GET /"]))


GOOD = head(HOLDS, HOST, TOKEN, SIZED) + BODY


@given(st.lists(texts(), max_size=4), texts())
@example([GOOD], head(HOLDS, HOST, TOKEN, KEY, SIZED) + BODY)
@example([b"\r\n" + GOOD], b"GET /a HTTP/1.1\r\n" + GOOD)
@example([head(b"GET /a HTTP/1.1", HOST)], head(b"GET /a HTTP/1.1", HOST, b"") + b"\r\n\r\n")
def test_no_bytes_are_read_otherwise_than_by_the_parser(
    loop: asyncio.AbstractEventLoop, known: Sequence[bytes], data: bytes
) -> None:
    request = learnt(loop, GOOD, *known).request(data, CONNECTION)
    if request is not None:
        assert read_as_known(request) == read_by_parser(loop, data)


@given(texts())
@example(GOOD)
@example(GOOD + b"\r\n")
@example(head(HOLDS, HOST, b"Content-Length: 6") + b"abcdef\r\n\r\nGET /x")
def test_behind_a_whole_request_the_parser_is_at_the_start_of_one(
    loop: asyncio.AbstractEventLoop, data: bytes
) -> None:
    parser = new_parser(loop)
    try:
        found = parser.feed_data(data)[0]
    except HttpProcessingError:
        return
    assume(len(found) == 1 and is_whole(data, *found[0]))
    parser.message_consumed()
    messages, _, rest = parser.feed_data(head(b"GET /next HTTP/1.1", HOST))
    assert [(message.method, message.path) for message, _ in messages] == [("GET", "/next")]
    assert rest == b""


def test_the_parser_takes_no_line_feed_alone_and_no_folded_line(
    loop: asyncio.AbstractEventLoop,
) -> None:
    """A head ends with the first empty line, and a line can be cut out of it."""
    start = b"POST /a HTTP/1.1\r\nHost: x\r\n"
    for rest in (
        b"\n\r\n",
        b"A: b\n\r\n",
        b"A: b\r\n\n",
        b"A: b\r\n c\r\n\r\n",
        b"A: b\rC: d\r\n\r\n",
    ):
        with pytest.raises(HttpProcessingError):
            parsed(loop, start + rest)
