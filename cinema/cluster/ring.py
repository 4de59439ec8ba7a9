"""Which node owns a showtime: consistent hashing, the same on every node of a view.

The points are those of nginx's `hash $showtime consistent` (Ketama), so that a balancer can send a
request straight to its owner. Sources: Karger et al., "Consistent Hashing and Random Trees", 1997;
nginx, `ngx_http_upstream_hash_module`: 160 points for each unit of weight, each the CRC-32 of
host, a zero byte, port and the point before it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter
from typing import Final
from zlib import crc32

import msgspec

from cinema.domain.host_and_port import address_of, bracketed
from cinema.domain.ids import format_id

POINTS_PER_WEIGHT: Final = 160
DEFAULT_WEIGHT: Final = 100
"""16,000 points a node: the arcs of equal nodes differ by about one part in a hundred."""

_CIRCLE: Final = 1 << 32


class RingNode(msgspec.Struct, frozen=True, order=True):
    """A member as the ring sees it: the address that clients and balancers name it by.

    A node of twice the `weight` owns twice the showtimes; 0 owns none (it is leaving).
    """

    host: str
    port: int
    weight: int = DEFAULT_WEIGHT

    @property
    def address(self) -> str:
        """`host:port`, as balancers write it."""
        return address_of(self.host, self.port)


class Ring:
    """The points of some nodes around the circle of 32-bit hashes; immutable."""

    def __init__(self, nodes: Iterable[RingNode]) -> None:
        self.nodes = tuple(sorted(nodes))
        for one, other in pairwise(self.nodes):
            if one.address == other.address:
                raise ValueError(f"two nodes at {one.address}")
        # Each node's points are kept apart. A view is applied in one step of the loop, and merging
        # the points of many nodes would take long. Looking in each of them takes a microsecond,
        # once for each showtime.
        self._points = [(node, points_of(node)) for node in self.nodes if node.weight]

    def owner_of(self, showtime_id: bytes) -> RingNode | None:
        """The node at the first point from the showtime's hash on; None on an empty ring.

        If nodes share a point, which is rare, the one that sorts first has it, on all
        nodes.
        """
        start = crc32(format_id(showtime_id).encode())
        owner, nearest = None, 2 * _CIRCLE
        for node, points in self._points:
            at = bisect_left(points, start)
            point = points[at] if at < len(points) else points[0] + _CIRCLE
            if point < nearest:
                owner, nearest = node, point
        return owner

    def shares(self) -> dict[RingNode, float]:
        """The part of the circle that each node owns; together 1, or nothing on an empty ring."""
        arcs = dict.fromkeys(self.nodes, 0)
        placed = sorted(
            [(point, node) for node, points in self._points for point in points],
            key=itemgetter(0),
        )
        before = placed[-1][0] - _CIRCLE if placed else 0
        for point, node in placed:
            arcs[node] += point - before
            before = point
        return {node: arc / _CIRCLE for node, arc in arcs.items()}


@lru_cache(maxsize=1024)
def points_of(node: RingNode) -> Sequence[int]:
    """The node's points in order."""
    # Balancers take the host from what they write, so that an IPv6 address has its brackets.
    start = crc32(f"{bracketed(node.host)}\0{node.port}".encode())
    points = array("I")
    point = 0
    for _ in range(node.weight * POINTS_PER_WEIGHT):
        point = crc32(point.to_bytes(4, "little"), start)
        points.append(point)
    return array("I", sorted(points))
