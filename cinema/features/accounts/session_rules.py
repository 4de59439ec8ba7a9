"""What becomes of a session when a refresh token of it is used.

The refresh tokens of a session are a family: each use of the one in force makes its successor. An
older one that turns up again was copied by somebody, and nobody can tell which of the two is the
owner: the session ends for both. Only a repetition right after the first use is answered as that
was, since tabs ask at the same time and answers get lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias

import msgspec

ROTATIONS_KEPT: Final = 8
"""Moments of the latest rotations that a session keeps: as many generations as a token may be
behind and still be answered. At the throttle's pace of one a second it is those of the grace."""

REFRESH_INVALID: Final = "INVALID_REFRESH_TOKEN"
REFRESH_EXPIRED: Final = "REFRESH_TOKEN_EXPIRED"
REFRESH_REUSED: Final = "REFRESH_TOKEN_REUSED"


class SessionTimes(msgspec.Struct, frozen=True, kw_only=True):
    """How long sessions live, and for how long a repetition is no misuse; seconds."""

    idle_s: int
    total_s: int
    grace_s: int

    def end(self, created_at: datetime, used_at: datetime) -> datetime:
        """When a session ends that is not used again."""
        idle = used_at + timedelta(seconds=self.idle_s)
        return min(idle, created_at + timedelta(seconds=self.total_s))


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """A session as far as its refresh tokens go.

    `digest` is of the token in force, None where the session has none; `rotations` are the moments
    at which the tokens before it were used first, the latest first.
    """

    digest: bytes | None
    rotations: tuple[datetime, ...]
    created_at: datetime
    expires_at: datetime
    revoked: bool
    disabled: bool


class Rotate(msgspec.Struct, frozen=True):
    """The token in force was used: its successor is from now on."""

    successor: bytes
    rotations: tuple[datetime, ...]
    expires_at: datetime


class Repeat(msgspec.Struct, frozen=True):
    """A token was used again right away: its first use's answer, and no change."""

    successor: bytes


class Reuse(msgspec.Struct, frozen=True):
    """A token was used again later: the session ends."""


class Ended(msgspec.Struct, frozen=True):
    """The session goes on for nobody; `reason` is told."""

    reason: str


Step: TypeAlias = Rotate | Repeat | Reuse | Ended


def digest_of(secret: bytes) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(secret).digest()


def use_token(
    family: Family,
    secret: bytes,
    lines: Sequence[Sequence[bytes]],
    now: datetime,
    times: SessionTimes,
) -> Step:
    """What the use of a token at `now` does.

    `lines` are the secrets that follow this one, one line for each key that may have derived them,
    that of the key in force first.
    """
    if family.revoked or family.disabled or family.digest is None:
        return Ended(REFRESH_INVALID)
    if now >= family.expires_at:
        return Ended(REFRESH_EXPIRED)
    if digest_of(secret) == family.digest:
        expires_at = times.end(family.created_at, now)
        if now >= expires_at:
            return Ended(REFRESH_EXPIRED)
        return Rotate(lines[0][0], (now, *family.rotations)[:ROTATIONS_KEPT], expires_at)
    for line in lines:
        # Each of the line was made when the one before it was used first.
        for later, first_used_at in zip(line, family.rotations, strict=False):
            if digest_of(later) != family.digest:
                continue
            if now - first_used_at <= timedelta(seconds=times.grace_s):
                return Repeat(line[0])
            return Reuse()
    return Reuse()
