"""What a client sent, as the types a route declares; refusals say where it went wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from cinema.domain.rejections import Refused, Rejection, refuse
from cinema.http.limits import QUERY_PARAMETERS_LIMIT, VALIDATION_MESSAGE_LIMIT_CHARACTERS

_AT: Final = re.compile(r" - at `(.+)`$", re.DOTALL)
_FIELD: Final = re.compile(
    r"^Object (?:contains unknown|missing required) field `(.+)`$", re.DOTALL
)
_IDEMPOTENCY_KEY: Final = re.compile(r"[\x20-\x7e]{1,128}")
_ANY_JSON: Final = msgspec.json.Decoder()
_ESCAPED_NUL: Final = b"\\u0000"


UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def json_decoder(body_type: Any) -> Callable[[bytes], Any]:
    """A function from body to `body_type`; raises `Refused`."""
    decode = msgspec.json.Decoder(body_type).decode

    def decode_checked(raw: bytes) -> Any:
        try:
            value = decode(raw)
        except UNREADABLE as error:
            raise Refused(unreadable(error, raw)) from None
        if _ESCAPED_NUL in raw:
            _refuse_nul(_ANY_JSON.decode(raw), "$")
        return value

    return decode_checked


def unreadable(error: Exception, raw: bytes) -> Rejection:
    """Why `raw` could not be decoded: no JSON at all, or JSON of another form."""
    if isinstance(error, msgspec.ValidationError) and _is_json(raw):
        return invalid(str(error))
    if not raw:
        return Rejection(code="MALFORMED_JSON", message="A JSON body is required.")
    return Rejection(code="MALFORMED_JSON", details={"reason": _cut(str(error))})


def invalid(message: str) -> Rejection:
    """A refusal that says where, its path taken from the end of msgspec's `message`."""
    path = "$"
    if found := _AT.search(message):
        path = found[1]
        message = message[: found.start()]
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
            raise refuse(
                "VALIDATION_ERROR", "The query string is not readable.", path="$"
            ) from None
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


def _refuse_nul(value: Any, path: str) -> None:
    """Refuse text with NUL, which Postgres cannot store."""
    if isinstance(value, str):
        if "\x00" in value:
            raise _invalid_parameter(path, "contains the character NUL")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            _refuse_nul(item, f"{path}[{position}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            _refuse_nul(name, path)
            _refuse_nul(item, f"{path}.{name}")


def _cut(text: str) -> str:
    # A lone surrogate, as bad UTF-8 in a header decodes to, cannot be encoded again.
    clean = text.encode(errors="replace").decode()
    return clean[:VALIDATION_MESSAGE_LIMIT_CHARACTERS]
