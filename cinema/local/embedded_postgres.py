"""The embedded Postgres: found in a wheel, kept in the data folder, reached only by a socket."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from cinema.local.data_dir import DataDirLock
from cinema.local.postgres_home import (
    DATABASE,
    USER,
    EmbeddedPostgresError,
    PostgresHome,
    clean_environment,
)
from cinema.local.postmaster import Postmaster, clear_stale_pid_file, find_postmaster
from cinema.local.unprivileged import CannotDropPrivileges

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError"]

_START_TIMEOUT_S = 120.0  # recovery after a crash included
_STOP_TIMEOUT_S = 60.0
_ORPHANS_TIMEOUT_S = 15.0
_POLL_S = 0.01
_LARGEST_LOG_BYTES = 16 << 20
_LOG_TAIL_BYTES = 2000

_FEWEST_CONNECTIONS = 100

DURABILITY = ("fsync", "synchronous_commit", "full_page_writes")
WITHOUT_VALUES = {
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_min_error_statement": "panic",
}
"""No personal data in the log: neither values nor the rows that errors quote."""

_CONFIGURATION = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    # A backup that has stopped must not fill the disk with log that it has not fetched.
    "max_slot_wal_keep_size": "4GB",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "cluster_name": "cinema",
    **WITHOUT_VALUES,
}


class EmbeddedPostgres:
    """The Postgres of one data folder; `start` and `stop` block, so call them off the loop.

    `durable=False` may lose commits in a crash of the machine and is for tests. At least
    `connections` can be open at a time. `settings` are Postgres's own, and `binaries` where its
    programs are; `reads` is what they have to read outside of the data.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        durable: bool = True,
        connections: int = _FEWEST_CONNECTIONS,
        settings: Mapping[str, str] | None = None,
        binaries: Path | None = None,
        reads: Sequence[Path] = (),
        start_timeout_s: float = _START_TIMEOUT_S,
    ) -> None:
        self._data_dir = data_dir.absolute()
        self._data = self._data_dir / "postgres"
        self._log = self._data_dir / "postgres.log"
        self._durable = durable
        self._connections = max(connections, _FEWEST_CONNECTIONS)
        self._settings = settings or {}
        self._binaries = binaries
        self._reads = reads
        self._start_timeout_s = start_timeout_s
        self._lock = DataDirLock(self._data_dir)
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Bring Postgres up, or find the one a killed server left, and return its address.

        Raises `DataDirInUse` when another process works on the folder, and
        `EmbeddedPostgresError` when Postgres cannot run.
        """
        self._lock.acquire()
        try:
            return self._start()
        except CannotDropPrivileges as error:
            self._lock.release()
            raise EmbeddedPostgresError(str(error)) from error
        except BaseException:
            self._lock.release()
            raise

    @property
    def running(self) -> bool:
        """Whether it still runs; the check is cheap."""
        if self._child is not None:
            return self._child.poll() is None
        return find_postmaster(self._data) is not None

    def revive(self) -> None:
        """Start it again if it died after `start`; harmless if it runs. The address stays.

        Raises `EmbeddedPostgresError` when it cannot run now; it may be tried again.
        """
        if not self._lock.held:
            raise EmbeddedPostgresError("it was stopped, or never started")
        if self._child is not None and self._child.poll() is not None:
            self._child = None
        self._start()

    def stop(self) -> None:
        """Shut Postgres down with a checkpoint, wait for its last process, release the folder."""
        if not self._lock.held:
            return
        postmaster = find_postmaster(self._data)
        if postmaster is not None:
            self._shut_down(postmaster)
        clear_stale_pid_file(self._data, _ORPHANS_TIMEOUT_S)
        self._reap()
        self._lock.release()

    def _start(self) -> str:
        home = PostgresHome(self._data_dir, binaries=self._binaries, reads=self._reads)
        home.prepare(fsync=self._durable)
        socket_folder = home.socket_folder()
        command = self._command(home.binaries / "postgres", socket_folder)
        if not self._reuse(command):
            self._launch([*home.identity.prefix, *command])
        return _address(socket_folder)

    def _command(self, program: Path, socket_folder: Path) -> list[str]:
        switch = "on" if self._durable else "off"
        settings = {
            **_CONFIGURATION,
            **dict.fromkeys(DURABILITY, switch),
            "max_connections": str(self._connections),
            "unix_socket_directories": str(socket_folder),
            **self._settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(program), "-D", str(self._data), *options]

    def _reuse(self, command: Sequence[str]) -> bool:
        """Whether the right Postgres runs already; one with other settings is shut down."""
        postmaster = find_postmaster(self._data)
        if postmaster is not None:
            if postmaster.settle(command, self._start_timeout_s):
                return True
            self._shut_down(postmaster)
        orphans = clear_stale_pid_file(self._data, _ORPHANS_TIMEOUT_S)
        if orphans:
            raise EmbeddedPostgresError(
                f"processes {orphans} of a Postgres that died still work on {self._data}"
            )
        return False

    def _launch(self, command: Sequence[str]) -> None:
        """Start the postmaster in a session of its own, where a terminal's Ctrl-C is not heard."""
        if self._log.exists() and self._log.stat().st_size > _LARGEST_LOG_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        with os.fdopen(os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)) as log:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                env=clean_environment(), start_new_session=True,
            )  # fmt: skip
        try:
            self._await_ready(child)
        except BaseException:
            child.send_signal(signal.SIGQUIT)
            child.wait(_STOP_TIMEOUT_S)
            raise
        self._child = child

    def _await_ready(self, child: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._start_timeout_s
        while time.monotonic() < deadline:
            if child.poll() is not None:
                raise EmbeddedPostgresError(f"Postgres did not start:\n{self._end_of_log()}")
            found = find_postmaster(self._data)
            if found is not None and found.pid == child.pid and found.ready():
                return
            time.sleep(_POLL_S)
        raise EmbeddedPostgresError(f"Postgres is not ready in time:\n{self._end_of_log()}")

    def _shut_down(self, postmaster: Postmaster) -> None:
        """Fast shutdown; if it hangs, an immediate one, from which the next start recovers."""
        for how in (signal.SIGINT, signal.SIGQUIT):
            postmaster.send(how)
            if postmaster.wait_gone(_STOP_TIMEOUT_S):
                break
        else:
            raise EmbeddedPostgresError(f"Postgres (pid {postmaster.pid}) does not stop")
        self._reap()

    def _reap(self) -> None:
        """Notice the end of the child that we started."""
        if self._child is not None:
            self._child.wait(_STOP_TIMEOUT_S)
            self._child = None

    def _end_of_log(self) -> str:
        with self._log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
            return log.read().decode(errors="replace").strip()


def running_address(data_dir: Path) -> str | None:
    """The address of the folder's Postgres if it runs, whichever process started it."""
    data_dir = data_dir.absolute()
    postmaster = find_postmaster(data_dir / "postgres")
    if postmaster is None or not postmaster.ready():
        return None
    return _address(PostgresHome(data_dir).socket_folder())


def _address(socket_folder: Path) -> str:
    return f"postgresql://{USER}@/{DATABASE}?host={quote(str(socket_folder), safe='/')}"
