"""Envelopes, and the table of errors."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import msgspec
import pytest

import cinema
from cinema.domain.rejections import Rejection
from cinema.http.errors import ERROR_TABLE
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
    reply = rejected(Rejection(code="SEAT_UNAVAILABLE", details={"seats": ["F7"]}), "r-1")
    assert (reply.status, reply.error_code) == (409, "SEAT_UNAVAILABLE")
    assert msgspec.json.decode(reply.body) == {
        "success": False,
        "error": {
            "code": "SEAT_UNAVAILABLE",
            "message": ERROR_TABLE["SEAT_UNAVAILABLE"].message,
            "details": {"seats": ["F7"]},
        },
        "request_id": "r-1",
    }


def test_refusal_for_now_says_when_to_come_back() -> None:
    assert rejected(Rejection(code="OVERLOADED"), "r").extra == b"Retry-After: 1\r\n"
    named = Rejection(code="RATE_LIMITED", details={"retry_after_s": 42})
    assert rejected(named, "r").extra == b"Retry-After: 42\r\n"


def test_every_refusal_for_now_has_a_time() -> None:
    for code, kind in ERROR_TABLE.items():
        assert (kind.retry_after_s is not None) == (kind.status in {429, 503}), code


def test_unauthenticated_names_the_scheme() -> None:
    assert b"WWW-Authenticate: Bearer" in rejected(Rejection(code="UNAUTHENTICATED"), "r").extra


def test_header_line_cannot_be_broken_out_of() -> None:
    assert header_lines(retry_after="1", etag='"a"') == b'Retry-After: 1\r\nETag: "a"\r\n'
    with pytest.raises(ValueError, match="control"):
        header_lines(location="/x\r\nSet-Cookie: a=b")


def test_every_code_in_the_source_is_in_the_table() -> None:
    used: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id == "refuse" and node.args:
                    used |= _text(node.args[0])
                elif node.func.id == "Rejection":
                    used |= {c for k in node.keywords if k.arg == "code" for c in _text(k.value)}
    assert len(used) > 20
    assert used <= set(ERROR_TABLE)


def _text(node: ast.expr) -> set[str]:
    return {str(node.value)} if isinstance(node, ast.Constant) else set()


def test_document_lists_the_table_in_its_order() -> None:
    row = re.compile(r"^\| `(\w+)` \| (\d+) \| (\d* ?s?) \| (.+) \|$", re.MULTILINE)
    rows = row.findall(DOCUMENT.read_text())
    assert rows == [
        (
            code,
            str(kind.status),
            f"{kind.retry_after_s} s" if kind.retry_after_s else "",
            kind.message,
        )
        for code, kind in ERROR_TABLE.items()
    ]
