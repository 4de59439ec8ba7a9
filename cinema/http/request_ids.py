"""Request ids: the client's if it is harmless, otherwise our own."""

from __future__ import annotations

import re
from random import getrandbits
from typing import Final

from cinema.http.limits import REQUEST_ID_LIMIT_CHARACTERS

_HARMLESS: Final = re.compile(r"[A-Za-z0-9._\-]+")
_HARMFUL: Final = re.compile(r"[^A-Za-z0-9._\-]")


def new_request_id() -> str:
    """96 random bits; ids name requests in logs and protect nothing."""
    return getrandbits(96).to_bytes(12, "big").hex()


def clean_request_id(text: str) -> str:
    """`text` without characters that could harm a log or a header, cut; our own id if empty."""
    text = text[:REQUEST_ID_LIMIT_CHARACTERS]
    if _HARMLESS.fullmatch(text):
        return text
    return _HARMFUL.sub("", text) or new_request_id()
