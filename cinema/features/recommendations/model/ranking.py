"""How good an order of films is, when it is known what came."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import log2
from typing import Final
from uuid import UUID

PLACES: Final = 10


def ndcg(order: Sequence[UUID], came: Collection[UUID]) -> float:
    """Normalised discounted cumulative gain of the first ten places."""
    gain = sum(1 / log2(place + 2) for place, one in enumerate(order[:PLACES]) if one in came)
    best = sum(1 / log2(place + 2) for place in range(min(PLACES, len(came))))
    return gain / best
