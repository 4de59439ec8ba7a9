"""`cinema admin` against a running node: what people see, what machines get, and exit codes."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
import structlog
from rich.console import Console

from cinema import __version__
from cinema.cli.admin.client import ControlClient, ControlReply
from cinema.cli.admin.failures import unreachable
from cinema.cli.admin.live import watch
from cinema.cli.admin.run import run_admin
from cinema.cli.arguments import parser_of
from cinema.cli.main import COMMANDS, main
from cinema.settings import announce, load_settings
from tests.e2e.api.house import UNKNOWN_ID
from tests.e2e.control.desk import TOKEN, Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Its one JSON document, after a look that there is nothing else."""
        assert self.err == ""
        return json.loads(self.out)


Admin = Callable[..., Awaitable[Ran]]


@pytest.fixture
def admin(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Admin:
    """Runs `cinema admin` as an operator who has the token and knows the address."""
    monkeypatch.setenv("CONTROL_TOKEN", TOKEN)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    address = desk.address

    async def run(*argv: str, url: str | None = address) -> Ran:
        arguments = ["admin", *argv, *(["--url", url] if url else [])]
        try:
            code = await asyncio.to_thread(main, arguments)
        except SystemExit as end:
            code = int(end.code or 0)
        told = capsys.readouterr()
        return Ran(code, told.out, told.err)

    return run


async def test_people_see_nodes_ring_and_actors(desk: Desk, admin: Admin) -> None:
    showtime = await desk.house.showtime()
    await desk.house.held("ada", showtime, "A1")
    nodes = await admin("nodes")
    assert nodes.code == 0
    assert f"{desk.node_id}  127.0.0.1:{desk.site.port}  serving" in nodes.out
    assert __version__ in nodes.out
    ring = await admin("ring", showtime)
    assert "100.00%" in ring.out
    assert f"{showtime} is owned by 127.0.0.1:{desk.site.port}" in ring.out
    actors = await admin("actors", "--phase", "serving", "--sort", "last_used")
    assert re.search(rf"{showtime}  serving +0 +1 +1 +1 +1 +0  in \d", actors.out)
    assert (await admin("actors", "--min-mailbox", "1")).out.count("\n") == 1
    by_address = await admin("actors", "--node", f"127.0.0.1:{desk.site.port}", "--limit", "1")
    assert by_address.out.count("serving") == 1


async def test_machines_get_one_document(desk: Desk, admin: Admin) -> None:
    showtime = await desk.house.showtime()
    await desk.house.booked("ada", showtime, "A1", "A2")
    for argv, has_meta in (
        (["nodes"], False),
        (["ring"], False),
        (["actors", "--limit", "1"], True),
        (["state", showtime], False),
        (["journal", showtime], True),
        (["seats", showtime], False),
        (["seats", showtime, "--seq", "1"], False),
        (["seats", showtime, "--seat", "A1"], True),
        (["log-level"], False),
        (["block", showtime, "B1"], False),
        (["pause", showtime], False),
        (["passivate", showtime], False),
    ):
        ran = await admin(*argv, "--json")
        assert ran.code == 0
        assert set(ran.document) == ({"data", "meta"} if has_meta else {"data"})
    failed = await admin("state", UNKNOWN_ID, "--json")
    assert failed.code == 3
    assert failed.document["error"]["code"] == "NOT_FOUND"
    assert set(failed.document["error"]) == {"code", "message", "details"}


async def test_a_state_is_shown_as_it_is_in_memory_and_as_it_is_stored(
    desk: Desk, admin: Admin
) -> None:
    showtime = await desk.house.showtime()
    hold_id = await desk.house.held("ada", showtime, "A1", "A2")
    live = await admin("state", showtime)
    assert f"of node {desk.node_id}" in live.out
    assert "22 available, 2 held, 0 booked, 0 blocked" in live.out
    assert re.search(rf"{hold_id}  {desk.house.people['ada']}  A1 A2", live.out)
    assert (await admin("passivate", showtime)).out == f"{showtime} is out of memory\n"
    assert (await admin("passivate", showtime)).out == f"{showtime} was not in memory\n"
    assert "no, as it is stored" in (await admin("state", showtime)).out


async def test_journal_and_past_seat_maps_can_be_read(desk: Desk, admin: Admin) -> None:
    house = desk.house
    showtime = await house.showtime()
    booking_id = await house.booked("ada", showtime, "A1", "A2")
    await house.held("bob", showtime, "B3")
    journal = await admin("journal", showtime)
    assert re.search(r"1 +1  \S+  SeatsHeld +A1 A2", journal.out)
    assert re.search(rf"2 +1  \S+  HoldBooked +A1 A2  {booking_id}", journal.out)
    assert "HoldBooked" not in (await admin("journal", showtime, "--last", "1")).out
    from_two = (await admin("journal", showtime, "--from-seq", "2", "--json")).document
    assert [one["seq"] for one in from_two["data"]] == [2, 3]
    one = (await admin("journal", showtime, "--from-seq", "0", "--limit", "1", "--json")).document
    assert [event["seq"] for event in one["data"]] == [1]
    now = await admin("seats", showtime)
    assert "\nA bb......\nB ..h.....\nC ........\n" in now.out
    assert ". 21 available, h 1 held, b 2 booked, x 0 blocked" in now.out
    at = (await admin("journal", showtime, "--json")).document["data"][0]["at"]
    for when in (["--seq", "1"], ["--at", at]):
        assert "\nA hh......\nB ........\n" in (await admin("seats", showtime, *when)).out
    assert "before any event" in (await admin("seats", showtime, "--seq", "0")).out
    seat = await admin("seats", showtime, "--seat", "A1")
    assert re.findall(r"held|booked", seat.out)[:2] == ["held", "booked"]
    future = await admin("seats", showtime, "--seq", "9")
    assert (future.code, future.out) == (1, "")
    assert "is in the future" in future.err
    assert "last_seq: 3" in future.err


async def test_interventions_say_what_they_changed(desk: Desk, admin: Admin) -> None:
    showtime = await desk.house.showtime()
    with structlog.testing.capture_logs() as events:
        assert (await admin("block", showtime, "A1", "A2")).out == "blocked A1 A2 (seq 1)\n"
    (acted,) = [one for one in events if one["event"] == "operator_acted"]
    assert re.fullmatch(r"\S+@\S+", acted["operator"])
    assert (await admin("block", showtime, "A1")).out == "nothing to block\n"
    assert (await admin("unblock", showtime, "A1")).out == "unblocked A1 (seq 3)\n"
    assert (await admin("pause", showtime)).out == "sales paused (seq 4)\n"
    assert (await admin("resume", showtime, "--key", "k")).out == "sales resumed (seq 5)\n"
    await admin("pause", showtime)
    assert (await admin("resume", showtime, "--key", "k")).out == "sales resumed (seq 5)\n"
    await desk.house.ask(None, "GET", "movies")
    await desk.ask("POST", f"showtimes/{showtime}/resume")
    await desk.house.held("ada", showtime, "C3")
    taken = await admin("block", showtime, "C3", "C4")
    assert taken.code == 1
    assert "seats: C3" in taken.err
    unknown = await admin("block", showtime, "C3", "Z9")
    assert unknown.code == 3
    assert "seats: Z9" in unknown.err
    assert (await admin("block", UNKNOWN_ID, "A1")).code == 3


async def test_the_log_level_is_shown_and_set(desk: Desk, admin: Admin) -> None:
    before = (await admin("log-level", "--json")).document["data"]["level"]
    try:
        assert "from debug upwards" in (await admin("log-level", "debug")).out
        assert "from debug upwards" in (await admin("log-level", "--node", desk.node_id[:8])).out
    finally:
        await admin("log-level", before)


async def test_failures_have_exit_codes_and_say_what_to_do(
    desk: Desk,
    admin: Admin,
    unused_tcp_port: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    assert (await admin("state", UNKNOWN_ID)).code == 3
    assert (await admin("state", "F7")).code == 3
    assert (await admin("actors", "--node", "nobody")).code == 3
    assert (await admin("seats", UNKNOWN_ID, "--at", "yesterday")).code == 1
    away = await admin("nodes", url=f"http://127.0.0.1:{unused_tcp_port}")
    assert away.code == 5
    assert "No control endpoint answers at" in away.err
    assert "refused" in away.err
    api = await admin("nodes", url=f"http://127.0.0.1:{desk.site.port}")
    assert (api.code, api.out) == (5, "")
    assert "Something else" in api.err
    assert (await admin("nodes", url="ftp://here")).code == 5
    nowhere = await admin("nodes", url=None)
    assert nowhere.code == 5
    assert f"No server has noted its address in {tmp_path}" in nowhere.err
    assert "--data-dir" in nowhere.err
    monkeypatch.setenv("CONTROL_TOKEN", TOKEN[::-1])
    wrong = await admin("nodes")
    assert wrong.code == 4
    assert "does not know this token" in wrong.err
    monkeypatch.delenv("CONTROL_TOKEN")
    none = await admin("nodes")
    assert none.code == 4
    assert "There is no token" in none.err
    assert "--data-dir" in none.err
    (tmp_path / "control_token").mkdir()
    assert (await admin("nodes")).code == 4
    monkeypatch.setenv("CONTROL_TOKEN", "short")
    assert (await admin("nodes")).code == 2


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["dance"],
        ["state"],
        ["actors", "--sort", "beauty"],
        ["seats", UNKNOWN_ID, "--seq", "1", "--at", "now"],
        ["actors", "--limit", "0"],
        ["nodes", "--watch", "--interval", "0"],
        ["nodes", "--watch", "--json"],
        ["block", UNKNOWN_ID],
    ],
)
async def test_wrong_usage_ends_with_two(admin: Admin, argv: list[str]) -> None:
    assert (await admin(*argv)).code == 2


async def test_the_server_is_found_by_what_it_noted_or_by_the_settings(
    desk: Desk, admin: Admin, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port = desk.port
    announce(tmp_path, "127.0.0.1", port)
    assert (await admin("nodes", url=None)).code == 0
    # The newest note is of a server that was killed.
    announce(tmp_path, "127.0.0.1", unused_tcp_port)
    assert (await admin("nodes", url=None)).code == 0
    monkeypatch.setenv("CONTROL_PORT", str(unused_tcp_port))
    assert (await admin("nodes", url=None)).code == 5
    monkeypatch.setenv("CONTROL_PORT", str(port))
    assert (await admin("nodes", url=None)).code == 0


async def test_a_drain_is_asked_for_again_at_a_terminal(
    desk: Desk, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdin, "readline", lambda: "\n")
    kept = await admin("drain")
    assert (kept.code, kept.out) == (1, "")
    assert "Nothing was done" in kept.err
    assert not desk.site.stopping.is_set()


class Pauses:
    """The pauses between looks; the third is ended by Ctrl-C."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if len(self.seconds) == 3:
            raise KeyboardInterrupt


def options_of(*argv: str) -> dict[str, Any]:
    return vars(parser_of(COMMANDS).parse_args(["admin", *argv]))


async def test_a_view_is_live_until_it_is_interrupted(
    desk: Desk, admin: Admin, capsys: pytest.CaptureFixture[str]
) -> None:
    showtime = await desk.house.showtime()
    for command in (["nodes"], ["actors"], ["state", showtime], ["seats", showtime]):
        pauses = Pauses()
        options = options_of(*command, "--watch", "--interval", "0.1", "--url", desk.address)
        settings = load_settings(os.environ, {})
        assert await asyncio.to_thread(run_admin, settings, options, pause=pauses) == 0
        assert pauses.seconds == [0.1] * 3
        assert capsys.readouterr().out.count(desk.address) == 3
    assert (await admin("state", UNKNOWN_ID, "--watch")).code == 3


async def test_a_live_view_at_a_terminal_waits_for_a_server_that_is_away(
    desk: Desk,
) -> None:
    pauses = Pauses()

    class Client(ControlClient):
        """Does not reach its server after the first look."""

        def get(self, path: str, **query: Any) -> ControlReply:
            if len(pauses.seconds) == 1:
                raise unreachable(self.url, "gone")
            return super().get(path, **query)

    screen = Console(file=io.StringIO(), force_terminal=True, width=140)
    client = Client(desk.address, TOKEN, operator="somebody")
    options = options_of("nodes", "--watch")
    await asyncio.to_thread(watch, client, options, pause=pauses, screen=screen)
    shown = cast("io.StringIO", screen.file).getvalue()
    assert len(pauses.seconds) == 3
    assert f"No control endpoint answers at {desk.address}" in shown
    assert desk.node_id in shown
