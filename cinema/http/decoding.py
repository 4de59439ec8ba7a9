"""Converts what a client sent to the types of a route; refusals say where the problem is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from cinema.domain.rejections import Refused, Rejection, refuse
from cinema.domain.text import hidden_character
from cinema.http.limits import (
    COMPOSED_LIMIT_CHARACTERS,
    QUERY_PARAMETERS_LIMIT,
    VALIDATION_MESSAGE_LIMIT_CHARACTERS,
)

_AT: Final = re.compile(r" - at `(.+)`$", re.DOTALL)
_FIELD: Final = re.compile(
    r"^Object (?:contains unknown|missing required) field `(.+)`$", re.DOTALL
)
_IDEMPOTENCY_KEY: Final = re.compile(r"[\x20-\x7e]{1,128}")
_ANY_JSON: Final = msgspec.json.Decoder()

_SEVERAL_LINES: Final = frozenset({"description", "message", "text"})
"""Fields in which people write paragraphs; all other texts are names."""

_OPAQUE: Final = frozenset({"password", "new_password", "current_password", "token", "cursor"})
"""Fields that nobody reads; they are taken as they are."""


UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def json_decoder(body_type: Any) -> Callable[[bytes], Any]:
    """A function from body to `body_type`; raises `Refused`.

    Text is converted to NFC; invisible characters in it are refused.
    """
    decode = msgspec.json.Decoder(body_type).decode

    def decode_checked(raw: bytes) -> Any:
        try:
            value = decode(raw)
            # ASCII without escapes can hide nothing except DEL, which JSON allows as it is:
            # nearly every body.
            if raw.isascii() and b"\\" not in raw and b"\x7f" not in raw:
                return value
            # Only now: what has the form is bounded, and some texts take long to compose.
            composed = _composed(raw)
            return value if composed is None else decode(composed)
        except UNREADABLE as error:
            raise Refused(unreadable(error, raw)) from None

    return decode_checked


def unreadable(error: Exception, raw: bytes) -> Rejection:
    """Why `raw` could not be decoded: it is not JSON, or JSON of another form."""
    if isinstance(error, msgspec.ValidationError) and _is_json(raw):
        return invalid(str(error))
    if not raw:
        return Rejection(code="MALFORMED_JSON", message="A JSON body is required.")
    return Rejection(code="MALFORMED_JSON", details={"reason": _cut(str(error))})


def invalid(message: str) -> Rejection:
    """A refusal with a path, which is taken from the end of msgspec's `message`."""
    path = "$"
    if found := _AT.search(message):
        path = found[1]
        message = message[: found.start()]
    if message == "Invalid UUID":
        message = "This is not a UUID"
    if field := _FIELD.match(message):
        path = f"{path}.{field[1]}"
    return Rejection(
        code="VALIDATION_ERROR", message=_cut(f"{message}."), details={"path": _cut(path)}
    )


def query_decoder(query_type: type[msgspec.Struct]) -> Callable[[str], Any]:
    """A function from query string to `query_type`; raises `Refused`."""

    def decode(text: str) -> Any:
        values: dict[str, str] = {}
        try:
            pairs = parse_qsl(
                text,
                keep_blank_values=True,
                errors="strict",
                max_num_fields=QUERY_PARAMETERS_LIMIT,
            )
        except ValueError:  # bad UTF-8, or too many
            raise refuse("VALIDATION_ERROR", "The query string cannot be read.", path="$") from None
        for name, value in pairs:
            if name in values:
                raise _invalid_parameter(name, "is given twice")
            if "\x00" in value:
                raise _invalid_parameter(name, "contains the character NUL")
            values[name] = value
        try:
            return msgspec.convert(values, query_type, strict=False)
        except msgspec.ValidationError as error:
            raise Refused(invalid(str(error))) from None

    return decode


def checked_idempotency_key(key: str) -> str:
    """`key` if it is one to 128 printable ASCII characters; raises `Refused` otherwise."""
    if _IDEMPOTENCY_KEY.fullmatch(key) is None:
        raise _invalid_parameter("Idempotency-Key", "must be 1 to 128 printable ASCII characters")
    return key


def _invalid_parameter(name: str, message: str) -> Exception:
    return refuse("VALIDATION_ERROR", f"It {message}.", path=_cut(name))


def _is_json(raw: bytes) -> bool:
    try:
        _ANY_JSON.decode(raw)
    except UNREADABLE:
        return False
    return True


def _composed(raw: bytes) -> bytes | None:
    """JSON with its texts in NFC, None if they were already; refuses invisible characters."""
    found = _ANY_JSON.decode(raw)
    composed = _clean(found, "$", "")
    return None if composed == found else msgspec.json.encode(composed)


def _clean(value: Any, path: str, field: str) -> Any:
    """The JSON value of a field in NFC; each of its texts is checked."""
    if isinstance(value, str):
        return _clean_text(value, path, field)
    if isinstance(value, list):
        return [_clean(item, f"{path}[{number}]", field) for number, item in enumerate(value)]
    if isinstance(value, dict):
        return {
            _clean_text(name, path, ""): _clean(item, f"{path}.{name}", name)
            for name, item in value.items()
        }
    return value


def _clean_text(text: str, path: str, field: str) -> str:
    if field in _OPAQUE:
        if "\x00" in text:
            raise _invalid_parameter(path, "contains the character NUL")
        return text
    hidden = hidden_character(text, has_lines=field in _SEVERAL_LINES)
    if hidden is not None:
        raise _invalid_parameter(path, f"contains U+{ord(hidden):04X}, which is invisible")
    return text if len(text) > COMPOSED_LIMIT_CHARACTERS else unicodedata.normalize("NFC", text)


def _cut(text: str) -> str:
    # A lone surrogate, as bad UTF-8 in a header decodes to, cannot be encoded again.
    clean = text.encode(errors="replace").decode()
    return clean[:VALIDATION_MESSAGE_LIMIT_CHARACTERS]
