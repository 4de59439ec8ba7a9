"""What every test of the actors has: its log as a list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import structlog


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """The log events of the test, instead of lines and tracebacks on the terminal."""
    with structlog.testing.capture_logs() as events:
        yield events
