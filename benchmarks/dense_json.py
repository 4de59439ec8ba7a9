"""JSON that people can still read and git keeps cheaply: what fits stands on one line."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

LINE_CHARS: Final = 100
SIGNIFICANT_DIGITS: Final = 6
"""More than any measurement here has."""


def dense_json(value: Any) -> bytes:
    """The value on as few lines of at most `LINE_CHARS` as its parts allow, floats shortened."""
    return (_written(_shortened(msgspec.to_builtins(value)), "") + "\n").encode()


def _shortened(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
    if isinstance(value, dict):
        return {name: _shortened(inner) for name, inner in value.items()}
    return [_shortened(inner) for inner in value] if isinstance(value, list) else value


def _written(value: Any, indent: str) -> str:
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= LINE_CHARS or not isinstance(value, dict | list):
        return line
    inside = indent + " "
    if isinstance(value, dict):
        parts = [f"{json.dumps(name)}: {_written(part, inside)}" for name, part in value.items()]
        opening, closing = "{}"
    else:
        parts = [_written(part, inside) for part in value]
        opening, closing = "[]"
    return f"{opening}\n{inside}" + f",\n{inside}".join(parts) + f"\n{indent}{closing}"
