"""Words of titles, and how like two words are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.domain.searching import (
    ASKED_LIMIT,
    EXACT,
    TITLE_WEIGHT,
    WORD_CHARS,
    WORDS_LIMIT,
    asked_words,
    likeness,
    trigrams,
    word_weight,
    words_of,
)
from cinema.domain.text import fold

WORDS = st.text(
    st.characters(categories=("Ll", "Nd"), max_codepoint=0x24F), min_size=1, max_size=12
)


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("The Matrix", ["the", "matrix"]),
        ("Spider-Man: Homecoming", ["spider", "man", "spiderman", "homecoming"]),
        ("Ocean’s Eleven", ["ocean", "s", "oceans", "eleven"]),
        ("L’été, l’été", ["l", "ete", "lete"]),
        ("Łódź", ["lodz"]),
        ("WALL·E", ["wall", "e"]),
        ("千と千尋の神隠し", ["千と", "と千", "千尋", "尋の", "の神", "神隠", "隠し"]),
        ("2001年", ["2001", "年"]),
        ("!?", []),
        ("_", []),
    ],
)
def test_a_title_is_found_by_its_words(title: str, words: list[str]) -> None:
    assert words_of(fold(title)) == words


def test_words_of_a_title_are_bounded() -> None:
    assert words_of("a" * 300) == ["a" * WORD_CHARS]
    many = words_of(" ".join(f"w{number}" for number in range(100)))
    assert len(many) == WORDS_LIMIT
    assert len(asked_words(" ".join(f"w{number}" for number in range(100)))) == ASKED_LIMIT
    assert words_of(f"{'a' * 30}-{'b' * 30}")[-1] == "a" * 30 + "b" * 10


def test_a_search_asks_for_words_that_titles_have() -> None:
    assert asked_words("spider-man  no way") == ["spider", "man", "no", "way"]
    assert asked_words("ocean's eleven") == ["oceans", "eleven"]
    assert asked_words("dune dune") == ["dune"]
    assert asked_words("神隠し") == ["神隠", "隠し"]
    assert asked_words("%") == []


@given(st.text(max_size=60))
def test_whoever_asks_for_a_whole_title_finds_each_of_its_words(title: str) -> None:
    folded = fold(title)
    assert set(asked_words(folded)) <= set(words_of(folded))


def test_words_of_a_title_weigh_less_the_more_there_are() -> None:
    assert word_weight(1) == TITLE_WEIGHT
    assert word_weight(4) == TITLE_WEIGHT // 4
    assert word_weight(64) == 0
    assert word_weight(0) == TITLE_WEIGHT


def test_trigrams_know_the_ends_of_a_word() -> None:
    assert trigrams("dune") == ["_du", "dun", "ne_", "une"]
    assert trigrams("x") == ["_x_"]
    assert trigrams("aaaa") == ["_aa", "aa_", "aaa"]


@pytest.mark.parametrize(
    "ranked",
    [
        # The same, its beginning, part of it, errors, an error in its beginning, another word.
        ("matrix", ["matrix", "matrixes", "dematrixed", "matrxi", "metrixological", "metropolis"]),
        ("inception", ["inception", "inceptions", "reinceptions", "incepton", "incpeton", "ink"]),
    ],
)
def test_better_answers_come_first(ranked: tuple[str, list[str]]) -> None:
    asked, words = ranked
    qualities = [likeness(asked, word) for word in words]
    assert qualities == sorted(qualities, reverse=True)
    assert len(set(qualities)) == len(qualities)
    assert qualities[0] == EXACT
    assert qualities[-1] == 0


@pytest.mark.parametrize(
    ("asked", "word", "is_like"),
    [
        ("sun", "son", False),
        ("dune", "done", True),
        ("dune", "nude", False),
        ("godfahter", "godfather", True),
        ("gdofahter", "godfather", True),
        ("gdofahtre", "godfather", False),
        ("alien", "aliens", True),
        ("aliens", "alien", True),
        ("metropl", "metropolis", True),
        ("it", "spirit", False),
        ("rit", "spirit", True),
    ],
)
def test_short_words_have_no_errors_and_long_ones_two(asked: str, word: str, is_like: bool) -> None:
    assert bool(likeness(asked, word)) is is_like


@given(WORDS, WORDS)
def test_likeness_is_a_quality(asked: str, word: str) -> None:
    assert (likeness(asked, word) == EXACT) == (asked == word)
    assert 0 <= likeness(asked, word) <= EXACT


@given(WORDS.filter(lambda word: len(word) >= 4), st.integers(0, 11), st.characters())
def test_one_wrong_letter_is_forgiven(word: str, place: int, letter: str) -> None:
    place %= len(word)
    assert likeness(word[:place] + letter + word[place + 1 :], word) > 0
