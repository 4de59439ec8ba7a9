"""Writes `.env.example`: every setting with its default, unit, bounds and meaning."""

from __future__ import annotations

from typing import Literal, get_args, get_origin

from cinema.settings.loading import Field, fields

_HEAD = """\
# Settings of cinema, each with its default. `bin/cinema check-config --example` writes this file.
# Every line is an environment variable; `bin/serve` has a flag of the same name for all except
# the secrets (PORT=8080 is --port 8080). To use this file: cp .env.example .env, uncomment what
# you change, then: set -a; . ./.env; set +a; bin/serve
"""


def example() -> str:
    """The text of `.env.example`."""
    return _HEAD + "".join(f"\n{_entry(field)}" for field in fields())


def explain(field: Field) -> str:
    """The meaning of a setting with its unit, bounds or choices, in one line."""
    parts = [field.unit] if field.unit else []
    if field.kind is int:
        parts.append(f"{field.about.ge} to {field.about.le}")
    if get_origin(field.kind) is Literal:
        parts.append(" or ".join(get_args(field.kind)))
    return f"{field.doc} ({', '.join(parts)})" if parts else field.doc


def default_text(field: Field) -> str:
    """The default in the form in which people write it."""
    shown = (field.about.extra or {})["shown"]
    if shown is not None:
        return str(shown)
    if isinstance(field.default, bool):
        return "true" if field.default else "false"
    if isinstance(field.default, tuple):
        return ",".join(field.default)
    return str(field.default)


def _entry(field: Field) -> str:
    text = explain(field)
    lines = [f"# {text[0].upper()}{text[1:]}.", f"#{field.variable}={default_text(field)}"]
    if field.secret:
        lines.append(f"#{field.variable}_FILE=")
    return "\n".join(lines) + "\n"
