"""The command line of `cinema admin`."""

from __future__ import annotations

import argparse
from typing import Any, Final

SORTS: Final = ("mailbox", "last_used", "idle", "id")
PHASES: Final = ("restoring", "serving", "leaving", "passivating", "quarantined")
LEVELS: Final = ("debug", "info", "warning", "error")

_ABOUT: Final = """\
Looks into a running server and acts on it, over its control endpoint. Without --url it uses the
server of these settings: the one of CONTROL_HOST and CONTROL_PORT, or else one that wrote its
address into DATA_DIR. The token comes from CONTROL_TOKEN, CONTROL_TOKEN_FILE or DATA_DIR.
create-admin needs no server: it works on the database of DATABASE_URL or DATA_DIR.
"""
_CODES: Final = """\
exit codes: 0 done; 1 the server refused, or failed; 2 wrong usage or settings; 3 no such showtime,
seat or node; 4 no token, or a wrong one; 5 no control endpoint answers
"""


def add_admin(commands: Any, run: Any, create_admin: Any) -> None:
    """Add `admin` with its own commands to the parser; `run` is called with the chosen options.

    `create_admin` is called for the one command that works on the database, not on a server.
    """
    admin = commands.add_parser(
        "admin",
        help="look into a running server, and act on it",
        description=_ABOUT,
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = admin.add_subparsers(title="commands", required=True, metavar="command")
    for add in (_looking, _past, _acting):
        for name, parser in add(actions):
            _common(parser)
            parser.set_defaults(run=run, action=name, watch=parser.get_default("watch") or False)
    name, parser = _creating(actions)
    parser.set_defaults(run=create_admin)


def _common(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("server")
    group.add_argument("--url", help="the control endpoint, as http://127.0.0.1:8081")
    group.add_argument("--data-dir", metavar="FOLDER", help="DATA_DIR of the server")
    group.add_argument("--json", action="store_true", help="one JSON document, for machines")


def _command(actions: Any, name: str, text: str) -> tuple[str, argparse.ArgumentParser]:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text)
    return name, parser


def _watchable(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--watch", "--live", action="store_true", help="show it again every second")
    parser.add_argument(
        "--interval", type=_seconds, default=1.0, metavar="S", help="time between two looks; 1 s"
    )


def _showtime(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("showtime", metavar="SHOWTIME", help="its id")


def _looking(actions: Any) -> list[tuple[str, argparse.ArgumentParser]]:
    nodes = _command(actions, "nodes", "the members of the cluster")
    ring = _command(actions, "ring", "each member's share of the showtimes")
    ring[1].add_argument("showtime", nargs="?", metavar="SHOWTIME", help="name its owner too")
    actors = _command(actions, "actors", "showtimes in memory")
    add = actors[1].add_argument
    add("--sort", choices=SORTS, default="mailbox", help="deepest mailbox first unless you say so")
    add("--node", help="only of this node: its id, the beginning of it, or its address")
    add("--phase", choices=PHASES)
    add("--lane", type=int, metavar="N")
    add("--watched", action="store_true", default=None, help="only showtimes that somebody watches")
    add("--min-mailbox", type=int, default=0, metavar="N", help="only with N messages waiting")
    add("--limit", type=_count, default=20, metavar="N", help="at most this many; 20")
    state = _command(actions, "state", "the state of one showtime")
    _showtime(state[1])
    for _, parser in (nodes, ring, actors, state):
        _watchable(parser)
    return [nodes, ring, actors, state]


def _past(actions: Any) -> list[tuple[str, argparse.ArgumentParser]]:
    journal = _command(
        actions, "journal", "the events of a showtime; the last 20 unless you say so"
    )
    _showtime(journal[1])
    part = journal[1].add_mutually_exclusive_group()
    part.add_argument("--last", type=_count, metavar="N", help="the last N")
    part.add_argument("--from-seq", type=int, metavar="SEQ", help="from this one on")
    journal[1].add_argument("--limit", type=_count, default=100, metavar="N", help="at most; 100")
    seats = _command(actions, "seats", "the seat map, now or at any seq or time")
    _showtime(seats[1])
    when = seats[1].add_mutually_exclusive_group()
    when.add_argument("--seq", type=int, help="after this event")
    when.add_argument("--at", metavar="TIME", help="at this time, as in 2026-06-01T18:00:00Z")
    when.add_argument("--seat", metavar="LABEL", help="the history of one seat instead")
    seats[1].add_argument("--limit", type=_count, default=100, metavar="N", help=argparse.SUPPRESS)
    for _, parser in (journal, seats):
        _watchable(parser)
    return [journal, seats]


def _acting(actions: Any) -> list[tuple[str, argparse.ArgumentParser]]:
    passivate = _command(actions, "passivate", "remove a showtime from memory")
    block = _command(actions, "block", "take free seats off sale")
    unblock = _command(actions, "unblock", "put blocked seats back on sale")
    pause = _command(actions, "pause", "refuse new holds of a showtime")
    resume = _command(actions, "resume", "accept holds again")
    for _, parser in (passivate, block, unblock, pause, resume):
        _showtime(parser)
    for _, parser in (block, unblock):
        parser.add_argument("seats", nargs="+", metavar="SEAT", help="labels, as in F7 F8")
    for _, parser in (block, unblock, pause, resume):
        parser.add_argument("--key", help="Idempotency-Key; by default a new one")
    drain = _command(actions, "drain", "make a node hand its showtimes over and end")
    drain[1].add_argument("node", nargs="?", help="its id, the beginning of it, or its address")
    drain[1].add_argument("--yes", action="store_true", help="do not ask")
    drain[1].add_argument("--wait", action="store_true", help="wait until the node has ended")
    level = _command(actions, "log-level", "show the log level of a node, or set it")
    level[1].add_argument("level", nargs="?", choices=LEVELS)
    level[1].add_argument("--node", help="its id, the beginning of it, or its address")
    return [passivate, block, unblock, pause, resume, drain, level]


def _creating(actions: Any) -> tuple[str, argparse.ArgumentParser]:
    name, parser = _command(
        actions, "create-admin", "make an account with the role admin, in the database"
    )
    add = parser.add_argument
    add("email", metavar="EMAIL", help="the e-mail address of the admin")
    add("--password-file", metavar="FILE", help="file with the password; - for standard input")
    add("--promote", action="store_true", help="give the role to an existing account")
    add("--first-name", default="", metavar="NAME")
    add("--last-name", default="", metavar="NAME")
    add("--data-dir", metavar="FOLDER", help="DATA_DIR, if DATABASE_URL is not set")
    add("--json", action="store_true", help="one JSON document, for machines")
    return name, parser


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 100_000:
        raise argparse.ArgumentTypeError("1 to 100000")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0.1 <= number <= 3600:
        raise argparse.ArgumentTypeError("0.1 to 3600")
    return number
