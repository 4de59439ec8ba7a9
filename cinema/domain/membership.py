"""The members of the cluster, and the views that follow one another."""

from __future__ import annotations

import msgspec

from cinema.domain.host_and_port import address_of

DEFAULT_WEIGHT = 100


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One start of one node.

    `node_id` (16 bytes) is new at every start, so that a node that was declared dead can never be
    mistaken for its successor at the same address. Clients and balancers find it at `host` and
    `port`, the other nodes at `cluster_port`. A `draining` node owns nothing any more and still
    forwards.
    """

    node_id: bytes
    host: str
    port: int
    cluster_port: int
    weight: int = DEFAULT_WEIGHT
    draining: bool = False
    software: str = ""

    @property
    def address(self) -> str:
        """`host:port`, as balancers write it."""
        return address_of(self.host, self.port)


class View(msgspec.Struct, frozen=True, kw_only=True):
    """The members from one change to the next; each version is used once, and they rise by one."""

    version: int
    members: tuple[Member, ...] = ()

    def member(self, node_id: bytes) -> Member | None:
        """The member of an id, if it belongs to the view."""
        return next((one for one in self.members if one.node_id == node_id), None)

    def with_member(self, member: Member) -> View:
        """The next view, with one more member, which replaces a former one at its address."""
        others = (
            one
            for one in self.members
            if one.address != member.address and one.node_id != member.node_id
        )
        return self._next((*others, member))

    def without(self, node_ids: frozenset[bytes]) -> View:
        """The next view, without some members."""
        return self._next(tuple(one for one in self.members if one.node_id not in node_ids))

    def owners(self) -> tuple[Member, ...]:
        """The members that own showtimes: those that stay, or all when all are leaving."""
        staying = tuple(one for one in self.members if not one.draining)
        return staying or self.members

    def _next(self, members: tuple[Member, ...]) -> View:
        ordered = sorted(members, key=lambda one: (one.host, one.port, one.node_id))
        return View(version=self.version + 1, members=tuple(ordered))


NO_VIEW = View(version=0)
