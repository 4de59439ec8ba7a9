"""Whole cluster nodes over one journal, in virtual time, with wires that a test can cut."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from cinema.actors.messages import Message, SeatsSeen, Watch
from cinema.cluster.link import ClusterSecrets, Link
from cinema.cluster.node import ClusterNode, ClusterOptions
from cinema.domain.membership import NO_VIEW, Member, View
from cinema.domain.seatmap import SeatPlan
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.storage.journal.store import StoreUnavailable
from cinema.storage.membership.views import Beat, BeatsUnavailable, ViewsUnavailable
from tests.support import inspection
from tests.support.actors.auditor import Feed
from tests.support.actors.world import PLAN, Mail, Node, Terms, World, some_id, stop
from tests.unit.cluster.bus import Bus

SECRET = b"known to the nodes of one cluster"
HEARTBEAT_TIMEOUT_S = 2.0


class Wire(asyncio.Transport):
    """One end of a connection; what is written arrives at the other end in the next step."""

    def __init__(self, protocol: Link, cable: Cable) -> None:
        super().__init__()
        self.protocol = protocol
        self.cable = cable
        self.other: Wire
        self.coming: deque[bytes] = deque()
        self.closing = False

    def write(self, data: Any) -> None:
        if not self.closing and not self.cable.swallows(self):
            # Timers of one moment come in any order; bytes must not.
            self.other.coming.append(bytes(data))
            loop, delay_s = asyncio.get_running_loop(), self.cable.network.delay_s
            if delay_s:
                loop.call_later(delay_s, self.other.arrive)
            else:
                loop.call_soon(self.other.arrive)

    def arrive(self) -> None:
        """Something comes out at this end."""
        data = self.coming.popleft()
        if not self.closing:
            self.protocol.data_received(data)

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        for end in (self, self.other):
            asyncio.get_running_loop().call_soon(end.end)

    def end(self) -> None:
        """The connection is gone; each end is told once."""
        if not self.closing:
            self.closing = True
            self.protocol.connection_lost(None)


class Cable:
    """One connection: who dialled, who was dialled."""

    def __init__(self, dials: Link, listens: Link, network: Network) -> None:
        self.network = network
        self.dialled = Wire(dials, self)
        self.accepted = Wire(listens, self)
        self.dialled.other, self.accepted.other = self.accepted, self.dialled

    def swallows(self, sender: Wire) -> bool:
        """Whether what `sender` writes gets lost."""
        return self.network.swallows_answers and sender is self.accepted


class Network:
    """Ports by number, and connections between them."""

    def __init__(self) -> None:
        self.listeners: dict[int, Callable[[], Link]] = {}
        self.cables: list[Cable] = []
        self.dial_error: Exception | None = None
        self.swallows_answers = False
        self.delay_s = 0.0

    async def dial(self, make: Callable[[], Link], _host: str, port: int) -> object:
        """See `cinema.cluster.peers.Dial`."""
        await asyncio.sleep(0)
        if self.dial_error is not None:
            raise self.dial_error
        if port not in self.listeners:
            raise ConnectionRefusedError(port)
        cable = Cable(make(), self.listeners[port](), self)
        self.cables.append(cable)
        for end in (cable.dialled, cable.accepted):
            end.protocol.connection_made(end)
        return cable

    def cut(self) -> None:
        """All connections break; new ones can be made."""
        cables, self.cables = self.cables, []
        for cable in cables:
            cable.dialled.abort()


class MemoryViews:
    """The table of views; `lose_next` answers are lost after they had their effect."""

    def __init__(self) -> None:
        self.view = NO_VIEW
        self.lose_next = 0
        self.away = False

    async def latest(self) -> View:
        await asyncio.sleep(0)
        if self.away:
            raise ViewsUnavailable("away")
        return self.view

    async def propose(self, view: View, _node_id: bytes) -> bool:
        await asyncio.sleep(0)
        if self.away:
            raise ViewsUnavailable("away")
        if view.version != self.view.version + 1:
            return False
        self.view = view
        if self.lose_next:
            self.lose_next -= 1
            raise ViewsUnavailable("the answer was lost")
        return True


class NoViews:
    """What a node without Postgres asks in vain."""

    async def latest(self) -> View:
        raise ViewsUnavailable("away")

    async def propose(self, _view: View, _node_id: bytes) -> bool:
        raise ViewsUnavailable("away")


class MemoryBeats:
    """One node's way to everybody's heartbeats."""

    def __init__(self, shared: dict[bytes, Beat]) -> None:
        self.shared = shared
        self.away = False
        self.errors: list[Exception] = []

    async def beat(self, node_id: bytes, beat: Beat) -> Mapping[bytes, Beat]:
        await asyncio.sleep(0)
        if self.errors:
            raise self.errors.pop()
        if self.away:
            raise BeatsUnavailable("away")
        self.shared[node_id] = beat
        return dict(self.shared)

    async def forget(self, node_ids: frozenset[bytes]) -> None:
        for node_id in node_ids:
            self.shared.pop(node_id, None)

    async def close(self) -> None:
        """Nothing to give back."""


class Plans:
    """Terms and plans as every node looks them up."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.loads = 0
        self.held: asyncio.Event | None = None

    async def load_terms(self, showtime_id: bytes) -> ShowtimeTerms | None:
        self.loads += 1
        if self.held is not None:
            await self.held.wait()
        return await self.terms.load_terms(showtime_id)

    async def load_plan(self, _showtime_id: bytes, _version: int) -> SeatPlan | None:
        return PLAN


class Place:
    """One node of the cluster: its kernel, and its part in the cluster around it."""

    def __init__(self, cluster: SmallCluster, node: Node, port: int, secret: bytes) -> None:
        self.world_node = node
        self.store = node.store
        self.kernel = node.kernel
        self.beats = MemoryBeats(cluster.beats)
        self.node_id = some_id()
        self.plans = Plans(cluster.world.terms)
        self.node = ClusterNode(
            node.kernel,
            self.node_id,
            ClusterOptions(
                secrets=ClusterSecrets([secret]),
                heartbeat_timeout_s=HEARTBEAT_TIMEOUT_S,
                **cluster.options,
            ),
            beats=self.beats,
            views=cluster.views,
            plans=self.plans,
            channels=cluster.bus.connect(),
            journal=node.store,
            dial=cluster.network.dial,
        )
        self.forwarder = self.node.forwarder
        self.membership = self.node.membership
        self.me = Member(
            node_id=self.node_id, host="127.0.0.1", port=8000 + port, cluster_port=7000 + port
        )
        cluster.network.listeners[self.me.cluster_port] = self.node.accept

    def tell(self, showtime_id: bytes, message: Message) -> Mail:
        """Send a message through the forwarder; its answer is audited the moment it leaves."""
        mail = Mail()
        reply = self.world_node.audited(showtime_id, message, mail)
        self.forwarder.tell(showtime_id, message, reply)
        return mail

    async def ask(self, showtime_id: bytes, message: Message) -> Any:
        """`tell`, and the outcome."""
        mail = self.tell(showtime_id, message)
        await mail.answered.wait()
        return mail.outcome

    async def watch(self, showtime_id: bytes) -> tuple[Feed, SeatsSeen]:
        """Begin to watch here: the feed and the snapshot it continues."""
        feed = Feed(self.world_node.world.auditor, showtime_id)
        seen = await self.ask(showtime_id, Watch(feed=feed))
        assert isinstance(seen, SeatsSeen), seen
        return feed, seen

    def owns(self, showtime_id: bytes) -> bool:
        """Whether the showtime is this node's."""
        return self.forwarder.owns(showtime_id)


class SmallCluster:
    """Some nodes, their network, and the tables they share."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.network = Network()
        self.bus = Bus()
        self.views = MemoryViews()
        self.beats: dict[bytes, Beat] = {}
        self.places: list[Place] = []
        self.options: dict[str, int] = {}

    async def place(self, *, secret: bytes = SECRET, **settings: Any) -> Place:
        """One more node, which has not joined."""
        made = Place(self, await self.world.node(**settings), len(self.places) + 1, secret)
        self.places.append(made)
        return made

    async def member(self, **settings: Any) -> Place:
        """One more node, joined."""
        made = await self.place(**settings)
        await made.node.join(made.me)
        return made

    async def members(self, count: int, **settings: Any) -> list[Place]:
        """Some nodes that all go by the same view."""
        made = [await self.member(**settings) for _ in range(count)]
        for place in made:
            await place.membership.refresh()
        return made

    async def many(self, count: int, **settings: Any) -> list[Place]:
        """Many nodes that are in one view from the start, without heartbeats and handovers."""
        made = [await self.place(**settings) for _ in range(count)]
        await self.show(View(version=1, members=tuple(one.me for one in made)), made)
        return made

    async def show(self, view: View, places: Iterable[Place]) -> None:
        """Make a view the newest, and let some nodes go by it."""
        self.views.view = view
        for place in places:
            await place.membership.refresh()

    def kill(self, place: Place) -> None:
        """End a node as a killed process ends."""
        del self.network.listeners[place.me.cluster_port]
        started = (place.membership, place.node.handover, place.kernel)
        inspection.cancel_all(*map(inspection.tasks_of, started))
        self.network.swallows_answers = False
        self.network.cut()

    @staticmethod
    def unreachable() -> Exception:
        """What a store says that does not answer."""
        return StoreUnavailable("away")

    def showtime_of(self, place: Place) -> bytes:
        """A showtime that a node owns."""
        while True:
            showtime_id = self.world.showtime()
            if place.owns(showtime_id):
                return showtime_id


def blindfold(place: Place) -> Callable[[], None]:
    """From now on a node learns of no view; calling the result ends that."""
    views = inspection.views_of(place.membership)
    inspection.ask_for_views(place.membership, NoViews())

    def take_off() -> None:
        inspection.ask_for_views(place.membership, views)

    return take_off


@asynccontextmanager
async def small_cluster(**options: int) -> AsyncIterator[SmallCluster]:
    """A cluster whose history must be faultless in the end; `options` are those of its nodes."""
    world = World()
    cluster = SmallCluster(world)
    cluster.options.update(options)
    try:
        yield cluster
        assert world.auditor.finish() == []
    finally:
        for place in cluster.places:
            await place.node.stop()
        await stop(world)
