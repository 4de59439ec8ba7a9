"""Dates of birth as they are kept: sealed, each for its own account."""

from __future__ import annotations

from datetime import date
from typing import Final
from uuid import UUID

from cinema.storage.encryption import Cipher
from cinema.storage.resealing import SealedColumn


def sealed_birth(cipher: Cipher, user_id: UUID, born: date | None) -> bytes | None:
    """As it is stored; None if there is none."""
    if born is None:
        return None
    return cipher.seal(born.isoformat().encode(), place=_place(user_id))


def opened_birth(cipher: Cipher, user_id: UUID, sealed: bytes | None) -> date | None:
    """As the customer stated it. Raises `CannotOpen`."""
    if sealed is None:
        return None
    return date.fromisoformat(cipher.open(sealed, place=_place(user_id)).decode())


def _place(user_id: UUID) -> bytes:
    return b"recommendation_preferences.date_of_birth:" + user_id.bytes


SEALED: Final = SealedColumn(
    table="recommendation_preferences", key="user_id", column="date_of_birth", place=_place
)
