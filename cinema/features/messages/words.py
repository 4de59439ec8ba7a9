"""Times and amounts as people of a language write them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

_DAYS: Final = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
}
_MONTHS: Final = {
    "en": (
        *("January", "February", "March", "April", "May", "June", "July", "August"),
        *("September", "October", "November", "December"),
    ),
    "de": (
        *("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August"),
        *("September", "Oktober", "November", "Dezember"),
    ),
}
_FORMS: Final[Mapping[str, Callable[[str, int, str, datetime], str]]] = {
    "en": lambda day, number, month, at: f"{day} {number} {month} {at:%Y, %H:%M}",
    "de": lambda day, number, month, at: f"{day}, {number}. {month} {at:%Y, %H:%M} Uhr",
}

_AMOUNT: Final = re.compile(r"-?\d+\.\d+ [A-Z]{3}")


def spoken_time(text: str, language: str) -> str:
    """A time on a cinema's clock, `2026-06-01 20:00`; anything else stays as it is."""
    try:
        at = datetime.strptime(text, "%Y-%m-%d %H:%M")  # noqa: DTZ007  (the zone is the cinema's)
    except ValueError:
        return text
    day, month = _DAYS[language][at.weekday()], _MONTHS[language][at.month - 1]
    return _FORMS[language](day, at.day, month, at)


def spoken_amount(text: str, language: str) -> str:
    """An amount, `24.00 EUR`; anything else stays as it is."""
    return text.replace(".", ",") if language == "de" and _AMOUNT.fullmatch(text) else text
