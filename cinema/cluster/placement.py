"""Which node owns a showtime by the newest view, remembered until the next view."""

from __future__ import annotations

from typing import Final

from cinema.cluster.ring import Ring, RingNode
from cinema.domain.membership import NO_VIEW, Member, View

OWNERS_KEPT: Final = 100_000
"""Showtimes whose owner is remembered; beyond it all are forgotten, since a look-up is cheap
too."""


class Placement:
    """The ring of one view, as this node (`node_id`) sees it."""

    def __init__(self, node_id: bytes) -> None:
        self.node_id = node_id
        self.view = NO_VIEW
        self.ring = Ring(())
        self._members: dict[str, Member] = {}
        self._owners: dict[bytes, Member] = {}

    @property
    def others(self) -> tuple[Member, ...]:
        """All members but this node."""
        return tuple(one for one in self.view.members if one.node_id != self.node_id)

    def follow(self, view: View) -> None:
        """Use a new view."""
        self.view = view
        owners = view.owners()
        self.ring = Ring(RingNode(one.host, one.port, one.weight) for one in owners)
        self._members = {one.address: one for one in owners}
        self._owners = {}

    def owner_of(self, showtime_id: bytes) -> Member | None:
        """The member that owns a showtime; None before the first view."""
        owner = self._owners.get(showtime_id)
        if owner is None:
            node = self.ring.owner_of(showtime_id)
            if node is None:
                return None
            owner = self._members[node.address]
            if len(self._owners) >= OWNERS_KEPT:
                self._owners = {}
            self._owners[showtime_id] = owner
        return owner

    def address_of_owner(self, showtime_id: bytes) -> str | None:
        """Where clients find the owner of a showtime."""
        owner = self.owner_of(showtime_id)
        return None if owner is None else owner.address

    def owns(self, showtime_id: bytes) -> bool:
        """Whether this node owns a showtime."""
        owner = self.owner_of(showtime_id)
        return owner is not None and owner.node_id == self.node_id
