"""The best free seats for a party that does not name any.

The party sits, in this order of preference,

1. on adjacent seats of one block,
2. on consecutive seats of one row, with nothing but aisles between them,
3. in neighbouring rows, a group of adjacent seats in each (`neighbouring_rows`),

The first of these kinds that is possible counts. Among its choices the best has the smallest sum of
distances to the focal point; ties go to the lower seat index. If the no-orphan rule protects seats,
then for the first two kinds a choice that keeps the rule is better than all that do not; if no
choice keeps it, the rule is ignored. For the third kind see `neighbouring_rows`.

Accessible and companion seats are offered only to parties that ask for an accessible seat. They get
at least one. Choices of the first two kinds are then ranked by: fewest accessible seats (others
need them), then most companion seats, then distance. If neither kind is possible, they get one
accessible seat, and the others as near to it as the free seats of its own and the neighbouring rows
allow. The no-orphan rule does not apply to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import nsmallest

from cinema.domain.neighbouring_rows import NeighbouringRows
from cinema.domain.seating_rules import companion_violations, is_companion_of, leaves_orphan
from cinema.domain.seatmap import SeatPlan

MAX_ACCESSIBLE_TRIED = 64  # Bounds the last resort; real screens have a dozen.


def find_best_available(
    plan: SeatPlan,
    taken: bytes | bytearray,
    quantity: int,
    *,
    category: int | None,
    accessible: bool,
    protect_orphans: bool,
) -> list[int] | None:
    """The seats to offer, ascending, or None if the party cannot sit together in any way.

    `taken` is the status of each seat, 0 if it is free. `category` is a position in
    `plan.categories`; with it, all offered seats have that category. The result already follows the
    rules of `seating_rules`. Do not check it again, because that could refuse it: with a category,
    "every choice" means every choice in that category.
    """
    if not 1 <= quantity <= plan.seat_count:
        return None
    if accessible:
        mask = _mask(plan, taken, category, reserved_too=True)
        return (
            _with_accessible(plan, plan.blocks, mask, quantity)
            or _with_accessible(plan, plan.rows, mask, quantity)
            or _around_accessible(plan, mask, quantity)
        )
    mask = _mask(plan, taken, category, reserved_too=False)
    if mask.count(0) < quantity:
        return None
    for ranges in (plan.blocks_by_distance, plan.rows_by_distance):
        found = _consecutive(plan, ranges, mask, taken, quantity, protect_orphans)
        if found is None and protect_orphans:
            found = _consecutive(plan, ranges, mask, taken, quantity, protect_orphans=False)
        if found is not None:
            return list(range(found, found + quantity))
    return NeighbouringRows(plan, mask, taken, quantity, protect_orphans=protect_orphans).find()


def _mask(
    plan: SeatPlan, taken: bytes | bytearray, category: int | None, *, reserved_too: bool
) -> bytes:
    """0 for seats that may be offered; integers as wide as the plan handle all seats at once."""
    refused = int.from_bytes(taken, "big")
    if not reserved_too:
        refused |= int.from_bytes(plan.reserved, "big")
    if category is not None:
        table = bytearray(b"\1" * 256)
        table[category] = 0
        refused |= int.from_bytes(plan.category_of.translate(table), "big")
    return refused.to_bytes(plan.seat_count, "big")


def _consecutive(
    plan: SeatPlan,
    ranges: tuple[tuple[int, int, int], ...],
    mask: bytes,
    taken: bytes | bytearray,
    quantity: int,
    protect_orphans: bool,
) -> int | None:
    """The first seat of the nearest free seats in a row within one of the ranges.

    The ranges come nearest first, so the search ends at the first whose nearest seat, taken
    `quantity` times, is farther than what was found.
    """
    before = plan.distance_before_milli
    room = bytes(quantity)
    best = -1
    best_cost = before[-1]  # All seats together: no part of them costs more.
    for nearest, range_start, end in ranges:
        if nearest * quantity > best_cost:
            break
        start = mask.find(room, range_start, end)
        while start >= 0:
            cost = before[start + quantity] - before[start]
            if (cost < best_cost or (cost == best_cost and (best < 0 or start < best))) and not (
                protect_orphans and leaves_orphan(plan, taken, start, start + quantity)
            ):
                best, best_cost = start, cost
            start = mask.find(room, start + 1, end)
    return best if best >= 0 else None


def _with_accessible(
    plan: SeatPlan, ranges: tuple[tuple[int, int], ...], mask: bytes, quantity: int
) -> list[int] | None:
    """Free seats in a row with an accessible one among them, within one of the ranges."""
    before = plan.distance_before_milli
    room = bytes(quantity)
    best: tuple[int, int, int, int] | None = None
    for range_start, end in ranges:
        for start in _starts_near_accessible(plan, range_start, end, quantity):
            stop = start + quantity
            if mask.find(room, start, stop) < 0:
                continue
            companions = plan.companion.count(1, start, stop)
            if companions and companion_violations(plan, range(start, stop)):
                continue
            rank = (
                plan.accessible.count(1, start, stop),
                -companions,
                before[stop] - before[start],
                start,
            )
            if best is None or rank < best:
                best = rank
    return best and list(range(best[3], best[3] + quantity))


def _starts_near_accessible(
    plan: SeatPlan, range_start: int, end: int, quantity: int
) -> Iterator[int]:
    """First seats, ascending, of the windows in a range that hold an accessible seat."""
    untried = range_start
    seat = plan.accessible.find(1, range_start, end)
    while seat >= 0:
        yield from range(max(untried, seat - quantity + 1), min(seat, end - quantity) + 1)
        untried = max(untried, seat + 1)
        seat = plan.accessible.find(1, seat + 1, end)


def _around_accessible(plan: SeatPlan, mask: bytes, quantity: int) -> list[int] | None:
    """One accessible seat and the nearest others of its own and the neighbouring rows.

    Of the accessible seats nearest the focal point, the one whose party sits closest to it.
    """
    free = (seat for seat in range(plan.seat_count) if plan.accessible[seat] and not mask[seat])
    tried = nsmallest(MAX_ACCESSIBLE_TRIED, free, key=lambda seat: plan.distance_milli[seat])
    best: tuple[int, int, int, list[int]] | None = None
    for seat in tried:
        others = nsmallest(quantity - 1, _seats_around(plan, mask, seat))
        if len(others) == quantity - 1:
            spread = sum(distance for distance, _ in others)
            party = sorted([seat, *(other for _, other in others)])
            rank = (spread, plan.distance_milli[seat], seat, party)
            if best is None or rank < best:
                best = rank
    return best and best[3]


def _seats_around(plan: SeatPlan, mask: bytes, accessible: int) -> Iterator[tuple[int, int]]:
    """(distance to the accessible seat, seat) of the seats that may be chosen with it."""
    row = plan.row_of[accessible]
    start = plan.rows[max(row - 1, 0)][0]
    end = plan.rows[min(row + 1, len(plan.rows) - 1)][1]
    x, y = plan.x[accessible], plan.y[accessible]
    for seat in range(start, end):
        if mask[seat] or plan.accessible[seat]:
            continue
        if plan.companion[seat] and not is_companion_of(plan, seat, accessible):
            continue
        yield round(1000 * ((plan.x[seat] - x) ** 2 + (plan.y[seat] - y) ** 2) ** 0.5), seat
