"""Gift cards, as whoever takes payments needs them."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from cinema.domain.rejections import refuse

GIFT_CARD: Final = "gift_card"

CARD_CODE_CHARS: Final = 64
"""How much is read of a code as somebody has typed it, with spaces and dashes."""

CardCode = Annotated[
    str,
    Meta(
        max_length=CARD_CODE_CHARS,
        description="The code of a gift card; only with the method `gift_card`.",
    ),
]


def check_code(method: str, code: str | None, path: str) -> None:
    """Refuses VALIDATION_ERROR for a gift card without its code, and for a code without a card."""
    if (method == GIFT_CARD) != (code is not None):
        text = "The method `gift_card` needs the code of a card, and no other method has one."
        raise refuse("VALIDATION_ERROR", text, path=f"{path}.code")
