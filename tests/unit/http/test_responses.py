"""Envelopes, and the table of errors."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import cinema
from cinema.app.features import ERRORS
from cinema.domain.rejections import Rejection
from cinema.http.responses import header_lines, rejected, success

PACKAGE = Path(cinema.__file__).parent
DOCUMENT = PACKAGE.parent / "docs" / "errors.md"


def test_success_envelope_has_what_was_given() -> None:
    reply = success([1], status=201, meta={"next_cursor": None}, message="Done.")
    assert reply.status == 201
    assert msgspec.json.decode(reply.body) == {
        "success": True,
        "data": [1],
        "meta": {"next_cursor": None},
        "message": "Done.",
    }
    assert msgspec.json.decode(success({"a": 1}).body) == {"success": True, "data": {"a": 1}}


def test_error_envelope_has_the_default_text_and_the_request_id() -> None:
    reply = rejected(ERRORS, Rejection(code="SEAT_UNAVAILABLE", details={"seats": ["F7"]}), "r-1")
    assert (reply.status, reply.error_code) == (409, "SEAT_UNAVAILABLE")
    assert msgspec.json.decode(reply.body) == {
        "success": False,
        "error": {
            "code": "SEAT_UNAVAILABLE",
            "message": ERRORS["SEAT_UNAVAILABLE"].message,
            "details": {"seats": ["F7"]},
        },
        "request_id": "r-1",
    }


def test_refusal_for_now_says_when_to_come_back() -> None:
    assert rejected(ERRORS, Rejection(code="OVERLOADED"), "r").extra == b"Retry-After: 1\r\n"
    named = Rejection(code="RATE_LIMITED", details={"retry_after_s": 42})
    assert rejected(ERRORS, named, "r").extra == b"Retry-After: 42\r\n"


def test_every_refusal_for_now_has_a_time() -> None:
    for code, kind in ERRORS.items():
        assert (kind.retry_after_s is not None) == (kind.status in {429, 503}), code


def test_unauthenticated_names_the_scheme() -> None:
    assert (
        b"WWW-Authenticate: Bearer"
        in rejected(ERRORS, Rejection(code="UNAUTHENTICATED"), "r").extra
    )


def test_header_line_cannot_be_broken_out_of() -> None:
    assert header_lines(retry_after="1", etag='"a"') == b'Retry-After: 1\r\nETag: "a"\r\n'
    with pytest.raises(ValueError, match="control"):
        header_lines(location="/x\r\nSet-Cookie: a=b")
