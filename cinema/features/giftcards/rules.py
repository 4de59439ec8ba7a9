"""Codes of gift cards, and what keeps a card from being used: pure."""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from cinema.features.giftcards.shapes import Standing

ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Codes are read out and typed: no characters that look alike. Their number, 31, is prime."""

CODE_CHARS: Final = 16
GROUP_CHARS: Final = 4

REPLACED_MOST: Final = 100
"""Cards that are followed from one to that in its place; `replace` keeps each one step away."""

DISPUTED: Final = "PAYMENT_DISPUTED"
"""Why a card is out of use whose payment a bank decides about."""

RADIX: Final = 3
"""A primitive root of 31: each of the places has a weight of its own."""

_VALUES: Final = {character: value for value, character in enumerate(ALPHABET)}
_MODULUS: Final = len(ALPHABET)
_FREE_CHARS: Final = CODE_CHARS - 1


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be known of a card before it is used."""

    currency: str
    balance_minor: int
    expires_at: datetime
    disabled_at: datetime | None

    def standing_at(self, now: datetime) -> Standing:
        """Whether it can be used; first what cannot be mended."""
        if self.disabled_at is not None:
            return "disabled"
        if now >= self.expires_at:
            return "expired"
        return "active" if self.balance_minor else "empty"


class NewCode(msgspec.Struct, frozen=True, kw_only=True):
    """The code of a card that is made, and what is kept of it."""

    code: str
    digest: bytes
    last_four: str

    def __repr__(self) -> str:
        return f"NewCode(…{self.last_four})"


def check_character(free: str) -> str:
    """The last character of a code, which follows from those before it.

    ISO/IEC 7064, a pure system with one check character: the sum of value × radix^(places behind
    it) is 1 modulo the size of the alphabet. That size is prime and the weights all differ. So
    each wrong character is found, and any two that have changed places.
    """
    total = 0
    for character in free:
        total = (total + _VALUES[character]) * RADIX % _MODULUS
    return ALPHABET[(1 - total) % _MODULUS]


def code_of(seed: bytes, number: int) -> str:
    """A code that follows from a secret; each number gives another."""
    digest = hmac.digest(seed, number.to_bytes(4, "big"), "sha512")
    left, characters = int.from_bytes(digest, "big"), []
    for _ in range(_FREE_CHARS):
        left, value = divmod(left, _MODULUS)
        characters.append(ALPHABET[value])
    free = "".join(characters)
    return free + check_character(free)


def seed_of_refund(key: bytes, refund_id: UUID) -> bytes:
    """What the code of a card follows from that was made for a refund; it is kept nowhere."""
    return hmac.digest(key, b"refund:" + refund_id.bytes, "sha256")


def seed_of_order(key: bytes, order_id: UUID) -> bytes:
    """The same for a card that a customer has bought by themselves."""
    return hmac.digest(key, b"order:" + order_id.bytes, "sha256")


def seed_of_deposit(key: bytes, card_id: UUID) -> bytes:
    """The same for a card that has the deposit of a group."""
    return hmac.digest(key, b"deposit:" + card_id.bytes, "sha256")


def tidy_code(text: str) -> str | None:
    """A code as it was typed, without spaces and dashes; None if it cannot be one."""
    code = "".join(text.split()).replace("-", "").upper()
    if len(code) != CODE_CHARS or any(character not in _VALUES for character in code):
        return None
    return code if check_character(code[:-1]) == code[-1] else None


def shown_code(code: str) -> str:
    """A code in groups, as people read it."""
    starts = range(0, CODE_CHARS, GROUP_CHARS)
    return "-".join(code[start : start + GROUP_CHARS] for start in starts)


def code_digest(key: bytes, code: str) -> bytes:
    """What is kept of a code; without the key nobody can try codes against it."""
    return hmac.digest(key, code.encode(), "sha256")


def new_code(key: bytes, seed: bytes, number: int = 0) -> NewCode:
    """A code that follows from a secret, with what is kept of it."""
    code = code_of(seed, number)
    return NewCode(code=code, digest=code_digest(key, code), last_four=code[-GROUP_CHARS:])


def whole_years_later(moment: datetime, years: int) -> datetime:
    """The same day in a later year; 29 February becomes 1 March, so that no day is lost."""
    try:
        return moment.replace(year=moment.year + years)
    except ValueError:
        return moment.replace(year=moment.year + years, month=3, day=1)
