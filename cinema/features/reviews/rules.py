"""What a review may say, and who has to look at it before others do: pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from cinema.domain.rejections import refuse
from cinema.domain.text import fold, hidden_character
from cinema.features.reviews.shapes import TEXT_CHARS, ReviewStatus

REPORTS_TO_WAIT: Final = 3
"""So many people have to report a published review before it waits for a moderator again."""

_ADDRESS: Final = re.compile(r"https?://|\bwww\.|[\w.+-]+@[\w-]+\.\w", re.IGNORECASE)
_WORD: Final = re.compile(r"\w+")


def tidy_text(text: str, path: str) -> str:
    """A text as it is kept: composed (NFC), without space around it.

    Refuses VALIDATION_ERROR for one that is too long, or has characters that nobody sees.
    """
    tidy = unicodedata.normalize("NFC", text.replace("\r\n", "\n")).strip()
    if hidden_character(tidy, has_lines=True):
        raise refuse("VALIDATION_ERROR", "A character of the text is not allowed.", path=path)
    if len(tidy) > TEXT_CHARS:
        text = f"At most {TEXT_CHARS} characters."
        raise refuse("VALIDATION_ERROR", text, path=path)
    return tidy


class WordList:
    """Words that nobody reads before a moderator has; case and accents do not count."""

    def __init__(self, words: Iterable[str]) -> None:
        phrases = [_WORD.findall(fold(one)) for one in words]
        self._phrases = frozenset(" ".join(phrase) for phrase in phrases if phrase)
        self._longest = max((len(one.split()) for one in self._phrases), default=0)

    def is_clean(self, text: str) -> bool:
        """Whether a text has none of the words, and no address that leads somewhere else."""
        if _ADDRESS.search(text):
            return False
        words = _WORD.findall(fold(text))
        return not any(
            " ".join(words[start : start + length]) in self._phrases
            for length in range(1, self._longest + 1)
            for start in range(len(words) - length + 1)
        )


def status_of(text: str, words: WordList, before: ReviewStatus = "published") -> ReviewStatus:
    """The status of a review that was just written, or changed.

    What waits, or was rejected, waits for a moderator whatever it says now.
    """
    return "published" if before == "published" and words.is_clean(text) else "pending"
