"""Bodies and queries of the API: `metadata[booking_id]=…`, `created[gte]=…`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import parse_qsl

from cinema.integrations.stripe.double.errors import invalid

_KEYS: Final = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")

METADATA_KEYS: Final = 50
METADATA_KEY_CHARS: Final = 40
METADATA_VALUE_CHARS: Final = 500


def decoded(text: str) -> dict[str, Any]:
    """The nested values of a form; all leaves are texts. Raises `ApiError`."""
    found: dict[str, Any] = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        match = _KEYS.match(key)
        if match is None:
            raise invalid(f"Invalid parameter: {key}", code="parameter_unknown", param=key)
        steps = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        place = found
        for step in steps[:-1]:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise invalid(f"Invalid parameter: {key}", param=key)
        place[steps[-1]] = value
    return found


def only(params: dict[str, Any], known: Iterable[str]) -> None:
    """Refuse parameters that the double does not know, as Stripe refuses those it does not."""
    for name in params:
        if name not in {*known, "expand"}:
            raise invalid(
                f"Received unknown parameter: {name}", code="parameter_unknown", param=name
            )


def whole(params: dict[str, Any], name: str, default: int | None = None) -> int:
    """A whole number, at least 0. Raises `ApiError`."""
    value = params.get(name)
    if value is None:
        if default is None:
            text = f"Missing required param: {name}."
            raise invalid(text, code="parameter_missing", param=name)
        return default
    if not (isinstance(value, str) and value.isascii() and value.isdigit()):
        raise invalid(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)
    return int(value)


def metadata(params: dict[str, Any]) -> dict[str, str]:
    """The metadata of an object. Raises `ApiError`."""
    given = params.get("metadata") or {}
    if not isinstance(given, dict) or not all(isinstance(one, str) for one in given.values()):
        raise invalid("Invalid hash", param="metadata")
    if len(given) > METADATA_KEYS:
        raise invalid(f"Metadata can have up to {METADATA_KEYS} keys", param="metadata")
    for key, value in given.items():
        if len(key) > METADATA_KEY_CHARS or len(value) > METADATA_VALUE_CHARS:
            raise invalid("Metadata is too long", param=f"metadata[{key}]")
    return dict(given)
