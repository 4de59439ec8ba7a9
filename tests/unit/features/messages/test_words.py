"""Times and amounts as people of a language write them."""

from __future__ import annotations

import pytest

from cinema.features.messages.rules import LANGUAGES
from cinema.features.messages.words import spoken_amount, spoken_time


@pytest.mark.parametrize(
    ("text", "english", "german"),
    [
        ("2026-06-01 20:00", "Monday 1 June 2026, 20:00", "Montag, 1. Juni 2026, 20:00 Uhr"),
        (
            "2026-12-31 09:05",
            "Thursday 31 December 2026, 09:05",
            "Donnerstag, 31. Dezember 2026, 09:05 Uhr",
        ),
        (
            "2028-02-29 00:00",
            "Tuesday 29 February 2028, 00:00",
            "Dienstag, 29. Februar 2028, 00:00 Uhr",
        ),
    ],
)
def test_times_have_names_of_days_and_months(text: str, english: str, german: str) -> None:
    assert [spoken_time(text, language) for language in LANGUAGES] == [english, german]


def test_amounts_have_the_comma_of_the_language() -> None:
    assert spoken_amount("24.00 EUR", "en") == "24.00 EUR"
    assert spoken_amount("24.00 EUR", "de") == "24,00 EUR"
    assert spoken_amount("2400 JPY", "de") == "2400 JPY"
    assert spoken_amount("1.234 KWD", "de") == "1,234 KWD"


@pytest.mark.parametrize("text", ["", "soon", "2026-06-01", "v1.5"])
def test_what_is_none_stays_as_it_is(text: str) -> None:
    for language in LANGUAGES:
        assert spoken_time(text, language) == text
        assert spoken_amount(text, language) == text
