"""The conditions of sale of a showtime, from its own rules, its screen's and the settings."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from cinema.domain.seatmap import MAX_SEATS

EARLY_ACCESS_MINUTES: Final = 30 * 24 * 60
"""Longest time between the opening to members and that to everybody."""


Channel = Literal["web", "app", "box_office"]

WEB: Final = 1
APP: Final = 2
BOX_OFFICE: Final = 3
CHANNEL_CODES: Final[dict[Channel, int]] = {
    "web": WEB,
    "app": APP,
    "box_office": BOX_OFFICE,
}
"""What events call the channels; 0 is none. A code is never used again for another."""


class ChannelQuota(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Seats of a showtime that are kept for one channel of sale.

    What it has not sold by `released_at` goes to all; without that, nothing does.
    """

    channel: Channel
    seats: Annotated[int, Meta(ge=0, le=MAX_SEATS)]
    released_at: Annotated[datetime, Meta(tz=True)] | None = None


class Rules(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Conditions of sale. Missing ones come from the screen, then from the settings."""

    seats_per_hold: Annotated[int, Meta(ge=1, le=100)] | None = None
    live_holds_per_customer: Annotated[int, Meta(ge=1, le=MAX_SEATS)] | None = None
    hold_ttl_s: Annotated[int, Meta(ge=1, le=3600)] | None = None
    hold_max_s: Annotated[int, Meta(ge=1, le=7200)] | None = None
    protect_orphans: bool | None = None
    companions_need_accessible: bool | None = None


class ShowtimeRules(
    Rules, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The rules that a showtime has of its own.

    Members can hold seats `early_access_minutes` before sales open to everybody. `channels` keeps
    seats for channels of sale, each named once; the other seats are for whoever comes.
    """

    early_access_minutes: Annotated[int, Meta(ge=0, le=EARLY_ACCESS_MINUTES)] | None = None
    channels: Annotated[tuple[ChannelQuota, ...], Meta(max_length=8)] | None = None

    def __post_init__(self) -> None:
        named = [quota.channel for quota in self.channels or ()]
        if len(set(named)) < len(named):
            raise ValueError("name each channel once")


class SaleRules(msgspec.Struct, frozen=True, kw_only=True):
    """Every condition of sale, with its value."""

    seats_per_hold: int
    live_holds_per_customer: int
    seats_per_staff_hold: int
    live_holds_per_staff: int
    hold_ttl_s: int
    hold_max_s: int
    protect_orphans: bool = True
    companions_need_accessible: bool = True
    payment_window_s: int = 600
    payment_grace_s: int = 600
    early_access_minutes: int = 0
    channels: tuple[ChannelQuota, ...] = ()


def effective_rules(defaults: SaleRules, *layers: Rules) -> SaleRules:
    """The defaults with the layers on top; if several layers name a rule, the last one counts."""
    named: dict[str, Any] = {}
    for layer in layers:
        named |= {
            name: value
            for name, value in msgspec.structs.asdict(layer).items()
            if value is not None
        }
    return msgspec.structs.replace(defaults, **named)
