"""What goes back when a booking or part of it is given back: pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from cinema.features.catalog.shapes import RefundStep
from cinema.features.ledger.methods import AttemptStatus

HOUR_S: Final = 3600


class Undone(msgspec.Struct, frozen=True, kw_only=True):
    """A refund that has failed at its provider, the `again`th time that it was asked for again."""

    id: UUID
    again: int
    reference: str
    error_code: str | None


class Share(msgspec.Struct, frozen=True):
    """What goes back of the price of a seat, hundredths of a percent; `fees`: those too."""

    of_price_bp: int
    fees: bool


ALL: Final = Share(10_000, fees=True)
NOTHING: Final = Share(0, fees=False)


def share_at(policy: Sequence[RefundStep], before_start_s: float) -> Share:
    """By the first step of a policy, the longest before the start, that is not over yet."""
    for step in policy:
        if before_start_s >= step.hours_before * HOUR_S:
            return Share(step.percent * 100, step.fees)
    return NOTHING


def given_back(price_minor: int, share: Share) -> int:
    """What goes back of a price, halves up."""
    return (price_minor * share.of_price_bp + 5_000) // 10_000


def paid_status(amount_minor: int, refunded_minor: int) -> AttemptStatus:
    """The status of an attempt that has succeeded."""
    if not refunded_minor:
        return "succeeded"
    return "refunded" if refunded_minor >= amount_minor else "partially_refunded"
