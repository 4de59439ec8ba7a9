"""What passes between a server and the process that builds its model: msgpack, both ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from cinema.features.recommendations.model.facts import Film, Popularity, Weights


class ModelTask(msgspec.Struct, frozen=True, kw_only=True):
    """Build a model of these. A history has the weights of films by their place in `films`.

    `weights` are those to serve, if they were ever refitted, and when that was tried last.
    """

    films: Sequence[Film]
    histories: Sequence[Mapping[int, float]]
    candidates: Sequence[UUID]
    popularity: Popularity
    built_at_s: float
    weights: Weights | None = None
    refitted_at_s: float = 0.0
