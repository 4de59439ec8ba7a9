"""Tables and seat maps, made from the server's answers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cinema.cli.admin.client import ControlReply

PIPED_WIDTH: Final = 240
"""The width if there is no terminal, so that nothing is cut in a pipe."""

MARKS: Final = {"available": ".", "held": "h", "booked": "b", "blocked": "x"}
STYLES: Final = {"held": "yellow", "booked": "green", "blocked": "red"}
PHASES: Final = {"serving": "green", "quarantined": "bold red"}
WHOLE: Final = frozenset({"node", "showtime", "hold", "at"})
"""Columns that are cut last, because people copy from them."""

NOTHING: Final = "–"

Options = Mapping[str, Any]


def console() -> Console:
    """Where views are printed."""
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)


def view(reply: ControlReply, options: Options) -> RenderableType:
    """The answer to a command, in the form that people see."""
    return _VIEWS[options["action"]](reply, options)


# --- nodes


def _nodes(reply: ControlReply, _options: Options) -> RenderableType:
    columns = ("node", "address", "state", "version", ">view", ">up", ">residents", ">waiting")
    table = _table(*columns, ">lanes", "log", "")
    for node in reply.data:
        status = node["status"] or {}
        table.add_row(
            node["node_id"],
            node["address"],
            _condition(node, status),
            _text(status.get("version")),
            _text(status.get("view_version")),
            _span(status.get("uptime_s")),
            _text(status.get("residents")),
            _text(status.get("mailbox_depth")),
            _text(status.get("lanes")),
            _text(status.get("log_level")),
            "this node" if node["this"] else "",
        )
    return table


def _condition(node: Mapping[str, Any], status: Mapping[str, Any]) -> Text:
    if not node["reachable"]:
        return Text("silent", "bold red")
    if node["draining"]:
        return Text("draining", "yellow")
    return Text("frozen", "yellow") if status["frozen"] else Text("serving", "green")


def _ring(reply: ControlReply, _options: Options) -> RenderableType:
    ring = reply.data
    table = _table("node", "address", ">weight", ">share", "", title=f"view {ring['view_version']}")
    for member in ring["members"]:
        table.add_row(
            member["node_id"],
            member["address"],
            _text(member["weight"]),
            f"{member['share']:.2%}",
            Text("draining", "yellow") if member["draining"] else "",
        )
    owner = ring["owner"]
    if owner is None:
        return table
    return Group(table, f"{owner['showtime_id']} is owned by {owner['address']}")


def _log_level(reply: ControlReply, _options: Options) -> RenderableType:
    return f"{reply.data['node_id']} writes from {reply.data['level']} upwards"


def _drain(reply: ControlReply, options: Options) -> RenderableType:
    return f"{reply.data['node_id']} {'is gone' if options['wait'] else 'drains'}"


# --- actors


def _actors(reply: ControlReply, _options: Options) -> RenderableType:
    columns = ("showtime", "phase", ">mailbox", ">epoch", ">seq", ">durable", ">holds")
    more = (">bookings", "next due", ">idle", ">lane", "watched", "node")
    table = _table(*columns, *more)
    for actor in reply.data:
        table.add_row(
            actor["showtime_id"],
            _phase(actor["phase"]),
            _text(actor["mailbox_depth"]),
            _text(actor["epoch"]),
            _text(actor["seq"]),
            _text(actor["durable_seq"]),
            _text(actor["holds"]),
            _text(actor["bookings"]),
            _due(actor["next_due_at"]),
            _span(actor["idle_s"]),
            _text(actor["lane"]),
            "yes" if actor["watched"] else "",
            actor["node_id"][:8],
        )
    meta = reply.meta or {}
    notes = [f"node {node} did not answer" for node in meta.get("unreachable", ())]
    if meta.get("next_cursor"):
        notes.append("there are more: --limit")
    return Group(table, *notes)


def _state(reply: ControlReply, _options: Options) -> RenderableType:
    showtime, memory, state = reply.data, reply.data["memory"], reply.data["state"]
    facts: list[tuple[str, RenderableType]] = [
        ("showtime", showtime["showtime_id"]),
        ("in memory", "no, as it is stored" if memory is None else f"of node {memory['node_id']}"),
        ("epoch, seq", f"{showtime['epoch']}, {showtime['seq']}"),
        ("snapshot at", _text(showtime["snapshot_seq"])),
    ]
    if showtime["problem"] is not None:
        facts.append(("problem", Text(showtime["problem"], "bold red")))
    facts += [("did not answer", Text(node, "bold red")) for node in showtime["unreachable"]]
    if memory is not None:
        facts += _memory_facts(memory)
    if state is not None:
        facts += _state_facts(state)
    grid = Table.grid(padding=(0, 2))
    for name, value in facts:
        grid.add_row(Text(name, "dim"), value)
    if state is None or not state["live_holds"]:
        return grid
    return Group(grid, "", _holds(state))


def _memory_facts(memory: Mapping[str, Any]) -> list[tuple[str, RenderableType]]:
    age = memory["lease_age_ms"]
    lease = "never confirmed" if age is None else f"confirmed {_span(age / 1000)} ago"
    return [
        ("phase", _phase(memory["phase"])),
        ("durable seq", _text(memory["durable_seq"])),
        ("mailbox", ", ".join([f"{n} {kind}" for kind, n in memory["mailbox"].items()]) or "empty"),
        ("answers at the gate", _text(memory["answers_waiting"])),
        (
            "events to write",
            f"{memory['unwritten_events']}, in flight to {memory['in_flight_seq']}",
        ),
        ("lease", f"{lease}, {'fresh' if memory['lease_fresh'] else 'to be asked for'}"),
        ("lane", _text(memory["lane"])),
        ("idle", _span(memory["idle_s"])),
        ("watched", "yes" if memory["watched"] else "no"),
        ("failures, doubts", f"{memory['failures']}, {memory['doubts']}"),
    ]


def _state_facts(state: Mapping[str, Any]) -> list[tuple[str, RenderableType]]:
    seats = ", ".join(f"{count} {status}" for status, count in state["seats"].items())
    return [
        ("last event", _text(state["at"])),
        ("plan", f"version {state['layout_version']}"),
        ("sales", Text("paused", "yellow") if state["paused"] else "open"),
        ("seats", seats),
        ("holds", f"{state['holds']} live, {state['ended_holds']} ended in memory"),
        ("bookings", _text(state["bookings"])),
        ("stored replies", _text(state["stored_replies"])),
        ("next due", _due(state["next_due_at"])),
    ]


def _holds(state: Mapping[str, Any]) -> RenderableType:
    table = _table("hold", "customer", "seats", "placed", "ends", title="live holds")
    for hold in state["live_holds"]:
        table.add_row(
            hold["hold_id"],
            hold["customer_id"],
            " ".join(hold["seats"]),
            hold["placed_at"],
            hold["expires_at"],
        )
    return table


# --- history


def _journal(reply: ControlReply, _options: Options) -> RenderableType:
    table = _table(">seq", ">epoch", "at", "event", "seats", "of", "details")
    for event in reply.data:
        details = {
            "kept": " ".join(event.get("kept", ())),
            "code": event.get("code"),
            "paid by": event.get("payment_method"),
            "ends": event.get("expires_at"),
            "plan": event.get("layout_version"),
            "customer": event.get("customer_id"),
        }
        table.add_row(
            _text(event["seq"]),
            _text(event["epoch"]),
            event["at"],
            event["event"],
            " ".join(event.get("seats", ())),
            event.get("booking_id") or event.get("hold_id") or "",
            ", ".join(f"{name} {value}" for name, value in details.items() if value),
        )
    return Group(table, *_reach(reply))


def _seats(reply: ControlReply, options: Options) -> RenderableType:
    if options["seat"] is not None:
        return _seat(reply)
    shown = reply.data
    rows: dict[str, Text] = {}
    width = max(len(seat["row"]) for seat in shown["seats"])
    for seat in shown["seats"]:
        row = rows.setdefault(seat["row"], Text(f"{seat['row']:>{width}} "))
        row.append(MARKS[seat["status"]], STYLES.get(seat["status"]))
    counts = ", ".join(f"{MARKS[name]} {count} {name}" for name, count in shown["counts"].items())
    head = f"seq {shown['seq']}, epoch {_text(shown['epoch'])}, {shown['at'] or 'before any event'}"
    if shown["paused"]:
        head += ", sales paused"
    return Group(head, *rows.values(), counts)


def _seat(reply: ControlReply) -> RenderableType:
    table = _table(">seq", ">epoch", "at", "event", "status", "hold", "booking", "customer")
    for change in reply.data:
        status = change.get("status")
        table.add_row(
            _text(change["seq"]),
            _text(change["epoch"]),
            change["at"],
            change["event"],
            Text(status or "gone", STYLES.get(status or "", "")),
            change.get("hold_id", ""),
            change.get("booking_id", ""),
            change.get("customer_id", ""),
        )
    return Group(table, *_reach(reply))


def _reach(reply: ControlReply) -> Sequence[str]:
    """Where the journal begins, if its first events are gone."""
    first = (reply.meta or {}).get("first_seq", 1)
    return [f"the journal begins at {first}; earlier events are gone"] if first > 1 else []


# --- what was done


def _passivate(reply: ControlReply, _options: Options) -> RenderableType:
    if reply.data["was_resident"]:
        return f"{reply.data['showtime_id']} is out of memory"
    return f"{reply.data['showtime_id']} was not in memory"


def _intervened(reply: ControlReply, options: Options) -> RenderableType:
    action, seats, seq = options["action"], reply.data["seats"], reply.data["seq"]
    if action in {"pause", "resume"}:
        return f"sales {action}d (seq {seq})"
    return f"{action}ed {' '.join(seats)} (seq {seq})" if seats else f"nothing to {action}"


_VIEWS: Final[dict[str, Callable[[ControlReply, Options], RenderableType]]] = {
    "nodes": _nodes,
    "ring": _ring,
    "actors": _actors,
    "state": _state,
    "journal": _journal,
    "seats": _seats,
    "passivate": _passivate,
    "block": _intervened,
    "unblock": _intervened,
    "pause": _intervened,
    "resume": _intervened,
    "drain": _drain,
    "log-level": _log_level,
}


# --- parts


def _table(*columns: str, title: str | None = None) -> Table:
    """A table without lines; a column whose name begins with > has numbers."""
    table = Table(box=None, title=title, title_justify="left", pad_edge=False, header_style="dim")
    for column in columns:
        if column.startswith(">"):
            table.add_column(column[1:], justify="right", no_wrap=True)
        else:
            table.add_column(column, overflow="fold", no_wrap=column in WHOLE)
    return table


def _text(value: object) -> str:
    return NOTHING if value is None else str(value)


def _phase(phase: str) -> Text:
    return Text(phase, PHASES.get(phase, "yellow"))


def _span(seconds: float | None) -> str:
    """A length of time in a suitable unit."""
    if seconds is None:
        return NOTHING
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _due(at: str | None) -> str:
    """A time, and how long it is until then."""
    if at is None:
        return NOTHING
    left_s = (datetime.fromisoformat(at) - datetime.now(UTC)).total_seconds()
    return f"in {_span(left_s)}" if left_s >= 0 else "now"
