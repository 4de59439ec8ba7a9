"""Waiting rooms and places in them as clients send and see them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

PLACES_MAX: Final = 100_000
"""Most places of a room, also of those who do not wait any more: memory and rows are bounded."""

SHOPPERS_MAX: Final = 10_000

Mode = Literal["off", "on", "by_load"]
RoomStatus = Literal["off", "armed", "gathering", "open"]
PlaceStatus = Literal["waiting", "admitted", "inside", "ended"]
EndedBy = Literal["booked", "left", "missed", "time"]

PlaceToken = Annotated[str, Meta(min_length=1, max_length=128)]
DeviceSecret = Annotated[
    str,
    Meta(
        min_length=22,
        max_length=128,
        pattern="^[!-~]+$",
        description="A random secret of at least 128 bits that the device keeps.",
    ),
]
Proof = Annotated[str, Meta(max_length=64, pattern="^[!-~]*$")]


class RoomInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a showtime's waiting room works.

    `on`: holds need a place from now on, and people are let in from `starts_at` on; without it,
    from the beginning of the sale. `by_load`: the room opens by itself as soon as a server gets
    more than `holds_per_second` requests for holds of this showtime, and closes when nobody is in
    it. `off`: nobody needs a place.
    """

    mode: Mode
    starts_at: Annotated[datetime, Meta(tz=True)] | None = None
    shoppers: Annotated[
        int,
        Meta(ge=1, le=SHOPPERS_MAX, description="Most people who may choose seats at a time."),
    ] = 200
    entry_seconds: Annotated[
        int, Meta(ge=10, le=900, description="How long an admission waits to be used.")
    ] = 60
    shopping_seconds: Annotated[
        int, Meta(ge=60, le=3600, description="How long somebody may choose seats and book.")
    ] = 600
    places_per_address: Annotated[
        int, Meta(ge=1, le=PLACES_MAX, description="Most places for one address of the network.")
    ] = 100
    work_bits: Annotated[
        int, Meta(ge=0, le=24, description="Zero bits of the proof of work; 0 asks for none.")
    ] = 0
    holds_per_second: Annotated[int, Meta(ge=1, le=100_000)] = 200


class RoomSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a showtime's waiting room is set; see `RoomInput`.

    `starts_at` is null while an armed room waits. Without a room the mode is `off`, the `version`
    0, and the rest what a room has unless it is told otherwise.
    """

    showtime_id: UUID
    mode: Mode
    starts_at: datetime | None
    shoppers: int
    entry_seconds: int
    shopping_seconds: int
    places_per_address: int
    work_bits: int
    holds_per_second: int
    version: int


class JoinInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Get a place; without a token the place is bound to `device_secret`."""

    device_secret: DeviceSecret | None = None
    proof: Proof = ""


class EntryInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Use an admitted place; `device_secret` if it was taken with one."""

    token: PlaceToken
    device_secret: DeviceSecret | None = None


class PlaceQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose place to tell, too."""

    token: (
        Annotated[
            str,
            Meta(max_length=128, description="The `token` of a place. It shows it, no more."),
        ]
        | None
    ) = None


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A place.

    `position` counts from 1, for who waits and once the places have their order. `estimate_s` is
    how long that may take, if it can be told. `until`: when an admission or the time inside ends.
    Look again after `poll_after_s`.
    """

    id: UUID
    token: str
    status: PlaceStatus
    ended_by: EndedBy | None
    position: int | None
    estimate_s: int | None
    until: datetime | None
    poll_after_s: int


class WaitingRoom(msgspec.Struct, frozen=True, kw_only=True):
    """A showtime's waiting room, and the `place` that was asked for.

    With a `movie_id` it is that of the film at this cinema, and the place is good for each of its
    showtimes that has no room of its own.

    `off`: seats can be held without a place. `armed`: the same, until too many come. `gathering`:
    places are given, and shuffled at `starts_at`. `open`: people are let in. `commitment` is the
    SHA-256 of `seed`, both in hexadecimal; the seed is shown once the places are shuffled: their
    order is that of SHA-256 of the seed and the 16 bytes of their `id`.
    """

    showtime_id: UUID
    movie_id: UUID | None
    id: UUID | None
    status: RoomStatus
    starts_at: datetime | None
    shoppers: int
    waiting: int
    shopping: int
    work_bits: int
    commitment: str | None
    seed: str | None
    place: Place | None


class FilmRoom(msgspec.Struct, frozen=True, kw_only=True):
    """The waiting room of a film at a cinema, in front of `showtime_ids`; see `WaitingRoom`."""

    cinema_id: UUID
    movie_id: UUID
    showtime_ids: list[UUID]
    id: UUID | None
    status: RoomStatus
    starts_at: datetime | None
    shoppers: int
    waiting: int
    shopping: int
    work_bits: int
    commitment: str | None
    seed: str | None


class PlaceLeft(msgspec.Struct, frozen=True, kw_only=True):
    """A place that was given up."""

    id: UUID
    showtime_id: UUID
    status: PlaceStatus


class OrderedPlace(msgspec.Struct, frozen=True, gc=False):
    """A place that was shuffled; nothing tells whose it is."""

    id: UUID
    number: int
