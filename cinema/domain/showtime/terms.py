"""What a showtime sells and on which conditions; fixed while its actor decides a command."""

from __future__ import annotations

import msgspec

from cinema.domain.seatmap import SeatPlan


class ShowtimeTerms(msgspec.Struct, frozen=True, gc=False):
    """The conditions of one showtime, loaded with its actor.

    `prices_minor` follows `plan.categories`. A hold lives `hold_ttl_s` from the moment it is
    placed or extended, and never longer than `hold_max_s` in all. Staff of
    its cinema, who sell to everybody who comes, have limits of their own.
    """

    showtime_id: bytes
    plan: SeatPlan
    currency: str
    prices_minor: tuple[int, ...]
    starts_at_us: int
    ends_at_us: int
    sales_opens_at_us: int
    sales_closes_at_us: int
    hold_ttl_s: int
    hold_max_s: int
    seats_per_hold: int
    live_holds_per_customer: int
    seats_per_staff_hold: int
    live_holds_per_staff: int
    protect_orphans: bool
    companions_need_accessible: bool
    cinema_id: bytes = b""
