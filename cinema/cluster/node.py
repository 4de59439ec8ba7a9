"""One node of a cluster: membership, connections, routing and handover around its kernel."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Final, Protocol

import msgspec
import structlog

from cinema.actors.kernel import Kernel
from cinema.actors.tasks import Tasks
from cinema.cluster.distant_terms import TERMS_KEPT, DistantTerms, PlanSource
from cinema.cluster.fanout import FanOut
from cinema.cluster.forwarder import Forwarder
from cinema.cluster.handover import Handover
from cinema.cluster.link import CHALLENGE_BYTES, ClusterSecrets, Identity, Link
from cinema.cluster.membership import Membership
from cinema.cluster.outbound import RECENT_CHANGES
from cinema.cluster.peers import ASKS_AT_ONCE, Dial, PeerLost, PeerRefused, Peers, PeerUnproven
from cinema.cluster.placement import Placement
from cinema.cluster.scout import Scout
from cinema.domain.membership import Member, View
from cinema.storage.journal.store import JournalStore, StoreUnavailable
from cinema.storage.membership.views import HeartbeatStore, ViewStore, ViewsUnavailable
from cinema.storage.redis.channels import Channels

PING_TOPIC: Final = "ping"
PING_TIMEOUT_S: Final = 0.5
"""How long a silent member has to answer before it counts as dead."""

PARTING_S: Final = 3.0
"""How long a leaving node waits until its peers have hung up. Builds that do not know the farewell
never do."""

HANDOVER_LATE: Final = "handover_late"
PARTING_LATE: Final = "parting_late"
SHOWTIMES_INHERITED: Final = "showtimes_inherited"
INHERITANCE_FAILED: Final = "inheritance_failed"

log = structlog.get_logger(__name__)


class Listener(Protocol):
    """A listening socket."""

    def close(self) -> None:
        """Accept no more."""


class ClusterOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How this node takes part: what `cinema/settings` documents, and bounds that never change."""

    secrets: ClusterSecrets
    heartbeat_timeout_s: float
    asks_at_once: int = ASKS_AT_ONCE
    recent_changes: int = RECENT_CHANGES
    terms_kept: int = TERMS_KEPT


DECLARED_DEAD_EXIT: Final = 70
"""Exit code of such a node's process: its supervisor starts it again."""


class DeclaredDead(Exception):
    """The cluster goes on without this node, which must not serve any longer."""


class SecretWrong(Exception):
    """The members of the cluster have another secret: none of them could reach this node."""


class ClusterNode:
    """Created before the node listens; `join` makes it a member, `drain` and `leave` end that."""

    def __init__(
        self,
        kernel: Kernel,
        node_id: bytes,
        options: ClusterOptions,
        *,
        beats: HeartbeatStore,
        views: ViewStore,
        plans: PlanSource,
        channels: Channels,
        journal: JournalStore,
        dial: Dial,
        challenge: Callable[[], bytes] = lambda: secrets.token_bytes(CHALLENGE_BYTES),
    ) -> None:
        self.kernel = kernel
        self.secrets = options.secrets
        self.placement = Placement(node_id)
        failures = kernel.metrics.task_failures
        self.peers = Peers(
            Identity(node_id, options.secrets, challenge),
            dial,
            failures,
            asks_at_once=options.asks_at_once,
        )
        self.membership = Membership(
            node_id,
            beats,
            views,
            timeout_s=options.heartbeat_timeout_s,
            answers=self._answers,
            on_view=self._follow,
            announce=self._announce,
            task_failures=failures,
        )
        self.fanout = FanOut(
            kernel,
            self.placement,
            self.peers,
            self.membership,
            channels,
            journal,
            recent_changes=options.recent_changes,
        )
        self.forwarder = Forwarder(
            kernel,
            self.membership,
            self.placement,
            self.peers,
            DistantTerms(plans, failures, kept_limit=options.terms_kept),
            self.fanout,
        )
        self.handover = Handover(kernel)
        self.scout = Scout(kernel, self.placement, self.peers)
        self.draining = False
        self._known = False  # whether other nodes may know of this one
        self.cluster_port = 0
        self._beats = beats
        self._views = views
        self._tasks = Tasks(failures)
        self.peers.answer(PING_TOPIC, _pong)
        kernel.join(self.forwarder)
        kernel.search_with(self.scout)

    def accept(self) -> Link:
        """A protocol for a connection to the cluster port."""
        return self.peers.accept()

    @property
    def is_ready(self) -> bool:
        """Whether this node is a member and is not leaving."""
        return self.membership.joined and not self.draining

    async def join(self, me: Member) -> None:
        """Become the member `me` and own a share of the showtimes.

        Raises `SecretWrong` and `AddressTaken`.
        """
        await self._check_secret()
        self.forwarder.start()
        self.handover.start()
        self.fanout.start()
        self._known = True
        await self.membership.join(me)

    async def drain(self, grace_s: float) -> None:
        """Give every showtime to its next owner; what is late is left to a takeover."""
        self.draining = True
        if not self._known:
            return
        try:
            async with asyncio.timeout(grace_s):
                await self.membership.drain()
                await self.handover.finished()
                await self.forwarder.answered()
        except TimeoutError:
            log.warning(HANDOVER_LATE, showtimes=len(await self.kernel.showtimes_of_others()))

    async def leave(self, grace_s: float) -> None:
        """Leave the cluster; the last member's showtimes are given back by its kernel."""
        if not self._known:
            return
        try:
            async with asyncio.timeout(grace_s):
                await self.forwarder.answered()
                await self._part(min(PARTING_S, grace_s / 2))
                await self.membership.leave()
        except TimeoutError:
            log.warning(HANDOVER_LATE, showtimes=0)

    async def _part(self, wait_s: float) -> None:
        """Let the others hang up, who may not know yet that this node owns nothing.

        It is done while this node is still a member: whom a view leaves out at once counts as dead.
        """
        try:
            async with asyncio.timeout(wait_s):
                await self.peers.say_farewell()
        except TimeoutError:
            log.warning(PARTING_LATE, links=self.peers.accepted_count)

    async def stop(self) -> None:
        """Hang up."""
        await self.membership.stop()
        await self._tasks.cancel()
        await self.handover.stop()
        await self.forwarder.stop()
        await self.fanout.stop()
        await self.peers.close()
        await self._beats.close()

    def _follow(self, view: View) -> None:
        before = self.placement.view
        self.forwarder.follow(view)
        is_member = view.member(self.placement.node_id) is not None
        has_lost = is_member and _somebody_died(before, view)
        self.scout.view_changed(has_lost=has_lost)
        if has_lost:
            self._tasks.start("inherit", self._inherit(view.version))
        self.handover.view_changed()
        self.fanout.view_changed()

    async def _inherit(self, version: int) -> None:
        try:
            count = await self.scout.inherit(version)
        except StoreUnavailable as error:
            # Each showtime is taken over when it is asked for, and waits for its own lease then.
            log.warning(INHERITANCE_FAILED, reason=str(error))
            return
        log.info(SHOWTIMES_INHERITED, showtimes=count)

    def _announce(self, view: View) -> None:
        self.peers.announce(self.placement.others, view.version)

    async def _check_secret(self) -> None:
        """A member that no other node can reach would make its showtimes unreachable."""
        try:
            view = await self._views.latest()
        except ViewsUnavailable:
            # Joining waits for the views anyway; there may be no member to compare with.
            return
        proofs = await asyncio.gather(*(self._proves(member) for member in view.members))
        if False in proofs and True not in proofs:
            raise SecretWrong("the members of this cluster have another CLUSTER_SECRET")

    async def _proves(self, member: Member) -> bool | None:
        """Whether a member knows this node's secret; None if it does not answer."""
        try:
            await self._ping(member)
        except PeerUnproven:
            return False
        except PeerLost:
            return None
        return True

    async def _answers(self, member: Member) -> bool:
        try:
            await self._ping(member)
        except PeerLost:
            return False
        return True

    async def _ping(self, member: Member) -> None:
        try:
            await self.peers.peer(member).ask(PING_TOPIC, b"", PING_TIMEOUT_S)
        except PeerRefused:
            # It is too busy to say more than that it is alive.
            return


def _somebody_died(before: View, view: View) -> bool:
    """Whether a member is gone that had not drained; before the first view this is unknown."""
    return before.version == 0 or any(
        not member.draining and view.member(member.node_id) is None for member in before.members
    )


async def _pong(_peer_id: bytes, _payload: bytes) -> bytes:
    return b""
