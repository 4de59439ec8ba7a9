"""Sockets that systemd or our supervisor opened."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cinema.http.connections.inherited import inherited_sockets
from cinema.local.tether import tethered

ROOT = Path(__file__).parents[4]

_TELLS = """
import json, os
from cinema.http.connections.inherited import inherited_sockets
found = inherited_sockets(os.environ)
left = [name for name in os.environ if name.startswith("LISTEN_")]
inheritable = [one.get_inheritable() for one in found]
print(json.dumps([[one.getsockname()[1] for one in found], left, inheritable]))
"""


def tell(*opened: socket.socket) -> subprocess.CompletedProcess[str]:
    fds = [one.fileno() for one in opened]
    return subprocess.run(
        tethered([sys.executable, "-P", "-c", _TELLS], listening=fds),
        pass_fds=fds, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_process_finds_the_sockets_that_it_was_handed() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        told = tell(other, one)
        ports, left, inheritable = json.loads(told.stdout)
        assert sorted(ports) == sorted(opened.getsockname()[1] for opened in (one, other))
        assert left == [], "its own children must not claim them"
        assert inheritable == [False, False]


def test_a_socket_that_does_not_listen_is_refused() -> None:
    with socket.socket() as mute:
        told = tell(mute)
    assert told.returncode == 1
    assert "not a listening stream socket" in told.stderr


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "some", "LISTEN_PID": "self"},
    ],
)
def test_what_is_meant_for_another_process_is_left_alone(environ: dict[str, str]) -> None:
    assert inherited_sockets(environ) == []
    assert environ == {}
