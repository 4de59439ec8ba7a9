"""What waiting rooms go by: the order of places, how many come in, and what a proof of work is.

The order is committed to before anybody joins: `commitment` of a random seed is published with the
room, the seed itself once the places are shuffled. Whoever has the ids of the places can repeat the
shuffle, as in RFC 3797 (Publicly Verifiable Nominations Committee Random Selection).
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from math import ceil, exp
from typing import Final
from uuid import UUID

import msgspec

SEED_BYTES: Final = 32

PACE_MEMORY_S: Final = 30.0
"""Over about this time the pace of admissions is averaged."""

POLL_MIN_S: Final = 2
POLL_MAX_S: Final = 15
"""Shortest and longest time after which somebody who waits should look again."""

START_SPREAD_S: Final = 4
"""Over so many seconds after the start those who wait are told to look for their order."""


def commitment(seed: bytes) -> bytes:
    """What is published before the start, so that the seed cannot be chosen afterwards."""
    return sha256(seed).digest()


def sort_key(seed: bytes, place_id: UUID) -> bytes:
    """By these, ascending, places of before the start are ordered.

    Seed and id have fixed lengths, so no two pairs are the same text, and none is the beginning of
    another. Who does not know the seed cannot tell the keys from random ones.
    """
    return sha256(seed + place_id.bytes).digest()


def shuffled(seed: bytes, places: Iterable[UUID]) -> list[UUID]:
    """The order of places of before the start; the same whatever order they are given in."""
    return sorted(places, key=lambda place_id: sort_key(seed, place_id))


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What a round of admissions is decided on.

    `free` are seats; `waiting` have a number; `shopping` were called in or are inside, and so many
    of these are `holding` seats.
    """

    free: int
    holding: int
    waiting: int
    shopping: int
    limit: int


def to_admit(sight: Sight) -> int:
    """How many more may come in: never more shoppers than the limit, nor than there are seats.

    Who shops and holds nothing needs one of the seats that are free. What staff hold, or others
    who came before the room, says nothing of shoppers. Holds that end make seats free, and let
    others in.
    """
    without_seats = max(0, sight.shopping - sight.holding)
    return max(0, min(sight.waiting, sight.limit - sight.shopping, sight.free - without_seats))


def new_pace(pace_per_s: float, admitted: int, elapsed_s: float) -> float:
    """The averaged admissions a second after a round."""
    if elapsed_s <= 0:
        return pace_per_s
    share = 1 - exp(-elapsed_s / PACE_MEMORY_S)
    return pace_per_s + share * (admitted / elapsed_s - pace_per_s)


def estimate_s(position: int, pace_per_s: float) -> int | None:
    """How long a place will still wait; None while nobody has been let in lately."""
    if pace_per_s < 0.001:
        return None
    return ceil(position / pace_per_s)


def poll_after_s(position: int | None, pace_per_s: float) -> int:
    """When to look again: the nearer the turn, the sooner."""
    estimate = None if position is None else estimate_s(position, pace_per_s)
    if position is not None and position <= 1:
        return POLL_MIN_S
    return max(POLL_MIN_S, min(POLL_MAX_S, POLL_MAX_S if estimate is None else estimate // 4))


def poll_for_start_s(left_s: float, place_id: UUID) -> int:
    """When to look for the order: soon after the start, but not all in the same second."""
    spread_s = place_id.int % START_SPREAD_S
    return max(POLL_MIN_S, min(POLL_MAX_S, ceil(left_s) + 1 + spread_s))


def has_work(room_id: UUID, bound_to: str, proof: str, bits: int) -> bool:
    """Whether `proof` shows the work that a room asks for (Hashcash, with SHA-256).

    The digest of `room:bound_to:proof` begins with `bits` zeros. `bound_to` is the id of the
    customer, or the digest of the secret: work done for one is worth nothing to another.
    """
    digest = sha256(f"{room_id}:{bound_to}:{proof}".encode()).digest()
    return int.from_bytes(digest) >> (len(digest) * 8 - bits) == 0


def device_digest(secret: str) -> bytes:
    """What is kept of the secret of a device."""
    return sha256(secret.encode()).digest()
