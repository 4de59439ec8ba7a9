"""What a seed is about: how many nodes, which bounds, which faults, which clients.

Every seed leaves some faults and operations out and does others often ("swarm testing", Groce et
al., 2012): what is rare in an average run is common in some of them.
"""

from __future__ import annotations

import random
from typing import Final, Literal, assert_never

import msgspec

from cinema.actors.settings import KernelSettings

FAULTS: Final = (
    "kill",
    "kill_at_statement",
    "freeze",
    "freeze_at_statement",
    "suspend",
    "rolling_restart",
    "postgres_refuses",
    "postgres_swallows",
    "postgres_restarts",
    "postgres_slow",
    "statements_lost",
    "client_cut_off",
    "statement_delayed",
    "views_disagree",
    "truncate",
    "node_hangs",
)

CLUSTER_FAULTS: Final = (
    "redis_down",
    "redis_wiped",
    "redis_cut_off",
    "deltas_lost",
    "nodes_parted",
    "one_way_parted",
    "power_loss",
)
"""What can go wrong between nodes; the list before is for all runs."""

DUEL_FAULTS: Final = (
    "freeze",
    "freeze_at_statement",
    "kill_at_statement",
    "postgres_swallows",
    "rolling_restart",
    "statement_delayed",
    "statements_lost",
    "suspend",
    "truncate",
    "views_disagree",
)
"""What makes owners believe that they still are."""

WATCHED_DUEL_FAULTS: Final = (
    "freeze_at_statement",
    "postgres_swallows",
    "rolling_restart",
    "statement_delayed",
    "statements_lost",
    "suspend",
)
"""What an owner sleeps through, or hears of too late, besides a node that hangs."""

STAFF_OPERATIONS: Final = ("block", "pause", "change_plan")
"""What staff do, once in a while."""

CHANGED_TERMS: Final = 0.4
CANCELLED_SHOWTIME: Final = 0.25
MOVED_SHOWTIME: Final = 0.3
CANCELLED_SHARE: Final = 0.02
"""In how many of the runs that nobody watches managers change what is sold, cancel showtimes, or
move them to other screens; and how often they cancel, against customers: behind that nothing can be
held any more."""

PAYING: Final = 0.4
"""In how many of the runs that nobody watches holds are paid through a payment service."""

CHANGED_SEATS: Final = 0.4
"""In how many of them customers give tickets other seats."""

EXCHANGED: Final = 0.5
"""In how many of them, if there are several showtimes, bookings are exchanged."""

WAITING: Final = 0.4
"""In how many of them, however they are else, customers wait for seats that are taken."""

OFFER_TTL_S: Final = (1, 2, 4)
"""How long they keep what they were offered: offers end in most runs, and some go on."""

OPERATIONS: Final = (
    "hold",
    "hold_best",
    "extend",
    "release",
    "release_part",
    "book",
    "cancel",
    "cancel_part",
    "seats",
    "see_hold",
    *STAFF_OPERATIONS,
)

LONG_HOLD_TTL_S: Final = 8
"""Nothing comes due for long: a hold that does brings a showtime back to whoever left it."""

STAFF_SHARE: Final = 0.2
"""How often staff do something, against customers."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The shape of one run.

    With `clustered` the nodes are a cluster; otherwise kernels stand alone, and clients and nodes
    go by views that the simulation hands out, which is the harder case for the fence. `readers` are
    clients that only look, at one node for a while, whoever owns what.
    """

    clustered: bool
    heartbeat_s: float
    nodes: int
    showtimes: int
    columns: int
    clients: int
    readers: int
    think_s: float
    hold_ttl_s: int
    settings: KernelSettings
    operations: dict[str, float]
    faults: dict[str, float]
    fault_gap_s: float
    stray: float
    keyed: float
    network_ms: float
    database_ms: float
    chaos_s: float
    ended_kept: int
    replies_kept: int
    offer_ttl_s: int = OFFER_TTL_S[0]


SHOWTIMES_PER_NODE: Final = 0.4
"""In large clusters: most nodes own none at a time, and those move often."""

Kind = Literal["any", "clustered", "watched", "truncated"]
"""Which seeds: clusters, the duels that readers watch, or kernels alone that truncate often."""


def profile_of(seed: int, nodes: int = 0) -> Profile:
    """The profile of a seed; with `nodes` one of a cluster of so many."""
    profile = draw_profile(random.Random(f"{seed} profile"), large=nodes > 0)
    if nodes:
        profile = msgspec.structs.replace(
            profile, nodes=nodes, showtimes=max(1, int(nodes * SHOWTIMES_PER_NODE))
        )
    if profile.readers:
        return profile
    profile = _managed(random.Random(f"{seed} managers"), profile)
    profile = _paid(random.Random(f"{seed} payers"), profile)
    profile = _seated(random.Random(f"{seed} movers"), profile)
    profile = _exchanged(random.Random(f"{seed} exchangers"), profile)
    return _waited(random.Random(f"{seed} waiters"), profile)


def _waited(rng: random.Random, drawn: Profile) -> Profile:
    """Whether customers wait for seats there; drawn apart too."""
    if rng.random() >= WAITING:
        return drawn
    often = rng.choice((1.0, 3.0))
    more = {"join_waitlist": often, "leave_waitlist": 0.2 * often, "see_offer": often}
    return msgspec.structs.replace(
        drawn, operations=drawn.operations | more, offer_ttl_s=rng.choice(OFFER_TTL_S)
    )


def _exchanged(rng: random.Random, drawn: Profile) -> Profile:
    """Whether customers exchange bookings there; drawn apart too."""
    if rng.random() >= EXCHANGED or drawn.showtimes == 1:
        return drawn
    operations = drawn.operations | {"exchange": rng.choice((0.5, 1.0, 3.0))}
    return msgspec.structs.replace(drawn, operations=operations)


def _seated(rng: random.Random, drawn: Profile) -> Profile:
    """Whether customers change their seats there; drawn apart too."""
    if rng.random() >= CHANGED_SEATS:
        return drawn
    operations = drawn.operations | {"change_seats": rng.choice((0.3, 1.0, 3.0))}
    return msgspec.structs.replace(drawn, operations=operations)


def _paid(rng: random.Random, drawn: Profile) -> Profile:
    """Whether customers pay there; drawn apart too."""
    if rng.random() >= PAYING:
        return drawn
    operations = drawn.operations | {"pay": rng.choice((0.3, 1.0, 3.0))}
    return msgspec.structs.replace(drawn, operations=operations)


def _managed(rng: random.Random, drawn: Profile) -> Profile:
    """What managers do there; drawn apart, so that all else stays as it is."""
    operations = dict(drawn.operations)
    if rng.random() < CHANGED_TERMS:
        operations["change_terms"] = rng.choice((0.3, 1.0, 3.0)) * STAFF_SHARE
    if rng.random() < CANCELLED_SHOWTIME:
        operations["cancel_showtime"] = CANCELLED_SHARE
    if rng.random() < MOVED_SHOWTIME:
        operations["move_showtime"] = rng.choice((0.3, 1.0, 3.0)) * STAFF_SHARE
    return msgspec.structs.replace(drawn, operations=operations)


def is_of_kind(profile: Profile, kind: Kind) -> bool:
    """Whether a profile is one of a kind."""
    match kind:
        case "any":
            return True
        case "clustered":
            return profile.clustered
        case "watched":
            return profile.readers > 0
        case "truncated":
            return not profile.clustered and profile.faults.get("truncate", 0.0) >= 1.0
        case _:
            assert_never(kind)


def draw_profile(rng: random.Random, *, large: bool = False) -> Profile:
    """A profile; the same for the same state of `rng`. A `large` one is a cluster."""
    clustered = rng.random() < 0.5 or large
    tiny = rng.random() < 0.5
    settings = KernelSettings(
        commit_lanes=rng.choice((1, 1, 2)),
        lease_ms=rng.choice((200, 500)),
        snapshot_every_events=rng.choice((3, 3, 20, 1000)),
        mailbox_limit=2 if tiny else rng.choice((8, 4096)),
        node_waiting_limit=3 if tiny else 16_384,
        command_deadline_ms=rng.choice((1000, 2000)),
        max_resident_showtimes=rng.choice((1, 20_000)),
        idle_passivation_s=rng.choice((0.3, 2.0, 300.0)),
        batch_limit_events=1 if tiny else rng.choice((4, 500)),
    )
    drawn = Profile(
        clustered=clustered,
        heartbeat_s=rng.choice((0.5, 1.0)),
        nodes=rng.randint(3, 5),
        showtimes=rng.randint(1, 3),
        columns=rng.choice((2, 4, 8)),
        clients=rng.randint(4, 12),
        readers=0,
        think_s=rng.choice((0.02, 0.05, 0.15)),
        hold_ttl_s=rng.choice((1, 2, 3)),
        settings=settings,
        operations={"hold": 1.5} | _operations(rng),
        faults=_some(rng, FAULTS + CLUSTER_FAULTS if clustered else FAULTS),
        fault_gap_s=rng.choice((0.15, 0.4, 1.0)),
        stray=rng.choice((0.02, 0.1, 0.4)),
        keyed=rng.choice((0.3, 0.8, 1.0)),
        network_ms=rng.choice((0.2, 1.0, 10.0)),
        database_ms=rng.choice((0.3, 2.0, 15.0)),
        chaos_s=rng.choice((6.0, 8.0, 10.0)),
        ended_kept=rng.choice((1, 32)),
        replies_kept=rng.choice((1, 64)),
    )
    if clustered or rng.random() < 0.4:
        return drawn
    return _duel(rng, drawn) if rng.random() < 0.5 else _watched_duel(rng, drawn)


def _duel(rng: random.Random, drawn: Profile) -> Profile:
    """Kernels that take one showtime from each other all the time, read by many."""
    settings = msgspec.structs.replace(
        drawn.settings,
        lease_ms=500,
        mailbox_limit=4096,
        node_waiting_limit=16_384,
        idle_passivation_s=0.3,
        snapshot_every_events=rng.choice((3, 20)),
    )
    faults = dict.fromkeys(rng.sample(DUEL_FAULTS, 3), 1.0)
    return msgspec.structs.replace(
        drawn,
        showtimes=1,
        nodes=3,
        settings=settings,
        operations=drawn.operations | {"hold": 2.0, "seats": 3.0, "release": 2.0},
        faults=faults,
        fault_gap_s=0.15,
        stray=rng.choice((0.1, 0.3, 0.6)),
        think_s=rng.choice((0.02, 0.05)),
        network_ms=0.2,
        database_ms=rng.choice((0.3, 2.0)),
    )


def _watched_duel(rng: random.Random, drawn: Profile) -> Profile:
    """One or two customers move from owner to owner; readers stay where they were before.

    A former owner that nobody sends a command does not learn that it is one. Only the rules about
    leases keep it from showing the readers what was true once.
    """
    duel = _duel(rng, drawn)
    # A lane that waits for long refuses nobody here: that would hide who answers wrongly. There are
    # few snapshots, for each takes back what another wrote into the head row. Who is left leaves
    # memory while its successor waits for the lease (a third: a draw no duel uses), or later.
    settings = msgspec.structs.replace(
        duel.settings,
        lease_ms=rng.choice((200, 500)),
        snapshot_every_events=20,
        overloaded_after_ms=10_000,
        idle_passivation_s=0.1 if drawn.nodes == 3 else 0.3,
    )
    faults = dict.fromkeys(rng.sample(WATCHED_DUEL_FAULTS, 2), 1.0)
    faults |= {"node_hangs": 1.0, "views_disagree": rng.choice((0.5, 1.0))}
    return msgspec.structs.replace(
        duel,
        settings=settings,
        clients=rng.choice((1, 2)),
        readers=rng.randint(2, 4),
        stray=0.0,
        think_s=rng.choice((0.05, 0.15)),
        hold_ttl_s=LONG_HOLD_TTL_S,
        faults=faults,
    )


def _operations(rng: random.Random) -> dict[str, float]:
    """Weights of operations; those of staff are small."""
    weights = _some(rng, OPERATIONS)
    for name in STAFF_OPERATIONS:
        if name in weights:
            weights[name] *= STAFF_SHARE
    return weights


def _some(rng: random.Random, names: tuple[str, ...]) -> dict[str, float]:
    """Weights; about a third of the names is left out, but never all."""
    weights = {name: rng.choice((0.3, 1.0, 3.0)) for name in names if rng.random() < 0.67}
    return weights or {names[0]: 1.0}


def chosen(rng: random.Random, weights: dict[str, float]) -> str:
    """One of the names."""
    return rng.choices(list(weights), weights=list(weights.values()))[0]
