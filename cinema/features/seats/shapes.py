"""Seats and holds as clients send and see them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cinema.domain.idempotency import meaning
from cinema.domain.money import Money
from cinema.domain.seatmap import SeatStatus
from cinema.domain.showtime.state import HoldStatus

SeatLabel = Annotated[str, Meta(min_length=2, max_length=8, examples=["F7", "12C"])]
SeatLabels = Annotated[list[SeatLabel], Meta(min_length=1, max_length=100)]

IdText = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
"""A UUID as text, which takes half the time to make and to write."""


class BestAvailable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Let the showtime choose: the best adjacent seats, of one category if given."""

    quantity: Annotated[int, Meta(ge=1, le=100)]
    category: Annotated[str, Meta(max_length=32)] | None = None
    accessible: bool = False


PresaleCodeText = Annotated[
    str, Meta(min_length=6, max_length=64, pattern=r"^[!-~]+$", examples=["FRIENDS-2026"])
]


class HoldInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which seats to hold: either `seats` by label, or `best_available`.

    An app says that it is one by its `channel`, which counts where channels of sale have quotas.
    What staff of the cinema hold is the box office's. With a `presale_code` seats can be held
    before sales open; afterwards it counts for nothing.
    """

    seats: SeatLabels | None = None
    best_available: BestAvailable | None = None
    channel: Literal["web", "app"] = "web"
    presale_code: PresaleCodeText | None = None

    def __post_init__(self) -> None:
        if (self.seats is None) == (self.best_available is None):
            raise ValueError("name either seats or best_available")

    def meaning(self) -> object:
        """The seats in any order, or the rule to choose by."""
        return meaning(self.best_available) if self.seats is None else sorted(self.seats)


class ExtendInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The change of a hold: `{"extend": true}` gives it its full time again."""

    extend: bool

    def __post_init__(self) -> None:
        if not self.extend:
            raise ValueError("extend must be true")


class HeldSeat(msgspec.Struct, frozen=True, gc=False):
    """One seat of a hold or booking, with the price at which it was taken."""

    label: str
    category: str
    price: Money


class Hold(msgspec.Struct, frozen=True, gc=False):
    """A hold; `(epoch, seq)` is the state of the showtime that this answer shows."""

    hold_id: IdText
    showtime_id: IdText
    status: HoldStatus
    seats: list[HeldSeat]
    total: Money
    expires_at: datetime
    epoch: int
    seq: int


class ShownSeat(msgspec.Struct, frozen=True, gc=False):
    """One seat of a seat map; `mine` only for seats of the caller.

    In a row with a number the seats have letters; `number` says which one of the alphabet.
    """

    label: str
    row: str
    number: int
    category: str
    status: SeatStatus
    price: Money
    accessible: bool | UnsetType = UNSET
    companion: bool | UnsetType = UNSET
    mine: bool | UnsetType = UNSET
    letter: str | UnsetType = UNSET


class SeatMap(msgspec.Struct, frozen=True, gc=False):
    """All seats of a showtime at `(epoch, seq)`."""

    showtime_id: UUID
    epoch: int
    seq: int
    layout_version: int
    seats: list[ShownSeat]


class PartQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which seats to give back: labels with commas between them; without it, all."""

    seats: (
        Annotated[str, Meta(min_length=1, max_length=1000, examples=["F7,F8", "12C,12D"])] | None
    ) = None

    def labels(self) -> list[str] | None:
        """The labels, None for all seats."""
        return None if self.seats is None else self.seats.split(",")

    def meaning(self) -> object:
        """The labels in any order."""
        return None if self.seats is None else sorted(self.seats.split(","))
