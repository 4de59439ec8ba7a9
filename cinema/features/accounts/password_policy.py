"""Refuses passwords that are easy to guess."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.shapes import email_key

COMMONEST_REFUSED: Final = 10_000
"""The most frequent passwords in leaks; guessers try these first."""


def check_password(password: str, email: str, *, path: str = "$.password") -> None:
    """Refuse (VALIDATION_ERROR at `path`) a very common password, or the e-mail address itself.

    Upper and lower case are the same, since guessers try both. The request's shape checks the
    length.
    """
    plain = _plain(password)
    if plain in _commonest():
        raise _refusal("This password is among the commonest ones: choose another.", path)
    if plain in {_plain(email), email_key(email)}:
        raise _refusal("Choose a password that is not your e-mail address.", path)


def _refusal(message: str, path: str) -> Refused:
    return refuse("VALIDATION_ERROR", message, path=path)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text.strip()).casefold()


@lru_cache(maxsize=1)
def _commonest() -> frozenset[str]:
    # Loaded for the first password, because reading the lists takes 20 MB.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"][:COMMONEST_REFUSED])
