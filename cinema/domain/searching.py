"""Words by which titles are found, and how like two words are.

Everything here works on folded text (`cinema/domain/text.py`).
"""

from __future__ import annotations

import re
from typing import Final

WORD_CHARS: Final = 40
"""Of a longer word the rest does not count."""

WORDS_LIMIT: Final = 64
"""Words of a text, at most; a title has 300 characters."""

ASKED_LIMIT: Final = 6
"""Words of a search that count, at most: each costs a look at the vocabulary."""

EXACT: Final = 100
"""The quality of a word that is what was asked for."""

TITLE_WEIGHT: Final = 20
"""What all words of a title are worth together: of two titles that have what was asked for, the one
with fewer words beside it comes first."""

_COMPOUND: Final = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")
_JOINT: Final = re.compile("[-']")
_CJK: Final = re.compile("([\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+)")
"""Scripts that put no spaces between words: their pairs of signs stand for words."""

_INSIDE_CHARS: Final = 3
_ONE_ERROR_CHARS: Final = 4
_TWO_ERRORS_CHARS: Final = 8


def words_of(folded: str) -> list[str]:
    """The words of a text, each once: `spider-man` is found as `spider`, `man` and `spiderman`."""
    found: dict[str, None] = {}
    for compound in _COMPOUND.findall(folded):
        for part in _JOINT.split(compound):
            found.update(dict.fromkeys(_split(part)))
        for piece in (*compound.split("-"), compound):
            found.update(dict.fromkeys(_split(_JOINT.sub("", piece))))
    return list(found)[:WORDS_LIMIT]


def asked_words(folded: str) -> list[str]:
    """The words of a search: `spider-man` asks for `spider` and `man`, `l'ete` for `lete`."""
    found: dict[str, None] = {}
    for compound in _COMPOUND.findall(folded):
        for piece in compound.split("-"):
            found.update(dict.fromkeys(_split(piece.replace("'", ""))))
    return list(found)[:ASKED_LIMIT]


def _split(word: str) -> list[str]:
    parts: list[str] = []
    for part in filter(None, _CJK.split(word)):
        if len(part) > 1 and _CJK.fullmatch(part):
            parts += [part[start : start + 2] for start in range(len(part) - 1)]
        else:
            parts.append(part[:WORD_CHARS])
    return parts


def word_weight(words: int) -> int:
    """What one of the `words` of a title adds to the quality of a match."""
    return TITLE_WEIGHT // max(1, words)


def trigrams(word: str) -> list[str]:
    """Each three signs in a row, with `_` for the ends: like words have many in common."""
    padded = f"_{word}_"
    return sorted({padded[start : start + 3] for start in range(len(padded) - 2)})


def likeness(asked: str, word: str) -> int:
    """How well `word` answers what was asked: 100 is the same word, 0 another one.

    Words that begin so come before words that only have it in them, and both before errors of
    typing: one in words of four letters, two in words of eight. An error is a letter that is wrong,
    missing or too many, or two that have changed places.
    """
    if word == asked:
        return EXACT
    if word.startswith(asked):
        return 60 + 15 * len(asked) // len(word)
    if len(asked) >= _INSIDE_CHARS and asked in word:
        return 55
    allowed = (len(asked) >= _ONE_ERROR_CHARS) + (len(asked) >= _TWO_ERRORS_CHARS)
    if not allowed:
        return 0
    distances = _distances(asked, word)
    if distances[-1] <= allowed:
        return 60 - 10 * distances[-1]
    errors = min(distances)
    return 40 - 10 * errors if errors <= allowed else 0


def _distances(asked: str, word: str) -> list[int]:
    """The fewest errors between `asked` and each beginning of `word`, from none of it to all.

    Optimal string alignment: Damerau (1964), A technique for computer detection and correction of
    spelling errors; each pair of letters changes places once at most.
    """
    before: list[int] = []
    last = list(range(len(word) + 1))
    for row, letter in enumerate(asked, 1):
        current = [row]
        for column, other in enumerate(word, 1):
            best = min(last[column] + 1, current[-1] + 1, last[column - 1] + (letter != other))
            if row > 1 and column > 1 and letter == word[column - 2] and other == asked[row - 2]:
                best = min(best, before[column - 2] + 1)
            current.append(best)
        before, last = last, current
    return last
