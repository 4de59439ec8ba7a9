"""The line of each request."""

from __future__ import annotations

import msgspec

from cinema.domain.ids import parse_id
from cinema.telemetry.access_log import LOG_BATCH_LINES, AccessLog

CALLER = "019a0c1e-7000-7000-8000-0000000000a1"
SHOWTIME = "019a0c1e-7000-7000-8000-0000000000e1"


class Delayed:
    """Remembers what is to be called later instead of waiting."""

    def __init__(self) -> None:
        self.callbacks: list[object] = []

    def __call__(self, delay_s: float, callback: object) -> None:
        assert delay_s > 0
        self.callbacks.append(callback)


def record(log: AccessLog, status: int = 201, wall_s: float = 1_700_000_000.25) -> None:
    log.record(wall_s, "r-1", "POST", "/holds", status, 1234, parse_id(CALLER), None, SHOWTIME)


def logs() -> tuple[AccessLog, list[bytes], Delayed]:
    written: list[bytes] = []
    delayed = Delayed()
    return AccessLog(written.append, delayed), written, delayed


def test_line_has_all_there_is_to_say() -> None:
    log, written, _ = logs()
    record(log)
    log.flush()
    assert msgspec.json.decode(written[0]) == {
        "event": "request_finished",
        "timestamp": "2023-11-14T22:13:20.250000Z",
        "level": "info",
        "request_id": "r-1",
        "method": "POST",
        "route": "/holds",
        "status": 201,
        "duration_us": 1234,
        "principal_id": CALLER,
        "showtime_id": SHOWTIME,
    }


def test_fraction_of_a_second_never_grows_a_seventh_digit() -> None:
    log, written, _ = logs()
    record(log, wall_s=1_700_000_000.9999997)
    log.flush()
    stamp = msgspec.json.decode(written[0])["timestamp"]
    assert stamp == "2023-11-14T22:13:20.999999Z"


def test_failure_of_the_server_is_an_error_and_being_busy_is_not() -> None:
    log, written, _ = logs()
    for status in (499, 500, 503):
        record(log, status=status)
    log.flush()
    levels = [msgspec.json.decode(line)["level"] for line in written[0].splitlines()]
    assert levels == ["info", "error", "warning"]


def test_lines_are_written_together_and_in_order() -> None:
    log, written, delayed = logs()
    for status in (200, 201, 202):
        record(log, status)
    assert written == []
    assert delayed.callbacks == [log.flush]
    log.flush()
    assert [msgspec.json.decode(line)["status"] for line in written[0].splitlines()] == [
        200,
        201,
        202,
    ]
    assert written[0].endswith(b"\n")
    log.flush()
    assert len(written) == 1


def test_full_batch_is_written_at_once() -> None:
    log, written, _ = logs()
    for _ in range(LOG_BATCH_LINES):
        record(log)
    assert written[0].count(b"\n") == LOG_BATCH_LINES
