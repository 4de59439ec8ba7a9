"""A party split over neighbouring rows, for when no single row has room for it.

Each of k consecutive rows seats one group of adjacent people. A split costs the distances of all
seats to the focal point, plus, for the quantity of seats, how far apart the middles of the groups
in neighbouring rows are, plus `ALONE_MILLI` for each person who gets a row alone. Fewer rows come
first, then the lower cost, then the lower first seat and the smaller group, from the front row on.

The no-orphan rule is applied as for seats that a customer names: in each row separately, and not
where it cannot be kept. So nobody has to sit alone in a row only to keep the rule.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

from cinema.domain.seating_rules import leaves_orphan
from cinema.domain.seatmap import SeatPlan

MAX_ROWS_OF_A_PARTY = 4  # People who sit farther apart do not sit together.
ALONE_MILLI = 10_000

Group = tuple[int, int]  # first seat, size
Seated = tuple[int, int, Group]  # middle of the group, its cost, the group
Partial = tuple[int, int, tuple[Group, ...]]  # middle of the last group, cost, groups so far


class NeighbouringRows:
    """The search for one party; `mask` is 0 if a seat may be offered, `taken` is 0 if it is free.

    Row spans are tried in the order of the least that they could cost. The search stops at the
    first span that cannot be better than the best split so far.
    """

    def __init__(
        self,
        plan: SeatPlan,
        mask: bytes,
        taken: bytes | bytearray,
        quantity: int,
        *,
        protect_orphans: bool,
    ) -> None:
        self._plan = plan
        self._mask = mask
        self._taken = taken
        self._quantity = quantity
        self._protect_orphans = protect_orphans
        self._longest = [self._longest_run(row) for row in range(len(plan.rows))]
        self._nearest = [0] * len(plan.rows)
        for nearest, start, _ in plan.rows_by_distance:
            self._nearest[plan.row_of[start]] = nearest

    def find(self) -> list[int] | None:
        """The seats of the best split, ascending, or None if there is none."""
        for row_count in range(2, min(self._quantity, MAX_ROWS_OF_A_PARTY) + 1):
            groups = self._best(sorted(self._spans(row_count)))
            if groups is not None:
                return [seat for start, size in groups for seat in range(start, start + size)]
        return None

    def _longest_run(self, row: int) -> int:
        longest = 0
        for start, end in self._plan.blocks_of_row(row):
            while self._mask.find(bytes(longest + 1), start, end) >= 0:
                longest += 1
        return longest

    def _spans(self, row_count: int) -> Iterator[tuple[int, int, int]]:
        """(least cost possible, first row, end row) of the spans with room for the party."""
        for first in range(len(self._longest) - row_count + 1):
            end = first + row_count
            room = self._longest[first:end]
            if min(room) and sum(room) >= self._quantity:
                yield self._quantity * min(self._nearest[first:end]), first, end

    def _best(self, spans: list[tuple[int, int, int]]) -> tuple[Group, ...] | None:
        best: tuple[int, tuple[Group, ...]] | None = None
        for least, first, end in spans:
            if best and least > best[0]:
                break
            for _, cost, groups in self._splits(first, end):
                if best is None or (cost, groups) < best:
                    best = (cost, groups)
        return best and best[1]

    def _splits(self, first: int, end: int) -> list[Partial]:
        """The best split of the party over the rows, for each possible last group."""
        seated: dict[int, list[Partial]] = {0: []}
        for row in range(first, end):
            rows_left = end - row - 1
            longer: dict[int, list[Partial]] = {}
            for used, partials in seated.items():
                most = min(self._longest[row], self._quantity - used - rows_left)
                for size in range(1 if rows_left else self._quantity - used, most + 1):
                    joined = self._joined(partials, self._groups(row, size))
                    longer.setdefault(used + size, []).extend(joined)
            seated = longer
        return seated.get(self._quantity, [])

    def _groups(self, row: int, size: int) -> list[Seated]:
        """Every group of this size that fits into the row, or only those that leave no orphan."""
        plan = self._plan
        before = plan.distance_before_milli
        alone = ALONE_MILLI if size == 1 else 0
        starts = list(self._starts(row, bytes(size)))
        if self._protect_orphans:
            starts = [
                start
                for start in starts
                if not leaves_orphan(plan, self._taken, start, start + size)
            ] or starts
        return [
            (
                round(500 * (plan.x[start] + plan.x[start + size - 1])),
                before[start + size] - before[start] + alone,
                (start, size),
            )
            for start in starts
        ]

    def _starts(self, row: int, room: bytes) -> Iterator[int]:
        for block_start, end in self._plan.blocks_of_row(row):
            start = self._mask.find(room, block_start, end)
            while start >= 0:
                yield start
                start = self._mask.find(room, start + 1, end)

    def _joined(self, partials: list[Partial], groups: list[Seated]) -> Iterator[Partial]:
        """Each group joined to the partial split that is best for it.

        The best one to the left of a middle does not depend on which middle it is, nor does the
        best to the right, so that one sweep each way finds both for all groups.
        """
        if not partials:  # The front row.
            yield from ((middle, cost, (group,)) for middle, cost, group in groups)
            return
        weight = self._quantity
        partials.sort()
        middles = [middle for middle, _, _ in partials]
        left = list(accumulate(((cost - weight * at, path) for at, cost, path in partials), min))
        right = list(
            accumulate(((cost + weight * at, path) for at, cost, path in reversed(partials)), min)
        )[::-1]
        for middle, cost, group in groups:
            split = bisect_right(middles, middle)
            ways = []
            if split:
                ways.append((left[split - 1][0] + weight * middle, left[split - 1][1]))
            if split < len(partials):
                ways.append((right[split][0] - weight * middle, right[split][1]))
            joined_cost, path = min(ways)
            yield middle, joined_cost + cost, (*path, group)
