"""`cinema admin` and a server as real processes: found by their data folder, drained, watched."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from cinema.settings import announced
from tests.support.local_cluster import LocalCluster
from tests.support.served import STOP_TIMEOUT_S, serving
from tests.support.server_process import ROOT, free_port
from tests.support.waiting import look_again

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


async def test_any_node_of_a_cluster_answers_for_all(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with LocalCluster(data_dir, DEMO_DATA="true") as cluster:
        endpoints = announced(data_dir)
        assert len(endpoints) == 3

        async def each(*argv: str) -> list[Any]:
            """What the endpoint of each node answers."""
            return [
                await asyncio.to_thread(document, data_dir, *argv, "--url", endpoint)
                for endpoint in endpoints
            ]

        async with asyncio.timeout(STOP_TIMEOUT_S):
            # A view takes a moment to reach everybody.
            while versions(seen := await each("nodes")) != {3}:
                await look_again()
        assert len({node["node_id"] for node in seen[0]}) == 3
        for nodes in seen:
            assert [node["node_id"] for node in nodes] == [node["node_id"] for node in seen[0]]
            assert all(node["reachable"] for node in nodes)
            assert sum(node["this"] for node in nodes) == 1
        assert len({node["status"]["pid"] for node in seen[0]}) == 3
        told = await asyncio.to_thread(told_by_curl, data_dir)
        assert [node["node_id"] for node in told] == [node["node_id"] for node in seen[0]]
        showtime = await asyncio.to_thread(some_showtime, cluster.url)
        (owner, *others) = [ring["owner"] for ring in await each("ring", showtime)]
        assert others == [owner, owner]
        for label, endpoint in zip(("A1", "A2", "A3"), endpoints, strict=True):
            argv = ("block", showtime, label, "--url", endpoint)
            blocked = await asyncio.to_thread(document, data_dir, *argv)
            assert blocked["seats"] == [label]
        for state in await each("state", showtime):
            assert state["memory"]["node_id"] == owner["node_id"]
            assert (state["epoch"], state["seq"]) == (1, 3)
        for actors in await each("actors", "--sort", "id"):
            assert [actor["showtime_id"] for actor in actors] == [showtime]
        for past in await each("seats", showtime, "--seq", "2"):
            assert past["counts"]["blocked"] == 2
        far = next(
            endpoint
            for endpoint, nodes in zip(endpoints, seen, strict=True)
            if not any(node["this"] and node["node_id"] == owner["node_id"] for node in nodes)
        )
        argv = ("drain", owner["address"], "--wait", "--yes", "--url", far)
        await asyncio.to_thread(document, data_dir, *argv)
        state = await asyncio.to_thread(document, data_dir, "state", showtime, "--url", far)
        assert (state["seq"], state["state"]["seats"]["blocked"]) == (3, 3)
        assert (state["memory"] or {}).get("node_id") != owner["node_id"]


def told_by_curl(data_dir: Path) -> Any:
    """The answer to the call that docs/control.md shows, made beside the folder `data`."""
    page = (ROOT / "docs/control.md").read_text()
    (lines,) = re.findall(r"^```\n([^`]*\bcurl\b[^`]*)^```$", page, re.MULTILINE)
    assert data_dir.name == "data"
    ran = subprocess.run(
        ["sh", "-c", lines],
        cwd=data_dir.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout)["data"]


def versions(seen: list[Any]) -> set[int]:
    """The views that the nodes go by, as each of them tells of all."""
    return {(node["status"] or {}).get("view_version") for nodes in seen for node in nodes}


def some_showtime(url: str) -> str:
    with urllib.request.urlopen(f"{url}/api/v1/showtimes?limit=1") as reply:
        return str(json.load(reply)["data"][0]["id"])
