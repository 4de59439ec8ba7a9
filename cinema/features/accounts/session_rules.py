"""What the use of a refresh token does to its session.

The refresh tokens of a session are a family: each use of the current one makes its successor. If
an older one is used again, somebody has copied it. The server cannot tell which of the two is the
owner, so the session ends for both. A repetition right after the first use gets the same answer
again, because tabs ask at the same time and answers get lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias

import msgspec

ROTATIONS_LIMIT: Final = 64
"""Rotations in one grace period, all of which a session remembers: as many as the throttle allows
in a minute. One more has to wait, since a token that was forgotten would look like a stolen one."""

REFRESH_INVALID: Final = "INVALID_REFRESH_TOKEN"
REFRESH_EXPIRED: Final = "REFRESH_TOKEN_EXPIRED"
REFRESH_REUSED: Final = "REFRESH_TOKEN_REUSED"


class SessionTimes(msgspec.Struct, frozen=True, kw_only=True):
    """How long sessions live, and how long a repetition is not misuse; seconds."""

    idle_s: int
    total_s: int
    grace_s: int

    def end(self, created_at: datetime, used_at: datetime) -> datetime:
        """When the session ends if it is not used again."""
        idle = used_at + timedelta(seconds=self.idle_s)
        return min(idle, created_at + timedelta(seconds=self.total_s))


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """What a session remembers of its refresh tokens.

    `digest` is that of the current token, None if the session has none. `rotations` are the times
    of the first use of the tokens before it, latest first, as long as these may be used again.
    """

    digest: bytes | None
    rotations: tuple[datetime, ...]
    created_at: datetime
    expires_at: datetime
    revoked: bool
    disabled: bool


class Rotate(msgspec.Struct, frozen=True):
    """The current token was used; its successor is now the current one."""

    successor: bytes
    rotations: tuple[datetime, ...]
    expires_at: datetime


class Repeat(msgspec.Struct, frozen=True):
    """A token was used again at once: the answer of its first use again, and no change."""

    successor: bytes


class Reuse(msgspec.Struct, frozen=True):
    """A token was used again later: the session ends."""


class TooFast(msgspec.Struct, frozen=True):
    """The session was refreshed too often just now: nothing changed, and later it may go on."""

    retry_after_s: int


class SessionOver(msgspec.Struct, frozen=True):
    """The session has ended; the client is told the `reason`."""

    reason: str


Step: TypeAlias = Rotate | Repeat | Reuse | TooFast | SessionOver


def digest_of(secret: bytes) -> bytes:
    """The digest that is stored instead of a secret."""
    return hashlib.sha256(secret).digest()


def use_token(
    family: Family,
    secret: bytes,
    lines: Sequence[Sequence[bytes]],
    now: datetime,
    times: SessionTimes,
) -> Step:
    """What the use of a token at `now` does.

    `lines` are the secrets that follow this one: one line for each key that may have derived them,
    the current key's first, each with as many as the family has rotations, and at least one.
    """
    if family.revoked or family.disabled or family.digest is None:
        return SessionOver(REFRESH_INVALID)
    if now >= family.expires_at:
        return SessionOver(REFRESH_EXPIRED)
    if digest_of(secret) == family.digest:
        expires_at = times.end(family.created_at, now)
        if now >= expires_at:
            return SessionOver(REFRESH_EXPIRED)
        recent = _recent(family.rotations, now, times)
        if len(recent) >= ROTATIONS_LIMIT:
            return TooFast(times.grace_s)
        return Rotate(lines[0][0], (now, *recent), expires_at)
    for line in lines:
        # Each secret of the line was made at the first use of the one before it.
        for later, first_used_at in zip(line, family.rotations, strict=False):
            if digest_of(later) != family.digest:
                continue
            if now - first_used_at <= timedelta(seconds=times.grace_s):
                return Repeat(line[0])
            return Reuse()
    return Reuse()


def _recent(
    rotations: tuple[datetime, ...], now: datetime, times: SessionTimes
) -> tuple[datetime, ...]:
    """Those up to the last that may be repeated still; a clock may have been set back between."""
    grace = timedelta(seconds=times.grace_s)
    kept = len(rotations)
    while kept and now - rotations[kept - 1] > grace:
        kept -= 1
    return rotations[:kept]
