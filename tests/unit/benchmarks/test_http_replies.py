"""The load generators' HTTP: request bytes and the cutting of replies."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.load.http import (
    MAX_HEAD_BYTES,
    ReplyParser,
    UnreadableReplyError,
    format_request,
)

HELD = b'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n{"a"'
REFUSED = b"HTTP/1.1 409 Conflict\r\ncontent-length:2\r\nServer: x\r\n\r\nno"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"
STREAM = HELD + REFUSED + NOT_MODIFIED + HELD
REPLIES = [(201, b'{"a"'), (409, b"no"), (304, b""), (201, b'{"a"')]


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM)), max_size=12))
def test_replies_are_the_same_however_the_stream_is_cut(cuts: list[int]) -> None:
    parser = ReplyParser()
    places = [0, *sorted(cuts), len(STREAM)]
    found = [
        reply
        for start, end in itertools.pairwise(places)
        for reply in parser.feed(STREAM[start:end])
    ]
    assert found == REPLIES
    assert parser.pending_bytes == 0


def test_an_incomplete_reply_waits() -> None:
    parser = ReplyParser()
    assert parser.feed(HELD[:-1]) == []
    assert parser.pending_bytes == len(HELD) - 1
    assert parser.feed(HELD[-1:]) == [(201, b'{"a"')]


@pytest.mark.parametrize(
    "stream",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 abc\r\nContent-Length: 0\r\n\r\n",
        b"x" * (MAX_HEAD_BYTES + 1),
    ],
)
def test_what_it_cannot_read_is_an_error(stream: bytes) -> None:
    with pytest.raises(UnreadableReplyError):
        ReplyParser().feed(stream)


def test_a_request_carries_its_token_and_the_length_of_its_body() -> None:
    request = format_request("POST", "/x", host="h:1", token="t", body=b"{}")
    assert request == (
        b"POST /x HTTP/1.1\r\nHost: h:1\r\nAuthorization: Bearer t\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )


def test_a_delete_without_a_body_says_so() -> None:
    assert b"Content-Length: 0\r\n" in format_request("DELETE", "/x", host="h")


def test_a_get_has_no_length() -> None:
    request = format_request("GET", "/x", host="h", headers={"A": "b"})
    assert request == b"GET /x HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n"
