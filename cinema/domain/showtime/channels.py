"""How many seats each channel may still sell, and which seats it has sold.

One byte a seat names the channel through which a held or booked seat was sold, 0 for one that was
sold while there were no quotas. Counting them is one pass of the interpreter's own over a room.
"""

from __future__ import annotations

from collections.abc import Sequence

from cinema.domain.rejections import Rejection
from cinema.domain.sale_rules import CHANNEL_CODES, ChannelQuota
from cinema.domain.seatmap import AVAILABLE
from cinema.domain.showtime.events import Offering, PlanChanged, SeatsChanged
from cinema.domain.times import to_us

Channels = bytes | bytearray


def left_for(
    quotas: Sequence[ChannelQuota],
    seats: bytes | bytearray,
    channels: Channels,
    code: int,
    now_us: int,
) -> int:
    """How many of the free seats a channel may sell now.

    What others have not sold of their quotas is theirs until it is released. Its own quota it may
    always sell, as long as there are seats: if quotas are more than the room has, who comes first
    gets them.
    """
    free, own, others = seats.count(AVAILABLE), 0, 0
    for quota in quotas:
        if quota.released_at is not None and now_us >= to_us(quota.released_at):
            continue
        its_code = CHANNEL_CODES[quota.channel]
        left = max(0, quota.seats - channels.count(its_code))
        if its_code == code:
            own = left
        else:
            others += left
    return min(free, max(own, free - others))


def sold_out(code: int, left: int) -> Rejection:
    """Why a channel cannot sell so many seats, though there may be some."""
    name = next(name for name, one in CHANNEL_CODES.items() if one == code)
    return Rejection(code="CHANNEL_SOLD_OUT", details={"channel": name, "left": left})


def channels_after(channels: Channels, event: Offering) -> bytearray:
    """Through which channels seats are sold behind an event, before what it offers."""
    if isinstance(event, PlanChanged):
        return moved(channels, event.mapping, event.seat_count)
    after = bytearray(channels)
    if isinstance(event, SeatsChanged):
        carry(after, event)
    return after


def moved(channels: Channels, mapping: Sequence[int], seat_count: int) -> bytearray:
    """The same on another plan."""
    there = bytearray(seat_count)
    for old, new in enumerate(mapping):
        if new >= 0:
            there[new] = channels[old]
    return there


def carry(channels: bytearray, event: SeatsChanged) -> None:
    """Other seats of a booking were sold through the channel of the ones that were given up."""
    through = [channels[seat] for seat in event.left]
    for seat in event.left:
        channels[seat] = 0
    for hold in event.holds:
        for seat in hold.used:
            channels[seat] = 0
    for seat, channel in zip(event.chosen, through, strict=True):
        channels[seat] = channel
