"""What a review may say, and who has to look at it first."""

from __future__ import annotations

import pytest

from cinema.domain.rejections import Refused
from cinema.features.catalog.rules import PRIOR_COUNT, PRIOR_RATING, shown_rating
from cinema.features.catalog.shapes import Rating
from cinema.features.reviews.rules import WordList, status_of, tidy_text
from cinema.features.reviews.shapes import TEXT_CHARS

WORDS = WordList(["damn", "  ", "buy now", "Käse"])


@pytest.mark.parametrize(
    "text",
    [
        "damn",
        "DAMN!",
        "well, dâmn it",
        "Buy  NOW",
        "they say: buy-now",
        "Alter Kase",
        "see https://x.example",
        "www.x.example",
        "write to me@x.example",
    ],
)
def test_a_text_with_a_word_of_the_list_or_an_address_is_not_clean(text: str) -> None:
    assert not WORDS.is_clean(text)


@pytest.mark.parametrize(
    "text",
    ["", "Great.", "condamned", "buy it now", "now buy", "5 stars @ the Odeon", "Käsekuchen"],
)
def test_words_are_whole_words_in_a_row(text: str) -> None:
    assert WORDS.is_clean(text)


def test_without_a_list_only_addresses_wait() -> None:
    assert WordList([]).is_clean("damn")
    assert not WordList([]).is_clean("http://x.example")


def test_only_what_everybody_could_see_is_seen_without_a_moderator() -> None:
    assert status_of("Great.", WORDS) == "published"
    assert status_of("damn", WORDS) == "pending"
    assert status_of("Great.", WORDS, "pending") == "pending"
    assert status_of("Great.", WORDS, "rejected") == "pending"


def test_a_text_is_kept_composed_and_without_space_around_it() -> None:
    assert tidy_text("  Cafe\u0301\r\nAgain \n", "$.text") == "Caf\u00e9\nAgain"
    assert len(tidy_text("e\u0301" * TEXT_CHARS, "$.text")) == TEXT_CHARS


@pytest.mark.parametrize("text", ["x" * (TEXT_CHARS + 1), "a\x07b", "abc\u202edef"])
def test_a_text_that_is_too_long_or_hides_something_is_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        tidy_text(text, "$.text")
    assert refused.value.rejection.code == "VALIDATION_ERROR"
    assert refused.value.rejection.details == {"path": "$.text"}


def test_a_rating_alone_is_near_the_middle_and_many_are_what_they_are() -> None:
    assert shown_rating(0, 0) == Rating(average=None, count=0)
    alone = shown_rating(1, 5).average
    assert alone == round((PRIOR_RATING * PRIOR_COUNT + 5) / (PRIOR_COUNT + 1), 2) == 3.75
    assert shown_rating(10_000, 50_000) == Rating(average=5.0, count=10_000)
    assert shown_rating(3, 3).average == 2.56
