"""Structured logs: one JSON object a line, written by a thread so that no request waits for it."""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import re
import select
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final

import msgspec
import structlog
from structlog.typing import EventDict, Processor

QUEUE_LIMIT_CHUNKS: Final = 10_000
"""Chunks that wait for a slow reader of the log; further lines are dropped and counted."""

CLOSE_TIMEOUT_S: Final = 5.0
"""How long a stopping server waits for its last lines to be written."""

LAST_LINE_S: Final = 1.0
"""How long a line that comes after that waits for a reader of the log who is slow."""

ATOMIC_BYTES: Final = select.PIPE_BUF
"""So much goes into a pipe that is ready without waiting."""

SECRET_KEYS: Final = frozenset(
    {"password", "token", "access_token", "refresh_token", "authorization", "secret", "card"}
)
FREE_TEXT_KEYS: Final = frozenset({"exception", "message", "reason"})
"""Fields with messages of drivers and libraries, which may quote values."""

REDACTED: Final = "[redacted]"

_TOLD_BY_CLIENTS: Final = ("aiohttp.websocket",)
"""Loggers that warn about each odd header; a client could fill the log with them."""

_EMAIL: Final = re.compile(r"[^\s@()<>\"',;:=]+@[^\s@()<>\"',;:/]+\.[A-Za-z0-9-]+")

_encode = msgspec.json.Encoder(enc_hook=repr).encode


class LogSink:
    """Writes chunks of whole lines to a file descriptor, in order, from one thread.

    `write` never blocks, until `close`. What comes after that is written at once: an interpreter
    that ends starts no threads, and waiting for one would keep the process for ever.
    `dropped_chunks` counts chunks that a full queue could not take, `events` counts the events by
    level and name, without request lines.
    """

    def __init__(self, fd: int, *, last_line_s: float = LAST_LINE_S) -> None:
        self._fd = fd
        self._last_line_s = last_line_s
        self._queue: queue.Queue[bytes | None] = queue.Queue(QUEUE_LIMIT_CHUNKS)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._is_closed = False
        self.dropped_chunks = 0
        self.events: Counter[tuple[str, str]] = Counter()

    def write(self, chunk: bytes) -> None:
        """Queue `chunk`; starts the thread at first use."""
        if self._thread is None:
            if self._is_closed or sys.is_finalizing():
                self._write_at_once(chunk)
                return
            self._start()
        try:
            self._queue.put_nowait(chunk)
        except queue.Full:
            self.dropped_chunks += 1

    def close(self) -> None:
        """Write what is queued, and stop the thread for good."""
        with self._lock:
            self._is_closed = True
            thread, self._thread = self._thread, None
        if thread is None:
            return
        try:
            self._queue.put(None, timeout=CLOSE_TIMEOUT_S)
        except queue.Full:
            # Nobody reads the log; the thread ends with the process.
            return
        thread.join(CLOSE_TIMEOUT_S)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._is_closed:
                self._thread = threading.Thread(target=self._run, name="log-sink", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (chunk := self._queue.get()) is not None:
            view = memoryview(chunk)
            while view:
                try:
                    view = view[os.write(self._fd, view) :]
                except OSError:  # nobody reads the log any more; the server continues
                    self.dropped_chunks += 1
                    break

    def _write_at_once(self, chunk: bytes) -> None:
        ready = select.poll()
        ready.register(self._fd, select.POLLOUT)
        view = memoryview(chunk)
        while view:
            try:
                if not ready.poll(self._last_line_s * 1000):
                    self.dropped_chunks += 1
                    return
                view = view[os.write(self._fd, view[:ATOMIC_BYTES]) :]
            except OSError:
                self.dropped_chunks += 1
                return


LINES_A_MINUTE: Final = 20
"""Lines of one kind from one place: enough to see the problem, without a flood."""


def _now_s() -> float:
    """The clock of the loop that runs, which need not be the system's; else the system's."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()


class LogLimit:
    """Lets through the first `lines` of a kind in each `period_s`, and counts what it left out."""

    def __init__(
        self,
        *,
        lines: int = LINES_A_MINUTE,
        period_s: float = 60.0,
        now_s: Callable[[], float] = _now_s,
    ) -> None:
        self._lines = lines
        self._period_s = period_s
        self._now_s = now_s
        self._ends_s = now_s() + period_s
        self._logged = 0
        self._suppressed = 0

    def admit(self) -> int | None:
        """How many lines were left out since the last one, or None if this one is left out too."""
        now_s = self._now_s()
        if now_s >= self._ends_s:
            self._ends_s = now_s + self._period_s
            self._logged = 0
        if self._logged >= self._lines:
            self._suppressed += 1
            return None
        self._logged += 1
        suppressed, self._suppressed = self._suppressed, 0
        return suppressed

    def write(self, log: Callable[..., Any], event: str, **values: object) -> None:
        """Log an event with `log`, a method of a logger, unless it is left out."""
        suppressed = self.admit()
        if suppressed is not None:
            log(event, **values, suppressed=suppressed)


class _SinkLogger:
    """Receives finished lines from structlog."""

    def __init__(self, sink: LogSink) -> None:
        self._sink = sink

    def msg(self, line: bytes) -> None:
        self._sink.write(line + b"\n")

    debug = info = warning = error = critical = exception = msg


class _StandardHandler(logging.Handler):
    """Brings logs of libraries, from the standard library's logging, into the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = structlog.get_logger()
        logger.log(
            record.levelno,
            "library_logged",
            logger=record.name,
            message=record.getMessage(),
            exc_info=record.exc_info,
        )


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace values of keys that name secrets, and e-mail addresses in messages of libraries."""
    for key in SECRET_KEYS.intersection(event):
        event[key] = REDACTED
    for key in FREE_TEXT_KEYS.intersection(event):
        text = event[key]
        if isinstance(text, str) and "@" in text:
            event[key] = _EMAIL.sub(REDACTED, text)
    return event


def _counted_by(sink: LogSink) -> Processor:
    def count(_: Any, __: str, event: EventDict) -> EventDict:
        sink.events[event["level"], event["event"]] += 1
        return event

    return count


def render(_: Any, __: str, event: Mapping[str, Any]) -> bytes:
    """One event as JSON."""
    return _encode(event)


def configure_logging(level: str, sink: LogSink) -> None:
    """Send all logs of this process to `sink`, from `level` (DEBUG, INFO, ...) upwards."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            _counted_by(sink),
            render,
        ],
        logger_factory=lambda *_: _SinkLogger(sink),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_StandardHandler()], force=True)
    for name in _TOLD_BY_CLIENTS:
        logging.getLogger(name).setLevel(logging.ERROR)
    set_log_level(level)


def set_log_level(level: str) -> None:
    """Write from `level` upwards from now on: our own events, and those of libraries from INFO."""
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(number))
    logging.getLogger().setLevel(max(number, logging.INFO))


def log_level() -> str:
    """The least severe level that is written, in lower case."""
    number: int = structlog.get_logger().new().get_effective_level()
    return logging.getLevelName(number).lower()


def standard_error_sink() -> LogSink:
    """The sink of a server process: its standard error."""
    return LogSink(sys.stderr.fileno())
