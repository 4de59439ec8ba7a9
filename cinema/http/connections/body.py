"""Reading the body of a request, bounded in size and time."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp.web import RequestPayloadError
from multidict import istr

from cinema.domain.rejections import Refused, refuse
from cinema.http.connections.request import HttpRequest, KnownRequest

CONTENT_TYPE: Final = istr("Content-Type")
CONTENT_LENGTH: Final = istr("Content-Length")
CONTENT_ENCODING: Final = istr("Content-Encoding")
EXPECT: Final = istr("Expect")
IDEMPOTENCY_KEY: Final = istr("Idempotency-Key")
TRANSFER_ENCODING: Final = istr("Transfer-Encoding")


def has_body(request: HttpRequest) -> bool:
    """Whether a request has a body, as its head says."""
    headers = request.headers
    return TRANSFER_ENCODING in headers or headers.get(CONTENT_LENGTH, "0") != "0"


def body_at_hand(request: HttpRequest, limit_bytes: int) -> bytes | None:
    """The body if all of it has come with the head, which is usual; otherwise None."""
    if isinstance(request, KnownRequest):
        body = request.body
    elif request.content.is_eof():
        try:
            body = request.content.read_nowait()
        except (RequestPayloadError, OSError):
            raise refuse("BAD_REQUEST", "The body is not well-formed.") from None
    else:
        return None
    if len(body) > limit_bytes:
        raise _too_large(limit_bytes)
    return body


async def read_body(request: HttpRequest, limit_bytes: int, timeout_s: float) -> bytes:
    """The whole body; raises `Refused` if it is too large, too slow or ends early.

    A client that is gone cancels the request.
    """
    declared: str = request.headers.get(CONTENT_LENGTH, "0")
    if declared.isdecimal() and int(declared) > limit_bytes:
        raise _too_large(limit_bytes)
    if request.headers.get(EXPECT, "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > limit_bytes:
                    raise _too_large(limit_bytes)
    except TimeoutError:
        raise refuse("REQUEST_TIMEOUT", "The body did not arrive in time.") from None
    except RequestPayloadError:
        raise refuse("BAD_REQUEST", "The body ended early or is not well-formed.") from None
    except OSError as error:
        raise asyncio.CancelledError("the client has left") from error
    return bytes(body)


def check_is_json(request: HttpRequest) -> None:
    """Refuse a body that is not declared as plain JSON in UTF-8."""
    headers = request.headers
    content_type: str = headers.get(CONTENT_TYPE, "")
    if content_type == "application/json" and CONTENT_ENCODING not in headers:
        return
    media_type, _, parameters = content_type.partition(";")
    name, _, charset = parameters.strip().lower().partition("=")
    if media_type.strip().lower() != "application/json" or (
        name == "charset" and charset.strip('"') not in {"utf-8", "utf8"}
    ):
        raise refuse("UNSUPPORTED_MEDIA_TYPE")
    if headers.get(CONTENT_ENCODING, "identity").lower() != "identity":
        raise refuse("UNSUPPORTED_MEDIA_TYPE", "Send the body without compression.")


def _too_large(limit_bytes: int) -> Refused:
    return refuse("PAYLOAD_TOO_LARGE", limit_bytes=limit_bytes)
