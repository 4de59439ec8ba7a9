"""Telling a person who waits at a terminal what is being done."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Report: TypeAlias = Callable[[str], None]
"""Is told each step that takes a while, where there is something to do, in words for people."""


def unheard(_step: str) -> None:
    """Reports to nobody."""
