"""Methods that put money aside here, alone or as a part beside others."""

from __future__ import annotations

from typing import Final

from cinema.features.ledger.cards import GIFT_CARD

POINTS: Final = "points"

PART_METHODS: Final = (POINTS, GIFT_CARD)
"""In the order in which they pay; all others pay the rest. Money goes back in reverse."""

RANK: Final = (
    "case {}.method "
    + " ".join(f"when '{name}' then {place}" for place, name in enumerate(PART_METHODS))
    + f" else {len(PART_METHODS)} end"
)
"""The place of a payment in that order, for SQL; takes the name of the table."""
