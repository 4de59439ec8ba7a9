"""Reading a file that a form sends (`multipart/form-data`, RFC 7578), bounded in size and time."""

from __future__ import annotations

from email import policy
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Final

import msgspec

from cinema.domain.rejections import Refused, refuse
from cinema.http.connections.body import CONTENT_ENCODING, CONTENT_TYPE, read_body
from cinema.http.connections.request import HttpRequest
from cinema.http.limits import UPLOAD_FORM_LIMIT_BYTES, UPLOAD_TIMEOUT_S, UPLOADS_AT_ONCE

FIELD: Final = "file"
"""The name of the field with the file; a form has no other."""

_BOUNDARY_LIMIT_CHARACTERS: Final = 70
_HEADER_LIMIT_BYTES: Final = 4096
_END_OF_HEADER: Final = b"\r\n\r\n"

_parse_header: Final = BytesHeaderParser(policy=policy.compat32).parsebytes


class Upload(msgspec.Struct, frozen=True):
    """What a file holds; its name and what the client calls its type do not count."""

    content: bytes


class Uploads:
    """Reads uploads of at most `limit_bytes`, a few at a time."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._under_way = 0

    async def read(self, request: HttpRequest) -> tuple[Upload, bytes]:
        """The file of a form, and the body as it was sent.

        Refuses UNSUPPORTED_MEDIA_TYPE, OVERLOADED, PAYLOAD_TOO_LARGE, REQUEST_TIMEOUT, BAD_REQUEST,
        VALIDATION_ERROR.
        """
        boundary = boundary_of(request)
        if self._under_way >= UPLOADS_AT_ONCE:
            raise refuse("OVERLOADED", "Too many uploads at the moment; nothing was changed.")
        self._under_way += 1
        try:
            body = await read_body(
                request, self._limit_bytes + UPLOAD_FORM_LIMIT_BYTES, UPLOAD_TIMEOUT_S
            )
        except Refused as refusal:
            if refusal.rejection.code == "PAYLOAD_TOO_LARGE":
                raise self._too_large() from None
            raise
        finally:
            self._under_way -= 1
        content = file_of(body, boundary)
        if len(content) > self._limit_bytes:
            raise self._too_large()
        return Upload(content), body

    def _too_large(self) -> Refused:
        return refuse("PAYLOAD_TOO_LARGE", limit_bytes=self._limit_bytes)


def boundary_of(request: HttpRequest) -> bytes:
    """What separates the parts of a form. Refuses UNSUPPORTED_MEDIA_TYPE."""
    header = Message()
    header["Content-Type"] = _one_line(request.headers.get(CONTENT_TYPE, ""))
    boundary = header.get_boundary("")
    if (
        header.get_content_type() != "multipart/form-data"
        or not 0 < len(boundary) <= _BOUNDARY_LIMIT_CHARACTERS
        or not boundary.isascii()
    ):
        raise refuse("UNSUPPORTED_MEDIA_TYPE", "Send the file as multipart/form-data.")
    if request.headers.get(CONTENT_ENCODING, "identity").lower() != "identity":
        raise refuse("UNSUPPORTED_MEDIA_TYPE", "Send the body without compression.")
    return boundary.encode()


def file_of(body: bytes, boundary: bytes) -> bytes:
    """The content of the only field of a form. Refuses VALIDATION_ERROR."""
    between = b"\r\n--" + boundary
    before, *parts = (b"\r\n" + body).split(between)
    end = parts.pop() if parts else b""
    if before or not parts or not end.startswith(b"--"):
        raise _no_form("The form does not have the expected parts.")
    if len(parts) > 1:
        raise _no_form(f"The form may have the field `{FIELD}` only.")
    rest = parts[0].lstrip(b" \t")
    header, separator, content = rest.partition(_END_OF_HEADER)
    if not rest.startswith(b"\r\n") or not separator or len(header) > _HEADER_LIMIT_BYTES:
        raise _no_form("The form's part has no header.")
    described = _parse_header(header[2:] + _END_OF_HEADER)
    encoding = str(described.get("Content-Transfer-Encoding", "binary")).strip().lower()
    if (
        described.get_content_disposition() != "form-data"
        or described.get_param("name", header="content-disposition") != FIELD
        or encoding not in {"binary", "7bit", "8bit"}
    ):
        raise _no_form(f"The form has to have the field `{FIELD}`, as it is.")
    if not content:
        raise _no_form("The file is empty.")
    return content


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")


def _no_form(message: str) -> Refused:
    return refuse("VALIDATION_ERROR", message, path=f"$.{FIELD}")
