"""`cinema serve` in a folder of its own, as one starts it at a terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.support.server_process import ROOT

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


class Served:
    """A `cinema serve` under test and the folder it works on."""

    def __init__(self, data_dir: Path, port: int, *flags: str) -> None:
        self.data_dir = data_dir
        self.port = port
        self.started_at = time.monotonic()
        settings = ["--no-demo-data", "--port", str(port), "--data-dir", str(data_dir), *flags]
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cinema", "serve", *settings],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                # What tests find is what they have made.
                "DEMO_PAST": "false",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def await_ready(self) -> float:
        """Seconds from the start to the first 200 of /readyz."""
        while not self.is_ready():
            assert self.process.poll() is None, self.complaint()
            assert time.monotonic() - self.started_at < START_TIMEOUT_S
            time.sleep(0.02)
        return time.monotonic() - self.started_at

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as got:
                return got.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def stop(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(STOP_TIMEOUT_S)

    def complaint(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def left_behind(self) -> list[str]:
        """Processes that work in the data folder."""
        found = []
        for process in psutil.process_iter():
            try:
                alive = process.status() != psutil.STATUS_ZOMBIE
                if alive and Path(process.cwd()).is_relative_to(self.data_dir):
                    found.append(f"{process.pid} {process.name()}")
            except psutil.Error:
                continue
        return found


@contextmanager
def serving(data_dir: Path, port: int, *flags: str) -> Iterator[Served]:
    served = Served(data_dir, port, *flags)
    try:
        yield served
    finally:
        if served.process.poll() is None:
            served.stop(signal.SIGTERM)
        if served.process.stderr is not None:
            served.process.stderr.close()
