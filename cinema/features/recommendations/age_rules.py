"""From what age a film is rated, and how old somebody is: pure.

Read are FSK (0 to 18), BBFC (U to 18, 12A, R18), MPA (G to NC-17) and plain numbers. That a child
may come along with somebody older changes nothing here (12A is 12, R is 17); PG counts as 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

_WORDS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "G": 0,
        "PG": 0,
        "PG13": 13,
        "R": 17,
        "NC17": 18,
        "U": 0,
        "UC": 0,
        "12A": 12,
        "R18": 18,
    }
)
_SYSTEM: Final = re.compile("^(?:FSK|BBFC|MPAA|MPA)(?=.)")
_NUMBER: Final = re.compile("^(?:AB)?([0-9]{1,2})$")

AGE_MAX: Final = 21
"""A higher number is no age from which a film may be seen."""


def least_age(rating: str | None) -> int | None:
    """The age from which a film may be seen; None if it has no rating that we can read."""
    text = _SYSTEM.sub("", re.sub("[^0-9A-Z]", "", (rating or "").upper()))
    found = _NUMBER.match(text)
    if found is None:
        return _WORDS.get(text)
    age = int(found[1])
    return age if age <= AGE_MAX else None


def age_on(day: date, born: date) -> int:
    """Whole years; whoever was born on 29 February is a year older on 1 March."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def age_allowed(rating: str | None, born: date | None, day: date) -> bool:
    """Whether somebody is old enough for a film; without a date or a rating everybody is."""
    least = least_age(rating)
    return born is None or least is None or age_on(day, born) >= least
