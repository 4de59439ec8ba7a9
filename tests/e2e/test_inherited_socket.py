"""One server on a socket that somebody else holds, as systemd does: its port stays open."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cinema.local.tether import tethered
from tests.support.server_process import ROOT, SETTINGS, STOP_TIMEOUT_S

pytestmark = [pytest.mark.process, pytest.mark.slow]

PATIENCE_S = 60.0


@contextmanager
def serving(folder: Path, held: socket.socket, port: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        tethered([sys.executable, "-P", "-m", "cinema", "serve"], listening=[held.fileno()]),
        pass_fds=[held.fileno()],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "DATA_DIR": str(folder),
            "PORT": str(port),
            "DEMO_DATA": "false",
            **SETTINGS,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_TIMEOUT_S)


def said(process: subprocess.Popen[bytes]) -> str:
    """The line with which a server says that it serves, and where."""
    assert process.stdout is not None
    return process.stdout.readline().decode()


def connected(port: int) -> closing[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.connect()
    return closing(connection)


def ask(connection: http.client.HTTPConnection) -> int:
    connection.request("GET", "/healthz")
    reply = connection.getresponse()
    reply.read()
    return reply.status


def test_who_connects_between_two_servers_is_served_by_the_second(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        with serving(tmp_path, held, port) as first:
            assert f":{port} " in said(first), "it opens no other port"
            with connected(port) as connection:
                assert ask(connection) == 200
        assert first.returncode == 0
        with connected(port) as early, serving(tmp_path, held, port):
            assert ask(early) == 200


def test_with_another_port_it_serves_both(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held, serving(tmp_path, held, 0) as server:
        own = int(said(server).split(":")[3].split()[0])
        shared = held.getsockname()[1]
        assert own != shared
        for port in (own, shared):
            with connected(port) as connection:
                assert ask(connection) == 200
