"""Codes of gift cards, and what keeps a card from being used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.features.giftcards.rules import (
    ALPHABET,
    CODE_CHARS,
    Card,
    check_character,
    code_digest,
    code_of,
    shown_code,
    tidy_code,
    whole_years_later,
)
from cinema.features.giftcards.service import UNUSABLE

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
CODES = st.builds(code_of, st.binary(min_size=32, max_size=32), st.integers(0, 499))
PLACES = st.integers(0, CODE_CHARS - 1)


def test_codes_have_no_characters_that_look_alike() -> None:
    assert len(set(ALPHABET)) == len(ALPHABET) == 31
    assert not set(ALPHABET) & set("01ILO")


@given(CODES)
def test_a_code_is_read_however_it_is_typed(code: str) -> None:
    assert len(code) == CODE_CHARS
    assert tidy_code(code) == code
    assert tidy_code(f" {shown_code(code).lower()} ") == code
    assert shown_code(code).replace("-", "") == code


@given(CODES, PLACES, st.sampled_from(ALPHABET))
def test_one_wrong_character_is_found(code: str, place: int, other: str) -> None:
    wrong = code[:place] + other + code[place + 1 :]
    assert (tidy_code(wrong) == wrong) == (wrong == code)


@given(CODES, PLACES, PLACES)
def test_two_characters_that_change_places_are_found(code: str, one: int, other: int) -> None:
    swapped: list[Any] = list(code)
    swapped[one], swapped[other] = swapped[other], swapped[one]
    wrong = "".join(swapped)
    assert (tidy_code(wrong) == wrong) == (wrong == code)


def test_the_check_character_is_as_worked_out_by_hand() -> None:
    # All values are 0, so the character has to be 1.
    assert check_character("2" * 15) == "3"
    # The last free place has the weight 3: 1 - 3 is 29 modulo 31.
    assert check_character("2" * 14 + "3") == ALPHABET[29]


@pytest.mark.parametrize("text", ["", "2" * 15, "2" * 17, "2" * 15 + "O", "é" * 16, "2" * 16])
def test_what_is_no_code_is_none(text: str) -> None:
    assert tidy_code(text) is None


def test_codes_of_a_sale_differ_and_follow_from_its_secret() -> None:
    codes = [code_of(b"s" * 32, number) for number in range(500)]
    assert len(set(codes)) == 500
    assert codes[3] == code_of(b"s" * 32, 3) != code_of(b"t" * 32, 3)


def test_a_digest_needs_the_key() -> None:
    code = code_of(b"s" * 32, 0)
    assert code_digest(b"a" * 32, code) == code_digest(b"a" * 32, code)
    assert code_digest(b"a" * 32, code) != code_digest(b"b" * 32, code)
    assert len(code_digest(b"a" * 32, code)) == 32


def card(**changes: Any) -> Card:
    usual: dict[str, Any] = {
        "currency": "EUR",
        "balance_minor": 1,
        "expires_at": NOW + timedelta(microseconds=1),
        "disabled_at": None,
    }
    return Card(**(usual | changes))


@pytest.mark.parametrize(
    ("changes", "standing"),
    [
        ({}, "active"),
        ({"balance_minor": 0}, "empty"),
        ({"expires_at": NOW}, "expired"),
        ({"expires_at": NOW, "balance_minor": 0}, "expired"),
        ({"expires_at": NOW, "disabled_at": NOW}, "disabled"),
    ],
)
def test_a_card_says_first_what_cannot_be_mended(changes: dict[str, Any], standing: str) -> None:
    assert card(**changes).standing_at(NOW) == standing
    assert standing == "active" or standing in UNUSABLE


@pytest.mark.parametrize(
    ("day", "later"),
    [
        (datetime(2026, 6, 1, tzinfo=UTC), datetime(2029, 6, 1, tzinfo=UTC)),
        (datetime(2028, 2, 29, tzinfo=UTC), datetime(2031, 3, 1, tzinfo=UTC)),
    ],
)
def test_a_card_is_good_for_whole_years(day: datetime, later: datetime) -> None:
    assert whole_years_later(day, 3) == later
