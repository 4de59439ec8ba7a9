"""`cinema serve --nodes N` as processes, for tests that kill nodes and restart them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import psutil

from tests.support.server_process import POLL_S, ROOT, SETTINGS, START_TIMEOUT_S, STOP_TIMEOUT_S

_SHARED = re.compile(r"^cinema: (http://\S+) \((\d+) nodes;", re.MULTILINE)
_NODE = re.compile(r"^cinema: node \d+ at (http://[^\s,]+)", re.MULTILINE)


class LocalCluster:
    """A supervisor and its nodes on ports of their own; use as a context."""

    def __init__(self, folder: Path, nodes: int = 3, **settings: str) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._nodes = nodes
        self._settings = {**SETTINGS, "LOG_LEVEL": "info", **settings}
        self._out = folder.with_name(f"{folder.name}.out")
        self._log = folder.with_name(f"{folder.name}.log")
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        self.launch()
        try:
            await self.until(lambda: bool(_SHARED.search(self._out.read_text())))
            await self.until(lambda: len(self.node_urls) == self._nodes)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            await self.ended()

    def launch(self) -> None:
        """Start without waiting."""
        with self._out.open("wb") as out, self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "cinema", "serve", "--nodes", str(self._nodes)],
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": str(ROOT),
                    "DATA_DIR": str(self.folder),
                    "PORT": "0",
                    **self._settings,
                },
                stdout=out,
                stderr=log,
                start_new_session=True,
            )

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The supervisor."""
        assert self._process is not None
        return self._process

    @property
    def url(self) -> str:
        """The address that all nodes share."""
        found = _SHARED.search(self._out.read_text())
        assert found is not None
        return found[1]

    @property
    def node_urls(self) -> list[str]:
        """Each node's own address."""
        return _NODE.findall(self._out.read_text())

    def nodes(self) -> list[psutil.Process]:
        """The nodes' processes."""
        return self._children(lambda process: process.cmdline()[-3:] == ["-m", "cinema", "serve"])

    def redis(self) -> psutil.Process:
        """The redis-server's process."""
        [found] = self._children(lambda process: process.name() == "redis-server")
        return found

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for a condition while the supervisor runs."""
        async with asyncio.timeout(START_TIMEOUT_S):
            while not true():
                assert self.process.poll() is None, f"the supervisor ended:\n{self.log()[-4000:]}"
                await asyncio.sleep(POLL_S)

    async def ended(self) -> int:
        """Wait for the supervisor's end; the exit code."""
        return await asyncio.to_thread(self.process.wait, STOP_TIMEOUT_S)

    def log(self) -> str:
        """What supervisor and nodes have written so far."""
        return self._log.read_text(errors="replace")

    def events(self) -> list[dict[str, Any]]:
        """The log's lines that are events; each process's own come in order."""
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]

    def left_behind(self, *, without: str = "") -> list[str]:
        """Processes that were told of the data folder; `without` those of one name."""
        found = []
        for process in psutil.process_iter():
            try:
                words = [*process.cmdline(), process.environ().get("DATA_DIR", "")]
                alive = process.status() != psutil.STATUS_ZOMBIE
                name = process.name()
            except psutil.Error:
                continue
            told = any(str(self.folder) in word for word in words)
            if alive and told and not (without and name.startswith(without)):
                found.append(f"{process.pid} {name}")
        return found

    def _children(self, wanted: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
        found = []
        for process in psutil.Process(self.process.pid).children():
            try:
                if wanted(process):
                    found.append(process)
            except psutil.Error:
                continue
        return found
