"""Where tests look into objects of cinema: no other test names what is private to a class.

What an operator may see of actors is in `cinema.actors.inspection`. This is what only tests need:
counts that show a leak, parts that are put out of action, and steps that are taken out of turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cinema.actors.lane import CommitLane
from cinema.domain.showtime import decisions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping, Sequence

    import pytest

    from cinema.actors.actor import ShowtimeActor
    from cinema.actors.kernel import Kernel
    from cinema.actors.tasks import Tasks
    from cinema.actors.unpaid import UnpaidSeats
    from cinema.cluster.fanout import FanOut
    from cinema.cluster.forwarder import Forwarder
    from cinema.cluster.handover import Handover
    from cinema.cluster.link import Link
    from cinema.cluster.membership import Membership
    from cinema.cluster.node import ClusterNode
    from cinema.cluster.peers import Peers
    from cinema.cluster.placement import Placement
    from cinema.cluster.ring import Ring
    from cinema.domain.membership import Member, View
    from cinema.features.accounts.admission import TokenAdmission
    from cinema.features.accounts.link_store import LinksRepository
    from cinema.http.connections.proxies import TrustedProxies
    from cinema.http.server import Edge
    from cinema.http.turns import Turns
    from cinema.local.redis_server import LocalRedis

    Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]

# --- a kernel and its actors


def actors_of(kernel: Kernel) -> MutableMapping[bytes, ShowtimeActor]:
    """The actors in memory by their showtimes, the kernel's own mapping."""
    return kernel._actors


async def terms_loaded(kernel: Kernel, showtime_id: bytes) -> Any:
    """The terms that whoever takes a showtime over loads now."""
    return await kernel._activation.terms(showtime_id)


async def plan_loaded(kernel: Kernel, showtime_id: bytes, version: int) -> Any:
    """A version of a showtime's plan, as other nodes and operators look it up."""
    source: Any = kernel._activation._terms
    return await source.load_plan(showtime_id, version)


def is_of(kernel: Kernel, actor: ShowtimeActor) -> bool:
    """Whether the kernel made this actor."""
    return actor._kernel is kernel


def messages_held(actor: ShowtimeActor) -> int:
    """Messages that the actor holds anywhere: in its queues, under way to the archive, in doubt."""
    outbox = actor._outbox
    queues = (actor._mailbox, outbox._waiting, outbox._lease_waiting, outbox._lease_asked)
    return sum(map(len, queues)) + actor._recalls + len(actor.doubts)


async def kill(kernel: Kernel) -> None:
    """End the kernel as a killed process ends: nothing is given back."""
    await kernel._tasks.cancel()


def forget(kernel: Kernel, actor: ShowtimeActor) -> None:
    """Drop an actor from memory as it is."""
    kernel._forget(actor)


def quarantine(kernel: Kernel, actor: ShowtimeActor, reason: str) -> None:
    """Stop an actor for good."""
    kernel._quarantine(actor, reason)


def drain(kernel: Kernel) -> None:
    """Have the kernel refuse new messages."""
    kernel._draining = True


def lanes_of(kernel: Kernel) -> Sequence[Any]:
    """The commit lanes."""
    return kernel._lanes


def lane_stores_of(kernel: Kernel) -> list[Any]:
    """What each lane writes to."""
    return [lane._store for lane in kernel._lanes]


def due_of(kernel: Kernel) -> Any:
    """The queue of what comes due."""
    return kernel._due


def inherited_by(kernel: Kernel) -> Mapping[bytes, Any]:
    """What the kernel has inherited from dead nodes and not used yet."""
    return kernel._activation._inherited


def forget_inherited(kernel: Kernel) -> None:
    """Take one look at what was inherited long ago."""
    kernel._activation.forget_inherited()


def load_terms_through(kernel: Kernel, terms: Any) -> None:
    """Have the kernel load terms from somewhere else."""
    kernel._activation._terms = terms


def count_looks(patches: pytest.MonkeyPatch, kernel: Kernel, counted: Wrap) -> None:
    """Count how often the kernel looks at a showtime that may leave memory."""
    patches.setattr(kernel, "_put_out", counted(kernel._put_out))


def replace_actors(patches: pytest.MonkeyPatch, kernel: Kernel, actors: Any) -> None:
    """Have the kernel find its actors in another mapping."""
    patches.setattr(kernel, "_actors", actors)


def replace_ready(patches: pytest.MonkeyPatch, lane: Any, ready: Any) -> None:
    """Have a lane keep those that wait for a commit in another mapping."""
    patches.setattr(lane, "_ready", ready)


def break_batches(patches: pytest.MonkeyPatch, fail: Callable[..., Any]) -> None:
    """Have every lane fail at gathering a batch."""
    patches.setattr(CommitLane, "_next_batch", fail)


# --- nodes of a cluster


def count_sends(patches: pytest.MonkeyPatch, forwarder: Forwarder, counted: Wrap) -> None:
    """Count the messages that a forwarder sends."""
    patches.setattr(forwarder, "_send", counted(forwarder._send))


def follow(node: ClusterNode, view: View) -> None:
    """Show a node a view, as its membership would."""
    node._follow(view)


async def propose(membership: Membership, view: View) -> None:
    """Have a member propose a view."""
    await membership._propose(view)


def outbound_of(fanout: FanOut) -> MutableMapping[bytes, Any]:
    """The feeds that publish changes of own showtimes."""
    return fanout._outbound


def inbound_of(fanout: FanOut) -> MutableMapping[bytes, Any]:
    """The feeds that follow other nodes' showtimes."""
    return fanout._inbound


def forget_recent(fanout: FanOut, showtime_id: bytes) -> None:
    """Have the owner forget the last changes, with which it heals gaps."""
    fanout._outbound[showtime_id]._recent.clear()


async def note_interest(fanout: FanOut, payload: bytes) -> None:
    """Tell an owner what a peer is interested in."""
    await fanout._noted(b"", payload)


def leaving_peers(peers: Peers) -> Sequence[Any]:
    """Links to members that have gone, which still bring answers."""
    return peers._leaving


def ignore_farewells(node: ClusterNode) -> None:
    """Have the node take no notice of peers that say farewell, as older builds do."""
    node.peers.part_from = lambda _peer: None  # type: ignore[method-assign]


def lose_peer(node: ClusterNode, node_id: bytes) -> None:
    """Have the node know no link to a peer."""
    node.peers._peers.pop(node_id, None)


def questions_of(peers: Any) -> Mapping[int, Any]:
    """Questions that wait for a peer's answer."""
    questions: Mapping[int, Any] = peers._questions
    return questions


def trust_anybody(link: Link) -> None:
    """Have a link take any proof for good."""
    secret = link._me.secrets.known[0]
    link._checked = lambda _proof, _part: secret  # type: ignore[method-assign]


def write_frame(link: Link, frame: bytes) -> None:
    """Send bytes over a link as they are."""
    link._write(frame)


def views_of(membership: Membership) -> Any:
    """Where a member asks for views."""
    return membership._views


def ask_for_views(membership: Membership, views: Any) -> None:
    """Have a member ask somewhere else for views."""
    membership._views = views


def next_silence_s(membership: Membership, members: Sequence[Member], now_s: float) -> float:
    """When one of these members is due to be taken for dead."""
    due_s = membership._detector.next_silence_s(members, now_s)
    assert due_s is not None
    return due_s


def go_on(membership: Membership) -> None:
    """Start again the loops of a member that were stopped, as after a pause of its process."""
    membership._tasks.start("watch", membership._run_watch())
    membership._tasks.start("beats", membership._run_beats())


def cancel_all(*tasks: Tasks) -> None:
    """Cancel whatever runs, without a wait for its end."""
    for one in tasks:
        for task in list(one._running):
            task.cancel()


def tasks_of(owner: Kernel | Membership | Handover) -> Tasks:
    """The tasks that somebody has started."""
    return owner._tasks


def hand_to(link: Link, user: Any) -> None:
    """Give a link another user from now on."""
    link._user = user


def owners_remembered(placement: Placement) -> int:
    """How many showtimes' owners are kept."""
    return len(placement._owners)


def points_of(ring: Ring) -> Any:
    """The points of each node of a ring."""
    return ring._points


def asleep_of(unpaid: UnpaidSeats) -> Mapping[bytes, Any]:
    """What is kept of showtimes that have left memory."""
    return unpaid._asleep


# --- the edge


def connections_of(edge: Edge) -> Any:
    """The open connections of clients."""
    return edge._server.connections


def listening_sockets(edge: Edge) -> list[Any]:
    """The sockets on which the edge takes connections."""
    return [listener.sockets[0] for listener in edge._listeners]


def is_half_closed(connection: Any) -> bool:
    """Whether the client of a connection has sent its end."""
    return bool(connection._half_closed)


def within_a_frame(connection: Any) -> bool:
    """Whether a part of a frame has come to the server, and not all of it."""
    frames = connection._frames
    return bool(frames._head or frames._rest_bytes)


def addresses_remembered(proxies: TrustedProxies) -> int:
    """How many headers of proxies are kept with what they came to."""
    return proxies._key_behind.cache_info().currsize


# --- features


def take_nonce(tokens: Any, nonce: str, now_s: float) -> None:
    """Note the nonce of a signed call."""
    tokens._take_nonce(nonce, now_s)


def let_every_turn_come_too_late(turns: Turns) -> None:
    """Have the queue of a running node refuse all that has to wait."""
    turns._late_s = -1.0


def refusals_remembered(admission: TokenAdmission) -> int:
    """How many refused tokens are kept."""
    return len(admission._refused)


def forget_everybody(admission: TokenAdmission) -> None:
    """Have the admission forget all it knows, as it does when it falls behind."""
    admission._forget_all()


def ask_links_through(patches: pytest.MonkeyPatch, links: LinksRepository, pool: Any) -> None:
    """Have the store of mailed links use another pool."""
    patches.setattr(links, "_pool", pool)


def load_stored_terms_through(service: Any, terms: Any) -> None:
    """Have the control service load terms from somewhere else."""
    service._terms = terms


def set_log_levels(service: Any, levels: Any) -> None:
    """Give a control service another hold of the log level."""
    service._node._log_levels = levels


# --- a machine


def let_go_of_folder(server: LocalRedis) -> None:
    """Release what keeps a second server out of the folder, as the end of the process does."""
    server._lock.release()


def connected(lane: Any) -> Any:
    """Awaits the connection of a lane on Postgres."""
    return lane._connected()


def selector_of(loop: Any) -> Any:
    """What an event loop of the standard library waits with."""
    return loop._selector


def deciders() -> dict[type, Callable[..., Any]]:
    """What decides about each kind of command."""
    return decisions._DECIDERS
