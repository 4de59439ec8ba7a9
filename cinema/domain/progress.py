"""Reports of progress to a person who waits at a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Report: TypeAlias = Callable[[str], None]
"""Receives a text for people at each step that takes a while."""


def unheard(_step: str) -> None:
    """Ignore a report."""
