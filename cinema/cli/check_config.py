"""`cinema check-config`."""

from __future__ import annotations

import sys

from cinema.settings import Field, Settings, fields
from cinema.settings.example import example


def print_settings(settings: Settings) -> None:
    """Print all settings without secrets; they have been checked."""
    for field in fields():
        value = _shown(field, getattr(settings, field.attribute))
        sys.stdout.write(f"{field.variable}={value}\n")


def print_example() -> None:
    """Print the text of `.env.example`."""
    sys.stdout.write(example())


def _shown(field: Field, value: object) -> str:
    if field.secret:
        return "(set)" if value else "(not set)"
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
