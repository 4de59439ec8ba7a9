"""How much of what came is foreseen."""

from collections.abc import Collection, Sequence
from uuid import UUID

from cinema.features.recommendations.model.ranking import PLACES


def recall(order: Sequence[UUID], came: Collection[UUID]) -> float:
    """The share of what came that is among the first ten."""
    return sum(one in came for one in order[:PLACES]) / min(PLACES, len(came))
