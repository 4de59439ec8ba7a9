"""A room on paper, and the house rules tried out seat by seat."""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass

from cinema.domain.seatmap import Layout

Prices = dict[str, int]


@dataclass(frozen=True)
class Place:
    """A seat; `block` is the same for seats with no wall or aisle between them."""

    label: str
    row: str
    block: int
    sold_as: tuple[str, bool, bool]

    @property
    def accessible(self) -> bool:
        return self.sold_as[1]

    @property
    def companion(self) -> bool:
        return self.sold_as[2]

    @property
    def ordinary(self) -> bool:
        return not (self.accessible or self.companion)


@dataclass
class Room:
    """The seats by label, from left to right and row by row, with the price of each."""

    places: dict[str, Place]
    prices: Prices

    @classmethod
    def of(cls, layout: Layout, price_of: dict[str, int]) -> Room:
        places: dict[str, Place] = {}
        block = 0
        for row in layout.rows:
            block += 1
            for seat in row.seats:
                block += bool(seat.gap_before)
                label = _label(row.label, seat.number)
                sold_as = (seat.category, seat.accessible, seat.companion)
                places[label] = Place(label, row.label, block, sold_as)
        return cls(places, {at: price_of[place.sold_as[0]] for at, place in places.items()})

    def blocks(self) -> list[list[str]]:
        grouped: dict[int, list[str]] = {}
        for place in self.places.values():
            grouped.setdefault(place.block, []).append(place.label)
        return list(grouped.values())


def _label(row: str, number: int) -> str:
    """`F7` in rows with letters, `12C` in rows with numbers; here no row has more than 26 seats."""
    return f"{row}{number}" if row.isalpha() else row + string.ascii_uppercase[number - 1]


def windows(block: list[str], size: int) -> Iterator[list[str]]:
    for start in range(len(block) - size + 1):
        yield block[start : start + size]


def companions_alone(room: Room, chosen: list[str]) -> list[str]:
    """Companion seats chosen without an accessible one of their block or, lacking that, row."""
    return [
        label
        for label in chosen
        if room.places[label].companion
        and not any(
            other in chosen and room.places[other].accessible
            for other in _where_companions_look(room, room.places[label])
        )
    ]


def _where_companions_look(room: Room, place: Place) -> list[str]:
    block = [at for at, other in room.places.items() if other.block == place.block]
    row = [at for at, other in room.places.items() if other.row == place.row]
    return block if any(room.places[at].accessible for at in block) else row


def orphans(room: Room, free: set[str], chosen: list[str]) -> set[str]:
    """Seats newly left alone, in rows where some placing of the same groups would not."""
    if any(room.places[label].accessible for label in chosen):
        return set()
    left_alone = _alone(room, free - set(chosen)) - _alone(room, free)
    return {
        label
        for label in left_alone
        if _some_placing_leaves_none(room, free, chosen, room.places[label].row)
    }


def _alone(room: Room, free: set[str]) -> set[str]:
    alone = set()
    for block in room.blocks():
        for at, label in enumerate(block):
            beside = block[max(at - 1, 0) : at] + block[at + 1 : at + 2]
            if label in free and room.places[label].ordinary and free.isdisjoint(beside):
                alone.add(label)
    return alone


def _some_placing_leaves_none(room: Room, free: set[str], chosen: list[str], row: str) -> bool:
    blocks = [block for block in room.blocks() if room.places[block[0]].row == row]
    sizes = [len(group) for block in blocks for group in _groups(block, chosen)]
    usable = {label for label in free if room.places[label].ordinary}
    before = _alone(room, free)
    return any(
        not {at for at in _alone(room, free - placing) - before if room.places[at].row == row}
        for placing in _placings(blocks, usable, sizes)
    )


def _groups(block: list[str], chosen: list[str]) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    for label in block:
        if label in chosen:
            groups[-1].append(label)
        elif groups[-1]:
            groups.append([])
    return [group for group in groups if group]


def _placings(blocks: list[list[str]], usable: set[str], sizes: list[int]) -> Iterator[set[str]]:
    if not sizes:
        yield set()
        return
    for block in blocks:
        for window in windows(block, sizes[0]):
            if usable.issuperset(window):
                for rest in _placings(blocks, usable - set(window), sizes[1:]):
                    yield rest | set(window)
