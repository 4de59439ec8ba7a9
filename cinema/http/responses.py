"""Replies that handlers make, and the bytes that are sent for one."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Final

import msgspec

from cinema.domain.rejections import Rejection
from cinema.http.errors import ErrorTable

ENCODER: Final = msgspec.json.Encoder()


class Medium(msgspec.Struct, frozen=True, kw_only=True):
    """The type of a body and who may cache it; the fixed lines of the head are made from it."""

    content_type: str
    cache_control: str = "no-store"
    content_security_policy: str = "default-src 'none'; frame-ancestors 'none'"


JSON: Final = Medium(content_type="application/json")
JSON_REVALIDATED: Final = Medium(content_type="application/json", cache_control="private, no-cache")
JSON_SHARED: Final = Medium(
    content_type="application/json", cache_control="public, max-age=0, s-maxage=10"
)
"""The same for everybody, and soon another: a CDN may send it for ten seconds, while browsers ask
each time whether it is still the same."""

JSON_IMMUTABLE: Final = Medium(
    content_type="application/json", cache_control="public, max-age=31536000, immutable"
)


class Reply:
    """An answer of a handler: one status, one encoded body, and additional header lines.

    `extra` is made by `header_lines`, never from unchecked text. `error_code` is for the log line
    and the counters.
    """

    __slots__ = ("body", "error_code", "extra", "medium", "status")

    def __init__(
        self,
        status: int,
        body: bytes = b"",
        extra: bytes = b"",
        medium: Medium = JSON,
        error_code: str | None = None,
    ) -> None:
        self.status = status
        self.body = body
        self.extra = extra
        self.medium = medium
        self.error_code = error_code


class Streamed(Reply):
    """An answer whose body of `size_bytes` is made while it is sent.

    `pieces` are closed in any case. If they end early or fail, the connection is cut: the client
    sees that something is missing.
    """

    __slots__ = ("pieces", "size_bytes")

    def __init__(
        self,
        status: int,
        pieces: AsyncGenerator[bytes, None],
        size_bytes: int,
        extra: bytes,
        medium: Medium,
    ) -> None:
        super().__init__(status, extra=extra, medium=medium)
        self.pieces = pieces
        self.size_bytes = size_bytes


def header_lines(**headers: str) -> bytes:
    """Header lines for `Reply.extra`; `retry_after="1"` is `Retry-After: 1`."""
    lines = bytearray()
    for name, value in headers.items():
        if not value.isprintable():
            raise ValueError(f"control character in header {name}")
        spelling = "ETag" if name == "etag" else name.replace("_", "-").title()
        lines += f"{spelling}: {value}\r\n".encode("latin-1", "replace")
    return bytes(lines)


def success(
    data: Any,
    *,
    status: int = 200,
    meta: Any = None,
    message: str | None = None,
    extra: bytes = b"",
    medium: Medium = JSON,
) -> Reply:
    """The contract's success envelope around `data`."""
    return Reply(status, success_body(data, meta=meta, message=message), extra, medium)


def success_body(data: Any, *, meta: Any = None, message: str | None = None) -> bytes:
    """The bytes of the success envelope, for replies that are stored and sent again."""
    encode = ENCODER.encode
    if meta is None and message is None:
        return b'{"success":true,"data":%b}' % encode(data)
    body = b'{"success":true,"data":%b' % encode(data)
    if meta is not None:
        body += b',"meta":%b' % encode(meta)
    if message is not None:
        body += b',"message":%b' % encode(message)
    return body + b"}"


class _Error(msgspec.Struct, frozen=True, gc=False):
    code: str
    message: str
    details: Any


class _ErrorEnvelope(msgspec.Struct, frozen=True, gc=False):
    success: bool
    error: _Error
    request_id: str


def error_envelope(errors: ErrorTable, rejection: Rejection, request_id: str) -> bytes:
    """The bytes of the contract's error envelope."""
    kind = errors[rejection.code]
    error = _Error(rejection.code, rejection.message or kind.message, rejection.details or {})
    return ENCODER.encode(_ErrorEnvelope(False, error, request_id))


def rejected(
    errors: ErrorTable, rejection: Rejection, request_id: str, extra: bytes = b""
) -> Reply:
    """The reply that tells a client why it was refused.

    A code that is not in the table is a bug and raises KeyError.
    """
    code = rejection.code
    kind = errors[code]
    retry_after_s = kind.retry_after_s
    if retry_after_s is not None:
        if rejection.details is not None:
            retry_after_s = int(rejection.details.get("retry_after_s", retry_after_s))
        extra = b"Retry-After: %d\r\n%b" % (retry_after_s, extra)
    if kind.status == 401:
        extra = b'WWW-Authenticate: Bearer realm="cinema"\r\n' + extra
    return Reply(kind.status, error_envelope(errors, rejection, request_id), extra, JSON, code)
