"""What each node of a local cluster is told: its addresses and its environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from cinema.local.cluster.ports import Ports
from cinema.settings import Settings, fields, reachable
from cinema.settings.connections import connections_of_node

CONNECTIONS_OF_A_START: Final = 4
"""What a node takes besides while it starts: migrations, and the demo's past."""

CONNECTIONS_TO_SPARE: Final = 20
"""For migrations, backups and people, and what Postgres keeps for superusers."""

STEPS_WITH_GRACE: Final = 3
"""A stopping node gives each of these SHUTDOWN_GRACE_SECONDS: requests, cluster, showtimes."""

STOP_MARGIN_S: Final = 10.0
"""For what has no grace: kept connections, logs, the interpreter."""

_SERVED_BY_NODES: Final = "1"


class NodePlan(msgspec.Struct, frozen=True, kw_only=True):
    """One node's own ports, the same over its restarts: the ring places it by `port`."""

    number: int
    port: int
    cluster_port: int
    control_port: int


def plan_nodes(settings: Settings, shared_port: int, ports: Ports) -> list[NodePlan]:
    """The nodes, each with ports of its own that are kept for it in `ports`.

    Their own addresses follow the shared one if that was asked for: 8081, 8082, … for 8080. A
    CONTROL_PORT is the first node's, and the others' follow.
    """
    control_ports = _reserve(ports, settings, settings.control_host, settings.control_port)
    own_ports = _reserve(ports, settings, settings.host, shared_port + 1 if settings.port else 0)
    return [
        NodePlan(
            number=number,
            port=own,
            cluster_port=ports.reserve(reachable(settings.host), 0),
            control_port=control,
        )
        for number, (own, control) in enumerate(zip(own_ports, control_ports, strict=True), 1)
    ]


def _reserve(ports: Ports, settings: Settings, host: str, first: int) -> list[int]:
    """A port for each node: from `first` on, or any free ones if that is 0."""
    found: list[int] = []
    for _ in range(settings.nodes):
        port = ports.reserve_from(host, first)
        found.append(port)
        first = port + 1 if first else 0
    return found


def node_environment(
    settings: Settings, plan: NodePlan, inherited: Mapping[str, str]
) -> dict[str, str]:
    """The environment of one node: all settings in words, in the place of the inherited ones.

    A secret that comes from a file still comes from there.
    """
    environment = dict(inherited)
    for field in fields():
        if field.secret and inherited.get(f"{field.variable}_FILE", "").strip():
            continue
        environment[field.variable] = _in_words(getattr(settings, field.attribute))
    return environment | {
        "NODES": _SERVED_BY_NODES,
        "NODE_HOST": settings.node_host or reachable(settings.host),
        "NODE_PORT": "0",
        "PORT": str(plan.port),
        "CLUSTER_PORT": str(plan.cluster_port),
        "CONTROL_PORT": str(plan.control_port),
    }


def longest_stop_s(settings: Settings) -> float:
    """How long a node may take to stop before it counts as hanging."""
    graces_s = STEPS_WITH_GRACE * settings.shutdown_grace_seconds
    return settings.drain_seconds + graces_s + STOP_MARGIN_S


def connections_needed(settings: Settings) -> int:
    """How many connections Postgres has to take for all nodes at their busiest."""
    of_one = connections_of_node(settings) + CONNECTIONS_OF_A_START
    return settings.nodes * of_one + CONNECTIONS_TO_SPARE


def _in_words(value: object) -> str:
    """A setting's value as an environment variable gives it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    # A folder that is not set would be the current one as a word.
    return "" if value == Path() else str(value)
