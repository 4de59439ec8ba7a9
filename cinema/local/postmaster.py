"""A running Postgres, as seen in its data folder and the operating system."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

PID_FILE = "postmaster.pid"

_STATUS_LINE = 7
_PROGRAM = "postgres"
_POLL_S = 0.01


class Postmaster:
    """The parent process of the Postgres that serves `data`."""

    def __init__(self, process: psutil.Process, data: Path) -> None:
        self._process = process
        self._data = data

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether it still runs; a process that only waits to be reaped does not."""
        try:
            return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def ready(self) -> bool:
        """Whether it takes connections."""
        lines = _lines(self._data / PID_FILE)
        return len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready"

    def settle(self, command: Sequence[str], timeout_s: float) -> bool:
        """Wait until it is ready or gone; true if it is ready and runs just this command."""
        deadline = time.monotonic() + timeout_s
        while self.alive() and time.monotonic() < deadline:
            if self.ready():
                return self._command() == list(command)
            time.sleep(_POLL_S)
        return False

    def send(self, how: signal.Signals) -> None:
        """Send a signal; if it has ended meanwhile, nothing happens."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.send_signal(how)

    def wait_gone(self, timeout_s: float) -> bool:
        """Whether it ended in time; reaps it if it was our child."""
        deadline = time.monotonic() + timeout_s
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        return True

    def _command(self) -> list[str]:
        try:
            return self._process.cmdline()
        except psutil.Error:
            return []


def find_postmaster(data: Path) -> Postmaster | None:
    """The running postmaster of `data`, or None; it recognises a reused process id."""
    lines = _lines(data / PID_FILE)
    if not lines or not lines[0].strip().isdigit():
        return None
    try:
        process = psutil.Process(int(lines[0]))
    except psutil.Error:
        return None
    postmaster = Postmaster(process, data)
    return postmaster if _works_in(process, data) and postmaster.alive() else None


def clear_stale_pid_file(data: Path, timeout_s: float) -> list[int]:
    """Remove what a dead postmaster left, once its last backend has ended too.

    Returns the ids of backends that still run at the timeout; nothing is removed then, because
    a second Postgres beside them would ruin the data. The caller holds the folder's lock.
    """
    path = data / PID_FILE
    if not path.exists():
        return []
    deadline = time.monotonic() + timeout_s
    while orphans := [process.pid for process in psutil.process_iter() if _works_in(process, data)]:
        if time.monotonic() > deadline:
            return orphans
        time.sleep(_POLL_S)
    path.unlink(missing_ok=True)
    return []


def _works_in(process: psutil.Process, data: Path) -> bool:
    """Whether it is a Postgres process of this folder, which all make their working directory."""
    try:
        return process.name() == _PROGRAM and Path(process.cwd()).samefile(data)
    except (psutil.Error, OSError):
        return False


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
