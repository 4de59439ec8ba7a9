"""The calls that each command makes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

from cinema.cli.admin.client import ControlClient, ControlReply
from cinema.cli.admin.failures import FAILED, NOT_FOUND, UNREACHABLE, Failure

PAGE: Final = 100
"""Items in one request: the most that the server gives."""

LAST_EVENTS: Final = 20
"""Events of a journal shown by default."""

GONE_WITHIN_S: Final = 180.0
"""How long `drain --wait` waits for a node to end."""

LOOK_S: Final = 0.5
"""Time between two checks whether it has ended."""

Options = Mapping[str, Any]


def perform(client: ControlClient, options: Options) -> ControlReply:
    """Run the command of the options; raises `Failure`."""
    return _COMMANDS[options["action"]](client, options)


def _nodes(client: ControlClient, _options: Options) -> ControlReply:
    return client.get("/nodes")


def _ring(client: ControlClient, options: Options) -> ControlReply:
    return client.get("/ring", showtime_id=options["showtime"])


def _actors(client: ControlClient, options: Options) -> ControlReply:
    node = options["node"]
    return client.pages(
        "/actors",
        options["limit"],
        PAGE,
        sort=options["sort"],
        node_id=None if node is None else node_named(client, node)["node_id"],
        phase=options["phase"],
        lane=options["lane"],
        watched=options["watched"],
        min_mailbox=options["min_mailbox"],
    )


def _state(client: ControlClient, options: Options) -> ControlReply:
    return client.get(_path(options))


def _journal(client: ControlClient, options: Options) -> ControlReply:
    path, from_seq, last = _path(options, "journal"), options["from_seq"], options["last"]
    if from_seq is None:
        wanted = last or LAST_EVENTS
        meta = client.get(path, limit=1).meta or {}
        from_seq, limit = max(0, meta["last_seq"] - wanted + 1), wanted
    else:
        limit = options["limit"]
    return client.pages(path, limit, PAGE, from_seq=from_seq)


def _seats(client: ControlClient, options: Options) -> ControlReply:
    if options["seat"] is not None:
        path = _path(options, f"seats/{quote(options['seat'], safe='')}/history")
        return client.pages(path, options["limit"], PAGE)
    return client.get(_path(options, "seats"), seq=options["seq"], at=options["at"])


def _passivate(client: ControlClient, options: Options) -> ControlReply:
    return client.post(_path(options, "passivate"))


def _on_seats(client: ControlClient, options: Options) -> ControlReply:
    return client.post(
        _path(options, options["action"]), {"seats": options["seats"]}, key=_key(options)
    )


def _on_sales(client: ControlClient, options: Options) -> ControlReply:
    return client.post(_path(options, options["action"]), key=_key(options))


def _drain(client: ControlClient, options: Options) -> ControlReply:
    node = node_named(client, options["node"])
    reply = client.post(f"/nodes/{node['node_id']}/drain")
    if options["wait"]:
        _await_end(client, node["node_id"])
    return reply


def _await_end(client: ControlClient, node_id: str) -> None:
    end_s = time.monotonic() + GONE_WITHIN_S
    while time.monotonic() < end_s:
        try:
            nodes = client.get("/nodes").data
        except Failure as failure:
            if failure.exit_code == UNREACHABLE:
                return
            raise
        if all(node["node_id"] != node_id for node in nodes):
            return
        time.sleep(LOOK_S)
    raise Failure("NOT_GONE", f"The node is still there after {GONE_WITHIN_S:.0f} s.", FAILED)


def _log_level(client: ControlClient, options: Options) -> ControlReply:
    path = f"/nodes/{node_named(client, options['node'])['node_id']}/log-level"
    level = options["level"]
    return client.get(path) if level is None else client.put(path, {"level": level})


_COMMANDS: Final[dict[str, Callable[[ControlClient, Options], ControlReply]]] = {
    "nodes": _nodes,
    "ring": _ring,
    "actors": _actors,
    "state": _state,
    "journal": _journal,
    "seats": _seats,
    "passivate": _passivate,
    "block": _on_seats,
    "unblock": _on_seats,
    "pause": _on_sales,
    "resume": _on_sales,
    "drain": _drain,
    "log-level": _log_level,
}


def node_named(client: ControlClient, name: str | None) -> dict[str, Any]:
    """The member with an address, an id or the beginning of an id; None means the asked node."""
    nodes: list[dict[str, Any]] = client.get("/nodes").data
    if name is None:
        found = [node for node in nodes if node["this"]]
    else:
        found = [
            node for node in nodes if node["address"] == name or node["node_id"].startswith(name)
        ]
    if len(found) == 1:
        return found[0]
    several = f"{len(found)} nodes are called {name}." if found else f"No node is called {name}."
    raise Failure(
        "NOT_FOUND", "This node is not a member yet." if name is None else several, NOT_FOUND
    )


def _path(options: Options, *rest: str) -> str:
    return "/".join(("/showtimes", quote(options["showtime"], safe=""), *rest))


def _key(options: Options) -> str:
    """The key of a command, so that it acts only once if it is repeated after a 503."""
    return str(options["key"] or uuid.uuid4())
