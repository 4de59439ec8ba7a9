"""The seat map of a showtime as one caller sees it."""

from __future__ import annotations

from hashlib import blake2b
from uuid import UUID

from msgspec import UNSET

from cinema.actors.messages import SeatsSeen
from cinema.domain.seatmap import STATUS_NAMES, letters_of
from cinema.features.seats.service import money
from cinema.features.seats.shapes import SeatMap, ShownSeat


def seat_map_version(seen: SeatsSeen) -> str:
    """The ETag: other seats, prices, another plan or another caller have another one."""
    # Callers see different seats as theirs at the same seq.
    mine = ".".join(str(seat) for seat in sorted(seen.mine)) or "none"
    # Prices change with time too, without any event.
    prices = blake2b(repr(seen.terms.prices_minor).encode(), digest_size=6).hexdigest()
    return f"{seen.epoch}-{seen.seq}-{seen.terms.plan.version}-{prices}-{mine}"


def seat_map(seen: SeatsSeen) -> SeatMap:
    """The seat map in the shape that clients see."""
    terms = seen.terms
    plan = terms.plan
    prices = [money(price_minor, terms.currency) for price_minor in terms.prices_minor]
    shown: list[ShownSeat] = []
    for seat, status in enumerate(seen.seats):
        category = plan.category_of[seat]
        one = ShownSeat(
            plan.labels[seat],
            plan.row_labels[plan.row_of[seat]],
            plan.numbers[seat],
            plan.categories[category],
            STATUS_NAMES[status],
            prices[category],
        )
        if plan.reserved[seat] or plan.lettered[seat] or seat in seen.mine:
            one = _marked(seen, seat, one)
        shown.append(one)
    return SeatMap(UUID(bytes=terms.showtime_id), seen.epoch, seen.seq, plan.version, shown)


def _marked(seen: SeatsSeen, seat: int, one: ShownSeat) -> ShownSeat:
    plan = seen.terms.plan
    return ShownSeat(
        one.label,
        one.row,
        one.number,
        one.category,
        one.status,
        one.price,
        accessible=bool(plan.accessible[seat]) or UNSET,
        companion=bool(plan.companion[seat]) or UNSET,
        mine=seat in seen.mine or UNSET,
        letter=letters_of(one.number) if plan.lettered[seat] else UNSET,
    )
