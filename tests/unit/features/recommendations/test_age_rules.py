"""Ages are read from the ratings that cinemas use; what cannot be read keeps nobody out."""

from __future__ import annotations

from datetime import date

import pytest

from cinema.features.recommendations.age_rules import age_allowed, age_on, least_age


@pytest.mark.parametrize(
    ("rating", "age"),
    [
        *((text, 0) for text in ("0", "FSK 0", "FSK0", "U", "BBFC U", "Uc", "PG", "G", "MPA G")),
        *((text, 6) for text in ("6", "FSK 6", "fsk-6", "FSK ab 6", "FSK: 6")),
        *((text, 12) for text in ("12", "12A", "12+", "FSK 12", "ab 12", "BBFC 12A")),
        *((text, 13) for text in ("PG-13", "pg 13", "PG13", "MPAA PG-13")),
        *((text, 15) for text in ("15", "BBFC 15")),
        *((text, 16) for text in ("16", "FSK 16", "16+", " 16 ")),
        *((text, 17) for text in ("R", "MPA R", "MPAA: R")),
        *((text, 18) for text in ("18", "FSK 18", "NC-17", "NC17", "18+", "R18", "BBFC R18")),
        *((text, None) for text in (None, "", "?", "FSK", "unrated", "Not rated", "99", "AL", "X")),
    ],
)
def test_ratings_of_the_systems_in_use_are_read(rating: str | None, age: int | None) -> None:
    assert least_age(rating) == age


def test_age_is_counted_in_birthdays() -> None:
    born = date(2008, 2, 29)
    ages = {
        date(2026, 2, 28): 17,
        date(2026, 3, 1): 18,
        date(2028, 2, 28): 19,
        date(2028, 2, 29): 20,
    }
    assert {day: age_on(day, born) for day in ages} == ages


def test_a_film_is_allowed_from_the_birthday_on() -> None:
    born, before, birthday = date(2010, 6, 5), date(2026, 6, 4), date(2026, 6, 5)
    assert not age_allowed("FSK 16", born, before)
    assert age_allowed("FSK 16", born, birthday)
    assert age_allowed("FSK 16", None, before)
    assert age_allowed("unrated", born, before)
    assert age_allowed(None, born, before)
