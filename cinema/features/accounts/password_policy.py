"""Refuses passwords that are easy to guess."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

from cinema.domain.limits_catalog import PASSWORD_CHARS_MIN
from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.shapes import email_key

COMMONEST_REFUSED: Final = 10_000
"""The most frequent passwords in leaks; guessers try these first."""

UNSEEN: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})
"""Categories of characters that are not shown: controls, marks of direction, what is nothing."""

TOO_SHORT: Final = (
    "Use at least 8 characters; spaces in a row count as one, invisible ones as none."
)


def check_password(password: str, email: str, *, path: str = "$.password") -> None:
    """Refuse (VALIDATION_ERROR at `path`) a very common password, or the e-mail address itself.

    Upper and lower case are the same, since guessers try both. The request's shape checks the
    length; here it is that of what can be seen, since eight spaces, or four letters with their
    accents apart, are no eight characters to guess.
    """
    if len(_seen(password)) < PASSWORD_CHARS_MIN:
        raise _refusal(TOO_SHORT, path)
    plain = _plain(password)
    if plain in _commonest():
        raise _refusal("This password is among the commonest ones: choose another.", path)
    if plain in {_plain(email), email_key(email)}:
        raise _refusal("Choose a password that is not your e-mail address.", path)


def _refusal(message: str, path: str) -> Refused:
    return refuse("VALIDATION_ERROR", message, path=path)


def _plain(text: str) -> str:
    return _seen(text).casefold()


def _seen(text: str) -> str:
    """A text without what nobody sees, and with one space for many."""
    normal = unicodedata.normalize("NFKC", text)
    seen = (one for one in normal if one.isspace() or unicodedata.category(one) not in UNSEEN)
    return " ".join("".join(seen).split())


@lru_cache(maxsize=1)
def _commonest() -> frozenset[str]:
    # Loaded for the first password, because reading the lists takes 20 MB.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"][:COMMONEST_REFUSED])
