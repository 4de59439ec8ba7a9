"""Presale codes as clients send and see them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.features.seats.shapes import PresaleCodeText

Uses = Annotated[int, Meta(ge=1, le=100_000)]


class PresaleTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From when on a code is good, and how many holds it is good for, in all and for each customer.

    A hold that ends without a booking counts no longer.
    """

    starts_at: Annotated[datetime, Meta(tz=True)]
    max_uses: Uses
    uses_per_customer: Uses = 1


class PresaleInput(PresaleTerms, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new code; large and small letters are the same."""

    code: PresaleCodeText


class PresaleCode(msgspec.Struct, frozen=True, kw_only=True):
    """A code of a showtime, and for how many holds it was used."""

    id: UUID
    showtime_id: UUID
    code: str
    starts_at: datetime
    max_uses: int
    uses_per_customer: int
    uses: int
    version: int


class PresaleGone(msgspec.Struct, frozen=True, kw_only=True):
    """A code that was deleted; what was held with it stays."""

    id: UUID
