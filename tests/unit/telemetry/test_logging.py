"""Logs: one JSON object a line, in order, without secrets."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from cinema.telemetry.logging import LogLimit, LogSink, configure_logging, redact

PATIENCE_S = 60


class Written:
    """A sink that writes to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT)
        self.sink = LogSink(self._fd)

    def lines(self) -> list[dict[str, Any]]:
        self.sink.close()
        return [msgspec.json.decode(line) for line in self._path.read_bytes().splitlines()]

    def close(self) -> None:
        self.sink.close()
        os.close(self._fd)


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    written = Written(tmp_path / "log")
    configure_logging("info", written.sink)
    yield written
    structlog.reset_defaults()
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    written.close()


def test_event_is_one_json_line_with_time_and_level(written: Written) -> None:
    structlog.get_logger().info("server_started", port=8080)
    (line,) = written.lines()
    assert (line["event"], line["level"], line["port"]) == ("server_started", "info", 8080)
    assert line["timestamp"].endswith("Z")


def test_lines_below_the_level_are_left_out(written: Written) -> None:
    structlog.get_logger().debug("detail")
    assert written.lines() == []


def test_events_are_counted_by_level_and_name(written: Written) -> None:
    log = structlog.get_logger()
    log.debug("detail_seen")
    log.info("server_started")
    log.error("task_failed")
    try:
        raise ValueError
    except ValueError:
        log.exception("task_failed")
    assert written.sink.events == {("info", "server_started"): 1, ("error", "task_failed"): 2}


def test_secrets_are_not_written(written: Written) -> None:
    structlog.get_logger().info("signed_in", password="hunter2", token="eyJ", user="ada")
    (line,) = written.lines()
    assert (line["password"], line["token"]) == ("[redacted]", "[redacted]")
    assert line["user"] == "ada"


def test_stack_of_an_exception_is_written(written: Written) -> None:
    try:
        raise RuntimeError("what happened")
    except RuntimeError:
        structlog.get_logger().exception("request_failed")
    (line,) = written.lines()
    assert "what happened" in line["exception"]
    assert line["level"] == "error"


def test_libraries_log_in_the_same_form(written: Written) -> None:
    logging.getLogger("some.library").warning("odd: %s", {"a": 1})
    (line,) = written.lines()
    assert (line["event"], line["logger"]) == ("library_logged", "some.library")
    assert line["message"] == "odd: {'a': 1}"


def test_library_does_not_warn_of_what_any_client_can_send(written: Written) -> None:
    logging.getLogger("aiohttp.websocket").warning("%s: odd protocols", "127.0.0.1")
    logging.getLogger("aiohttp.websocket").error("broken")
    (line,) = written.lines()
    assert line["message"] == "broken"


def test_what_json_does_not_know_is_written_as_text(written: Written) -> None:
    structlog.get_logger().info("odd", value=object, raw=b"\x00")
    (line,) = written.lines()
    assert line["value"] == "<class 'object'>"


def test_chunks_are_written_in_order_and_those_after_the_end_too(written: Written) -> None:
    for number in range(100):
        written.sink.write(b'{"n":%d}\n' % number)
    assert [line["n"] for line in written.lines()] == list(range(100))
    written.sink.write(b'{"n":100}\n')
    assert len(written.lines()) == 101


def test_reader_that_is_gone_stops_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    sink = LogSink(writing)
    sink.write(b"{}\n")
    sink.close()
    sink.write(b"{}\n")
    os.close(writing)
    assert sink.dropped_chunks == 2


def test_reader_that_stands_still_stops_nothing() -> None:
    reading, writing = os.pipe()
    sink = LogSink(writing, last_line_s=0.01)
    sink.close()
    line = b"x" * 10_000
    for _ in range(100):
        sink.write(line)
    assert 0 < sink.dropped_chunks < 100
    os.close(reading)
    os.close(writing)


LAST_WORDS = """
import logging
from cinema.telemetry.logging import configure_logging, standard_error_sink

class Destroyed:
    def __del__(self):
        logging.getLogger("asyncio").error("Task was destroyed but it is pending!")

sink = standard_error_sink()
configure_logging("info", sink)
left = Destroyed()
{close}
"""


@pytest.mark.process
@pytest.mark.parametrize("close", ["sink.close()", ""], ids=["closed", "never used"])
def test_what_is_logged_while_the_interpreter_ends_does_not_keep_it(close: str) -> None:
    """Libraries log when what they left is collected, which no thread can write any more."""
    done = subprocess.run(
        [sys.executable, "-c", LAST_WORDS.format(close=close)],
        check=False,
        capture_output=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    assert msgspec.json.decode(done.stderr)["message"] == "Task was destroyed but it is pending!"


def test_email_addresses_in_what_others_wrote_are_redacted() -> None:
    event = {
        "exception": "UniqueViolationError\nDETAIL:  Key (email_key)=(ann.b+c@example.com) exists.",
        "reason": "mail for 'Ann@Example.co.uk', refused",
        "message": 3,
        "event": "x",
    }
    shown = str(redact(None, "", event)).lower()
    assert "ann" not in shown
    assert "example" not in shown
    assert "(email_key)=(" in shown


def test_the_limit_goes_by_the_clock_of_the_loop() -> None:
    """A simulated world has loops with clocks of their own, and would differ from run to run."""
    now_s = 0.0

    class Loop(asyncio.SelectorEventLoop):
        def time(self) -> float:
            return now_s

    async def admitted(limit: LogLimit) -> bool:
        return limit.admit() is not None

    async def limited() -> LogLimit:
        return LogLimit(lines=1, period_s=60.0)

    loop = Loop()
    try:
        limit = loop.run_until_complete(limited())
        assert loop.run_until_complete(admitted(limit))
        assert not loop.run_until_complete(admitted(limit))
        now_s = 60.0
        assert loop.run_until_complete(admitted(limit))
    finally:
        loop.close()


def test_without_a_loop_the_limit_goes_by_the_clock_of_the_system() -> None:
    limit = LogLimit(lines=1, period_s=-1.0)
    assert [limit.admit(), limit.admit()] == [0, 0]


def test_limited_lines_say_how_many_were_left_out() -> None:
    now_s = 0.0
    limit = LogLimit(lines=2, period_s=60.0, now_s=lambda: now_s)
    written: list[tuple[str, dict[str, object]]] = []

    def log(event: str, **values: object) -> None:
        written.append((event, values))

    for number in range(5):
        limit.write(log, "task_failed", number=number)
    now_s = 60.0
    limit.write(log, "task_failed", number=5)
    assert [(values["number"], values["suppressed"]) for _, values in written] == [
        (0, 0), (1, 0), (5, 3),
    ]  # fmt: skip
