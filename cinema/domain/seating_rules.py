"""Rules about which free seats may be chosen together.

**No orphan seat.** If an ordinary free seat has a free neighbour before a choice, it must have one
afterwards. Neighbours end at a wall or an aisle, and a seat that is held, booked or blocked is not
free. Seats that were alone before do not count. Accessible and companion seats are never orphans,
since their customers look for a single one. The rule does not apply in two cases:

- to a choice with an accessible seat, whose place is given by the screen and not by the customer;
- to a row in which no choice could keep it: the groups of adjacent seats that were chosen in this
row do not fit anywhere among its free ordinary seats (together or apart) without an orphan. Other
rows are not an alternative for a customer who wants this one.

**Companion seats.** A companion seat can be taken only with an accessible one: one of its own
block, or, if its block has none, of its row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from cinema.domain.seatmap import AVAILABLE, SeatPlan


def orphaned_seats(plan: SeatPlan, status: bytes | bytearray, chosen: Sequence[int]) -> list[int]:
    """The seats that the choice would make orphans, ascending; empty if the rule does not apply.

    `status` is from before the choice, when the chosen seats were free.
    """
    alone = _newly_alone(plan, status, chosen)
    if not alone or any(plan.accessible[seat] for seat in chosen):
        return []
    row_of = plan.row_of
    kept = {
        row
        for row in {row_of[seat] for seat in alone}
        if _placeable(
            _group_sizes(plan, [seat for seat in chosen if row_of[seat] == row]),
            list(_free_runs(plan, status, row)),
        )
    }
    return sorted(seat for seat in alone if row_of[seat] in kept)


def leaves_orphan(plan: SeatPlan, status: bytes | bytearray, start: int, end: int) -> bool:
    """Whether taking the free seats start..end-1 of one row would make another seat an orphan."""
    block_start = plan.blocks[plan.block_of[start]][0]
    left = start - 1
    if (
        left >= block_start
        and status[left] == AVAILABLE
        and not plan.reserved[left]
        and (left == block_start or status[left - 1] != AVAILABLE)
    ):
        return True
    block_end = plan.blocks[plan.block_of[end - 1]][1]
    return (
        end < block_end
        and status[end] == AVAILABLE
        and not plan.reserved[end]
        and (end + 1 == block_end or status[end + 1] != AVAILABLE)
    )


def companion_violations(plan: SeatPlan, chosen: Sequence[int]) -> list[int]:
    """The chosen companion seats whose accessible seat is not chosen, in order."""
    companions = [seat for seat in chosen if plan.companion[seat]]
    if not companions:
        return []
    accessible = [seat for seat in chosen if plan.accessible[seat]]
    return [
        seat
        for seat in companions
        if not any(is_companion_of(plan, seat, other) for other in accessible)
    ]


def is_companion_of(plan: SeatPlan, companion: int, accessible: int) -> bool:
    """Whether a companion seat belongs to this accessible seat."""
    if plan.row_of[companion] != plan.row_of[accessible]:
        return False
    block = plan.block_of[companion]
    return (
        block == plan.block_of[accessible] or 1 not in plan.accessible[slice(*plan.blocks[block])]
    )


def _newly_alone(plan: SeatPlan, status: bytes | bytearray, chosen: Sequence[int]) -> set[int]:
    taken = set(chosen)
    alone: set[int] = set()
    for seat in chosen:
        start, end = plan.blocks[plan.block_of[seat]]
        for step in (-1, 1):
            beside = seat + step
            if not start <= beside < end or status[beside] != AVAILABLE or beside in taken:
                continue
            beyond = beside + step
            if not start <= beyond < end or status[beyond] != AVAILABLE or beyond in taken:
                alone.add(beside)
    return {seat for seat in alone if not plan.reserved[seat]}


def _group_sizes(plan: SeatPlan, chosen: list[int]) -> tuple[int, ...]:
    """Sizes of the groups of adjacent seats among the chosen of one row, ascending."""
    sizes: list[int] = []
    previous = -2
    for seat in sorted(chosen):
        if seat == previous + 1 and plan.block_of[seat] == plan.block_of[previous]:
            sizes[-1] += 1
        else:
            sizes.append(1)
        previous = seat
    return tuple(sorted(sizes))


def _free_runs(plan: SeatPlan, status: bytes | bytearray, row: int) -> Iterator[tuple[int, bool]]:
    """Length of each run of free ordinary seats, and whether a free reserved seat adjoins it.

    Next to such a seat, the last seat of a run is not alone.
    """
    for block_start, block_end in plan.blocks_of_row(row):
        length = 0
        adjoins = False
        for seat in range(block_start, block_end):
            free = status[seat] == AVAILABLE
            if free and not plan.reserved[seat]:
                length += 1
                continue
            if length:
                yield length, adjoins or free
            length, adjoins = 0, free
        if length:
            yield length, adjoins


def _placeable(groups: tuple[int, ...], runs: list[tuple[int, bool]]) -> bool:
    """Whether all groups fit into the runs without leaving an orphan.

    Seats are taken from an end of a run, so a run of n seats between closed ends allows any number
    up to n except n - 1. In nearly every case one run is enough for all groups. The search for
    which groups share which run is bounded, because one choice has few groups in a row.
    """
    if any(_takes(run, sum(groups)) for run in runs):
        return True
    if len(groups) == 1:
        return False
    unplaced = {groups}
    for run, copies in Counter(runs).items():
        for _ in range(min(copies, len(groups))):
            unplaced |= {
                rest
                for left in unplaced
                for size, rest in _selections(left)
                if size and _takes(run, size)
            }
    return () in unplaced


def _takes(run: tuple[int, bool], size: int) -> bool:
    length, adjoins = run
    return size <= length and (adjoins or size != length - 1)


def _selections(groups: tuple[int, ...]) -> set[tuple[int, tuple[int, ...]]]:
    """Every way of picking some of the groups: (total size picked, groups left)."""
    ways: set[tuple[int, tuple[int, ...]]] = {(0, ())}
    for group in groups:
        ways = {(size + group, rest) for size, rest in ways} | {
            (size, (*rest, group)) for size, rest in ways
        }
    return ways
