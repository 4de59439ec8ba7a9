"""Members of which only the number matters."""

from __future__ import annotations

from cinema.domain.membership import Member


def node_id(number: int) -> bytes:
    """The id of a node."""
    return bytes([number]) * 16


def member(number: int, *, draining: bool = False, weight: int = 100) -> Member:
    """A member at an address of its own."""
    return Member(
        node_id=node_id(number),
        host="10.0.0.1",
        port=8000 + number,
        cluster_port=9000 + number,
        draining=draining,
        weight=weight,
    )
