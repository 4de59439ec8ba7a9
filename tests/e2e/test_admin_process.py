"""`cinema admin` and a server as real processes: found by their data folder, drained, watched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_serve_process import ROOT, STOP_TIMEOUT_S, free_port, serving

pytestmark = [pytest.mark.process, pytest.mark.slow]


def admin(data_dir: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "cinema", "admin", *argv, "--data-dir", str(data_dir)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=STOP_TIMEOUT_S,
        check=False,
    )


def document(data_dir: Path, *argv: str) -> Any:
    ran = admin(data_dir, *argv, "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    return json.loads(ran.stdout)["data"]


def test_a_drained_server_ends_cleanly_and_takes_its_note_back(tmp_path: Path) -> None:
    data_dir, port = tmp_path / "data", free_port()
    with serving(data_dir, port) as served:
        served.await_ready()
        (node,) = document(data_dir, "nodes")
        assert node["address"] == f"127.0.0.1:{port}"
        assert node["status"]["pid"] == served.process.pid
        watching = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "cinema",
                "admin",
                "nodes",
                "--watch",
                "--interval",
                "0.2",
            ],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "DATA_DIR": str(data_dir),
                "PYTHONUNBUFFERED": "1",
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        assert watching.stdout is not None
        while node["node_id"] not in watching.stdout.readline():
            assert watching.poll() is None
        drained = admin(data_dir, "drain", "--wait", "--yes")
        assert (drained.returncode, drained.stdout) == (0, f"{node['node_id']} is gone\n")
        assert served.process.wait(STOP_TIMEOUT_S) == 0
        assert not served.left_behind()
        assert list((data_dir / "control").glob("[0-9]*")) == []
        while "No control endpoint answers" not in watching.stdout.readline():
            assert watching.poll() is None
        assert admin(data_dir, "nodes").returncode == 5
        watching.send_signal(signal.SIGINT)
        assert watching.wait(STOP_TIMEOUT_S) == 0
        watching.stdout.close()
