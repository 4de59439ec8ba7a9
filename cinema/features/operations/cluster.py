"""The cluster as the control endpoint sees it; a single node is a cluster of one."""

from __future__ import annotations

import os
from typing import Final, Protocol

import msgspec

from cinema.cluster.node import ClusterNode
from cinema.cluster.peers import PeerLost, PeerRefused
from cinema.cluster.ring import Ring, RingNode
from cinema.domain.membership import Member, View

TOPIC: Final = "control"
"""The topic of the control endpoint's questions among all questions between nodes."""

PEER_TIMEOUT_S: Final = 5.0
"""How long another node may take to answer; longer than a passivation may wait."""

NODE_ID_BYTES: Final = 16


class NodeUnreachable(Exception):
    """A node did not answer in time, or is not a member any more."""


class Cluster(Protocol):
    """The members of the cluster now, and a way to ask each of them."""

    @property
    def node_id(self) -> bytes:
        """This node."""

    @property
    def view(self) -> View:
        """The newest view that this node knows."""

    @property
    def ring(self) -> Ring:
        """The ring of that view."""

    @property
    def frozen(self) -> bool:
        """Whether this node sees no heartbeats, so that it removes nobody."""

    def owner_of(self, showtime_id: bytes) -> Member | None:
        """Which member owns a showtime; None before the first view."""

    async def ask(self, node_id: bytes, payload: bytes) -> bytes:
        """The answer of another node to a question; raises `NodeUnreachable`."""


class Alone:
    """A cluster of one; `listens_on` sets the address where clients find it."""

    def __init__(self, host: str) -> None:
        self.node_id = os.urandom(NODE_ID_BYTES)
        self.frozen = False
        self._go_by(Member(node_id=self.node_id, host=host, port=0, cluster_port=0))

    def listens_on(self, port: int) -> None:
        """Note the port that the system chose."""
        self._go_by(msgspec.structs.replace(self._me, port=port))

    def _go_by(self, me: Member) -> None:
        self._me = me
        self.view = View(version=0, members=(me,))
        self.ring = Ring([RingNode(me.host, me.port, me.weight)])

    def owner_of(self, showtime_id: bytes) -> Member:  # noqa: ARG002
        """This node owns all."""
        return self._me

    async def ask(self, node_id: bytes, payload: bytes) -> bytes:  # noqa: ARG002
        """Raise: there are no other nodes."""
        raise NodeUnreachable(node_id.hex())


class Together:
    """The cluster this node is a member of."""

    def __init__(self, cluster: ClusterNode) -> None:
        self._placement = cluster.placement
        self._membership = cluster.membership
        self._peers = cluster.peers
        self.node_id = cluster.placement.node_id
        self.owner_of = cluster.placement.owner_of

    @property
    def view(self) -> View:
        """The newest view this node knows of."""
        return self._placement.view

    @property
    def ring(self) -> Ring:
        """The ring of that view."""
        return self._placement.ring

    @property
    def frozen(self) -> bool:
        """Whether this node sees no heartbeats."""
        return self._membership.frozen

    async def ask(self, node_id: bytes, payload: bytes) -> bytes:
        """The answer of another member."""
        member = self.view.member(node_id)
        if member is None:
            raise NodeUnreachable(node_id.hex())
        try:
            return await self._peers.peer(member).ask(TOPIC, payload, PEER_TIMEOUT_S)
        except (PeerLost, PeerRefused) as error:
            raise NodeUnreachable(str(error)) from error
