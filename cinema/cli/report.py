"""What a command tells a person while it works."""

from __future__ import annotations

import sys


def report(step: str) -> None:
    """Tell a person who waits what is being done: one line a step, only where there is work."""
    sys.stderr.write(f"cinema: {step} ...\n")
    sys.stderr.flush()


def complain(*lines: str) -> None:
    """Tell what went wrong."""
    for line in lines:
        sys.stderr.write(f"cinema: {line}\n")
