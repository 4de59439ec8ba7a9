"""What the control endpoint shows, and what nodes ask each other for it.

Questions and answers are plain values for msgpack, so that this node or another can answer the same
question. The operator sees the answer as JSON.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.limits_catalog import CURSOR_CHARS, PAGE_DEFAULT, PAGE_LIMIT

PhaseName = Literal["restoring", "serving", "leaving", "passivating", "quarantined", "gone"]
LevelName = Literal["debug", "info", "warning", "error"]
ActorOrder = Literal["mailbox", "last_used", "idle", "id"]


class SeatCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many seats are in each status."""

    available: int
    held: int
    booked: int
    blocked: int


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A node as it sees itself.

    `view_version` is the view that it uses. A `frozen` node sees no heartbeats and so removes
    nobody. `log_level` is the least severe level that is written. `watchers` are open sockets;
    `requests`, and `errors` among them with a status of 500 or more, count from its start.
    """

    version: str
    view_version: int
    frozen: bool
    pid: int
    started_at: datetime
    uptime_s: float
    draining: bool
    residents: int
    phases: dict[str, int]
    mailbox_depth: int
    lanes: int
    log_level: str
    watchers: int = 0
    requests: int = 0
    errors: int = 0


class NodeShown(msgspec.Struct, frozen=True, kw_only=True):
    """A member of the cluster; without a `status` it did not answer. `self` is the asked node."""

    node_id: UUID
    address: str
    weight: int
    draining: bool
    this: bool
    reachable: bool
    status: NodeStatus | None


class RingMember(msgspec.Struct, frozen=True, kw_only=True):
    """A member's place on the ring: `share` is the part of all showtimes that it owns."""

    node_id: UUID
    address: str
    weight: int
    draining: bool
    share: float


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """The member that owns a showtime by the ring."""

    showtime_id: UUID
    node_id: UUID
    address: str


class RingShown(msgspec.Struct, frozen=True, kw_only=True):
    """The ring of a view; `owner` only if the request names a showtime."""

    view_version: int
    members: list[RingMember]
    owner: Owner | None


class ActorShown(msgspec.Struct, frozen=True, kw_only=True):
    """A showtime in memory; counts of holds and bookings are absent while it loads.

    `seq` may be ahead of `durable_seq`: memory runs ahead of the journal.
    """

    showtime_id: UUID
    node_id: UUID
    phase: str
    epoch: int
    seq: int
    durable_seq: int
    mailbox_depth: int
    idle_s: float
    last_used_at: datetime
    lane: int
    watched: bool
    failures: int
    holds: int | None
    bookings: int | None
    next_due_at: datetime | None


class HoldShown(msgspec.Struct, frozen=True, kw_only=True):
    """A live hold."""

    hold_id: UUID
    customer_id: UUID
    seats: list[str]
    placed_at: datetime
    expires_at: datetime


class MemoryShown(msgspec.Struct, frozen=True, kw_only=True):
    """The part that only a showtime in memory has. `mailbox` counts waiting messages by kind.

    Answers wait at the output gate, unwritten events wait for their batch. `in_flight_seq` is the
    last seq of the batch under way, 0 if there is none. `lease_age_ms` counts from the last
    confirmation.
    """

    node_id: UUID
    phase: str
    durable_seq: int
    mailbox_depth: int
    mailbox: dict[str, int]
    answers_waiting: int
    unwritten_events: int
    in_flight_seq: int
    snapshot_pending: bool
    lease_age_ms: int | None
    lease_fresh: bool
    doubts: int
    lane: int
    idle_s: float
    watched: bool
    failures: int


class StateShown(msgspec.Struct, frozen=True, kw_only=True):
    """A showtime's state."""

    at: datetime | None
    layout_version: int
    paused: bool
    seats: SeatCounts
    holds: int
    ended_holds: int
    bookings: int
    stored_replies: int
    next_due_at: datetime | None
    live_holds: list[HoldShown]


class ShowtimeShown(msgspec.Struct, frozen=True, kw_only=True):
    """A showtime: from the memory of the node that has it (`memory`), else as it is stored.

    `state` is absent while it loads, and if the stored bytes are not consistent (`problem`).
    `live_holds` are those that end first, up to a bound. A node in `unreachable` did not answer
    and may have it in memory.
    """

    showtime_id: UUID
    resident: bool
    epoch: int
    seq: int
    snapshot_seq: int
    memory: MemoryShown | None = None
    state: StateShown | None = None
    problem: str | None = None
    unreachable: list[UUID] = []


class Passivated(msgspec.Struct, frozen=True, kw_only=True):
    """The showtime is no longer in memory; `was_resident` says whether it was before."""

    showtime_id: UUID
    node_id: UUID
    was_resident: bool


class Draining(msgspec.Struct, frozen=True, kw_only=True):
    """The node hands its showtimes over and ends."""

    node_id: UUID
    draining: bool


class LogLevel(msgspec.Struct, frozen=True, kw_only=True):
    """The least severe level that a node writes."""

    node_id: UUID
    level: str


class LogLevelInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The level to write from now on."""

    level: LevelName


# --- what nodes ask each other


class NodeQuestion(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One question to a node; the tag is the name of the type."""


class AskStatus(NodeQuestion, frozen=True, kw_only=True):
    """`NodeStatus`."""


class AskActors(NodeQuestion, frozen=True, kw_only=True):
    """One page of `ActorShown`, after a position in the order."""

    order: ActorOrder
    limit: int
    after: tuple[int, UUID] | None = None
    phase: PhaseName | None = None
    lane: int | None = None
    watched: bool | None = None
    min_mailbox: int = 0


class AskShowtime(NodeQuestion, frozen=True, kw_only=True):
    """`ShowtimeShown` if the node has it in memory, else None."""

    showtime_id: bytes


class AskPassivate(NodeQuestion, frozen=True, kw_only=True):
    """`Passivated`."""

    showtime_id: bytes


class AskDrain(NodeQuestion, frozen=True, kw_only=True):
    """`Draining`."""


class AskLogLevel(NodeQuestion, frozen=True, kw_only=True):
    """`LogLevel`; sets it if one is given."""

    level: LevelName | None = None


AnyAsk = AskStatus | AskActors | AskShowtime | AskPassivate | AskDrain | AskLogLevel


class NodeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: the data, or a refusal in the contract's terms."""

    data: msgspec.Raw = msgspec.Raw(b"\xc0")
    code: str = ""
    message: str = ""
    details: dict[str, Any] | None = None


# --- queries of the routes


class ActorsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which actors; deepest mailbox first unless `sort` says otherwise."""

    sort: ActorOrder = "mailbox"
    node_id: UUID | None = None
    phase: PhaseName | None = None
    lane: Annotated[int, Meta(ge=0)] | None = None
    watched: bool | None = None
    min_mailbox: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=PAGE_LIMIT)] = PAGE_DEFAULT
    cursor: Annotated[str, Meta(max_length=CURSOR_CHARS)] | None = None


class RingQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The showtime whose owner is shown too."""

    showtime_id: UUID | None = None


class ActorsMeta(msgspec.Struct, frozen=True, kw_only=True):
    """Where the list continues, and which nodes did not answer."""

    next_cursor: str | None
    unreachable: list[UUID] = []
