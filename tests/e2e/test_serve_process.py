"""`cinema serve` as a real process: started, stopped, killed, started again."""

from __future__ import annotations

import json
import re
import signal
import socket
from pathlib import Path

import pytest

from tests.support.served import START_TIMEOUT_S, Served, serving
from tests.support.server_process import free_port

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture(scope="module")
def used_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder on which a server has run once."""
    folder = tmp_path_factory.mktemp("used") / "data"
    with serving(folder, free_port()) as first:
        first.await_ready()
    return folder


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_second_start_makes_nothing_anew_and_a_stop_leaves_no_process(
    used_folder: Path, how: signal.Signals
) -> None:
    with serving(used_folder, free_port()) as served:
        served.await_ready()
        assert served.left_behind()
        assert served.stop(how) == 0
        assert not served.left_behind()
        assert "making a database" not in served.complaint()


def test_a_killed_server_is_followed_by_one_that_takes_its_postgres_over(used_folder: Path) -> None:
    with serving(used_folder, free_port()) as killed:
        killed.await_ready()
        postmaster = (used_folder / "postgres" / "postmaster.pid").read_text().split()[0]
        killed.stop(signal.SIGKILL)
        assert killed.left_behind()
    with serving(used_folder, free_port()) as served:
        served.await_ready()
        assert (used_folder / "postgres" / "postmaster.pid").read_text().split()[0] == postmaster
        assert served.stop(signal.SIGTERM) == 0
        assert not served.left_behind()


def test_a_port_in_use_is_said_in_one_line_and_leaves_no_process(used_folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with serving(used_folder, taken.getsockname()[1]) as served:
            assert served.process.wait(START_TIMEOUT_S) == 1
            complaint = [line for line in served.complaint().splitlines() if "cinema: " in line]
            assert len(complaint) == 1
            assert "choose a port with --port" in complaint[0]
            assert not served.left_behind()


def test_a_port_in_use_is_found_before_a_database_is_made(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for flags in ((port,), (free_port(), "--control-port", str(port)), (port, "--nodes", "2")):
            with serving(tmp_path / "data", *flags) as served:
                assert served.process.wait(START_TIMEOUT_S) == 1
                (complaint,) = served.complaint().splitlines()
                assert "choose a port with --port or --control-port" in complaint
                assert not (tmp_path / "data").exists()


def test_a_first_start_tells_its_steps_a_line_each_and_a_second_none(tmp_path: Path) -> None:
    for nodes in ("1", "2"):
        folder = tmp_path / nodes
        flags = ("--demo-data", "--bcrypt-cost", "10", "--nodes", nodes)
        with serving(folder, free_port(), *flags) as first:
            first.await_ready()
            assert first.stop(signal.SIGTERM) == 0
            told = steps_told(first)
        assert re.fullmatch(
            r"making a database in \S+ \(.+\) \.\.\.\n"
            r"making the tables \.\.\.\n"
            r"adding the demo data: accounts, films, cinemas and \d+ showtimes \.\.\."
            # A single node draws them while it serves.
            + (r"\ndrawing \d+ posters \.\.\." if nodes != "1" else ""),
            told,
        )
        with serving(folder, free_port(), *flags) as second:
            second.await_ready()
            assert second.stop(signal.SIGTERM) == 0
            assert steps_told(second) == ""


def steps_told(served: Served) -> str:
    """What it told people; all else on its standard error is JSON, and no library's chatter."""
    lines = served.complaint().splitlines()
    events = [line for line in lines if not line.startswith("cinema: ")]
    assert "library_logged" not in [json.loads(event)["event"] for event in events]
    return "\n".join(line[8:] for line in lines if line.startswith("cinema: "))


def test_a_second_server_on_one_folder_is_refused_and_the_first_serves_on(
    used_folder: Path,
) -> None:
    with serving(used_folder, free_port()) as first:
        first.await_ready()
        with serving(used_folder, free_port()) as second:
            assert second.process.wait(START_TIMEOUT_S) == 1
            assert "in use by another cinema process" in second.complaint()
        assert first.is_ready()


def test_a_stop_in_the_middle_of_the_first_start_leaves_no_process(tmp_path: Path) -> None:
    with serving(tmp_path / "data", free_port()) as served:
        assert served.process.stderr is not None
        assert "making a database" in served.process.stderr.readline()
        served.stop(signal.SIGTERM)
        assert not served.left_behind()
    with serving(tmp_path / "data", free_port()) as again:
        again.await_ready()
        assert again.stop(signal.SIGTERM) == 0
        assert not again.left_behind()
