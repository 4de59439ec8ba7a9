"""Which passwords are refused because somebody else would guess them at once."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

from cinema.domain.rejections import Refused, refuse
from cinema.features.accounts.shapes import email_key

COMMONEST_REFUSED: Final = 10_000
"""The passwords that leaks show most often; they are the first that guessers try."""


def check_password(password: str, email: str, *, path: str = "$.password") -> None:
    """Refuse (VALIDATION_ERROR at `path`) what is too common, or the e-mail address itself.

    Upper and lower case are one: guessers try both. The length is a matter of the request's form.
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
    # Loaded with the first password: the lists take 20 MB while they are read.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"][:COMMONEST_REFUSED])
