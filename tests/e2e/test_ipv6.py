"""A server on an IPv6 address: what it prints can be opened."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from cinema.settings import announced

pytestmark = [pytest.mark.process, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
STOP_TIMEOUT_S = 30.0


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_printed_address_can_be_opened(tmp_path: Path) -> None:
    settings = {"HOST": "::1", "CONTROL_HOST": "::1", "PORT": "0", "DEMO_DATA": "false"}
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "cinema", "serve"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "DATA_DIR": str(tmp_path / "data"),
            **settings,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            said = next(line for line in server.stdout if "http://" in line)
            address = re.search(r"http://\S+", said)
            assert address is not None
            assert address[0].startswith("http://[::1]:")
            with urllib.request.urlopen(f"{address[0]}/readyz", timeout=10) as answer:
                assert answer.status == 200
            (control,) = announced(tmp_path / "data")
            assert control.startswith("http://[::1]:")
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(STOP_TIMEOUT_S)
